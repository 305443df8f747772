"""Two daemons: on one ledger the second stands by and takes over; on two schemas of one database they do not meet."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from refreshd import migrate
from refreshd.postgres import connect
from refreshd.simulator.calls import Operation
from tests.support.process import Process
from tests.support.world import NOON, PATIENCE_SECONDS, World, until, world

pytestmark = pytest.mark.slow


async def asked(daemon: Process, path: str, *, accept: str = "*/*") -> tuple[int, str]:
    """What the daemon answers on its own address."""
    address = (await daemon.logged("serving"))["address"]
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{address}{path}", headers={"Accept": accept}) as response,
    ):
        return response.status, await response.text()


async def test_the_second_daemon_stands_by_and_takes_over_when_the_first_stops(database_url: str) -> None:
    async with world(database_url, active=80) as here, here.started("run") as first:
        await first.logged("leading")
        async with here.started("run") as second:
            await second.logged("standing_by")
            async with asyncio.timeout(PATIENCE_SECONDS):
                while (answer := await asked(second, "/readyz"))[0] != 200:  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.02)
            assert "standby" in answer[1]
            assert "leads" in (await asked(first, "/readyz"))[1]
            assert (await asked(second, "/livez"))[0] == 200
            assert not second.lines("flinks_call")

            first.terminate()
            assert (await first.ended()).code == 0
            await second.logged("leading")
            assert "leads" in (await asked(second, "/readyz"))[1]
            await until("the routine to end", lambda: len(here.calls_by_login(Operation.AUTHORIZE)) == 80)
            second.terminate()
            assert (await second.ended()).code == 0

        assert here.calls_by_login(Operation.AUTHORIZE) == dict.fromkeys(here.active, 1)


async def test_once_does_not_work_beside_a_daemon_that_leads(database_url: str) -> None:
    async with world(database_url, active=5) as here, here.started("run") as daemon:
        await daemon.logged("leading")
        ran = await here.command("once")

        assert ran.code == 4
        assert "another refreshd leads" in ran.words


@asynccontextmanager
async def _second_schema(database_url: str) -> AsyncIterator[str]:
    session = await connect(database_url, schema="other", name="test")
    try:
        await migrate.apply(session, schema="other", now=NOON)
    finally:
        await session.close()
    yield "other"


async def _is_done(here: World) -> None:
    await until("the routine to end", lambda: len(here.calls_by_login(Operation.AUTHORIZE)) == len(here.active))
    assert await here.approve_all() == 1
    await until("every inactive login to be off", lambda: here.switched_on() == here.active)


async def test_two_daemons_on_two_schemas_of_one_database_do_not_meet(database_url: str) -> None:
    async with (
        _second_schema(database_url) as schema,
        world(database_url, active=30, inactive=5) as one,
        world(database_url, active=40, inactive=7, schema=schema) as other,
        one.started("run") as first,
        other.started("run") as second,
    ):
        await first.logged("leading")
        await second.logged("leading")
        async with asyncio.TaskGroup() as group:
            group.create_task(_is_done(one))
            group.create_task(_is_done(other))
        for daemon in (first, second):
            daemon.terminate()
            assert (await daemon.ended()).code == 0

        for here in (one, other):
            assert here.calls_by_login(Operation.AUTHORIZE) == dict.fromkeys(here.active, 1)
            assert await here.traced() == here.flinks.audit.calls_by_operation
