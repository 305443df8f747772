"""`refreshd run` as a process: it hears the application's SQL, drains on SIGTERM, and heals what a kill has left."""

import asyncio

import pytest

from refreshd.simulator.calls import Operation
from tests.support.process import Process
from tests.support.world import World, until, world

pytestmark = pytest.mark.slow


async def _is_at_rest(here: World, daemon: Process) -> None:
    """Leading, and the first plan out of the way."""
    await daemon.logged("leading")
    await until("every login to be authorized", lambda: here.calls(Operation.AUTHORIZE) >= len(here.active))
    await here.approve_all()


async def test_a_client_that_plain_sql_sets_inactive_is_disabled_at_flinks(database_url: str) -> None:
    async with world(database_url, active=30, inactive=3) as here, here.started("run") as daemon:
        await _is_at_rest(here, daemon)
        (gone,) = here.company.sole_clients(1)
        (login_id,) = here.company.logins_of([gone])
        await until("the approved ones to be off", lambda: here.switched_on() == here.active)

        await here.leave(gone)
        await until("the login to be off", lambda: login_id not in here.switched_on())
        await daemon.logged("change_confirmed", count=4)
        passes = {line["pass_id"] for line in daemon.lines("pass_finished")}
        assert {line["pass_id"] for line in daemon.lines("change_confirmed")} <= passes
        assert {line["pass_id"] for line in daemon.lines("flinks_call")} <= passes | {None}

        assert await here.verdict(login_id) in {"disabled", "leaking"}
        assert here.switched_on() == here.active
        assert not here.flinks.audit.breaches_by_rule


async def test_sigterm_lets_what_is_in_flight_end_and_exits_with_0(database_url: str) -> None:
    async with world(database_url, active=200) as here, here.started("run") as daemon:
        await until("the routine to be under way", lambda: here.calls(Operation.AUTHORIZE) >= 10)
        daemon.terminate()
        ran = await daemon.ended()

        assert ran.code == 0, ran.words
        assert daemon.lines("drained")
        assert await here.traced() == here.flinks.audit.calls_by_operation
        assert here.calls(Operation.AUTHORIZE) < 200
        lease = await here.sql.fetchrow("SELECT expires_at = '-infinity' AS released FROM lease")
        assert lease is not None
        assert lease["released"]


async def test_the_routine_goes_on_where_it_was_after_a_restart(database_url: str) -> None:
    async with world(database_url, active=150) as here:
        async with here.started("run") as first:
            await until("the routine to be under way", lambda: here.calls(Operation.AUTHORIZE) >= 20)
            first.terminate()
            assert (await first.ended()).code == 0
        async with here.started("run") as second:
            await until("the routine to end", lambda: len(here.calls_by_login(Operation.AUTHORIZE)) == 150)
            second.terminate()
            assert (await second.ended()).code == 0

        assert here.calls_by_login(Operation.AUTHORIZE) == dict.fromkeys(here.active, 1)


async def test_a_killed_daemon_leaves_nothing_that_the_next_one_does_not_heal(database_url: str) -> None:
    async with world(database_url, active=60, inactive=40) as here:
        async with here.started("run") as first:
            await _is_at_rest(here, first)
            await until("disables to be under way", lambda: here.calls(Operation.SET_SCHEDULED_REFRESH) >= 10)
            first.kill()
            await first.ended()
        async with here.started("run") as second:
            await second.logged("leading")
            await until("every inactive login to be off", lambda: here.switched_on() == here.active)
            await _confirmed(here, 40)
            second.terminate()
            assert (await second.ended()).code == 0

        assert await here.sql.fetchval("SELECT count(*) FROM login WHERE intent IS NOT NULL") == 0
        assert here.calls(Operation.AUTHORIZE) <= 60 + 8
        assert not here.flinks.audit.breaches_by_rule


async def _confirmed(here: World, count: int) -> None:
    off = "SELECT count(*) FROM login WHERE confirmed_off_at IS NOT NULL"
    while await here.sql.fetchval(off) < count:  # noqa: ASYNC110 - another process writes it
        await asyncio.sleep(0.05)
