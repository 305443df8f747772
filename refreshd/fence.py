"""Writes under a lease: none of them is stored once another term was issued."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

from refreshd import crash
from refreshd.core.errors import LeaseLost
from refreshd.core.model import Term
from refreshd.crash import Write
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


async def keep_out_successors(session: "Session | Connection", term: Term) -> None:
    """For the rest of the session's transaction. Raises LeaseLost where there is a successor."""
    if await session.fetchval(*_lease()["fence"](term=term)) is None:
        raise LeaseLost(f"another refreshd leads this ledger: term {term} is over")
