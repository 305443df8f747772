"""The one way to Postgres: connections whose search path is the ledger's schema, and asyncpg's errors in our own words.

Knows no table and no query. What it cannot explain as a database that is away, full, closed to us or not migrated is a bug, and goes
through as it came.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Protocol, TypeAlias

import asyncpg
from asyncpg.connection import LoggedQuery
from asyncpg.pool import PoolConnectionProxy

from refreshd.core.errors import LedgerUnavailable, RefreshdError, RowsLocked, SchemaMismatch, Unstorable

Record: TypeAlias = asyncpg.Record
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Session: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"
Statement: TypeAlias = tuple[str, *tuple[object, ...]]
"""A named query called with its values (`sqlfiles.Query`)."""

CONNECT_SECONDS = 10.0
COMMAND_SECONDS = 60.0
GOODBYE_SECONDS = 3.0
"""A server that has gone silent answers no goodbye either; waiting for one would keep a daemon from beginning again."""
LOCK_TIMEOUT = "2s"
"""How long the daemon waits for a row that somebody else's transaction holds: one such login must not stop all the others."""
IDLE_IN_TRANSACTION = "15s"
FENCED_IDLE_IN_TRANSACTION = "2s"
"""A leader that froze in the middle of a write must not keep its successor waiting: the server ends its transaction before the lease
has run out."""
GONE = {
    "client_connection_check_interval": "1s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
"""So the server notices a client that was killed or whose host is gone, and ends what it was doing."""

AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,  # TimeoutError is one
)
_REFUSED = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)
_NOT_MIGRATED = (
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedFunctionError,
    asyncpg.InvalidSchemaNameError,
)


@contextmanager
def database_trouble() -> Iterator[None]:
    """Turn what asyncpg says of a database that does not serve us into LedgerUnavailable, SchemaMismatch or Unstorable."""
    try:
        yield
    except asyncpg.DataError as error:  # its text quotes the value, which may be somebody's account
        raise Unstorable(f"the database takes no such value: {type(error).__name__}") from None
    except asyncpg.LockNotAvailableError as error:
        raise RowsLocked(
            "another transaction holds a row of the ledger", hint="look for it in pg_stat_activity"
        ) from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
        ours = _explained(error)
        if ours is None:
            raise
        raise ours from error


def _explained(error: Exception) -> RefreshdError | None:
    if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
        return LedgerUnavailable("the database is read-only", hint="name the primary in REFRESHD_DATABASE_URL")
    if isinstance(error, _NOT_MIGRATED):
        return SchemaMismatch(f"the ledger lacks what refreshd needs: {error}", hint="run `refreshd migrate`")
    if isinstance(error, _REFUSED):
        return LedgerUnavailable(
            f"the database refuses us: {error}", hint="check REFRESHD_DATABASE_URL and the role's grants"
        )
    if isinstance(error, ValueError):  # a value that asyncpg cannot encode: our bug, whatever its base class says
        return None
    if isinstance(error, AWAY):
        reason = str(error) or type(error).__name__
        return LedgerUnavailable(
            f"the database does not answer: {reason}", hint="check the server and REFRESHD_DATABASE_URL"
        )
    return None


def session_settings(schema: str | None, *, name: str) -> dict[str, str]:
    """What every session of ours starts with. Our plans are short: compiling them costs more than running them."""
    path = {} if schema is None else {"search_path": '"' + schema.replace('"', '""') + '"'}
    return (
        path
        | GONE
        | {
            "application_name": name,
            "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION,
            "jit": "off",
        }
    )


async def connect(
    url: str, *, schema: str | None, name: str, command_seconds: float | None = COMMAND_SECONDS
) -> Connection:
    """A session of its own, for who must keep one: the lease, the listener, an import. `schema` None: the role's own search path."""
    with database_trouble():
        return await asyncpg.connect(
            url,
            timeout=CONNECT_SECONDS,
            command_timeout=command_seconds,
            server_settings=session_settings(schema, name=name),
        )


class Observer(Protocol):
    """Hears how a pool is doing. Must not block and must not raise."""

    def waited(self, seconds: float) -> None:
        """Somebody got a session, after so long."""
        ...

    def ran(self, statement: str, seconds: float, *, failed: bool) -> None:
        """A statement is over: its text as it was sent, never its values."""
        ...


class Database:
    """A pool of sessions on one schema."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", observer: Observer | None = None) -> None:
        self._pool = pool
        self._observer = observer

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
    async def session(self) -> AsyncIterator[Session]:
        """One session, its errors in our words."""
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        with database_trouble():
            async with self._pool.acquire(timeout=CONNECT_SECONDS) as session:
                if self._observer is not None:
                    self._observer.waited(loop.time() - asked_at)
                yield session

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Session]:
        """One session in a transaction: all or nothing."""
        async with self.session() as session, session.transaction():
            yield session

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Session]:
        """One session whose statements all see the same moment, and write nothing."""
        async with self.session() as session, session.transaction(isolation="repeatable_read", readonly=True):
            yield session

    async def rows(self, statement: Statement) -> list[Record]:
        async with self.session() as session:
            return await session.fetch(*statement)

    async def row(self, statement: Statement) -> Record | None:
        async with self.session() as session:
            return await session.fetchrow(*statement)

    async def value(self, statement: Statement) -> object:
        """The first column of the first row; None where there is no row."""
        async with self.session() as session:
            return await session.fetchval(*statement)


@asynccontextmanager
async def open_database(
    url: str, *, schema: str, size: int, name: str = "refreshd", observer: Observer | None = None
) -> AsyncIterator[Database]:
    """The pool for as long as the block runs."""
    with database_trouble():
        pool = await asyncpg.create_pool(
            url,
            min_size=0,  # asyncpg tells of each failed try to keep more with a traceback
            max_size=size,
            timeout=CONNECT_SECONDS,
            command_timeout=COMMAND_SECONDS,
            server_settings=session_settings(schema, name=name)
            | {"lock_timeout": LOCK_TIMEOUT, "idle_in_transaction_session_timeout": FENCED_IDLE_IN_TRANSACTION},
            reset=_leave_as_it_is,
            init=None if observer is None else _telling(observer),
        )
    try:
        yield Database(pool, observer)
    finally:
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


async def close(session: Connection) -> None:
    """Likewise, one session."""
    with suppress(LedgerUnavailable), database_trouble():
        await session.close(timeout=GOODBYE_SECONDS)


async def _leave_as_it_is(_: Connection) -> None:
    """Our sessions keep no state beyond a transaction, so the round trip that would clear it is saved."""
