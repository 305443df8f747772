"""A pool of sessions on one schema: our own sessions, or those that a pooler in transaction mode lends for one transaction.

A lent session keeps nothing between two transactions, neither a setting nor a prepared statement, and the next one who borrows it is
somebody else. So what a session of our own starts with, a lent one is told at the start of each transaction, and only for it; and even
a single statement is a transaction.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import cache
from typing import Protocol, TypeAlias

import asyncpg
from asyncpg.connection import LoggedQuery
from asyncpg.pool import PoolConnectionProxy
from asyncpg.transaction import Transaction

from refreshd.core.errors import LedgerUnavailable
from refreshd.postgres.hosts import dial
from refreshd.postgres.session import (
    CANCEL_SECONDS,
    COMMAND_SECONDS,
    CONNECT_SECONDS,
    GONE,
    GOODBYE_SECONDS,
    Connection,
    Record,
    session_settings,
)
from refreshd.postgres.trouble import database_trouble
from refreshd.sqlfiles import Queries, load_queries

Session: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"
Statement: TypeAlias = tuple[str, *tuple[object, ...]]
"""A named query called with its values (`sqlfiles.Query`)."""

LOCK_TIMEOUT = "2s"
"""How long the daemon waits for a row that somebody else's transaction holds: one such login must not stop all the others."""

FENCED_IDLE_IN_TRANSACTION = "2s"
"""A leader that froze in the middle of a write must not keep its successor waiting: the server ends its transaction before the lease
has run out."""

_PINNED_IN_A_POOL = {
    "lock_timeout": LOCK_TIMEOUT,
    "idle_in_transaction_session_timeout": FENCED_IDLE_IN_TRANSACTION,
}
_NOT_TOLD = {"application_name", "default_transaction_isolation", "idle_session_timeout", *GONE}
"""What a lent session is not told: it is of a session as a whole, whose customer the pooler is."""


_FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""How a session fails; a TimeoutError is an OSError."""


@cache
def _queries() -> Queries:
    return load_queries("session")


class Observer(Protocol):
    """Hears how a pool is doing. Must not block and must not raise."""

    def waited(self, seconds: float) -> None:
        """Somebody got a session, after so long."""
        ...

    def ran(self, statement: str, seconds: float, *, failed: bool) -> None:
        """A statement is over: its text as it was sent, never its values."""
        ...


class Database:
    """The pool. `lent`: the settings that each transaction begins with, where its sessions are lent."""

    def __init__(
        self,
        pool: "asyncpg.Pool[asyncpg.Record]",
        observer: Observer | None = None,
        *,
        lent: Mapping[str, str] | None = None,
    ) -> None:
        self._pool = pool
        self._observer = observer
        self._lent = lent

    @property
    def most(self) -> int:
        """Sessions that the pool opens at most."""
        return self._pool.get_max_size()

    @property
    def idle(self) -> int:
        return self._pool.get_idle_size()

    @property
    def in_use(self) -> int:
        return self._pool.get_size() - self._pool.get_idle_size()

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[Session]:
        """One session, its errors in our words. A server that turned read-only was demoted: no session to it is used again."""
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        with database_trouble():
            session = await self._acquired()
            try:
                if self._observer is not None:
                    self._observer.waited(loop.time() - asked_at)
                yield session
            except asyncpg.ReadOnlySQLTransactionError:
                await self._pool.expire_connections()
                raise
            finally:
                with suppress(*_FAILURES):  # asyncpg has ended the session then, and what happened before counts
                    await self._pool.release(session, timeout=CANCEL_SECONDS)

    async def _acquired(self) -> Session:
        try:
            return await self._pool.acquire(timeout=CONNECT_SECONDS)
        except TimeoutError as error:
            if self.in_use < self.most:
                raise
            raise LedgerUnavailable(
                f"all {self.most} sessions are in use, and none came back in time",
                hint="look in pg_stat_activity for what they wait for",
            ) from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Session]:
        """One session in a transaction: all or nothing."""
        async with self._session() as session, _in(session, session.transaction(isolation="read_committed")):
            await self._settle_in(session)
            yield session

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Session]:
        """One session whose statements all see the same moment, and write nothing."""
        async with self._session() as session:
            transaction = session.transaction(isolation="repeatable_read", readonly=True)
            async with _in(session, transaction):
                await self._settle_in(session)
                yield session

    async def rows(self, statement: Statement) -> list[Record]:
        async with self._for_one_statement() as session:
            return await session.fetch(*statement)

    async def row(self, statement: Statement) -> Record | None:
        async with self._for_one_statement() as session:
            return await session.fetchrow(*statement)

    async def value(self, statement: Statement) -> object:
        """The first column of the first row; None where there is no row."""
        async with self._for_one_statement() as session:
            return await session.fetchval(*statement)

    def _for_one_statement(self) -> AbstractAsyncContextManager[Session]:
        return self._session() if self._lent is None else self.transaction()

    async def _settle_in(self, session: Session) -> None:
        if self._lent is not None:
            settings = self._lent
            await session.execute(*_queries()["settle_in"](names=list(settings), values=list(settings.values())))


@asynccontextmanager
async def _in(session: Session, transaction: Transaction) -> AsyncIterator[None]:
    """As asyncpg's own block, but on the way out of a failure the server is waited for no longer than is polite."""
    await transaction.start()
    try:
        yield
    except BaseException:
        await _roll_back(session, transaction)
        raise
    await transaction.commit()


