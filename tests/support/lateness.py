"""By how much this process was late: what a busy machine explains, for tests that hold others to a time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from refreshd.lag import watch_lag

_PERIOD_SECONDS = 0.05


@dataclass(kw_only=True)
class Lateness:
    """At most, since the block began."""

    longest_seconds: float = 0.0

    def on_lag(self, seconds: float) -> None:
        self.longest_seconds = max(self.longest_seconds, seconds)


@asynccontextmanager
async def lateness() -> AsyncIterator[Lateness]:
    """Watched for as long as the block runs."""
    late = Lateness()
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watch_lag(late.on_lag, period_seconds=_PERIOD_SECONDS))
        yield late
        watching.cancel()
