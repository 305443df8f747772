"""A database that has gone silent, or ended a session. Whoever gives up on it need not wait for it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import asyncpg
import pytest

from refreshd.core.errors import LeaseLost
from refreshd.postgres import Database, Session, open_database, pool
from tests.support.cut_line import Line, line_to
from tests.support.postgres import SCHEMA

Work = Callable[[Database], Awaitable[object]]
A_LONG_TIME_SECONDS = 60.0
"""For a machine that is busy; the limits of a statement and of a connection are far beyond it in this module."""

ONE = ("SELECT 1",)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "CONNECT_SECONDS", 3600.0)
    monkeypatch.setattr(pool, "COMMAND_SECONDS", 3600.0)


@pytest.fixture
async def line(database_url: str) -> AsyncIterator[tuple[Line, str]]:
    async with line_to(database_url) as made:
        yield made


async def _one_statement(database: Database) -> None:
    await database.value(ONE)


async def _in_a_transaction(database: Database) -> None:
    async with database.transaction() as session:
        await session.fetchval(*ONE)


async def _in_a_snapshot(database: Database) -> None:
    async with database.snapshot() as session:
        await session.fetchval(*ONE)


async def _in_a_transaction_with(database: Database, ended: asyncio.Event) -> None:
    async with database.transaction() as session:
        await _lose(session, ended)


async def _in_a_snapshot_with(database: Database, ended: asyncio.Event) -> None:
    async with database.snapshot() as session:
        await _lose(session, ended)


async def _with_one_session(database: Database, ended: asyncio.Event) -> None:
    async with database._session() as session:
        await _lose(session, ended)


async def _lose(session: Session, ended: asyncio.Event) -> None:
    """The server ends the session, which we hear of; and then wait for something else."""
    lost = asyncio.Event()
    session.add_termination_listener(lambda _: lost.set())
    with suppress(asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError):
        await session.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    await lost.wait()
    ended.set()
    await asyncio.Event().wait()


@pytest.mark.parametrize("work", [_one_statement, _in_a_transaction, _in_a_snapshot])
async def test_work_that_is_cancelled_does_not_wait_for_a_silent_database(line: tuple[Line, str], work: Work) -> None:
    frozen, url = line

    async def lead() -> None:
        async with open_database(url, schema=SCHEMA, size=2) as database:
            await work(database)
            frozen.freeze()
            await _cancelled(work(database))
            raise LeaseLost("the lease was not renewed in time")

    async with asyncio.timeout(A_LONG_TIME_SECONDS):
        with pytest.raises(LeaseLost):
            await lead()


async def test_a_transaction_that_fails_beside_a_silent_database_does_not_wait_for_it(line: tuple[Line, str]) -> None:
    frozen, url = line

    async def lead() -> None:
        async with (
            open_database(url, schema=SCHEMA, size=1) as database,
            database.transaction() as session,
        ):
            await session.fetchval(*ONE)
            frozen.freeze()
            raise LeaseLost("the lease was not renewed in time")

    async with asyncio.timeout(A_LONG_TIME_SECONDS):
        with pytest.raises(LeaseLost):
            await lead()


async def test_what_a_cancelled_transaction_has_written_is_not_there(line: tuple[Line, str]) -> None:
    _, url = line
    async with open_database(url, schema=SCHEMA, size=1) as database:
        begun = asyncio.Event()

        async def write() -> None:
            async with database.transaction() as session:
                await session.execute("INSERT INTO client (client_id) VALUES ('half-written')")
                begun.set()
                await asyncio.Event().wait()

        async with asyncio.TaskGroup() as group:
            writing = group.create_task(write())
            await begun.wait()
            writing.cancel()
        assert await database.value(("SELECT count(*) FROM client",)) == 0


@pytest.mark.parametrize(
    "hangs_up",
    [_in_a_transaction_with, _in_a_snapshot_with, _with_one_session],
    ids=["transaction", "snapshot", "session"],
)
async def test_who_is_cancelled_beside_a_session_that_was_ended_is_cancelled(
    database_url: str, hangs_up: Callable[[Database, asyncio.Event], Awaitable[None]]
) -> None:
    """A cancellation that came out as a lost database would be waited for by a leadership for ever."""
    async with open_database(database_url, schema=SCHEMA, size=2) as database:
        ended = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            working = group.create_task(_awaited(hangs_up(database, ended)))
            await ended.wait()
            working.cancel()
        assert working.cancelled()


async def _cancelled(work: Awaitable[object]) -> None:
    async with asyncio.TaskGroup() as group:
        working = group.create_task(_awaited(work))
        await asyncio.sleep(0.1)
        assert not working.done()
        working.cancel()


async def _awaited(work: Awaitable[object]) -> None:
    await work
