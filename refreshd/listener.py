"""Hears the ledger's notifications. Each is only a hint that something changed; the tables are the truth.

Notifications sent while the connection was down are lost, so every new connection signals once by itself.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import cache

from refreshd.core.errors import DependencyDown
from refreshd.postgres import Connection, connect, database_trouble
from refreshd.sqlfiles import Queries, load_queries

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
PROBE_SECONDS = 30.0
"""A connection that died without a word is noticed after so long."""


@cache
def _queries() -> Queries:
    return load_queries("lease")


class Listener:
    """Calls `signal` at once for every notification of the schema, and after every (re)connection. `signal` must not block."""

    def __init__(self, url: str, *, schema: str, signal: Callable[[], None]) -> None:
        self._url = url
        self._schema = schema
        self._signal = signal
        self.is_listening = False

    async def run(self) -> None:
        """Listen until cancelled; a database that is away is waited for, longer each time."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            with suppress(DependencyDown):
                await self._listen()
            pause = FIRST_PAUSE_SECONDS if self.is_listening else min(pause * 2, LONGEST_PAUSE_SECONDS)
            self.is_listening = False
            await asyncio.sleep(pause)

    async def _listen(self) -> None:
        """Returns, or raises, when the connection is lost."""
        session = await connect(self._url, schema=self._schema, name="refreshd listener")
        lost = asyncio.Event()
        session.add_termination_listener(lambda _: lost.set())
        try:
            with database_trouble():
                await self._follow(session)
                self.is_listening = True
                self._signal()
                await self._probe_until(lost, session)
        finally:
            session.terminate()

    async def _follow(self, session: Connection) -> None:
        channel = await session.fetchval(*_queries()["channel"]())
        await session.add_listener(channel, lambda *_: self._signal())

    async def _probe_until(self, lost: asyncio.Event, session: Connection) -> None:
        while not lost.is_set():
            try:
                async with asyncio.timeout(PROBE_SECONDS):
                    await lost.wait()
            except TimeoutError:
                await session.fetchval(*_queries()["channel"](), timeout=PROBE_SECONDS)
