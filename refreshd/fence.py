"""Writes to the ledger, each a transaction between two points with names.

None of a leader's is stored once another term was issued; a person's word is, whoever leads.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

from refreshd import crash
from refreshd.core.errors import LeaseLost
from refreshd.core.model import Term
from refreshd.crash import Word, Write
from refreshd.postgres import Connection, Database, Session
from refreshd.sqlfiles import Queries, load_queries


@cache
def _lease() -> Queries:
    return load_queries("lease")


@asynccontextmanager
async def fenced(database: Database, term: Term, write: Write) -> AsyncIterator[Session]:
    """A transaction that keeps the lease from being taken over until it has ended. Raises LeaseLost where it was already."""
    async with database.transaction() as session:
        await keep_out_successors(session, term)
        yield session
        crash.reach(write.uncommitted)
    crash.reach(write.committed)


@asynccontextmanager
async def spoken(database: Database, word: Word) -> AsyncIterator[Session]:
    """A transaction for a person's word."""
    async with database.transaction() as session:
        yield session
        crash.reach(word.uncommitted)
    crash.reach(word.committed)


async def keep_out_successors(session: "Session | Connection", term: Term) -> None:
    """For the rest of the session's transaction. Raises LeaseLost where there is a successor."""
    if await session.fetchval(*_lease()["fence"](term=term)) is None:
        raise LeaseLost(f"another refreshd leads this ledger: term {term} is over")
