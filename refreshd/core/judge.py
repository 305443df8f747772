"""One login's evidence -> one verdict. The chain of rules at the end of this module, read from top to bottom, is the policy.

A rule is a small named function; the first one that has something to say decides, and where none has, an inactive login leaks and an
active one is stale. The same evidence at the same moment gives the same verdict; `Verdict.until` says when time alone may give another.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from refreshd.core.evidence import (
    Failure,
    approval_runs,
    blames_the_bank,
    is_held,
    is_unobserved,
    lapsed,
    next_turn,
    observed,
    off_by_us_at,
    old_when_seen,
    seen_at,
    seen_on_after,
    spared_until,
    standing_failure,
)
from refreshd.core.model import Disposition, Evidence, Flag, Lane, PlanState, Verdict, VerdictName
from refreshd.core.plan import ChangeReason


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgePolicy:
    """The spans that turn evidence into verdicts: `REFRESHD_STALE_AFTER`, `_UNOBSERVED_AFTER`, `_REASSERT_AFTER`."""

    stale_after: timedelta
    unobserved_after: timedelta
    reassert_after: timedelta


class _Case(NamedTuple):
    """One login before the judge."""

    evidence: Evidence
    policy: JudgePolicy
    now: datetime


_Rule = Callable[[_Case], Verdict | None]


def judge(evidence: Evidence, policy: JudgePolicy, now: datetime) -> Verdict:
    """The verdict on one login; total, so every row of the ledger is counted exactly once."""
    case = _Case(evidence, policy, now)
    rules, otherwise = (_ACTIVE, _too_old) if evidence.active else (_INACTIVE, _leaks)
    for rule in rules:
        verdict = rule(case)
        if verdict is not None:
            return verdict
    return otherwise(case)


# Inactive logins --------------------------------------------------------------------------------------------------------------------


def _already_off(case: _Case) -> Verdict | None:
    off_at = case.evidence.confirmed_off_at
    if off_at is None or seen_on_after(case.evidence, off_at):
        return None
    sentence = f"Flinks confirmed at {_at(off_at)} that scheduled refresh is off; nothing is billed"
    return _inactive(case, VerdictName.DISABLED, "confirmed_off", sentence, until=off_at + case.policy.reassert_after)


def _refused_inactive(case: _Case) -> Verdict | None:
    refusal = case.evidence.refusal
    if refusal is None:
        return None
    sentence = f"Flinks refuses this LoginId ({refusal.code}), so nobody can say that it is off; tried once a week, still a leak"
    return _inactive(case, VerdictName.QUARANTINED, "refused", sentence, until=case.evidence.not_before)


def _withheld(case: _Case) -> Verdict | None:
    hold = case.evidence.hold
    if hold is None or hold.state is PlanState.ADMITTED:
        return None
    if hold.approved_until is not None and approval_runs(case.evidence, case.now):
        sentence = f"without an active client and not confirmed off; plan {hold.plan_id} is approved until {_at(hold.approved_until)}"
        return _inactive(case, VerdictName.LEAKING, ChangeReason.APPROVED, sentence, until=hold.approved_until)
    if hold.state is PlanState.REJECTED:
        sentence = (
            f"would be disabled, but somebody rejected plan {hold.plan_id}; `refreshd approve` lets it go after all"
        )
        return _inactive(case, VerdictName.HELD, "rejected", sentence)
    sentence = f"would be disabled, but the guard holds plan {hold.plan_id} until somebody approves it"
    return _inactive(case, VerdictName.HELD, "held_by_guard", sentence)


def _came_back(case: _Case) -> Verdict | None:
    off_at = case.evidence.confirmed_off_at
    if off_at is None:
        return None
    sentence = f"was confirmed off at {_at(off_at)}, yet Flinks has it on again: a reconnect can bring the flag back"
    return _inactive(case, VerdictName.LEAKING, "flag_came_back", sentence)


def _leaks(case: _Case) -> Verdict:
    evidence = case.evidence
    since = f"since {_at(evidence.inactive_since)}" if evidence.inactive_since else "any more"
    if evidence.flag is Flag.ON or evidence.listing:
        return _inactive(
            case, VerdictName.LEAKING, "flag_on", f"no active client {since}, and Flinks says that it is on: billed"
        )
    return _inactive(
        case,
        VerdictName.LEAKING,
        "not_confirmed_off",
        f"no active client {since}, and Flinks has not confirmed that it is off",
    )


def _inactive(case: _Case, name: VerdictName, reason: str, sentence: str, *, until: datetime | None = None) -> Verdict:
    later = until if until is not None and until > case.now else None
    evidence = case.evidence
    return Verdict(
        login_id=evidence.login_id,
        name=name,
        reason=reason,
        sentence=sentence,
        until=later,
        lane=None,
        version=evidence.version,
    )


# Active logins ----------------------------------------------------------------------------------------------------------------------


def _refused_active(case: _Case) -> Verdict | None:
    refusal = case.evidence.refusal
    if refusal is None:
        return None
    sentence = f"Flinks refuses this LoginId ({refusal.code}); tried once a week, an operator must look"
    return _active(
        case,
        VerdictName.QUARANTINED,
        "refused",
        sentence,
        lane=Lane.REST,
        failure=Failure(refusal.code, Disposition.OPERATOR),
    )


def _never_seen(case: _Case) -> Verdict | None:
    if observed(case.evidence):
        return None
    return _active(
        case, VerdictName.UNSEEN, "never_observed", "not observed yet; its first Authorize is due", lane=Lane.SAVABLE
    )


def _off_by_us(case: _Case) -> Verdict | None:
    off_at = off_by_us_at(case.evidence)
    if off_at is None or seen_on_after(case.evidence, off_at):
        return None
    unanswered = "a change that refreshd sent was not answered, and the login may be off since"
    said = "refreshd disabled it at" if off_at == case.evidence.confirmed_off_at else unanswered
    sentence = f"{said} {_at(off_at)}, and a client of it is active again: to be enabled"
    return _active(case, VerdictName.DRIFTED, ChangeReason.DISABLED_BY_REFRESHD, sentence, lane=Lane.REST)


def _off_by_others(case: _Case) -> Verdict | None:
    off_at = case.evidence.flag_seen_at
    if case.evidence.flag is not Flag.OFF or (off_at is not None and seen_on_after(case.evidence, off_at)):
        return None
    sentence = "scheduled refresh is off at Flinks although a client wants it; refreshd did not do it, so somebody else switched it off"
    return _active(case, VerdictName.DRIFTED, "off_at_flinks", sentence, lane=Lane.REST)


def _shares_its_banks_trouble(case: _Case) -> Verdict | None:
    failure, bank = standing_failure(case.evidence, case.policy.stale_after), case.evidence.standing
    if failure is None or bank is None or (until := spared_until(case.evidence, failure, case.now)) is None:
        return None
    spared = Failure(failure.code, Disposition.VENDOR_RETRIES)
    sentence = f"the last refresh failed with {failure.code}, but {bank.numbers} at {bank.institution}: nobody is asked before {_at(until)}"
    return _active(case, VerdictName.FAILED, "institution", sentence, lane=_lane(case), failure=spared)


def _bank_is_down(case: _Case) -> Verdict | None:
    failure = standing_failure(case.evidence, case.policy.stale_after)
    if failure is None or not blames_the_bank(case.evidence, failure):
        return None
    numbers = f"; {bank.numbers}" if (bank := case.evidence.standing) is not None and bank.held else ""
    sentence = f"{case.evidence.institution or 'its bank'} is down or under maintenance ({failure.code}{numbers}): its user can do nothing"
    return _active(case, VerdictName.FAILED, "institution", sentence, lane=_lane(case), failure=failure)


def _needs_reconnect(case: _Case) -> Verdict | None:
    failure = standing_failure(case.evidence, case.policy.stale_after)
    if failure is None or failure.disposition is not Disposition.NEEDS_CLIENT:
        return None
    sentence = f"the last refresh failed with {failure.code}: the user must connect again through Flinks Connect"
    return _active(case, VerdictName.RECONNECT, "needs_user", sentence, lane=Lane.REST, failure=failure)


def _needs_operator(case: _Case) -> Verdict | None:
    failure = standing_failure(case.evidence, case.policy.stale_after)
    if failure is None or failure.disposition is not Disposition.OPERATOR:
        return None
    sentence = (
        f"the last refresh failed with {failure.code}, which neither time nor the user mends; an operator must look"
    )
    return _active(case, VerdictName.QUARANTINED, "permanent_code", sentence, lane=Lane.REST, failure=failure)


def _failing(case: _Case) -> Verdict | None:
    failure = standing_failure(case.evidence, case.policy.stale_after)
    if failure is None:
        return None
    if failure.disposition is Disposition.UNKNOWN:
        sentence = f"the last refresh failed with {failure.code}, a code nobody knows; tried again daily"
        return _active(case, VerdictName.FAILED, "unknown_code", sentence, lane=_lane(case), failure=failure)
    given_up = "after seven days without success only once its user has connected again"
    when = given_up if lapsed(case.evidence, case.now) else "at night"
    sentence = f"the last refresh failed with {failure.code}, which heals by itself; Flinks tries again {when}"
    return _active(case, VerdictName.FAILED, "vendor_retries", sentence, lane=_lane(case), failure=failure)


def _gone_quiet(case: _Case) -> Verdict | None:
    last_seen_at = seen_at(case.evidence)
    if last_seen_at is None or not is_unobserved(case.evidence, case.policy.unobserved_after, case.now):
        return None
    sentence = f"nothing was heard of it since {_at(last_seen_at)}, so nobody can say that it still refreshes"
    return _active(case, VerdictName.STALE, "unobserved", sentence, lane=_lane(case))


def _is_fresh(case: _Case) -> Verdict | None:
    refreshed_at = case.evidence.refreshed_at
    if refreshed_at is None or old_when_seen(case.evidence, case.policy.stale_after):
        return None
    return _active(case, VerdictName.FRESH, "refreshed", f"refreshed at {_at(refreshed_at)}", lane=_lane(case))


def _too_old(case: _Case) -> Verdict:
    refreshed_at = case.evidence.refreshed_at
    if refreshed_at is None:
        sentence = "no error is known, yet Flinks knows of no refresh at all"
        return _active(case, VerdictName.STALE, "never_refreshed", sentence, lane=_lane(case))
    reason = "ineligible" if case.evidence.listing else "too_old"
    sentence = f"no error is known, yet the last refresh is of {_at(refreshed_at)}"
    return _active(case, VerdictName.STALE, reason, sentence, lane=_lane(case))


def _active(
    case: _Case, name: VerdictName, reason: str, sentence: str, *, lane: Lane, failure: Failure | None = None
) -> Verdict:
    return Verdict(
        login_id=case.evidence.login_id,
        name=name,
        reason=reason,
        sentence=sentence,
        until=next_turn(case.evidence, case.policy.stale_after, case.policy.unobserved_after, case.now),
        lane=lane,
        stale=is_unobserved(case.evidence, case.policy.unobserved_after, case.now)
        or (observed(case.evidence) and old_when_seen(case.evidence, case.policy.stale_after)),
        error_code=failure.code if failure else None,
        disposition=failure.disposition if failure else None,
        version=case.evidence.version,
    )


def _lane(case: _Case) -> Lane:
    return Lane.REST if lapsed(case.evidence, case.now) or is_held(case.evidence, case.now) else Lane.SAVABLE


def _at(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


_INACTIVE: tuple[_Rule, ...] = (
    _already_off,
    _refused_inactive,
    _withheld,
    _came_back,
)

_ACTIVE: tuple[_Rule, ...] = (
    _refused_active,
    _off_by_us,
    _never_seen,
    _off_by_others,
    _shares_its_banks_trouble,
    _bank_is_down,
    _needs_reconnect,
    _needs_operator,
    _failing,
    _gone_quiet,
    _is_fresh,
)
