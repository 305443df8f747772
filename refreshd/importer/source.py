"""The company's own tables as a client list: a SELECT from the settings, read through a cursor in a read-only transaction."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import cache

import asyncpg

from refreshd.core.errors import InputRejected
from refreshd.importer.listing import Columns, Faults, Row
from refreshd.postgres import AWAY, CANCEL_SECONDS, Connection, Record, connect, database_trouble
from refreshd.sqlfiles import Queries, load_queries

_PREFETCH = 2_000


@cache
def _queries() -> Queries:
    return load_queries("session")


_HINT = "REFRESHD_SOURCE_QUERY_FILE must hold one SELECT with the columns client_id, login_id, active and, if you like, scheduled"


class SourceListing:
    """The rows of a source query."""

    def __init__(
        self, session: Connection, query: str, columns: Columns, progress: Callable[[int], None] | None
    ) -> None:
        self.faults = Faults()
        self.columns = columns
        self._session = session
        self._query = query
        self._progress = progress

    async def links(self) -> AsyncIterator[Row]:
        number = 0
        async for record in self._records():
            number += 1
            row = self.columns.row(number, tuple(record.values()), f"row {number}", self.faults)
            if self._progress is not None:
                self._progress(number)
            if row is not None:
                yield row

    async def _records(self) -> AsyncIterator[Record]:
        try:
            async for record in self._session.cursor(self._query, prefetch=_PREFETCH):
                yield record
        except asyncpg.PostgresError as error:
            raise _explained(error) from error


def _explained(error: asyncpg.PostgresError) -> Exception:
    """A database that is away is none of the query's doing; whatever else it says, it says of the query."""
    return error if isinstance(error, AWAY) else _does_not_run(error)


def _does_not_run(error: asyncpg.PostgresError) -> InputRejected:
    return InputRejected(f"the source query does not run: {error}", hint=_HINT)


@asynccontextmanager
async def open_source(
    url: str, query: str, limit_seconds: float, progress: Callable[[int], None] | None = None
) -> AsyncIterator[SourceListing]:
    """The query's rows for as long as the block runs; what is wrong with the query itself raises InputRejected.

    Nothing of it goes on at its server once the block has ended, however it ended.
    """
    session = await connect(url, schema=None, name="refreshd source query", command_seconds=None)
    try:
        with database_trouble():
            await session.transaction(readonly=True).start()
            await session.execute(*_queries()["limit_statements"](milliseconds=str(int((limit_seconds + 1) * 1000))))
            await _have_our_end_noticed(session)
            yield SourceListing(session, query, await _columns(session, query), progress)
    except asyncio.CancelledError:
        await _call_off(session)
        raise
    finally:
        session.terminate()


async def _have_our_end_noticed(session: Connection) -> None:
    """For when nobody is left to call anything off. The server may be too old for that, or of a system that cannot."""
    with suppress(asyncpg.PostgresError):
        async with session.transaction():  # what fails in a savepoint costs nothing else
            await session.execute(*_queries()["notice_our_end"]())


async def _call_off(session: Connection) -> None:
    """Let asyncpg's word, that the server is to stop, leave before the session ends. What fails here is nobody's trouble."""
    with suppress(asyncpg.PostgresError, *AWAY):
        await session.close(timeout=CANCEL_SECONDS)


async def _columns(session: Connection, query: str) -> Columns:
    try:
        prepared = await session.prepare(query)
    except asyncpg.PostgresError as error:
        raise _explained(error) from error
    if prepared.get_parameters():
        raise InputRejected("the source query has parameters", hint=_HINT)
    return Columns([each.name for each in prepared.get_attributes()])
