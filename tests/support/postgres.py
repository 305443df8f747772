"""A throwaway PostgreSQL for the tests: one server a run, a migrated template, a copy of it for each test.

The server is refreshd's own embedded one, so it needs no set-up and works as root. Its administration runs on a thread
of its own: fixtures stay plain functions that tests with and without an event loop can ask for.
"""

import asyncio
import itertools
import os
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from refreshd import migrate
from refreshd.embedded import start_server
from refreshd.postgres import Connection

T = TypeVar("T")

SCHEMA = "refreshd"
"""The schema that the template is migrated into; a test sets it as its search path."""

MIGRATED_AT = datetime(2026, 1, 1, tzinfo=UTC)

_TEMPLATE = "ledger_template"
_TEMPLATE_LOCK = 7


class LoopThread:
    """An event loop on a thread of its own, for work that must not meet the loop of a test."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="postgres administration")
        self._thread.start()

    def run(self, work: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class PostgresServer:
    """The server of a test run; the processes that pytest-xdist starts share it."""

    def __init__(self, url: str, loop: LoopThread) -> None:
        self._url = url
        self._loop = loop
        self._admin = loop.run(_connect(url))
        self._numbers = itertools.count(1)
        self._has_template = False

    @contextmanager
    def database(self, *, migrated: bool) -> Iterator[str]:
        """The URL of a database that nobody else uses, dropped afterwards whoever is still connected to it."""
        if migrated and not self._has_template:
            self._loop.run(self._ensure_template())
            self._has_template = True
        with self._made_from(_TEMPLATE if migrated else "template0") as url:
            yield url

    @contextmanager
    def copy_of(self, url: str) -> Iterator[str]:
        """Likewise, with all that is in the database of this URL, to which nobody may be connected."""
        with self._made_from(urlsplit(url).path.removeprefix("/")) as copy:
            yield copy

    @contextmanager
    def _made_from(self, template: str) -> Iterator[str]:
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.url_of(name)
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def lasting(self, name: str) -> str:
        """The URL of a migrated database of this name that lasts as long as the server; made by whoever asks first."""
        with self.database(migrated=True):  # so that there is a template
            self._execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        return self.url_of(name)

    def url_of(self, database: str) -> str:
        return urlunsplit(urlsplit(self._url)._replace(path=f"/{database}"))

    def trade_durability_for_speed(self) -> None:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            self._execute(f"ALTER SYSTEM SET {setting} = off")
        self._execute("SELECT pg_reload_conf()")

    def leave_rows_in_place(self) -> None:
        """No vacuum any more: it comes at moments of real time, and of rows that are equally due the one that lies first is drawn."""
        self._execute("ALTER SYSTEM SET autovacuum = off")
        self._execute("SELECT pg_reload_conf()")

    def close(self) -> None:
        self._loop.run(self._admin.close())

    def _execute(self, statement: str) -> None:
        self._loop.run(self._admin.execute(statement))

    async def _ensure_template(self) -> None:
        await self._admin.execute("SELECT pg_advisory_lock($1)", _TEMPLATE_LOCK)
        try:
            exists = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)"
            if not await self._admin.fetchval(exists, _TEMPLATE):
                await self._build_template(f"building_{os.getpid()}")
        finally:
            await self._admin.execute("SELECT pg_advisory_unlock($1)", _TEMPLATE_LOCK)

    async def _build_template(self, name: str) -> None:
        """Migrate under another name first, so that a migration that fails leaves no half template behind."""
        await self._admin.execute(f"DROP DATABASE IF EXISTS {name}")
        await self._admin.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        connection = await _connect(self.url_of(name))
        try:
            await migrate.apply(connection, schema=SCHEMA, now=MIGRATED_AT)
        finally:
            await connection.close()
        await self._admin.execute(f"ALTER DATABASE {name} RENAME TO {_TEMPLATE}")


@contextmanager
def throwaway_postgres(path: Path) -> Iterator[PostgresServer]:
    """A server under `path` for the block; another process that names the same path joins it."""
    embedded = start_server(path)
    loop = LoopThread()
    try:
        server = PostgresServer(embedded.url, loop)
        server.trade_durability_for_speed()
        yield server
        server.close()
    finally:
        loop.close()
        embedded.close()


async def leave_as_it_is(_: object) -> None:
    """What a pool resets of a session that comes back: nothing, as the daemon's own."""


async def _connect(url: str) -> Connection:
    return await asyncpg.connect(url)
