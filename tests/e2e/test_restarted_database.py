"""A server that stops, crashes, has no session left, or hands over to its standby: the daemon waits and goes on."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from urllib.parse import quote

import asyncpg
import pytest

from refreshd.postgres import Connection
from tests.support.chart import (
    CONCURRENCY,
    PACE,
    ROUTINE,
    accept_first_plan,
    charted,
    goes_on,
    nothing_is_left_or_double,
    under_way,
)
from tests.support.own_postgres import OwnServer, Programs, own_server, reconnected
from tests.support.postgres import PostgresServer
from tests.support.process import Process
from tests.support.world import PATIENCE_SECONDS, world

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def programs(postgres: PostgresServer) -> Programs:
    return asyncio.run(Programs.of(postgres.url_of("postgres")))


@pytest.fixture(scope="module")
def server(programs: Programs) -> Iterator[OwnServer]:
    with own_server(programs) as started:
        yield started


async def ends(daemon: Process) -> None:
    daemon.terminate()
    assert (await daemon.ended()).code == 0


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_server_that_is_restarted_costs_a_pause_and_nothing_else(server: OwnServer, mode: str) -> None:
    url = await server.new_database(f"restarted_{mode}")
    async with world(url, active=ROUTINE, inactive=10) as here:
        await accept_first_plan(here)
        async with here.started("run", env=PACE) as daemon:
            async with charted(daemon) as chart:
                await under_way(here)
                await asyncio.to_thread(server.restart, mode)
                await goes_on(here, chart)
            await ends(daemon)
        sql = await reconnected(url)
        await nothing_is_left_or_double(here, sql, again=CONCURRENCY)
        await sql.close()


@pytest.fixture
def pair(programs: Programs) -> Iterator[tuple[OwnServer, OwnServer]]:
    """A primary that answers no commit before its standby has it, and the standby."""
    with own_server(programs) as primary, own_server(programs, standby_of=primary) as standby:
        asyncio.run(_wait_for_each_other(primary))
        yield primary, standby


async def _wait_for_each_other(primary: OwnServer) -> None:
    admin = await asyncpg.connect(primary.url)
    await admin.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
    await admin.execute("SELECT pg_reload_conf()")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await admin.fetchval("SELECT max(sync_state) FROM pg_stat_replication") != "sync":  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)
    await admin.close()


async def test_after_a_failover_every_copy_goes_on_with_the_host_that_was_promoted_and_nothing_confirmed_is_lost(
    pair: tuple[OwnServer, OwnServer],
) -> None:
    primary, standby = pair
    url = await primary.new_database("ledger")
    both = f"{url},{quote(str(standby.home))}"
    async with world(both, active=ROUTINE, inactive=10) as here:
        await accept_first_plan(here)
        lost = PACE | {"REFRESHD_DATABASE_URL": standby.url_of("ledger")}
        async with here.started("run", env=PACE) as daemon, here.started("run", env=lost) as stray:
            async with charted(daemon) as chart, charted(stray) as other:
                await other.is_ill("read-only")
                await under_way(here)
                await asyncio.to_thread(primary.stop)
                await chart.is_ill("")
                await asyncio.to_thread(standby.promote)
                await goes_on(here, chart)
                await other.is_well()
                other.was_ill_at_first()
            await ends(daemon)
            await ends(stray)
        sql = await reconnected(standby.url_of("ledger"))
        await nothing_is_left_or_double(here, sql, again=CONCURRENCY)
        await sql.close()


async def test_a_server_that_has_no_session_left_is_waited_for(server: OwnServer) -> None:
    url = await server.new_database("crowded")
    ordinary = server.url_of("crowded", role="crowded")
    async with world(url, active=ROUTINE, inactive=10) as here:
        await accept_first_plan(here)
        async with (
            here.started("run", env=PACE | {"REFRESHD_DATABASE_URL": ordinary}) as daemon,
            AsyncExitStack() as crowd,
        ):
            await under_way(here)
            await crowd_out(crowd, here.sql, ordinary)
            async with charted(daemon) as chart:
                await chart.is_ill("takes no more sessions")
                await crowd.aclose()
                await goes_on(here, chart)
            await ends(daemon)
        await nothing_is_left_or_double(here, here.sql, again=CONCURRENCY)


_THROW_OUT = """
    SELECT count(pg_terminate_backend(pid, 1000)) FROM pg_stat_activity
    WHERE usename = 'crowded' AND application_name LIKE 'refreshd%'
"""


async def crowd_out(crowd: AsyncExitStack, admin: Connection, url: str) -> None:
    """Take every session, also those that the daemon has: it may be back before us once or twice, and well for that moment."""
    while await admin.fetchval(_THROW_OUT):
        with suppress(asyncpg.TooManyConnectionsError):
            while True:
                crowd.push_async_callback((await asyncpg.connect(url)).close)
