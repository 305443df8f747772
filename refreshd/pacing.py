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
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

from aiolimiter import AsyncLimiter

from refreshd.core.model import Term

WINDOW_SECONDS = 60.5
"""A minute, and half a second by which one call may be quicker on its way to the vendor than another."""

_LONGEST_REST_SECONDS = 900.0

PERMIT_SECONDS = 1.0
"""A permit older than this is void: permits must not pile up while the vendor hangs, and then go out together."""


_CLAIMED_AHEAD_SECONDS = 0.25
"""Slots shorter than this are claimed several at a time."""


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

    async def fresh(self) -> "Permit":
        """This permit, or a new one that was waited for; to be spent before the next await."""
        permit = self
        while not permit.is_fresh:
            permit = await self._budget.permit()
            if self._look_again is not None:
                await self._look_again()
        return permit

    def but_look_again(self, look: Callable[[], Awaitable[None]]) -> None:
        """What was decided with this permit is looked at again where a new one has to be waited for; `look` raises to give up."""
        self._look_again = look

    def slow_down(self, wish: timedelta | None) -> None:
        """The call that it was spent on was throttled: see `Budget.slow_down`."""
        self._budget.slow_down(wish)

    def spend(self) -> None:
        """Count the call, right before its bytes leave. Raises LeaseLost when somebody else leads by now."""
        if not self.is_fresh:
            message = "a permit is good for one call, within a second"
            raise PermitMisusedError(message)
        self._budget.count_call()
        self._is_spent = True


class Budget:
    """Hands out permits. `on_wait` hears how many seconds each of them was waited for."""

    def __init__(
        self,
        rate_per_minute: int,
        leadership: Lease | None = None,
        *,
        on_wait: Callable[[float], None] | None = None,
    ) -> None:
        self.rate_per_minute = rate_per_minute
        self._leadership = leadership
        self._on_wait = on_wait
        self._limiter = AsyncLimiter(1, WINDOW_SECONDS / rate_per_minute)
        self._sent: deque[float] = deque(maxlen=rate_per_minute)
        self._first_wait_seconds = self._limiter.time_period + PERMIT_SECONDS
        self._opens_at_seconds: float | None = None
        self._claimed: deque[Claim] = deque()

    def begin(self) -> None:
        """A new term: nothing that was claimed before counts, and a predecessor may have called until just now."""
        self._claimed.clear()
        self.rest(0)

    async def permit(self) -> Permit:
        """The next permit, in the order of asking. Raises LeaseLost when somebody else leads by now.

        The first one waits out a slot, and the second that a permit lives: a predecessor may have sent its last call just now.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        if self._opens_at_seconds is None:
            self._opens_at_seconds = began + self._first_wait_seconds
        permit = await self._next()
        while not permit.is_fresh:  # the claim was answered too late
            permit = await self._next()
        if self._on_wait is not None:
            self._on_wait(loop.time() - began)
        return permit

    async def _next(self) -> Permit:
        loop = asyncio.get_running_loop()
        await _sleep_until(self._opens_at_seconds or 0.0)
        await self._limiter.acquire()
        while not self.has_room(now := loop.time()):
            await _sleep_until(self._sent[0] + WINDOW_SECONDS)
        if self._leadership is None:
            return Permit(self, now)
        slot = await self._slot(self._leadership)
        await _sleep_until(slot.opens_at_seconds)
        return Permit(self, slot.begins_at_seconds)

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

    def slow_down(self, wish: timedelta | None) -> None:
        """Flinks asked for fewer calls: rest for as long as it wishes, at most a quarter of an hour, or for five slots if it named none."""
        named = 5 * self._limiter.time_period if wish is None else wish.total_seconds()
        self.rest(min(named, _LONGEST_REST_SECONDS))

    def has_room(self, now_seconds: float) -> bool:
        """Whether one more call keeps every window within the rate; a call that leaves late in its second can fill one."""
        # The very sum that is slept until: a difference may round to the other side of it, and be waited for in vain.
        return len(self._sent) < self.rate_per_minute or now_seconds >= self._sent[0] + WINDOW_SECONDS

    def count_call(self) -> None:
        """Remember a call that leaves now, unless the lease is lost."""
        if self._leadership is not None:
            _ = self._leadership.term
        self._sent.append(asyncio.get_running_loop().time())

    def used_in_last_minute(self, now_seconds: float) -> int:
        """Calls that left in the 60 seconds before this loop time."""
        return sum(1 for sent in self._sent if now_seconds - sent < 60)  # noqa: PLR2004 - the minute of the name


async def _sleep_until(moment_seconds: float) -> None:
    """Wait for a moment of loop time; once more where the timer was early by a hair."""
    loop = asyncio.get_running_loop()
    while (left := moment_seconds - loop.time()) > 0:  # noqa: ASYNC110 - the clock sets no event
        await asyncio.sleep(left)
