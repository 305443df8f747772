"""The call budget, sole home of aiolimiter: at most N calls in any 60 seconds, evenly spaced, whatever happens between permit and bytes.

`AsyncLimiter(30, 60)` lets 59 calls into the worst minute; a bucket of one is even and exact (aiolimiter issues 74, 240, 298). What
spacing alone cannot keep, the budget does:
- A permit may be spent up to a second after it was given: so the calls that left in the last minute are remembered.
- Others may call too: a predecessor that was just killed, one that was frozen and does not know that it was replaced, a copy that wrongly
  believes that it leads. So each permit is a slot claimed in the ledger, where no two claims cover the same moment and only the newest
  term may claim. Its age counts from the moment of asking: an answer that comes late has used it up.

Why that suffices: in one process, the memory of a minute. Over a takeover, let s be the slot, and v the second that a permit lives. The
predecessor's last permit was given at p, the successor's first at p + s + v at the earliest (`take_budget` adds v). Of k calls within 60
seconds, the predecessor's permits were given at most v before the first of them, hence (k - 1) s + v < 60 + v, and with s = 60.5 / N
that is k <= N. The wall clock of the database orders the claims; should it be set forward or back, each process still waits out
s + v of its own time before its first call, and keeps its own minute.

The slots are those of the operator's setting and never change; while Flinks asks for fewer calls, a permit waits out the longer slot of
the rate in force besides, and the window holds no more than that. So no two calls are closer than the setting allows, however the rate
moves.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from math import inf
from typing import Protocol, Self

from aiolimiter import AsyncLimiter

from refreshd.core import throttle as throttles
from refreshd.core.model import Term
from refreshd.core.throttle import Throttle

WINDOW_SECONDS = 60.5
"""A minute, and half a second by which one call may be quicker on its way to the vendor than another."""

LONGEST_REST_SECONDS = 3_600.0
"""What Flinks wishes is kept up to here: a header that is a slip must not stop the disables of a whole day."""

_SLOTS_UNNAMED = 5
"""The rest after a refusal that names none."""

PERMIT_SECONDS = 1.0
"""A permit older than this is void: permits must not pile up while the vendor hangs, and then go out together."""

_CLAIMED_AHEAD_SECONDS = 0.25
"""Slots shorter than this are claimed several at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetTaken:
    """What the leaders before us were told by Flinks: a lower rate, None where all that the setting allows is in force, and a rest."""

    rate_in_force: int | None
    rest_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Slots that are ours; not `granted` where they begin too late to be claimed already.

    In loop time, the first one begins between `begins_at_seconds` and `opens_at_seconds`.
    """

    granted: bool
    begins_at_seconds: float
    opens_at_seconds: float

    def later(self, seconds: float) -> "Claim":
        return replace(
            self,
            begins_at_seconds=self.begins_at_seconds + seconds,
            opens_at_seconds=self.opens_at_seconds + seconds,
        )


class Lease(Protocol):
    """Who leads; both raise LeaseLost when it is not (or not surely) us."""

    @property
    def term(self) -> Term: ...

    async def claim(self, slots: int, slot_seconds: float) -> Claim:
        """The next slots of the ledger's budget, one after the other."""
        ...


class PermitMisusedError(RuntimeError):
    """A permit was spent twice, or after it had become void; a bug in the caller."""


