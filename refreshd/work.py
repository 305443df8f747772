"""Late binding: what a free worker with a permit in hand does next. Nothing waits here but calls that have already begun.

All other work stays in the tables until the moment it is taken, so a client that left a second ago is seen, and a restart loses
nothing. A source that had nothing to give is not asked again until somebody wakes the queue (a pass, a notification) or, at the
latest, until the source's own deadline.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

import structlog

from refreshd.bulletin import Bulletin
from refreshd.core import breaker as breakers
from refreshd.core import conversation as conversations
from refreshd.core import guard, timing, urgency
from refreshd.core.agenda import Agenda
from refreshd.core.breaker import Breaker
from refreshd.core.conversation import Conversation, Kind, Step
from refreshd.core.errors import RowsLocked, WritesPaused
from refreshd.core.evidence import lost_at
from refreshd.core.guard import GuardedChange, Withdrawn
from refreshd.core.model import Credential, FetchDepth, Lane, LoginId, PassId
from refreshd.core.urgency import Source
from refreshd.lanes import Lanes
from refreshd.lastlook import hand_back
from refreshd.ports import Clock, DueChange, DueLogin, Leadership, WorkLedger
from refreshd.waiting import Task, WaitingLines

_log = structlog.get_logger(__name__)

T = TypeVar("T")

_LOCKED_SECONDS = 2.0
_LANES = {Source.SAVABLE: Lane.SAVABLE, Source.REST: Lane.REST}


class WorkQueue:
    """The pool's source. The pool takes one at a time, so the order of urgency is decided once for each permit."""

    def __init__(
        self, ledger: WorkLedger, leadership: Leadership, clock: Clock, agenda: Agenda, breaker: Breaker | None = None
    ) -> None:
        self.agenda = agenda
        self.breaker = breaker or Breaker()
        self.pass_id: PassId | None = None
        self.busy: set[LoginId] = set()
        self.taken = 0
        self.locked: set[LoginId] = set()  # due, and kept from us by somebody's lock, since the last wake-up
        self.left: set[LoginId] = set()  # by `once`, for the same reason, to its end
        self._ledger = ledger
        self._leadership = leadership
        self.clock = clock
        self._waiting = WaitingLines()
        self._lanes = Lanes(ledger, clock, agenda)
        self._empty: set[Source] = set()
        self._woken, self._idle = asyncio.Event(), asyncio.Event()
        self._wakes = 0
        self._last_was_change = False
        self._in_hand = 0
        self.bulletin = Bulletin(ledger, clock, agenda)

    async def ready(self) -> None:
        """Wait until there may be work."""
        while not self._may_have_work():
            self._woken.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._waiting.next_due_seconds()):
                    await self._woken.wait()

    async def take(self) -> Task | None:
        """The most urgent work of this moment, None when there is none after all."""
        for source in urgency.order(last_was_change=self._last_was_change):
            task = await self._from(source)
            if task is not None:
                self._last_was_change = task.conversation.kind is Kind.CHANGE
                self.breaker = breakers.probed(self.breaker, conversations.credential(task.conversation), _seconds())
                self._in_hand += 1
                self.taken += 1
                return task
        self._tell_if_idle()
        return None

    def wake(self) -> None:
        """Something may have become due: ask every source again."""
        self._wakes += 1
        self._empty.clear()
        self.locked.clear()
        self._idle.clear()
        self._lanes.clear()
        self._woken.set()

    def go_on(self, conversation: Conversation, wait_seconds: float) -> None:
        """Queue the next call of a conversation, for its time."""
        self._waiting.put(conversation, wait_seconds)
        self._in_hand -= 1
        self._woken.set()

    def over(self, conversation: Conversation) -> None:
        """The conversation has ended; its login may be drawn again when it is due again."""
        self._in_hand -= 1
        self._forget(conversation)
        self._tell_if_idle()

    def give_up(self) -> None:
        """A conversation has ended whose login somebody locks and does not let go of: that one stays busy, and is not drawn again."""
        self._in_hand -= 1
        self._tell_if_idle()

    async def idle(self) -> None:
        """Wait until nothing is due, in hand, or waiting for its next call."""
        await self._idle.wait()

    def drop_waiting(self) -> Sequence[Conversation]:
        """Forget calls that wait for their time; the tables still say that they are due. Returns them, for a successor in this process."""
        for each in (dropped := self._waiting.clear()):
            self._forget(each)
        return dropped

    def adopt(self, begun: Sequence[Conversation]) -> None:
        """Go on with conversations that a predecessor in this process has dropped, no faster than Flinks wants to be polled."""
        for each in begun:
            self.bulletin.in_hand = self.bulletin.in_hand or each.kind is Kind.REPORT
            if each.login_id is not None:
                self.busy.add(each.login_id)
            self._waiting.put(each, conversations.POLL_SECONDS)

    async def _from(self, source: Source) -> Task | None:
        conversation = None
        if source in {Source.CHANGE, Source.CONTINUATION}:
            conversation = await self._continuation(change=source is Source.CHANGE)
        if conversation is None and source is not Source.CONTINUATION and source not in self._empty:
            conversation = await self._draw_or_note(source)
        return None if conversation is None else Task(conversation=conversation, source=source)

    async def _draw_or_note(self, source: Source) -> Conversation | None:
        """Remember that a source is empty, unless somebody woke us while it was being asked."""
        wakes = self._wakes
        conversation = await self._draw(source)
        if conversation is None and wakes == self._wakes:
            self._empty.add(source)
        return conversation

    def _draw(self, source: Source) -> Awaitable[Conversation | None]:
        draws: dict[Source, Callable[[], Awaitable[Conversation | None]]] = {
            Source.CHANGE: lambda: self._change(reassert=False),
            Source.REASSERTION: lambda: self._change(reassert=True),
            Source.REPORT: self._report,
            Source.SAVABLE: lambda: self._routine(Source.SAVABLE),
            Source.REST: lambda: self._routine(Source.REST),
            Source.MANUAL: self._manual,
        }
        return draws[source]()

    async def _continuation(self, *, change: bool) -> Conversation | None:
        at = _seconds()
        while begun := self._waiting.pop_due(at, change=change):
            conversation = conversations.refreshed(begun, at)
            try:
                if await self._may_go_on(conversation):
                    return conversation
                await hand_back(self._ledger, conversation, self._leadership.term)
                self._forget(conversation)
            except WritesPaused:
                self._forget(conversation)
            except RowsLocked:
                if self.agenda.at_once:  # `once` waits for nobody's lock: the login stays busy, and as due as it was
                    self.left.add(conversation.subject)
                else:
                    self._waiting.put(conversation, _LOCKED_SECONDS)
        return None

    async def _may_go_on(self, conversation: Conversation) -> bool:
        """Look again at what began earlier: the client may have left, the vendor's night begun, the credential been refused."""
        at = _seconds()
        if not self.breaker.allows(conversations.credential(conversation), at):
            return False
        if conversation.kind is Kind.CHANGE:
            return await self._still_wanted(conversation)
        if conversation.kind is Kind.REPORT:
            return True
        if conversation.step in conversations.TO_AUTHORIZE and timing.in_vendor_window(self.clock.now()):
            return False
        return await self._ledger.is_active(conversation.subject)

    async def _still_wanted(self, conversation: Conversation) -> bool:
        if conversation.change is None or not self.agenda.writes or self.breaker.suspects_settings(_seconds()):
            return False
        return conversation.step is not Step.SET or await self._mark_sent(conversation.change) is None

    async def _mark_sent(self, change: GuardedChange) -> Withdrawn | None:
        return await self._ledger.mark_sent(
            change.login_id, change.change, now=self.clock.now(), pass_id=self.pass_id, term=self._leadership.term
        )

    async def _change(self, *, reassert: bool) -> Conversation | None:
        if not self.agenda.writes or not self._may_call(*self.agenda.terms.change_credentials):
            return None
        while due := await self._ledger.due_changes(
            now=self.clock.now(), reassert=reassert, busy=self.busy | self.locked, limit=1
        ):
            conversation = await self._unless_locked(due[0].evidence.login_id, self._second_look(due[0]))
            if conversation is not None:
                self.busy.add(conversation.subject)
                return conversation
        return None

    async def _unless_locked(self, login_id: LoginId, work: Awaitable[T]) -> T | None:
        """One login whose row somebody else holds waits for the next wake-up, and nobody waits for it. In a pause all wait."""
        try:
            return await work
        except RowsLocked:
            self.locked.add(login_id)
        except WritesPaused:
            pass
        return None

    async def _second_look(self, due: DueChange) -> Conversation | None:
        look = guard.second_look(due.intent, due.evidence, self.clock.now())
        if isinstance(look, Withdrawn):
            await self._withdraw(due.evidence.login_id, look.reason)
            return None
        conversation = conversations.set_schedule(look, self.agenda.terms, attempts=due.evidence.attempts)
        withdrawn = await self._mark_sent(look) if conversation.step is Step.SET else None
        if withdrawn is not None:
            await self._withdraw(due.evidence.login_id, withdrawn.reason)
            return None
        return conversation

    async def _withdraw(self, login_id: LoginId, reason: str) -> None:
        await self._ledger.withdraw(login_id, reason=reason, now=self.clock.now(), term=self._leadership.term)
        _log.info("change_withdrawn", login_id=str(login_id), reason=reason, pass_id=self.pass_id)

    async def _report(self) -> Conversation | None:
        return await self.bulletin.next() if self.breaker.allows(Credential.API_SECRET, _seconds()) else None

    async def _routine(self, source: Source) -> Conversation | None:
        if not self._may_authorize():
            return None
        due = await self._lanes.next(_LANES[source], busy=self.busy)
        return None if due is None else self._begin(due, conversations.routine)

    async def _manual(self) -> Conversation | None:
        if not self.agenda.manual_refresh or not self._may_authorize() or not self._may_call(Credential.API_KEY):
            return None
        for due in await self._ledger.due_manual(now=self.clock.now(), busy=self.busy, limit=1):
            login_id = due.evidence.login_id
            mark = self._ledger.mark_manual(login_id, now=self.clock.now(), term=self._leadership.term)
            if await self._unless_locked(login_id, mark):
                return self._begin(due, conversations.manual)
        return None

    def _begin(self, due: DueLogin, kind: Callable[..., Conversation]) -> Conversation:
        evidence, terms = due.evidence, self.agenda.terms
        self.busy.add(evidence.login_id)
        bank = evidence.standing
        held = bank is not None and bank.held and bank.probe != evidence.login_id
        if held or not self._may_call(Credential.API_KEY):  # data can wait for a bank or a key, the Authorize cannot
            terms = replace(terms, fetch=FetchDepth.OFF)
        return kind(
            evidence.login_id,
            terms,
            attempts=evidence.attempts,
            fetched_refresh_at=due.fetched_refresh_at,
            lost_at=lost_at(evidence, self.clock.now()),
        )

    def _may_authorize(self) -> bool:
        return not timing.in_vendor_window(self.clock.now()) and self._may_call(
            *self.agenda.terms.authorize_credentials
        )

    def _may_call(self, *credentials: Credential) -> bool:
        return self.breaker.allows_about_logins(credentials, _seconds())

    def _may_have_work(self) -> bool:
        due = self._waiting.next_due_seconds()
        continuing = due is not None and due <= _seconds()
        return continuing or len(self._empty) < len(Source) - 1

    def _forget(self, conversation: Conversation) -> None:
        if conversation.kind is Kind.REPORT:
            self.bulletin.in_hand = False
        elif conversation.login_id is not None:
            self.busy.discard(conversation.login_id)

    def _tell_if_idle(self) -> None:
        if not self._waiting and not self._in_hand and len(self._empty) == len(Source) - 1:
            self._idle.set()


def _seconds() -> float:
    return asyncio.get_running_loop().time()
