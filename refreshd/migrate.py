"""Brings a schema to the form that this refreshd expects, and says how far it is from it. Knows no table but its own.

Migrations go forward only. Each runs in a transaction of its own, in order, while a lock keeps out every other migrate
of the same schema. What was applied is remembered with a checksum: a migration that was changed after its release is
refused, because nobody can say what such a schema looks like.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache

import asyncpg

from refreshd.core.errors import LedgerUnavailable, SchemaMismatch
from refreshd.postgres import Connection, database_trouble, search_path
from refreshd.sqlfiles import Migration, Queries, load_migrations, load_queries

OLDEST_POSTGRES = 15
ENCODING = "UTF8"

PATIENCE_SECONDS = 24 * 60 * 60.0
"""A migration of a large table, and waiting for another one's, may take longer than any other command."""

_NO_FAULT_OF_THE_MIGRATION = (
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
)


@cache
def _queries() -> Queries:
    return load_queries("migration")


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedMigration:
    """One row of `schema_migration`; `additive`: a refreshd that does not know it may run on its result."""

    number: int
    name: str
    checksum: str
    additive: bool
    applied_at: datetime

    @property
    def label(self) -> str:
        return f"{self.number:04}_{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationStatus:
    """How a schema and this refreshd compare; `newer` were applied by a later refreshd."""

    applied: tuple[AppliedMigration, ...]
    missing: tuple[Migration, ...]
    altered: tuple[AppliedMigration, ...]
    newer: tuple[AppliedMigration, ...]

    @property
    def version(self) -> int:
        """The newest migration that the schema has; 0 for none."""
        return max((each.number for each in self.applied), default=0)

    @property
    def expected(self) -> int:
        """The newest migration that this refreshd knows."""
        missing = {each.number for each in self.missing}
        known = missing | {each.number for each in self.applied} - {each.number for each in self.newer}
        return max(known, default=0)

    @property
    def is_current(self) -> bool:
        """Whether this refreshd can run on the schema; newer migrations that only add do not hinder it."""
        return not self.missing and not self.altered and all(migration.additive for migration in self.newer)


async def use_schema(connection: Connection, schema: str) -> None:
    """Have the session look for its tables in `schema`, which need not exist."""
    await connection.fetchval(*_queries()["use_schema"](schema=schema))


async def require_access(connection: Connection, schema: str) -> None:
    """Raise LedgerUnavailable where a pooler drops what the session sets, or the role may not enter `schema`.

    Either would look like a ledger that was never migrated.
    """
    with database_trouble():
        row = await connection.fetchrow(*_queries()["access"](schema=schema))
    if row is None:
        raise AssertionError("a SELECT of scalars has one row")
    if row["search_path"] != search_path(schema):
        raise LedgerUnavailable(
            "a pooler stands before the database and drops what our sessions set",
            hint="name the database itself in REFRESHD_DATABASE_DIRECT_URL",
        )
    if row["closed"]:
        raise LedgerUnavailable(
            f"the database refuses us: {row['role']} may not use schema {schema}",
            hint=f"GRANT USAGE ON SCHEMA {schema} TO {row['role']}, or have {row['role']} own it; see docs/ledger.md, section Rights",
        )


async def status(connection: Connection, *, migrations: Sequence[Migration] | None = None) -> MigrationStatus:
    """Compare the session's schema (see `use_schema`) with our migrations; changes nothing."""
    known = load_migrations() if migrations is None else migrations
    with database_trouble():
        _refuse_unfit_server(connection)
        return _compare(await _applied(connection), known)


async def require_current(connection: Connection, *, migrations: Sequence[Migration] | None = None) -> MigrationStatus:
    """For the daemon: the status, or SchemaMismatch. `newer` is left to the caller to warn about."""
    found = await status(connection, migrations=migrations)
    _refuse_altered(found)
    _refuse_unknown(found)
    if found.missing:
        names = ", ".join(migration.label for migration in found.missing)
        raise SchemaMismatch(f"the ledger lacks migrations: {names}", hint="run `refreshd migrate`")
    return found


