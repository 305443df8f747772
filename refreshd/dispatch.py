"""Makes one call, and settles what follows from it: effects recorded, the next call queued, the breaker told.

One login's trouble never holds a worker: whatever the vendor does ends here as a turn. Only a bug, a lost lease or a lost database
leaves this module as an exception.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

import structlog

from refreshd.core import breaker as breakers
from refreshd.core import conversation as conversations
from refreshd.core import wire
from refreshd.core.conversation import Conversation, Kind, Step
from refreshd.core.effects import Confirmed, Effect, Refused
from refreshd.core.errors import CallAbandoned, CredentialRefused, FlinksError, FlinksThrottled, RowsLocked
from refreshd.core.guard import GuardedChange
from refreshd.core.model import PassId, Report
from refreshd.core.turn import Turn, advance, fail
from refreshd.lastlook import hand_back, look_again
from refreshd.pacing import Permit
from refreshd.ports import Leadership, WorkLedger
from refreshd.restraint import Restraint
from refreshd.waiting import Task
from refreshd.work import WorkQueue

_log = structlog.get_logger(__name__)

PERMIT_WAIT_SECONDS = 150.0
"""So long is another permit waited for with work in hand: for two, at one call a minute. While Flinks wants a longer rest, what was drawn
is let go of, and drawn anew."""

RELEASED_REST = timedelta(hours=6)
PREDECESSORS_DAY = timedelta(days=1)
"""A process that never met a login that Flinks knows cannot say when the unknown ones began: a predecessor may have died among them."""


class Reader(Protocol):
    """Every call but the schedule change."""

    async def call(
        self, request: wire.Request, permit: Permit, *, attempt: int, pass_id: PassId | None
    ) -> wire.VendorAnswer: ...


class Writer(Protocol):
    """The write gate; in observe mode nobody is handed one."""

    async def set_schedule(
        self,
        change: GuardedChange,
        permit: Permit,
        *,
        token: wire.AuthorizeToken | None,
        attempt: int,
        pass_id: PassId | None,
    ) -> wire.VendorAnswer: ...


Record = Callable[[Sequence[Effect]], Awaitable[None]]
"""Returns once the effects are durable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What came of one turn, for whoever counts (metrics, the exit code of `once`)."""

    conversation: Conversation
    turn: Turn
    orphans: int | None = None


class Dispatcher:
    """The pool's handler."""

    def __init__(
        self,
        *,
        queue: WorkQueue,
        reader: Reader,
        writer: Writer | None,
        ledger: WorkLedger,
        record: Record,
        restraint: Restraint,
        leadership: Leadership,
        on_settled: Callable[[Settled], None],
    ) -> None:
        self._queue = queue
        self._reader = reader
        self._writer = writer
        self._ledger = ledger
        self._record = record
        self._restraint = restraint
        self._leadership = leadership
        self._on_settled = on_settled
        self._unknown_since: datetime | None = None

    async def handle(self, task: Task, permit: Permit) -> None:
        """One call under one permit; every line that it logs names the pass whose work it is."""
        with structlog.contextvars.bound_contextvars(pass_id=self._queue.pass_id):
            await self._make(task, permit)

    async def _make(self, task: Task, permit: Permit) -> None:
        conversation = task.conversation
        permit.but_look_again(partial(look_again, self._ledger, conversation, self._queue.clock))
        await self._restraint.keep(self._queue.breaker)  # a probe is remembered before it is made
        try:
            answer = await self._call(conversation, permit)
        except FlinksError as error:
            turn = fail(conversation, error, self._queue.clock.now())
            self._note_error(conversation, error, turn)
            if isinstance(error, FlinksThrottled):
                permit.throttled(error.retry_after)
            if isinstance(error, CallAbandoned):
                await hand_back(self._ledger, conversation, self._leadership.term)
        else:
            at = asyncio.get_running_loop().time()
            turn = advance(conversation, answer, self._queue.clock.now(), at)
            self._note_answer(conversation, answer)
            permit.answered()
        await self._restraint.keep(self._queue.breaker)
        await self._settle(conversation, turn)

    async def _call(self, conversation: Conversation, permit: Permit) -> wire.VendorAnswer:
        pass_id = self._queue.pass_id
        await _renewed(permit)
        if conversation.step is not Step.SET:
            request = conversations.request(conversation)
            return await self._reader.call(request, permit, attempt=conversation.tries, pass_id=pass_id)
        if self._writer is None or conversation.change is None:
            message = "a schedule change reached the pool although nobody holds the write gate"
            raise AssertionError(message)
        return await self._writer.set_schedule(
            conversation.change, permit, token=conversation.token, attempt=conversation.tries, pass_id=pass_id
        )

    async def _settle(self, conversation: Conversation, turn: Turn) -> None:
        """Record first, go on second: what the next call rests on is durable by then."""
        if turn.effects:
            try:
                await self._record(turn.effects)
            except RowsLocked as error:
                self._give_up(conversation, error)
                return
            await self._release_if_suspect(turn.effects)
        orphans = None
        if turn.report is not None:
            orphans = await self._merge(turn.report)
            turn = replace(turn, gave_up=orphans is None)
        self._on_settled(Settled(conversation=conversation, turn=turn, orphans=orphans))
        _narrate(conversation, turn)
        if turn.following is not None:
            self._queue.go_on(turn.following, turn.wait_seconds)
            return
        if conversation.kind is Kind.REPORT:
            self._note_reading(turn)
        self._queue.over(conversation)

    def _note_reading(self, turn: Turn) -> None:
        """One that never left says nothing."""
        if turn.gave_up:
            self._queue.bulletin.failed()
        elif turn.report is not None:
            self._queue.bulletin.came()

    def _give_up(self, conversation: Conversation, error: RowsLocked) -> None:
        """Nothing of this answer is stored, so its login is as due as before; nobody here goes near it any more."""
        _log.warning("login_given_up", login_id=str(conversation.login_id), error=error.message, hint=error.hint)
        self._on_settled(Settled(conversation=conversation, turn=Turn(gave_up=True)))
        self._queue.give_up()

    async def _merge(self, report: Report) -> int | None:
        """None where somebody else holds one of its rows: then it is read again within a quarter of an hour, as if it had not come."""
        try:
            return await self._ledger.record_report(report, term=self._leadership.term)
        except RowsLocked as error:
            _log.warning("report_not_merged", error=error.message)
            return None

    def _note_error(self, conversation: Conversation, error: FlinksError, turn: Turn) -> None:
        """A refused credential stops all calls that need it, unless a fresh token may still mend it."""
        if not isinstance(error, CredentialRefused) or not turn.gave_up:
            return
        at = asyncio.get_running_loop().time()
        credential = conversations.credential(conversation)
        login_id = None if conversation.step in {Step.MINT, Step.REPORT} else conversation.login_id
        self._queue.breaker = breakers.refused(self._queue.breaker, credential, at, login_id=login_id)
        _log.error("credential_refused", credential=credential.value, error=error.message, hint=error.hint)

    def _note_answer(self, conversation: Conversation, answer: wire.VendorAnswer) -> None:
        state = breakers.accepted(self._queue.breaker, conversations.credential(conversation))
        if isinstance(answer, wire.CodeAnswer) and answer.unknown_login:
            state = breakers.unknown_login(state, asyncio.get_running_loop().time())
        elif conversation.step in {Step.AUTHORIZE, Step.SET}:
            state = breakers.knew_login(state)
            self._unknown_since = None
        self._queue.breaker = state

    async def _release_if_suspect(self, effects: Sequence[Effect]) -> None:
        """A mass of unknown LoginIds speaks against our settings: the logins are not to blame, and get their verdicts back."""
        refused_at = next((each.refused_at for each in effects if isinstance(each, Refused)), None)
        if refused_at is None:
            return
        if self._unknown_since is None:
            self._unknown_since = refused_at if self._queue.breaker.knew_any else refused_at - PREDECESSORS_DAY
        if not self._queue.breaker.suspects_settings(asyncio.get_running_loop().time()):
            return
        until = self._queue.clock.now() + RELEASED_REST
        since = self._unknown_since
        count = await self._ledger.release_refused(since=since, until=until, term=self._leadership.term)
        _log.error(
            "settings_suspected", released=count, hint="check REFRESHD_FLINKS_BASE_URL and REFRESHD_FLINKS_CUSTOMER_ID"
        )


async def _renewed(permit: Permit) -> None:
    """A slow ledger may have made it void: the wait for another one comes before the limit of the call begins, and ends with a look.

    Raises CallAbandoned where none comes in time.
    """
    limit = asyncio.timeout(PERMIT_WAIT_SECONDS)
    try:
        async with limit:
            await permit.fresh()
    except TimeoutError:
        if not limit.expired():
            raise
        raise CallAbandoned("not sent: no other permit came in time") from None


def _narrate(conversation: Conversation, turn: Turn) -> None:
    login_id = str(conversation.login_id) if conversation.login_id else None
    for effect in turn.effects:
        if isinstance(effect, Confirmed):
            _log.info("change_confirmed", login_id=login_id, change=effect.change.value)
    if turn.trouble is not None:
        event = "work_put_off" if turn.gave_up else "call_tried_again"
        _log.warning(event, kind=conversation.kind.value, login_id=login_id, error=turn.trouble.message)
