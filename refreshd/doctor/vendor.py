"""Flinks' side: each credential with a harmless call. Only who leads may call, so that the budget holds.

Where a daemon leads, nothing is sent: its last calls in the trace speak for the credentials.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import NamedTuple
from uuid import uuid4

from refreshd import policies
from refreshd.access import open_ledger
from refreshd.core import wire
from refreshd.core.errors import ClocksDisagree, LeaseLost, RefreshdError
from refreshd.core.model import CallTrace, Credential, FetchDepth, LoginId, Operation
from refreshd.doctor.database import Patient, queries
from refreshd.doctor.finding import Finding, Tell, bad, good, of_error, unproven, warning
from refreshd.doctor.probe import Caller, write_probe
from refreshd.errorgroups import plain_errors
from refreshd.flinks import AiohttpTransport, FlinksConnection
from refreshd.lease import Lease
from refreshd.ledger import Ledger
from refreshd.pacing import Budget
from refreshd.postgres import Database, Record
from refreshd.tenure import held

LOOKS_BACK = timedelta(hours=24)

_NO_SESSION = frozenset({"SESSION_NONEXISTENT", "SESSION_EXPIRED"})
_PROVE = "refreshd doctor --write-probe LOGIN_ID repeats a disable on a login that is confirmed off"


class _Check(NamedTuple):
    """One credential: what it is called, and the operations whose calls speak for it."""

    subject: str
    credential: Credential
    operations: tuple[Operation, ...]
    when_unset: str


_CHECKS = (
    _Check(
        "secret key",
        Credential.SECRET_KEY,
        (Operation.GENERATE_AUTHORIZE_TOKEN,),
        "not set: Authorize goes without a token, which only integrations older than October 2024 may do",
    ),
    _Check(
        "API secret",
        Credential.API_SECRET,
        (Operation.GET_NIGHTLY_REFRESH_STATUS,),
        "not set: the report is never read, so failures show only in the daily routine",
    ),
    _Check(
        "API key",
        Credential.API_KEY,
        (
            Operation.GET_ACCOUNTS_SUMMARY,
            Operation.GET_ACCOUNTS_DETAIL,
            Operation.GET_ACCOUNTS_SUMMARY_ASYNC,
            Operation.GET_ACCOUNTS_DETAIL_ASYNC,
        ),
        "not set: nothing is fetched",
    ),
)


async def examine_vendor(patient: Patient, url: str, tell: Tell, probe: LoginId | None) -> None:
    schema = patient.settings.database_schema
    lease = Lease(url, schema=schema, skew=policies.skew(patient.settings, patient.clock))
    async with open_ledger(url, patient.settings, size=2, name="refreshd doctor") as database:
        try:
            leads = await lease.acquire()
        except ClocksDisagree as error:
            await lease.release()
            tell(of_error("clock", error))
            return
        if not leads:
            await lease.release()
            tell(good("leader", "a daemon leads, and it alone may call Flinks: its last calls speak for the keys"))
            await _examine_trace(patient, database, tell)
            if probe is not None:
                tell(bad("write probe", "not sent: only the leader may call Flinks", "stop the daemon for it"))
            return
        budget = Budget(patient.settings.rate_per_minute, lease)
        with plain_errors():
            async with held(lease, budget), _caller(patient, lease, budget, Ledger(database)) as caller:
                await _examine_by_calls(patient, caller, tell)
                tell(await _schedule(patient, database) if probe is None else await write_probe(caller, probe))
                await caller.keep_traces()


@asynccontextmanager
async def _caller(patient: Patient, lease: Lease, budget: Budget, ledger: Ledger) -> AsyncIterator[Caller]:
    """Calls under the lease and the budget; each that left is kept for the trace, which holds what the vendor saw."""
    settings, traces = patient.settings, list[CallTrace]()

    def keep(trace: CallTrace) -> None:
        if trace.left:
            traces.append(trace)

    async with AiohttpTransport.opened() as transport:
        connection = FlinksConnection(
            transport,
            base_url=str(settings.flinks_base_url),
            customer_id=str(settings.flinks_customer_id),
            credentials={name: each.get_secret_value() for name, each in policies.credentials(settings).items()},
            timeouts=policies.timeouts(settings),
            max_body=settings.max_body_bytes,
            clock=patient.clock,
            observers=(keep,),
        )
        yield Caller(
            settings=settings,
            connection=connection,
            budget=budget,
            lease=lease,
            ledger=ledger,
            clock=patient.clock,
            traces=traces,
        )


async def _examine_by_calls(patient: Patient, caller: Caller, tell: Tell) -> None:
    given = policies.credentials(patient.settings)
    calls: tuple[Callable[[Caller], Awaitable[str]], ...] = (_mint, _read_report, _fetch_nothing)
    for check, call in zip(_CHECKS, calls, strict=True):
        if check.credential not in given:
            tell(warning(check.subject, check.when_unset))
            continue
        try:
            tell(good(check.subject, await call(caller)))
        except LeaseLost:
            raise
        except _Odd as odd:
            tell(warning(check.subject, odd.message, odd.hint))
        except RefreshdError as error:
            tell(of_error(check.subject, error))


class _Odd(RefreshdError):
    """An answer came, and it is not the one that proves the credential."""


async def _mint(caller: Caller) -> str:
    answer = await caller.call(wire.mint_token())
    if isinstance(answer, wire.TokenMinted):
        return "Flinks mints authorize tokens for it"
    raise _unexpected(answer)


async def _read_report(caller: Caller) -> str:
    answer = await caller.call(wire.read_report())
    if isinstance(answer, wire.ReportRead):
        return f"reads the report; {len(answer.report.cards):,} logins are on and not eligible"
    raise _unexpected(answer)


async def _fetch_nothing(caller: Caller) -> str:
    """A made-up RequestId: the key is looked at first, then the session is not found."""
    answer = await caller.call(wire.fetch_accounts(str(uuid4()), FetchDepth.SUMMARY))
    if isinstance(answer, wire.CodeAnswer) and answer.code in _NO_SESSION:
        return f"accepted on data calls (a made-up RequestId is {answer.code}, as it must be)"
    raise _unexpected(answer)


def _unexpected(answer: wire.VendorAnswer) -> _Odd:
    said = answer.code if isinstance(answer, wire.CodeAnswer) else type(answer).__name__
    return _Odd(f"Flinks answered {said}, which neither proves nor disproves it", hint="ask Flinks what it means")


async def _examine_trace(patient: Patient, database: Database, tell: Tell) -> None:
    newest = await _newest_calls(patient, database)
    given = policies.credentials(patient.settings)
    for check in _CHECKS:
        calls = [newest[each] for each in check.operations if each in newest]
        if check.credential not in given:
            tell(warning(check.subject, check.when_unset))
        elif calls:
            tell(_of_call(check.subject, max(calls, key=lambda row: row["called_at"])))
        else:
            tell(unproven(check.subject, "no call with it in the last 24 hours"))
    tell(await _schedule(patient, database))


async def _newest_calls(patient: Patient, database: Database) -> dict[str, Record]:
    found = await database.rows(queries()["newest_calls"](since=patient.clock.now() - LOOKS_BACK))
    return {row["operation"]: row for row in found}


def _of_call(subject: str, row: Record) -> Finding:
    at = f"{row['called_at']:%Y-%m-%d %H:%M} UTC"
    if row["failure"] is None:
        return good(subject, f"accepted at {at}")
    said = row["flinks_code"] or row["http_status"] or "no answer"
    if row["failure"] == "auth":
        return bad(subject, f"refused at {at}: {said}", "check the key and REFRESHD_FLINKS_CUSTOMER_ID", exit_code=2)
    return warning(subject, f"its last call, at {at}, failed ({row['failure']}): {said}")


async def _schedule(patient: Patient, database: Database) -> Finding:
    """SetScheduledRefresh has no harmless call; only a real one proves it."""
    row = (await _newest_calls(patient, database)).get(Operation.SET_SCHEDULED_REFRESH)
    if row is not None:
        return _of_call("schedule", row)
    auth = patient.settings.flinks_schedule_auth
    return unproven("schedule", f"SetScheduledRefresh with {auth} is unproven until the first disable", _PROVE)