async def _roll_back(session: Session, transaction: Transaction) -> None:
    """What fails here is nobody's trouble: a session that is gone has rolled back.

    It must not come out, either: in the place of a cancellation it would be a lost database, which most of us wait for.
    """
    try:
        async with asyncio.timeout(CANCEL_SECONDS):
            await transaction.rollback()
    except BaseException as error:
        with suppress(asyncpg.InterfaceError):  # it has left the pool already
            session.terminate()
        if not isinstance(error, _FAILURES):
            raise


@asynccontextmanager
async def open_database(
    url: str,
    *,
    schema: str,
    size: int,
    name: str = "refreshd",
    lent: bool = False,
    observer: Observer | None = None,
) -> AsyncIterator[Database]:
    """The pool for as long as the block runs. `lent`: the URL leads to a pooler in transaction mode."""
    settings = session_settings(schema, name=name) | _PINNED_IN_A_POOL
    with database_trouble():
        pool = await asyncpg.create_pool(
            url,
            connect=dial,
            min_size=0,  # asyncpg tells of each failed try to keep more with a traceback
            max_size=size,
            timeout=CONNECT_SECONDS,
            command_timeout=COMMAND_SECONDS,
            server_settings={"application_name": name} if lent else settings,
            statement_cache_size=0 if lent else 100,
            reset=_leave_as_it_is,
            init=None if observer is None else _telling(observer),
        )
    told = {each: value for each, value in settings.items() if each not in _NOT_TOLD}
    try:
        yield Database(pool, observer, lent=told if lent else None)
    except BaseException:
        pool.terminate()
        raise
    await _close(pool)


def _telling(observer: Observer) -> Callable[[Connection], Coroutine[None, None, None]]:
    """Has each new session of a pool tell of its statements."""

    def tell(query: LoggedQuery) -> None:
        failed = query.exception is not None and not isinstance(query.exception, asyncio.CancelledError)
        observer.ran(query.query, query.elapsed, failed=failed)

    async def begin(session: Connection) -> None:
        session.add_query_logger(tell)

    return begin


async def _close(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    """Politely if the server answers, else at once. What fails here is nobody's trouble: the sessions are gone either way."""
    with suppress(LedgerUnavailable), database_trouble():
        async with asyncio.timeout(GOODBYE_SECONDS):
            await pool.close()


async def _leave_as_it_is(_: Connection) -> None:
    """Our sessions keep no state beyond a transaction, so the round trip that would clear it is saved."""
