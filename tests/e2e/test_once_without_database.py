"""`refreshd once` and a database that is absent, old, not migrated, read-only, or lost on the way: exit 4, and what to do."""

import pytest

from refreshd.simulator.calls import Operation
from tests.support.cut_line import line_to
from tests.support.world import World, until, world


async def test_a_server_that_is_not_there(database_url: str) -> None:
    async with world(database_url, active=1) as here:
        ran = await here.command("once", env={"REFRESHD_DATABASE_URL": "postgresql://postgres@127.0.0.1:1/nowhere"})
        assert ran.code == 4
        assert "the database does not answer" in ran.words
        assert "hint: check the server and REFRESHD_DATABASE_URL" in ran.words


async def test_a_database_that_does_not_exist(database_url: str) -> None:
    async with world(database_url, active=1) as here:
        ran = await here.command("once", env={"REFRESHD_DATABASE_URL": database_url.replace("/test_", "/no_test_")})
        assert ran.code == 4
        assert "does not exist" in ran.words


async def test_a_database_that_was_never_migrated(database_url: str, empty_database_url: str) -> None:
    async with world(database_url, active=1) as here:
        ran = await here.command("once", env={"REFRESHD_DATABASE_URL": empty_database_url})
        assert ran.code == 4
        assert "hint: run `refreshd migrate`" in ran.words


async def test_a_server_that_is_too_old(database_url: str) -> None:
    async with world(database_url, active=1) as here, line_to(database_url, as_if_old) as (_, url):
        ran = await here.command("once", env={"REFRESHD_DATABASE_URL": url})
        assert ran.code == 4
        assert "PostgreSQL 14" in ran.words
        assert "15 or later" in ran.words


def as_if_old(said: bytes) -> bytes:
    """The server's word on its version, two digits for two."""
    at = said.find(b"server_version\x00")
    if at < 0:
        return said
    begins = at + len(b"server_version\x00")
    return said[:begins] + b"14" + said[begins + 2 :]


async def test_a_server_that_is_read_only(database_url: str) -> None:
    async with world(database_url, active=2, inactive=1) as here:
        name = await here.sql.fetchval("SELECT current_database()")
        await here.sql.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        ran = await here.command("once")

        assert ran.code == 4
        assert "the database is read-only" in ran.words
        assert "name the primary" in ran.words
        assert here.flinks.audit.calls_counted == 0


@pytest.mark.slow
async def test_a_database_that_is_lost_in_the_middle_ends_the_run_and_the_next_one_goes_on(database_url: str) -> None:
    async with world(database_url, active=200, inactive=20) as here, line_to(database_url) as (line, url):
        async with here.started("once", env={"REFRESHD_DATABASE_URL": url}) as process:
            await until("the run to be under way", lambda: here.calls(Operation.AUTHORIZE) >= 20)
            line.cut()
            ran = await process.ended()
        assert ran.code == 4, ran.words
        assert "Traceback" not in ran.err
        assert here.calls(Operation.AUTHORIZE) < 200
        await _the_next_run_goes_on(here)


async def _the_next_run_goes_on(here: World) -> None:
    await here.sql.execute("UPDATE lease SET expires_at = '-infinity'")
    result = await here.once()
    assert result.held == 20
    again = [each for each, calls in here.calls_by_login(Operation.AUTHORIZE).items() if calls > 1]
    assert len(again) <= 8, "only what was in flight is done again"
    assert set(here.calls_by_login(Operation.AUTHORIZE)) == here.active
    assert not here.flinks.audit.breaches_by_rule