class Permit:
    """The right to send one call, now."""

    def __init__(self, budget: "Budget", taken_at_seconds: float) -> None:
        self._budget = budget
        self._is_spent = False
        self._look_again: Callable[[], Awaitable[None]] | None = None
        self.taken_at_seconds = taken_at_seconds
        """Loop time."""

    @property
    def is_fresh(self) -> bool:
        """Whether it may be spent at this moment."""
        now = asyncio.get_running_loop().time()
        is_young = now - self.taken_at_seconds <= PERMIT_SECONDS
        return not self._is_spent and is_young and self._budget.has_room(now)

    async def fresh(self) -> Self:
        """The permit, renewed where it had become void: another one was waited for; to be spent before the next await."""
        if self._is_spent:
            message = "a permit that was spent is not made good again"
            raise PermitMisusedError(message)
        # Once: a look may outlast a permit, and one at each of them would send nothing while the ledger is slow.
        look = self._look_again
        while not self.is_fresh:
            self.taken_at_seconds = (await self._budget.permit()).taken_at_seconds
            if look is not None:
                await look()
                look = None
        return self

    def but_look_again(self, look: Callable[[], Awaitable[None]]) -> None:
        """What was decided with this permit is looked at again where a new one has to be waited for; `look` raises to give up."""
        self._look_again = look

    def throttled(self, wish: timedelta | None) -> None:
        """The call that it was spent on was refused as one too many: see `Budget.throttled`."""
        self._budget.throttled(wish, self.taken_at_seconds)

    def answered(self) -> None:
        """The call that it was spent on was taken."""
        self._budget.answered()

    def spend(self) -> None:
        """Count the call, right before its bytes leave. Raises LeaseLost when somebody else leads by now."""
        if not self.is_fresh:
            message = "a permit is good for one call, within a second"
            raise PermitMisusedError(message)
        self._budget.count_call()
        self._is_spent = True


