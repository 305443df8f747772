"""Client lists, from a CSV file or from the company's own tables, become rows of `client` and `client_login`. All or nothing.

This is the only place where refreshd writes the application's two tables, and it does so on the operator's word alone.

A list is staged first, and nothing of the ledger is held meanwhile, neither lock nor snapshot: where it comes from may hang.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import BinaryIO

from refreshd import crash
from refreshd.core.model import Term
from refreshd.crash import Transaction, Word, Write
from refreshd.fence import keep_out_successors
from refreshd.importer.listing import CsvListing
from refreshd.importer.merge import (
    ImportResult,
    ImportTerms,
    batched,
    lists_merged,
    lock,
    look_through,
    mark_source_read,
    merge,
    stage,
)
from refreshd.importer.source import open_source
from refreshd.postgres import Connection, connect, database_trouble

__all__ = ["ImportResult", "ImportTerms", "import_file", "import_source"]


async def import_file(
    file: BinaryIO,
    *,
    url: str,
    schema: str,
    terms: ImportTerms,
    progress: Callable[[int], None] | None = None,
) -> ImportResult:
    """Merge a CSV file; `progress` hears, on another thread, how many bytes were read."""
    async with _session(url, schema) as session:
        begun_after = await lists_merged(session)
        listing = await asyncio.to_thread(CsvListing, file, progress)
        await stage(session, batched(listing.rows()))
        await look_through(session, listing.faults)
        async with _transaction(session, Word.IMPORT, begun_after=begun_after):
            return await merge(session, terms, ignored_columns=listing.columns.ignored)


async def import_source(
    query: str,
    *,
    source_url: str,
    url: str,
    schema: str,
    terms: ImportTerms,
    term: Term,
    limit_seconds: float,
    progress: Callable[[int], None] | None = None,
) -> ImportResult:
    """Merge what a SELECT on the same or another database says; `progress` hears how many rows were read.

    The leader does this by itself, so it is a write under its term. Raises LeaseLost where that is over. Whoever gives up waiting cancels
    this; a little later than `limit_seconds` the source's server stops by itself.
    """
    async with _session(url, schema) as session:
        begun_after = await lists_merged(session)
        async with open_source(source_url, query, limit_seconds, progress) as listing:
            await stage(session, listing.links())
        await look_through(session, listing.faults)
        async with _transaction(session, Write.MERGE_SOURCE, begun_after=begun_after):
            await keep_out_successors(session, term)
            result = await merge(session, terms, ignored_columns=listing.columns.ignored)
            await mark_source_read(session, terms.now)
            return result


@asynccontextmanager
async def _session(url: str, schema: str) -> AsyncIterator[Connection]:
    """Whatever goes wrong, the end of the session is the rollback: a server that hangs is not asked for one."""
    session = await connect(url, schema=schema, name="refreshd import", command_seconds=None)
    try:
        with database_trouble():
            yield session
    finally:
        session.terminate()


@asynccontextmanager
async def _transaction(session: Connection, step: Transaction, *, begun_after: int) -> AsyncIterator[None]:
    """Two lists are never merged at the same time, nor one after another that began later; who waits for one holds nothing yet."""
    transaction = session.transaction()
    await transaction.start()
    await lock(session, begun_after=begun_after)
    yield
    crash.reach(step.uncommitted)
    await transaction.commit()
    crash.reach(step.committed)
