"""A hint that something changed is heard within a moment, and a silence is never mistaken for none."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from refreshd import listener as listening
from refreshd.listener import Listener
from refreshd.postgres import Connection, Database, open_database
from tests.support.cut_line import line_to
from tests.support.ledger import link, login_id
from tests.support.pgbouncer import pooled
from tests.support.postgres import SCHEMA, PostgresServer

END_SESSIONS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = 'refreshd listener' AND datname = current_database()"""


class Ear:
    """Who a listener calls: `signal` is set by each signal, `path` holds what each ping came to."""

    def __init__(self) -> None:
        self.signal = asyncio.Event()
        self.path: asyncio.Queue[float | None] = asyncio.Queue()

    async def signalled(self) -> None:
        async with asyncio.timeout(10):
            await self.signal.wait()
        self.signal.clear()

    async def until_path(self, *, up: bool) -> None:
        """Wait for a ping that was heard (or was not)."""
        async with asyncio.timeout(20):
            while (await self.path.get() is not None) is not up:
                pass


def writers(url: str) -> Callable[[], AbstractAsyncContextManager[Database]]:
    return lambda: open_database(url, schema=SCHEMA, size=1, name="refreshd ping")


@asynccontextmanager
async def listener(url: str, *, writes_to: str | None = None) -> AsyncIterator[Ear]:
    ear = Ear()
    made = Listener(
        url,
        schema=SCHEMA,
        writers=writers(writes_to or url),
        signal=ear.signal.set,
        on_path=ear.path.put_nowait,
    )
    async with asyncio.TaskGroup() as group:
        running = group.create_task(made.run())
        try:
            yield ear
        finally:
            running.cancel()


@pytest.fixture
async def heard(database_url: str) -> AsyncIterator[Ear]:
    """A listener on the ledger; its first signal, on connecting, is over."""
    async with listener(database_url) as ear:
        await ear.until_path(up=True)
        await ear.signalled()
        yield ear


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pings follow each other, and are given up, at a pace that a test can afford."""
    monkeypatch.setattr(listening, "PING_SECONDS", 0.2)
    monkeypatch.setattr(listening, "PATIENCE_SECONDS", 2.0)
    monkeypatch.setattr(listening, "LONGEST_PAUSE_SECONDS", 0.5)


async def test_a_client_set_inactive_by_plain_sql_is_heard(heard: Ear, connection: Connection) -> None:
    await link(connection, "ann", login_id(1))
    await heard.signalled()
    await connection.execute("UPDATE client SET active = false")
    await heard.signalled()


@pytest.mark.usefixtures("impatient")
async def test_neither_a_write_that_changes_nothing_nor_a_ping_asks_for_a_pass(
    heard: Ear, connection: Connection
) -> None:
    await connection.execute("INSERT INTO client (client_id) VALUES ('ann')")
    await connection.execute("SELECT pg_notify(activity_channel(), 'ping of another daemon')")
    await heard.until_path(up=True)
    await heard.until_path(up=True)
    assert not heard.signal.is_set()


async def test_a_session_that_was_ended_is_made_again_and_signals(heard: Ear, connection: Connection) -> None:
    await connection.fetch(END_SESSIONS)
    await heard.until_path(up=False)
    await heard.until_path(up=True)
    await heard.signalled()
    await link(connection, "ann", login_id(1))
    await heard.signalled()


@pytest.mark.usefixtures("impatient")
async def test_one_that_is_deaf_without_a_word_says_so_polls_and_hears_again(
    database_url: str, connection: Connection
) -> None:
    async with line_to(database_url) as (line, url), listener(url, writes_to=database_url) as ear:
        await ear.until_path(up=True)
        line.freeze()
        await ear.until_path(up=False)
        ear.signal.clear()
        await ear.signalled()  # by itself: nobody else could have
        line.mend()
        await ear.until_path(up=True)
        ear.signal.clear()
        await link(connection, "ann", login_id(1))
        await ear.signalled()


@pytest.mark.usefixtures("impatient")
async def test_one_that_listens_where_nobody_writes_is_deaf(
    database_url: str, empty_database_url: str, postgres: PostgresServer
) -> None:
    with postgres.database(migrated=True) as elsewhere:
        async with listener(elsewhere, writes_to=database_url) as ear:
            await ear.until_path(up=False)
            await ear.signalled()
    async with listener(empty_database_url, writes_to=database_url) as ear:
        await ear.until_path(up=False)


@pytest.mark.usefixtures("impatient")
async def test_writes_through_a_pooler_are_heard_past_it(database_url: str, open_path: Path) -> None:
    with pooled(database_url, open_path) as url:
        ear = Ear()
        made = Listener(
            database_url,
            schema=SCHEMA,
            writers=lambda: open_database(url, schema=SCHEMA, size=1, lent=True),
            signal=ear.signal.set,
            on_path=ear.path.put_nowait,
        )
        async with asyncio.TaskGroup() as group:
            running = group.create_task(made.run())
            await ear.until_path(up=True)
            running.cancel()


async def test_a_database_that_is_away_is_waited_for(database_url: str) -> None:
    ear = Ear()
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    made = Listener(
        nowhere, schema=SCHEMA, writers=writers(database_url), signal=ear.signal.set, on_path=ear.path.put_nowait
    )
    async with asyncio.TaskGroup() as group:
        running = group.create_task(made.run())
        await ear.until_path(up=False)
        made._url = database_url
        await ear.until_path(up=True)
        running.cancel()
