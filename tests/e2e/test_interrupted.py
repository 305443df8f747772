"""Ctrl-C at any moment of `once`: exit 130, one line and no traceback, and the next run goes on from there."""

from random import Random

import pytest

from refreshd.cli import INTERRUPTED
from refreshd.simulator.calls import Operation
from tests.support.process import Process
from tests.support.world import World, until, world

pytestmark = pytest.mark.slow

SLOWER = "1500"
"""Calls a minute. Who lowers the rate waits out a minute first, so every run here goes at this one."""


async def _is_stopped_at(here: World, calls: int) -> None:
    """Interrupt a run after its so manieth call; with 0, in its first moments, before any call can have left."""
    before = here.flinks.audit.total_calls
    async with here.started("once", env={"REFRESHD_RATE_PER_MINUTE": SLOWER}) as process:
        await _is_leading(here, process)
        await until("the run to come so far", lambda: here.flinks.audit.total_calls >= before + calls)
        process.interrupt()
        ran = await process.ended()
    assert ran.code == INTERRUPTED, ran.err
    assert "Traceback" not in ran.err
    assert "the next run goes on from there" in ran.err


async def _is_leading(here: World, process: Process) -> None:
    held = "SELECT expires_at > clock_timestamp() FROM lease"
    while process.is_running and not await here.sql.fetchval(held):
        pass


@pytest.mark.parametrize("seed", [1])
async def test_an_interrupted_run_loses_nothing(database_url: str, seed: int) -> None:
    chance = Random(seed)  # noqa: S311 - repeatable chance is the point
    async with world(database_url, active=100, inactive=40) as here:
        await here.once(flinks_secret_key="not-the-key", rate_per_minute=SLOWER)
        await here.approve_all()
        for calls in (0, 1, *(chance.randrange(2, 50) for _ in range(3))):
            await _is_stopped_at(here, calls)
            traced, seen = await here.traced(), here.flinks.audit.calls_by_operation
            assert traced - await here.cut_off() <= seen <= traced, calls

        assert (await here.once()).failures == 0
        assert here.switched_on() == here.active
        assert max(here.calls_by_login(Operation.AUTHORIZE).values()) <= 2, "at most what was in flight is done again"
        assert not here.flinks.audit.breaches_by_rule
