"""A hint that something changed is heard within a moment, and a silence is never mistaken for none."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from refreshd.listener import Listener
from refreshd.postgres import Connection
from tests.support.ledger import link, login_id
from tests.support.postgres import SCHEMA

END_SESSIONS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = 'refreshd listener' AND datname = current_database()"""


@pytest.fixture
async def heard(database_url: str) -> AsyncIterator[asyncio.Event]:
    """Set by a listener on the ledger; its first signal, on connecting, is over."""
    event = asyncio.Event()
    listener = Listener(database_url, schema=SCHEMA, signal=event.set)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(listener.run())
        await _next(event)
        assert listener.is_listening
        yield event
        running.cancel()


async def _next(event: asyncio.Event) -> None:
    async with asyncio.timeout(5):
        await event.wait()
    event.clear()


async def test_a_client_set_inactive_by_plain_sql_is_heard(heard: asyncio.Event, connection: Connection) -> None:
    await link(connection, "ann", login_id(1))
    await _next(heard)
    await connection.execute("UPDATE client SET active = false")
    await _next(heard)


async def test_a_write_that_changes_nothing_is_not(heard: asyncio.Event, connection: Connection) -> None:
    await connection.execute("INSERT INTO client (client_id) VALUES ('ann')")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await heard.wait()


async def test_a_lost_connection_is_made_again_and_signals(heard: asyncio.Event, connection: Connection) -> None:
    await connection.fetch(END_SESSIONS)
    await _next(heard)
    await link(connection, "ann", login_id(1))
    await _next(heard)


async def test_a_database_that_is_away_is_waited_for(database_url: str) -> None:
    event = asyncio.Event()
    listener = Listener("postgresql://nobody@127.0.0.1:1/none", schema=SCHEMA, signal=event.set)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(listener.run())
        await asyncio.sleep(0.1)
        assert not event.is_set()
        listener._url = database_url
        await _next(event)
        running.cancel()
