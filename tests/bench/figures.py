"""What one run of one program took."""

import asyncio
import json
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass


@dataclass(kw_only=True)
class Figures:
    """`cpu_seconds` is the program's own, without Postgres and the vendor."""

    logins: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mib: float = 0.0

    @property
    def per_second(self) -> float:
        return self.logins / self.seconds

    @property
    def cpu_per_1k(self) -> float:
        return 1_000 * self.cpu_seconds / self.logins

    def say(self) -> None:
        print(json.dumps(asdict(self)), flush=True)  # noqa: T201 - read by the bench


@asynccontextmanager
async def measured() -> AsyncIterator[Figures]:
    """Fill in how long the block took; whoever runs in it says how many logins there were."""
    loop, figures = asyncio.get_running_loop(), Figures()
    began, before = loop.time(), resource.getrusage(resource.RUSAGE_SELF)
    yield figures
    after = resource.getrusage(resource.RUSAGE_SELF)
    figures.seconds = loop.time() - began
    figures.cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    figures.peak_mib = after.ru_maxrss / 1024