async def apply(
    connection: Connection,
    *,
    schema: str,
    now: datetime,
    migrations: Sequence[Migration] | None = None,
) -> tuple[Migration, ...]:
    """Create what is missing, and return it. The session is left with `schema` as its search path.

    Waits while another session migrates the same schema. When a migration fails, those before it stay.
    """
    known = load_migrations() if migrations is None else migrations
    with database_trouble():
        _refuse_unfit_server(connection)
        async with _locked(connection, schema):
            await _prepare(connection, schema)
            found = _compare(await _applied(connection), known)
            _refuse_altered(found)
            _refuse_unknown(found)
            for migration in found.missing:
                await _apply_one(connection, migration, now)
    return found.missing


async def _apply_one(connection: Connection, migration: Migration, now: datetime) -> None:
    record = _queries()["record"]
    try:
        async with connection.transaction():
            await connection.execute(migration.sql, timeout=PATIENCE_SECONDS)
            await connection.execute(
                *record(
                    number=migration.number,
                    name=migration.name,
                    checksum=migration.checksum,
                    additive=migration.additive,
                    applied_at=now,
                )
            )
    except _NO_FAULT_OF_THE_MIGRATION:
        raise
    except asyncpg.PostgresError as error:
        raise SchemaMismatch(
            f"migration {migration.label} failed and left nothing behind: {error}",
            hint="mend what it names and run `refreshd migrate` again; `refreshd migrate --check` lists what is missing",
        ) from error


async def _prepare(connection: Connection, schema: str) -> None:
    queries = _queries()
    if not await connection.fetchval(*queries["schema_exists"](schema=schema)):
        create = await connection.fetchval(*queries["create_schema_statement"](schema=schema))
        await connection.execute(create)
    await use_schema(connection, schema)
    if not await connection.fetchval(*queries["table_exists"]()):
        await connection.execute(*queries["create_table"]())


async def _applied(connection: Connection) -> tuple[AppliedMigration, ...]:
    queries = _queries()
    if not await connection.fetchval(*queries["table_exists"]()):
        return ()
    return tuple(
        AppliedMigration(
            number=row["number"],
            name=row["name"],
            checksum=row["checksum"],
            additive=row["additive"],
            applied_at=row["applied_at"],
        )
        for row in await connection.fetch(*queries["applied"]())
    )


def _compare(applied: tuple[AppliedMigration, ...], known: Sequence[Migration]) -> MigrationStatus:
    ours = {migration.number: migration for migration in known}
    theirs = {migration.number for migration in applied}
    return MigrationStatus(
        applied=applied,
        missing=tuple(migration for migration in known if migration.number not in theirs),
        altered=tuple(row for row in applied if row.number in ours and row.checksum != ours[row.number].checksum),
        newer=tuple(row for row in applied if row.number not in ours),
    )


def _refuse_altered(found: MigrationStatus) -> None:
    if found.altered:
        names = ", ".join(migration.label for migration in found.altered)
        raise SchemaMismatch(
            f"these migrations were applied with another content than this refreshd carries: {names}",
            hint="run the refreshd release that applied them; `refreshd migrate --check` compares again",
        )


def _refuse_unknown(found: MigrationStatus) -> None:
    unknown = [migration.label for migration in found.newer if not migration.additive]
    if unknown:
        raise SchemaMismatch(
            f"the ledger was migrated by a newer refreshd: {', '.join(unknown)}",
            hint="install that release or a later one; `refreshd migrate --check` compares again",
        )


def _refuse_unfit_server(connection: Connection) -> None:
    version, encoding = connection.get_server_version(), connection.get_settings().server_encoding
    if version.major < OLDEST_POSTGRES:
        raise SchemaMismatch(
            f"the database is PostgreSQL {version.major}; refreshd needs {OLDEST_POSTGRES} or later",
            hint="upgrade the server, or name another one in REFRESHD_DATABASE_URL",
        )
    if encoding != ENCODING:
        raise SchemaMismatch(
            f"the database is encoded in {encoding}; what banks and users are called needs {ENCODING}",
            hint=f"make one with `createdb --encoding={ENCODING} --template=template0 NAME`, and name that one",
        )


@asynccontextmanager
async def _locked(connection: Connection, schema: str) -> AsyncIterator[None]:
    queries = _queries()
    await connection.fetchval(*queries["lock"](schema=schema), timeout=PATIENCE_SECONDS)
    try:
        yield
    finally:
        if not connection.is_closed():  # a closed session has lost its locks already
            await connection.fetchval(*queries["unlock"](schema=schema))
