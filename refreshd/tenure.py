"""The time for which a lease is held, and the call budget with it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from refreshd import pacing
from refreshd.core.errors import LeaseLost
from refreshd.pacing import Budget, BudgetTaken


class Lease(pacing.Lease, Protocol):
    """The lease as its holder sees it: `lease.Lease`, where time is real."""

    async def take_budget(self, rate_per_minute: int) -> BudgetTaken: ...

    async def hold(self, stop: asyncio.Event) -> None:
        """Keep it until `stop` is set; raises LeaseLost."""
        ...

    async def release(self) -> None:
        """Let somebody else have it at once."""
        ...


@asynccontextmanager
async def held(
    lease: Lease, budget: Budget, on_lost: Callable[[LeaseLost], None] = lambda _: None
) -> AsyncIterator[None]:
    """Renew the lease while the block runs, and release it after; LeaseLost cancels the block.

    `on_lost` hears of it at once: what runs in the block may take a while to end, above all beside a database that is silent, and so may
    the release.

    The budget begins anew: somebody else may have called until just now, and perhaps faster.
    """
    done = asyncio.Event()
    try:
        await take_budget(lease, budget)
        async with asyncio.TaskGroup() as group:
            group.create_task(_hold(lease, done, on_lost))
            try:
                yield
            finally:
                done.set()
    finally:
        await asyncio.shield(lease.release())


async def _hold(lease: Lease, done: asyncio.Event, on_lost: Callable[[LeaseLost], None]) -> None:
    try:
        await lease.hold(done)
    except LeaseLost as error:
        on_lost(error)
        raise


async def take_budget(lease: Lease, budget: Budget) -> None:
    """Call under the rate of our setting from now on, as the ledger has it: how a predecessor was throttled, and when its calls end."""
    taken = await lease.take_budget(budget.rate_per_minute)
    budget.begin()
    budget.resume(taken.rate_in_force)
    budget.rest(taken.rest_seconds)
