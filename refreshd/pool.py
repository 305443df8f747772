"""Bounded workers with late binding: slot, permit, work, in this order. Knows nothing of what the work is.

Permits taken before slots would pile up while the other side hangs and then go out together; work chosen before its permit would be
yesterday's choice by the time it goes out. So one drawer waits for a free slot, then for the chance of work, then for a permit, and only
then asks what is most urgent. There is one drawer, hence at most one permit in hand, and the order of urgency is decided once a permit.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Generic, Protocol, TypeVar

W = TypeVar("W")
W_co = TypeVar("W_co", covariant=True)


class Source(Protocol[W_co]):
    """Where work comes from."""

    async def ready(self) -> None:
        """Wait until there may be work. After a `take` that gave None this must really wait, or the pool would spin."""
        ...

    async def take(self) -> W_co | None:
        """The most urgent work of this moment, None when there is none after all. Is never cancelled by the pool's drain."""
        ...


class Perishable(Protocol):
    """A permit that grows old. One that does so while work is drawn is the handler's to renew, who knows what to look at again then."""

    @property
    def is_fresh(self) -> bool: ...


P = TypeVar("P", bound=Perishable)


class Pool(Generic[W, P]):
    """Serves `source` with at most `width` pieces of work in flight.

    What a handler expects to go wrong is its own business: anything that it raises is a bug or the end of the leadership, cancels the
    rest, and leaves `run` in an ExceptionGroup.
    """

    def __init__(
        self,
        *,
        width: int,
        permits: Callable[[], Awaitable[P]],
        source: Source[W],
        handle: Callable[[W, P], Awaitable[None]],
    ) -> None:
        self.in_flight = 0
        self._width = width
        self._permits = permits
        self._source = source
        self._handle = handle
        self._slot_freed = asyncio.Event()
        self._is_draining = False
        self._waiting: asyncio.Timeout | None = None

    async def run(self) -> None:
        """Serve until drained."""
        async with asyncio.TaskGroup() as group:
            while drawn := await self._draw():
                self.in_flight += 1
                group.create_task(self._serve(*drawn))

    def drain(self) -> None:
        """Take no new work; `run` returns once what is in flight has ended."""
        if not self._is_draining:
            self._is_draining = True
            if self._waiting is not None:
                self._waiting.reschedule(asyncio.get_running_loop().time())

    async def _draw(self) -> tuple[W, P] | None:
        """The next work and a permit for it, None when draining. A permit that found no work is kept for as long as it lives."""
        permit: P | None = None
        while permit := await self._unless_draining(partial(self._chance, permit)):
            work = await self._source.take()
            if work is not None:
                return work, permit
        return None

    async def _chance(self, kept: P | None) -> P:
        while self.in_flight >= self._width:
            self._slot_freed.clear()
            await self._slot_freed.wait()
        await self._source.ready()
        return kept if kept is not None and kept.is_fresh else await self._permits()

    async def _unless_draining(self, wait: Callable[[], Awaitable[P]]) -> P | None:
        if self._is_draining:
            return None
        drained = asyncio.timeout(None)
        try:
            async with drained:
                self._waiting = drained
                return await wait()
        except TimeoutError:
            if drained.expired():
                return None
            raise
        finally:
            self._waiting = None

    async def _serve(self, work: W, permit: P) -> None:
        try:
            await self._handle(work, permit)
        finally:
            self.in_flight -= 1
            self._slot_freed.set()
