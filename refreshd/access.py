"""Where the ledger is, by the settings.

Sessions of our own (lease, listener, import, migrate) always go to the database itself; the queries go through the pooler, where one
stands before it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from refreshd import migrate, postgres
from refreshd.core.errors import SettingsError
from refreshd.embedded import reachable_database
from refreshd.migrate import MigrationStatus
from refreshd.postgres import Database, Observer
from refreshd.settings import Settings

_CHECK_SECONDS = 10.0


def database_url(settings: Settings) -> str:
    """The URL of the database itself, secret included. Raises SettingsError when none was given."""
    if settings.database_url is None:
        raise SettingsError("REFRESHD_DATABASE_URL is missing", hint="write postgresql://user@host/database")
    return (settings.database_direct_url or settings.database_url).get_secret_value()


def pooler_url(settings: Settings) -> str | None:
    """The URL of the pooler; None where there is none: whoever names a direct way says by it that the other one is a pooler's."""
    if settings.database_direct_url is None or settings.database_url is None:
        return None
    return settings.database_url.get_secret_value()


@asynccontextmanager
async def reached(settings: Settings) -> AsyncIterator[str]:
    """A URL for sessions of our own, for as long as the block runs; an embedded server is started for it."""
    async with reachable_database(database_url(settings)) as url:
        yield url


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """How many sessions copies of refreshd want of the database itself: what queries need goes through the pooler, where there is one."""

    leader: int
    standby: int


SESSIONS_FOR_PAGES = 2
"""For readers: they wait for each other and never keep the work waiting."""
_SESSIONS_BESIDE_CALLS = 3
"""For the pass, the totals and the recorder, beside one for each call in flight."""
_SESSIONS_OF_ITS_OWN = 3
"""The lease, the listener, and a look at the schema."""
_SESSIONS_FOR_PINGS = 1


def sessions_for_work(settings: Settings) -> int:
    """The size of a leadership's pool."""
    return settings.concurrency + _SESSIONS_BESIDE_CALLS


def sessions_wanted(settings: Settings) -> Sessions:
    """At most, by these settings."""
    if pooler_url(settings) is not None:
        return Sessions(leader=_SESSIONS_OF_ITS_OWN, standby=_SESSIONS_OF_ITS_OWN)
    standby = _SESSIONS_OF_ITS_OWN + _SESSIONS_FOR_PINGS + SESSIONS_FOR_PAGES
    return Sessions(leader=standby + sessions_for_work(settings), standby=standby)


def open_ledger(
    url: str, settings: Settings, *, size: int, name: str = "refreshd", observer: Observer | None = None
) -> AbstractAsyncContextManager[Database]:
    """The pool of the ledger's queries; `url` is what `reached` gave."""
    pooler, schema = pooler_url(settings), settings.database_schema
    lent = pooler is not None
    return postgres.open_database(pooler or url, schema=schema, size=size, name=name, lent=lent, observer=observer)


async def check_schema(url: str, settings: Settings) -> MigrationStatus:
    """Raise SchemaMismatch, naming the command that mends it, unless this refreshd can run on the ledger's schema."""
    schema = settings.database_schema
    with postgres.database_trouble():
        async with asyncio.timeout(_CHECK_SECONDS):
            session = await postgres.connect(url, schema=schema, name="refreshd")
            try:
                await migrate.require_access(session, schema)
                return await migrate.require_current(session)
            finally:
                await postgres.close(session)
