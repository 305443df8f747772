"""What the vendor saw, as plain JSON objects: for the control API and for people."""

from collections import Counter
from collections.abc import Iterator
from itertools import islice

from refreshd.simulator.audit import Breach, CallSeen
from refreshd.simulator.login import Login
from refreshd.simulator.nightly import eligible
from refreshd.simulator.simulator import Simulator

_BREACHES_SHOWN = 50


def summary(simulator: Simulator) -> dict[str, object]:
    """Return the counts since the last reset, and the fleet as it is now."""
    audit = simulator.audit
    return {
        "date": simulator.world.date.isoformat(),
        "calls": {
            "total": audit.calls_counted,
            "by_operation": dict(audit.calls_by_operation),
            "by_status": {str(status): count for status, count in audit.calls_by_status.items()},
            "by_code": dict(audit.calls_by_code),
        },
        "most_in_60s": audit.most_in_60s,
        "faults": dict(audit.faults),
        "bills": {"total": audit.billed_nights, "logins": len(audit.bills)},
        "breaches": {
            "total": audit.breaches_by_rule.total(),
            "by_rule": dict(audit.breaches_by_rule),
            "latest": [_breach(breach) for breach in list(audit.breaches)[-_BREACHES_SHOWN:]],
        },
        **_fleet(simulator),
    }


def calls_since(simulator: Simulator, number: int, *, limit: int) -> list[dict[str, object]]:
    """Return the calls after call `number`, oldest first, as far as they are kept."""
    calls = simulator.audit.calls
    skip = max(0, number + 1 - calls[0].number) if calls else 0
    return [_call(call) for call in islice(calls, skip, skip + limit)]


def login_row(simulator: Simulator, login: Login) -> dict[str, object]:
    """Return a login for the list of logins."""
    return {
        "login_id": login.login_id,
        "institution": login.institution.name,
        "scheduled": login.scheduled,
        "eligible": eligible(login, simulator.world.date, webhooks=simulator.config.webhooks),
        "stuck": login.stuck,
        "last_refresh": login.stamp(login.last_refresh),
        "state": login.attempt.state,
        "code": login.attempt.code or None,
        "billed_nights": simulator.audit.bills[login.login_id],
    }


def _fleet(simulator: Simulator) -> dict[str, object]:
    world, webhooks = simulator.world, simulator.config.webhooks
    by_bank = {name: Counter[str]() for name in world.institutions}
    for login in world.logins.values():
        by_bank[login.institution.name].update(_conditions(login, eligible(login, world.date, webhooks=webhooks)))
    total = sum(by_bank.values(), Counter[str]())
    return {
        "logins": {name: total[name] for name in ("known", "on", "off", "ineligible", "stuck")},
        "institutions": [{"name": name, **_bank(simulator, name), **counts} for name, counts in by_bank.items()],
    }


def _conditions(login: Login, is_eligible: bool) -> Iterator[str]:  # noqa: FBT001 - private, one caller
    yield "known"
    yield "on" if login.scheduled else "off"
    if login.scheduled and not is_eligible:
        yield "ineligible"
    if login.stuck:
        yield "stuck"


def _bank(simulator: Simulator, name: str) -> dict[str, object]:
    world = simulator.world
    bank = world.institutions[name]
    outage = world.outage(bank, world.date)
    return {"id": bank.institution_id, "down_until": outage.until.isoformat() if outage else None}


def _call(call: CallSeen) -> dict[str, object]:
    return {
        "number": call.number,
        "operation": call.operation,
        "login_id": call.login_id,
        "date": call.date.isoformat(),
        "seconds": call.seconds,
        "status": call.status,
        "flinks_code": call.flinks_code,
        "fault": call.fault,
        "host": call.host,
    }


def _breach(breach: Breach) -> dict[str, object]:
    return {
        "rule": breach.rule,
        "operation": breach.operation,
        "login_id": breach.login_id,
        "date": breach.date.isoformat(),
    }
