"""What the doctor says of a server that answers, and on which a promise would still not stand."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
from pydantic import SecretStr

from refreshd.doctor import Finding, Outcome, examine
from refreshd.postgres import Connection
from refreshd.settings import Settings
from tests.support.own_postgres import OwnServer, Programs, own_server
from tests.support.postgres import PostgresServer


@pytest.fixture(scope="module")
def server(postgres: PostgresServer) -> Iterator[OwnServer]:
    """One as it is installed: it forgets nothing, and lets forty sessions in."""
    with own_server(asyncio.run(Programs.of(postgres.url_of("postgres"))), more="fsync = on") as started:
        asyncio.run(started.new_database("acme"))
        yield started


@pytest.fixture
async def admin(server: OwnServer) -> AsyncIterator[Connection]:
    session = await asyncpg.connect(server.url)
    yield session
    await session.execute("ALTER ROLE acme RESET ALL; ALTER ROLE acme CONNECTION LIMIT -1")
    await session.execute("ALTER DATABASE acme CONNECTION LIMIT -1")
    await session.close()


async def finding(server: OwnServer, subject: str, **settings: object) -> Finding:
    told: list[Finding] = []
    url = SecretStr(server.url_of("acme", role="acme"))
    await examine(Settings(database_url=url).model_copy(update=settings), vendor=False, tell=told.append)
    return next(each for each in told if each.subject == subject)


async def test_a_server_as_it_is_installed_keeps_what_it_says_it_has_stored(
    server: OwnServer, admin: Connection
) -> None:
    assert not admin.is_closed()
    assert (await finding(server, "durability")).outcome is Outcome.GOOD
    assert (await finding(server, "sessions")).outcome is Outcome.GOOD


async def test_commits_that_a_crash_may_forget_are_warned_of_wherever_that_was_set(
    server: OwnServer, admin: Connection
) -> None:
    await admin.execute("ALTER ROLE acme SET synchronous_commit = off")
    found = await finding(server, "durability")
    assert found.outcome is Outcome.WARNING
    assert "synchronous_commit is off" in found.sentence
    assert "fsync" not in found.sentence


@pytest.mark.parametrize("name", ["fsync", "full_page_writes"])
async def test_a_server_that_a_power_cut_may_garble_is_warned_of(
    server: OwnServer, admin: Connection, name: str
) -> None:
    await admin.execute(f"ALTER SYSTEM SET {name} = off")
    await _reloaded(admin, name, "off")
    try:
        assert f"{name} is off" in (await finding(server, "durability")).sentence
    finally:
        await admin.execute(f"ALTER SYSTEM RESET {name}")
        await admin.execute(f"ALTER SYSTEM SET {name} = on")
        await _reloaded(admin, name, "on")


async def _reloaded(admin: Connection, name: str, value: str) -> None:
    """The postmaster tells every session in its own time."""
    await admin.execute("SELECT pg_reload_conf()")
    async with asyncio.timeout(20):
        while await admin.fetchval("SELECT current_setting($1)", name) != value:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("limit", ["ALTER ROLE acme CONNECTION LIMIT 18", "ALTER DATABASE acme CONNECTION LIMIT 18"])
async def test_a_limit_that_leaves_no_room_for_a_leader_and_a_standby_is_warned_of(
    server: OwnServer, admin: Connection, limit: str
) -> None:
    await admin.execute(limit)
    found = await finding(server, "sessions", concurrency=4)
    assert found.outcome is Outcome.WARNING
    assert found.sentence.startswith("room for 18 sessions; a leader takes up to 13, each standby 6")
    assert (await finding(server, "sessions", concurrency=3)).outcome is Outcome.GOOD


async def test_sessions_of_others_take_room_and_our_own_do_not(server: OwnServer, admin: Connection) -> None:
    assert not admin.is_closed()
    before = (await finding(server, "sessions")).sentence
    ours = await asyncpg.connect(server.url_of("acme"), server_settings={"application_name": "refreshd page"})
    assert (await finding(server, "sessions")).sentence == before
    other = await asyncpg.connect(server.url_of("postgres"))
    room = int(before.split()[2])
    assert f"room for {room - 1} sessions" in (await finding(server, "sessions")).sentence
    assert (await finding(server, "sessions", concurrency=40)).outcome is Outcome.WARNING
    await ours.close()
    await other.close()
