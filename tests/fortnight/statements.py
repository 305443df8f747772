"""A database whose statements take time in virtual time: real ones would take none, because the clock stands still meanwhile."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg

from refreshd.postgres import Observer
from refreshd.simulator.draws import fraction
from tests.support.virtual_loop import busy

T = TypeVar("T")

_USUAL_SECONDS = 0.002
_LONGEST_TAIL = 40.0


@dataclass
class Pace:
    """How long statements take: most of them a few milliseconds, some twenty times as long. `factor` is a day's trouble."""

    seed: int
    factor: float = 1.0
    drawn: int = 0

    def seconds(self) -> float:
        self.drawn += 1
        tail = fraction("statement", self.seed, self.drawn) ** 8
        return _USUAL_SECONDS * self.factor * (1 + _LONGEST_TAIL * tail)


if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]  # the stubs have made it generic, the library has not
else:
    _Connection = asyncpg.Connection


class UnhurriedConnection(_Connection):
    """Real statements while the clock stands still, and then the time that they would have taken, of which the daemon's observer hears."""

    pace: Pace
    observer: Observer

    async def execute(self, query: str, *args: Any, **kwargs: Any) -> str:
        return await self._taking_time(query, super().execute(query, *args, **kwargs))

    async def executemany(self, command: str, *args: Any, **kwargs: Any) -> None:
        return await self._taking_time(command, super().executemany(command, *args, **kwargs))

    async def fetch(self, query: str, *args: Any, **kwargs: Any) -> Any:
        return await self._taking_time(query, super().fetch(query, *args, **kwargs))

    async def fetchrow(self, query: str, *args: Any, **kwargs: Any) -> Any:
        return await self._taking_time(query, super().fetchrow(query, *args, **kwargs))

    async def fetchval(self, query: str, *args: Any, **kwargs: Any) -> Any:
        return await self._taking_time(query, super().fetchval(query, *args, **kwargs))

    async def _taking_time(self, query: str, statement: Awaitable[T]) -> T:
        seconds = self.pace.seconds()
        failed = True
        try:
            with busy():
                result = await statement
            failed = False
        finally:
            self.observer.ran(query, seconds, failed=failed)
        await asyncio.sleep(seconds)
        return result


def unhurried(pace: Pace, observer: Observer) -> type[UnhurriedConnection]:
    """The connection class of a pool that keeps this pace."""
    return type("UnhurriedConnection", (UnhurriedConnection,), {"pace": pace, "observer": observer})
