"""One vendor call at a time for the doctor, and the one write that it may make: a disable of a login that is confirmed off."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from refreshd import policies
from refreshd.core import conversation as conversations
from refreshd.core import guard, planner, wire
from refreshd.core.conversation import Conversation, Step
from refreshd.core.effects import Confirmed
from refreshd.core.errors import FlinksError
from refreshd.core.guard import GuardedChange, Withdrawn
from refreshd.core.model import CallTrace, Change, LoginId, PassId, VerdictName
from refreshd.core.plan import ChangeReason, PlannedChange
from refreshd.core.turn import Turn, advance, fail
from refreshd.doctor.finding import Finding, bad, good
from refreshd.flinks import FlinksConnection, FlinksReader, ScheduleWriter
from refreshd.ledger import Ledger
from refreshd.pacing import Budget
from refreshd.ports import Clock, Leadership, PassRecord
from refreshd.reading import StoredLogin
from refreshd.settings import Mode, Settings

_SUBJECT = "write probe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Calls Flinks under the lease and the budget; every call is kept for the trace."""

    settings: Settings
    connection: FlinksConnection
    budget: Budget
    lease: Leadership
    ledger: Ledger
    clock: Clock
    traces: list[CallTrace]

    async def call(self, request: wire.Request) -> wire.VendorAnswer:
        """One call that changes nothing."""
        permit = await self.budget.permit()
        return await FlinksReader(self.connection).call(request, permit, attempt=1, pass_id=None)

    async def keep_traces(self) -> None:
        if self.traces:
            await self.ledger.record(self.traces, (), term=self.lease.term)
            self.traces.clear()


async def write_probe(caller: Caller, login_id: LoginId) -> Finding:
    """Repeat the disable of a login that Flinks has confirmed off, through intent, guard and write gate as any other."""
    login = await caller.ledger.login(login_id)
    objection = _objection(caller.settings, login)
    if objection:
        return bad(_SUBJECT, objection, "choose one of `refreshd logins --verdict disabled`", exit_code=2)
    now = caller.clock.now()
    pass_id = await caller.ledger.start_pass(now=now, term=caller.lease.term)
    try:
        return await _repeat(caller, login_id, pass_id)
    finally:
        await caller.ledger.finish_pass(_record(caller, pass_id, now), term=caller.lease.term)


def _objection(settings: Settings, login: StoredLogin | None) -> str:
    """Why the probe may not be sent; empty where it may."""
    if settings.mode is Mode.OBSERVE:
        return "not sent: REFRESHD_MODE is observe, so nobody may write"
    if login is None:
        return "not sent: the ledger does not know this login"
    if login.evidence.active or login.verdict is not VerdictName.DISABLED or login.intent is not None:
        return f"not sent: the login is {login.verdict}, not disabled and confirmed off"
    return ""


async def _repeat(caller: Caller, login_id: LoginId, pass_id: PassId) -> Finding:
    change = PlannedChange(login_id=login_id, change=Change.DISABLE, reason=ChangeReason.REASSERT)
    plan = guard.admit_reassertions(planner.plan([change]))
    term, now = caller.lease.term, caller.clock.now()
    await caller.ledger.intend(plan, now=now, pass_id=pass_id, term=term)
    login = await caller.ledger.login(login_id)
    if login is None or login.intent is None:
        return bad(_SUBJECT, "not sent: the login changed sides just now")
    look = guard.second_look(login.intent, login.evidence, now)
    reason = look.reason if isinstance(look, Withdrawn) else "the login changed sides"
    if isinstance(look, GuardedChange):
        with suppress(_ChangedSidesError):
            return _finding(caller.settings, await _converse(caller, look, pass_id))
    await caller.ledger.withdraw(login_id, reason=reason, now=now, term=term)
    return bad(_SUBJECT, f"not sent: {reason}")


class _ChangedSidesError(Exception):
    """Between the guard's look and the call the ledger changed its mind; nothing was sent."""


async def _converse(caller: Caller, change: GuardedChange, pass_id: PassId) -> Turn:
    """The change from its first call to its end; what comes of it is recorded before it is told."""
    conversation: Conversation | None = conversations.set_schedule(change, policies.terms(caller.settings), attempts=0)
    turn = Turn()
    while conversation is not None:
        turn = await _turn(caller, conversation, change, pass_id)
        await caller.ledger.record(tuple(caller.traces), turn.effects, term=caller.lease.term)
        caller.traces.clear()
        conversation = turn.following
        await asyncio.sleep(turn.wait_seconds if conversation else 0)
    return turn


async def _turn(caller: Caller, conversation: Conversation, change: GuardedChange, pass_id: PassId) -> Turn:
    try:
        answer = await _send(caller, conversation, change, pass_id)
    except FlinksError as error:
        return fail(conversation, error, caller.clock.now())
    return advance(conversation, answer, caller.clock.now(), asyncio.get_running_loop().time())


async def _send(
    caller: Caller, conversation: Conversation, change: GuardedChange, pass_id: PassId
) -> wire.VendorAnswer:
    if conversation.step is not Step.SET:
        return await caller.call(conversations.request(conversation))
    if not await caller.ledger.mark_sent(
        change.login_id, change.change, now=caller.clock.now(), pass_id=pass_id, term=caller.lease.term
    ):
        raise _ChangedSidesError
    writer = ScheduleWriter(caller.connection, conversation.terms.schedule_credential)
    permit = await caller.budget.permit()
    return await writer.set_schedule(
        change, permit, token=conversation.token, attempt=conversation.tries, pass_id=pass_id
    )


def _finding(settings: Settings, turn: Turn) -> Finding:
    auth = settings.flinks_schedule_auth
    if any(isinstance(effect, Confirmed) for effect in turn.effects):
        return good(_SUBJECT, f"SetScheduledRefresh with {auth} works: Flinks confirmed the login off once more")
    said = turn.trouble.message if turn.trouble else "Flinks did not confirm it"
    hint = turn.trouble.hint if turn.trouble else ""
    return bad(_SUBJECT, said, hint or "try another REFRESHD_FLINKS_SCHEDULE_AUTH; the daemon tries this login again")


def _record(caller: Caller, pass_id: PassId, started_at: datetime) -> PassRecord:
    return PassRecord(
        pass_id=pass_id, started_at=started_at, finished_at=caller.clock.now(), judged=0, intended=1, held=0
    )