class Budget:
    """Hands out permits.

    `on_wait` hears how many seconds each of them was waited for, `on_rate` the rate in force whenever it changes.
    """

    def __init__(
        self,
        rate_per_minute: int,
        leadership: Lease | None = None,
        *,
        on_wait: Callable[[float], None] = lambda _: None,
        on_rate: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.rate_per_minute = rate_per_minute
        self.throttle = throttles.unthrottled(rate_per_minute)
        self._leadership = leadership
        self._on_wait = on_wait
        self._on_rate = on_rate
        self._limiter = AsyncLimiter(1, WINDOW_SECONDS / rate_per_minute)
        self._turn = asyncio.Lock()
        self._sent: deque[float] = deque(maxlen=rate_per_minute)
        self._handed_out_at = -inf
        self._opens_at_seconds: float | None = None
        self._claimed: deque[Claim] = deque()

    def begin(self) -> None:
        """A new term: nothing that was claimed before counts, and a predecessor may have called until just now."""
        self._claimed.clear()
        self.rest(0)

    @property
    def slot_seconds(self) -> float:
        """Between two calls at the rate in force."""
        return WINDOW_SECONDS / self.throttle.rate

    def follow(self, rate_per_minute: int) -> None:
        """Another setting from now on; calls that left under the old one stay in the window. The ledger's budget is to be taken anew."""
        self.rate_per_minute = rate_per_minute
        self._limiter = AsyncLimiter(1, WINDOW_SECONDS / rate_per_minute)
        self._sent = deque(self._sent, maxlen=rate_per_minute)
        self.resume(self.throttle.rate if self.throttle.lowered else None)

    async def permit(self) -> Permit:
        """The next permit, in the order of asking. Raises LeaseLost when somebody else leads by now.

        The first one waits out a slot, and the second that a permit lives: a predecessor may have sent its last call just now.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        if self._opens_at_seconds is None:
            self._opens_at_seconds = began + self._first_wait_seconds
        permit = await self._next()
        while not permit.is_fresh:  # the claim was answered too late, or Flinks asked for fewer calls meanwhile
            permit = await self._next()
        self._on_wait(loop.time() - began)
        return permit

    async def _next(self) -> Permit:
        loop = asyncio.get_running_loop()
        async with self._turn:
            await _sleep_until(self._opens_at_seconds or 0.0)
            await self._limiter.acquire()
            while (opens_at := self._next_opening()) > loop.time():
                await _sleep_until(opens_at)
            begins_at = loop.time()
            if self._leadership is not None:
                slot = await self._slot(self._leadership)
                await _sleep_until(slot.opens_at_seconds)
                begins_at = slot.begins_at_seconds
            self._handed_out_at = loop.time()
            return Permit(self, begins_at)

    async def _slot(self, leadership: Lease) -> Claim:
        """The next slot at hand that there is still time to use, or the first one of a new claim."""
        now = asyncio.get_running_loop().time()
        while self._claimed:
            slot = self._claimed.popleft()
            if now - slot.begins_at_seconds < PERMIT_SECONDS / 2:
                return slot
        count = max(1, int(_CLAIMED_AHEAD_SECONDS / self._limiter.time_period))
        while not (claim := await leadership.claim(count, self._limiter.time_period)).granted:
            await _sleep_until(claim.opens_at_seconds)
        self._claimed.extend(claim.later(number * self._limiter.time_period) for number in range(1, count))
        return claim

    def rest(self, seconds: float) -> None:
        """Hand out no permit for so long: calls of a faster predecessor are still in the window."""
        opens_at = asyncio.get_running_loop().time() + seconds
        self._opens_at_seconds = max(self._opens_at_seconds or 0.0, opens_at + self._first_wait_seconds)

    def rests_for(self) -> float:
        """Seconds until the next permit may be handed out, as far as anybody wished for a rest."""
        return max(0.0, (self._opens_at_seconds or 0.0) - asyncio.get_running_loop().time())

    def resume(self, rate: int | None) -> None:
        """Call at the rate that a predecessor was left with; None: it was not throttled."""
        self._adopt(throttles.resumed(self.rate_per_minute, rate, asyncio.get_running_loop().time()))

    def throttled(self, wish: timedelta | None, sent_at: float) -> None:
        """Flinks asked for fewer calls: half the rate, and a rest for as long as it wishes (an hour at most), or for a few slots."""
        self._adopt(throttles.refused(self.throttle, sent_at, asyncio.get_running_loop().time()))
        named = _SLOTS_UNNAMED * self.slot_seconds if wish is None else wish.total_seconds()
        self.rest(min(named, LONGEST_REST_SECONDS))

    def answered(self) -> None:
        """Flinks took a call, which is worth a little more of the rate where it was lowered."""
        self._adopt(throttles.answered(self.throttle, asyncio.get_running_loop().time()))

    def has_room(self, now_seconds: float) -> bool:
        """Whether one more call keeps every window within the rate; a call that leaves late in its second can fill one."""
        # The very sum that is slept until: a difference may round to the other side of it, and be waited for in vain.
        return now_seconds >= self._window_opens_at

    def count_call(self) -> None:
        """Remember a call that leaves now, unless the lease is lost."""
        if self._leadership is not None:
            _ = self._leadership.term
        self._sent.append(asyncio.get_running_loop().time())

    def used_in_last_minute(self, now_seconds: float) -> int:
        """Calls that left in the 60 seconds before this loop time."""
        return sum(1 for sent in self._sent if now_seconds - sent < 60)  # noqa: PLR2004 - the minute of the name

    @property
    def _first_wait_seconds(self) -> float:
        return self.slot_seconds + PERMIT_SECONDS

    @property
    def _window_opens_at(self) -> float:
        rate = self.throttle.rate
        return -inf if len(self._sent) < rate else self._sent[-rate] + WINDOW_SECONDS

    def _next_opening(self) -> float:
        """When all allows a permit: the rest that somebody wished for meanwhile, the window, and the slot of a lowered rate.

        The slots of the setting are the ledger's to keep apart; where there is none, they are ours: the limiter counts from a permit that
        the window then kept waiting, so two of them may be closer.
        """
        keeps_apart = self.throttle.lowered or self._leadership is None
        slot_opens_at = self._handed_out_at + self.slot_seconds if keeps_apart else -inf
        return max(self._opens_at_seconds or -inf, self._window_opens_at, slot_opens_at)

    def _adopt(self, throttle: Throttle) -> None:
        changes = throttle.rate != self.throttle.rate
        self.throttle = throttle
        if changes:
            self._on_rate(throttle.rate)


async def _sleep_until(moment_seconds: float) -> None:
    """Wait for a moment of loop time; once more where the timer was early by a hair."""
    loop = asyncio.get_running_loop()
    while (left := moment_seconds - loop.time()) > 0:  # noqa: ASYNC110 - the clock sets no event
        await asyncio.sleep(left)
