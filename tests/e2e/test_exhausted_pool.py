"""A leader whose own pool has no session left, because a statement does not end, is as one whose server has none left."""

import asyncpg
import pytest

from refreshd.simulator.calls import Operation
from tests.support.chart import (
    CONCURRENCY,
    PACE,
    accept_first_plan,
    charted,
    goes_on,
    nothing_is_left_or_double,
    under_way,
)
from tests.support.postgres import SCHEMA
from tests.support.process import launched_with
from tests.support.world import World, world

pytestmark = pytest.mark.slow

_ONE_SESSION = """
from refreshd import candidate
from refreshd.postgres import pool
candidate.sessions_for_work = lambda settings: 1
pool.CONNECT_SECONDS = 2.0
pool._PINNED_IN_A_POOL["lock_timeout"] = "60s"
"""
"""The smallest pool, a shorter wait for its session, and statements that wait for a lock for longer than that."""


MANY = 60
"""Active logins: enough to be in the middle of their routine."""


async def test_a_leader_whose_pool_is_exhausted_by_a_slow_statement_waits_shows_no_login_and_goes_on(
    database_url: str,
) -> None:
    async with world(database_url, active=MANY, inactive=5) as here:
        await accept_first_plan(here)
        here.launch = launched_with(_ONE_SESSION)
        async with here.started("run", env=PACE) as daemon, charted(daemon) as chart:
            await chart.is_well()
            await under_way(here)
            locker = await asyncpg.connect(database_url, server_settings={"search_path": SCHEMA})
            await locker.execute("BEGIN; LOCK TABLE login IN ACCESS EXCLUSIVE MODE")
            begun = _about_logins(here)
            await chart.is_ill("all 1 sessions are in use")
            await daemon.logged("leadership_over")
            await chart.seen("without logins", lambda look: look.up == 0 and not look.of_logins)
            assert _about_logins(here) <= begun + CONCURRENCY, "nobody begins what it could not write down"
            await locker.close()
            await goes_on(here, chart)
        await nothing_is_left_or_double(here, here.sql, again=CONCURRENCY)


def _about_logins(here: World) -> int:
    return here.calls(Operation.AUTHORIZE) + here.calls(Operation.SET_SCHEDULED_REFRESH)
