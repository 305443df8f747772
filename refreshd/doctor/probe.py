"""One vendor call at a time for the doctor, and the one write that it may make: a disable of a login that is confirmed off."""

import asyncio
from dataclasses import dataclass
from functools import partial

from refreshd import overview, policies
from refreshd.core import conversation as conversations
from refreshd.core import guard, planner, wire
from refreshd.core.conversation import Conversation, Step
from refreshd.core.effects import Confirmed
from refreshd.core.errors import CallAbandoned, FlinksError, WritesPaused
from refreshd.core.guard import GuardedChange, Withdrawn
from refreshd.core.model import CallTrace, Change, LoginId, Operation, PassId, VerdictName
from refreshd.core.plan import ChangeReason, PlannedChange
from refreshd.core.turn import Turn, advance, fail
from refreshd.doctor.finding import Finding, bad, good
from refreshd.flinks import FlinksConnection, FlinksReader, ScheduleWriter
from refreshd.lastlook import look_again
from refreshd.ledger import Ledger
from refreshd.pacing import Budget
from refreshd.ports import Clock, Leadership, PassRecord
from refreshd.reading import StoredLogin
from refreshd.settings import Mode, Settings

_SUBJECT = "write probe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Calls Flinks under the lease and the budget; every call that left is kept for the trace."""

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
    if await caller.ledger.pause() is not None:
        return await _not_sent(caller, "vendor writes were paused just now")
    now = caller.clock.now()
    pass_id = await caller.ledger.start_pass(now=now, term=caller.lease.term)
    probe = _Probe(caller, login_id, pass_id)
    try:
        return await probe.repeat()
    finally:
        record = PassRecord(
            pass_id=pass_id,
            started_at=now,
            finished_at=caller.clock.now(),
            judged=0,
            intended=probe.intended,
            held=0,
        )
        await caller.ledger.finish_pass(record, term=caller.lease.term)


def _objection(settings: Settings, login: StoredLogin | None) -> str:
    """Why the probe may not be sent; empty where it may."""
    if settings.mode is Mode.OBSERVE:
        return "not sent: REFRESHD_MODE is observe, so nobody may write"
    if login is None:
        return "not sent: the ledger does not know this login"
    if login.evidence.active or login.verdict is not VerdictName.DISABLED or login.intent is not None:
        return f"not sent: the login is {login.verdict}, not disabled and confirmed off"
    return ""


async def _not_sent(caller: Caller, reason: str, *, sent_before: bool = False) -> Finding:
    """Where a pause stands, that is why, whatever else there is: nobody can send the probe before it has ended."""
    said = "not sent again" if sent_before else "not sent"
    pause = await caller.ledger.pause()
    if pause is None:
        return bad(_SUBJECT, f"{said}: {reason}")
    return bad(
        _SUBJECT,
        f"{said}: {overview.said_of_pause(pause)}",
        '`refreshd resume --reason "..."` lets them go on; ask for the probe again then',
        exit_code=WritesPaused.exit_code,
    )


class _UnwantedError(Exception):
    """At the second look the disable was not wanted any more; nothing was sent."""


