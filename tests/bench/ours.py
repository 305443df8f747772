"""refreshd itself: `once`, as the command runs it, with the budget lifted. Settings come from the environment."""

import asyncio
import logging
import os

import uvloop

from refreshd import pacing
from refreshd.clock import ScaledClock
from refreshd.logs import configure_logging
from refreshd.once import run_once
from refreshd.settings import load_settings
from tests.bench.figures import Figures, measured
from tests.support.world import NOON


class Lifted:
    """Instead of AsyncLimiter, whose timer no event loop can wait for at such a rate: uvloop counts in milliseconds."""

    time_period = 0.0

    def __init__(self, _rate: float, _period: float) -> None:
        pass

    async def acquire(self) -> None:
        pass


async def _run() -> Figures:
    setattr(pacing, "AsyncLimiter", Lifted)  # noqa: B010 - a plain assignment would say that pacing exports it
    configure_logging(level=logging.WARNING)
    settings = load_settings(require_flinks=True)
    async with measured() as figures:
        result = await run_once(settings, clock=ScaledClock(start=NOON, factor=1.0))
    figures.seconds -= pacing.PERMIT_SECONDS
    figures.logins = sum(result.totals.by_verdict.values()) if result.totals else 0
    return figures


async def _profiled() -> Figures:
    import cProfile  # noqa: PLC0415 - only who asks for it pays for it

    with cProfile.Profile() as profile:
        figures = await _run()
    profile.dump_stats(os.environ["BENCH_PROFILE"])
    return figures


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_profiled() if "BENCH_PROFILE" in os.environ else _run()).say()
