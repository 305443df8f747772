"""What asyncpg says of a database that does not serve us, in our own words, and with what to do about it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from refreshd.core.errors import LedgerUnavailable, RefreshdError, RowsLocked, SchemaMismatch, Unstorable

AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.TransactionRollbackError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TransactionTimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,  # TimeoutError is one
)
_REFUSED = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ObjectNotInPrerequisiteStateError,  # closed for maintenance: ALTER DATABASE ... ALLOW_CONNECTIONS false
)
_NOT_MIGRATED = (
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedFunctionError,
    asyncpg.InvalidSchemaNameError,
)
_READ_ONLY = (asyncpg.ReadOnlySQLTransactionError, asyncpg.TargetServerAttributeNotMatched)

_OF_THE_DRIVER = (asyncpg.InterfaceError, asyncpg.InternalClientError)

_ENDED = ("cannot switch to state", "connection is closed")
"""asyncpg's words for a server that said goodbye while it was not asked anything, then and later."""

_POOLER_REFUSES = "unsupported startup parameter"
"""PgBouncer's words for a session that wants settings of its own."""

_DENIED = re.compile(r"permission denied for (?P<kind>schema|database|table|view|sequence|function) (?P<name>\S+)")
_GRANTS = {"schema": "GRANT USAGE ON SCHEMA", "database": "GRANT CREATE ON DATABASE"}


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
        ours = _explained(_telling(error))
        if ours is None:
            raise
        raise ours from error


def _telling(error: Exception) -> Exception:
    """What ended a session, where a transaction that it ended could not be undone either, of which asyncpg speaks in words of its own."""
    told: BaseException | None = error
    while isinstance(told, _OF_THE_DRIVER):
        told = told.__context__
    return told if isinstance(told, asyncpg.PostgresError | OSError) else error


def _explained(error: Exception) -> RefreshdError | None:
    if isinstance(error, _NOT_MIGRATED):
        return SchemaMismatch(f"the ledger lacks what refreshd needs: {error}", hint="run `refreshd migrate`")
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        return LedgerUnavailable(f"the database refuses us: {error}", hint=_way_in(str(error)))
    if isinstance(error, _REFUSED):
        return LedgerUnavailable(
            f"the database refuses us: {error}", hint="check REFRESHD_DATABASE_URL, the role and its password"
        )
    if isinstance(error, ValueError):  # a value that asyncpg cannot encode: our bug, whatever its base class says
        return None
    return _absent(error)


def _absent(error: Exception) -> LedgerUnavailable | None:
    reason = str(error) or type(error).__name__
    if isinstance(error, _OF_THE_DRIVER) and any(words in reason for words in _ENDED):
        reason = "the server has ended the session"
    if isinstance(error, _READ_ONLY):
        return LedgerUnavailable("the database is read-only", hint="name the primary in REFRESHD_DATABASE_URL")
    if isinstance(error, asyncpg.DiskFullError):
        return LedgerUnavailable(f"the database has no room: {reason}", hint="free disk space on its server")
    if isinstance(error, asyncpg.TooManyConnectionsError):
        return LedgerUnavailable(
            f"the database takes no more sessions: {reason}",
            hint="raise max_connections or the role's limit, or lower REFRESHD_CONCURRENCY",
        )
    if _POOLER_REFUSES in reason:
        return LedgerUnavailable(
            f"a pooler stands before the database: {reason}",
            hint="name the database itself in REFRESHD_DATABASE_DIRECT_URL; sessions of our own need it",
        )
    if isinstance(error, AWAY):
        return LedgerUnavailable(
            f"the database does not answer: {reason}", hint="check the server and REFRESHD_DATABASE_URL"
        )
    return None


def _way_in(refusal: str) -> str:
    """The statement that grants what was denied, as far as the server names it."""
    denied = _DENIED.search(refusal)
    if denied is None:
        return "refreshd's role must own the ledger's schema; see docs/ledger.md, section Rights"
    kind, name = denied["kind"], denied["name"]
    grant = _GRANTS.get(kind)
    if grant is not None:
        return f"{grant} {name} TO refreshd's role"
    return f"refreshd's role must own {kind} {name}, as it owns its schema; see docs/ledger.md, section Rights"