class _Probe:
    """One disable, from its intent to its end.

    The order is the daemon's: first a permit, however long it is waited for; with it in hand the second look and the mark that it is
    sent; and then the call, at once.
    """

    def __init__(self, caller: Caller, login_id: LoginId, pass_id: PassId) -> None:
        self._caller = caller
        self._ledger = caller.ledger
        self._login_id = login_id
        self._pass_id = pass_id
        self._has_left = False
        self.intended = 0

    async def repeat(self) -> Finding:
        repeated = PlannedChange(login_id=self._login_id, change=Change.DISABLE, reason=ChangeReason.REASSERT)
        plan = guard.admit_reassertions(planner.plan([repeated]))
        now, term = self._caller.clock.now(), self._caller.lease.term
        self.intended = await self._ledger.intend(plan, now=now, pass_id=self._pass_id, term=term)
        login = await self._ledger.login(self._login_id)
        if not self.intended or login is None or login.intent is None:
            return bad(_SUBJECT, "not sent: the login changed sides just now, or somebody's transaction holds it")
        look = guard.second_look(login.intent, login.evidence, now)
        if isinstance(look, Withdrawn):
            return await self._withdraw(look.reason)
        try:
            turn = await self._converse(look)
        except (_UnwantedError, WritesPaused) as unwanted:
            return await self._withdraw(str(unwanted))
        if isinstance(turn.trouble, CallAbandoned):
            return await self._withdraw(turn.trouble.message.removeprefix("not sent: "))
        return _finding(self._caller.settings, turn)

    async def _withdraw(self, reason: str) -> Finding:
        """Nobody but the person who asked waits for a probe, so an intent that was not sent goes no further."""
        term = self._caller.lease.term
        await self._ledger.withdraw(self._login_id, reason=reason, now=self._caller.clock.now(), term=term)
        return await _not_sent(self._caller, reason, sent_before=self._has_left)

    async def _converse(self, change: GuardedChange) -> Turn:
        """The change from its first call to its end; what comes of it is recorded before it is told."""
        terms = policies.terms(self._caller.settings)
        conversation: Conversation | None = conversations.set_schedule(change, terms, attempts=0)
        turn = Turn()
        while conversation is not None:
            turn = await self._turn(conversation, change)
            traces = tuple(self._caller.traces)
            self._has_left = self._has_left or any(_changes(each) for each in traces)
            await self._ledger.record(traces, turn.effects, term=self._caller.lease.term)
            self._caller.traces.clear()
            conversation = turn.following
            await asyncio.sleep(turn.wait_seconds if conversation else 0)
        return turn

    async def _turn(self, conversation: Conversation, change: GuardedChange) -> Turn:
        clock = self._caller.clock
        try:
            answer = await self._send(conversation, change)
        except FlinksError as error:
            return fail(conversation, error, clock.now())
        return advance(conversation, answer, clock.now(), asyncio.get_running_loop().time())

    async def _send(self, conversation: Conversation, change: GuardedChange) -> wire.VendorAnswer:
        caller = self._caller
        if conversation.step is not Step.SET:
            return await caller.call(conversations.request(conversation))
        writer = ScheduleWriter(caller.connection, conversation.terms.schedule_credential)
        permit = await caller.budget.permit()
        permit.but_look_again(partial(look_again, self._ledger, conversation, caller.clock))
        await self._mark_sent(change)
        await permit.fresh()
        return await writer.set_schedule(
            change, permit, token=conversation.token, attempt=conversation.tries, pass_id=self._pass_id
        )

    async def _mark_sent(self, change: GuardedChange) -> None:
        """The guard's second look, and the mark where it lets the change through."""
        now, term = self._caller.clock.now(), self._caller.lease.term
        mark = self._ledger.mark_sent(change.login_id, change.change, now=now, pass_id=self._pass_id, term=term)
        withdrawn = await mark
        if withdrawn is not None:
            raise _UnwantedError(withdrawn.reason)


def _changes(trace: CallTrace) -> bool:
    return trace.operation is Operation.SET_SCHEDULED_REFRESH


def _finding(settings: Settings, turn: Turn) -> Finding:
    auth = settings.flinks_schedule_auth
    if any(isinstance(effect, Confirmed) for effect in turn.effects):
        return good(_SUBJECT, f"SetScheduledRefresh with {auth} works: Flinks confirmed the login off once more")
    said = turn.trouble.message if turn.trouble else "Flinks did not confirm it"
    hint = turn.trouble.hint if turn.trouble else ""
    return bad(_SUBJECT, said, hint or "try another REFRESHD_FLINKS_SCHEDULE_AUTH; the daemon tries this login again")
