"""Migrations on a real server: applied once, in order, under a lock, and refused when they were tampered with."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest

from refreshd import migrate
from refreshd.core.errors import LedgerUnavailable, SchemaMismatch
from refreshd.postgres import Connection
from refreshd.sqlfiles import Migration

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ODD_SCHEMA = 'Quoted "and" spaced'


def migration(number: int, sql: str, *, name: str = "step", additive: bool = False) -> Migration:
    checksum = hashlib.sha256(sql.encode()).hexdigest()
    return Migration(number=number, name=name, sql=sql, checksum=checksum, additive=additive)


FIRST = migration(1, "CREATE TABLE one (n int); INSERT INTO one VALUES (1);")
SECOND = migration(2, "CREATE TABLE two (n int);")
ALTERED = migration(1, "CREATE TABLE one (n bigint);")
BROKEN = migration(2, "CREATE TABLE half (n int); SELECT * FROM nowhere;")


@pytest.fixture
async def session(empty_database_url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(empty_database_url)
    yield connection
    await connection.close()


async def test_an_empty_database_lacks_everything(session: Connection) -> None:
    found = await migrate.status(session, migrations=[FIRST, SECOND])
    assert found.missing == (FIRST, SECOND)
    assert found.applied == ()
    assert not found.is_current


async def test_missing_migrations_are_applied_in_order_and_remembered(session: Connection) -> None:
    assert await migrate.apply(session, schema="refreshd", now=NOW, migrations=[FIRST]) == (FIRST,)
    assert await migrate.apply(session, schema="refreshd", now=NOW, migrations=[FIRST, SECOND]) == (SECOND,)
    found = await migrate.require_current(session, migrations=[FIRST, SECOND])
    assert [(row.label, row.applied_at) for row in found.applied] == [("0001_step", NOW), ("0002_step", NOW)]
    assert found.is_current
    assert await session.fetchval("SELECT count(*) FROM refreshd.one") == 1


async def test_a_second_migrate_changes_nothing(session: Connection) -> None:
    await migrate.apply(session, schema="refreshd", now=NOW, migrations=[FIRST])
    assert await migrate.apply(session, schema="refreshd", now=NOW, migrations=[FIRST]) == ()


async def test_a_schema_may_have_any_name(session: Connection) -> None:
    await migrate.apply(session, schema=ODD_SCHEMA, now=NOW, migrations=[FIRST])
    assert await session.fetchval("SELECT current_schema()") == ODD_SCHEMA


async def test_two_schemas_of_one_database_do_not_meet(session: Connection) -> None:
    await migrate.apply(session, schema="one", now=NOW, migrations=[FIRST])
    assert await migrate.apply(session, schema="two", now=NOW, migrations=[FIRST]) == (FIRST,)
    await migrate.use_schema(session, "one")
    assert (await migrate.status(session, migrations=[FIRST])).is_current


async def test_migrates_at_the_same_time_apply_each_step_once(empty_database_url: str) -> None:
    slow = migration(1, "SELECT pg_sleep(0.1); CREATE TABLE one (n int);")

    async def migrate_once() -> int:
        connection = await asyncpg.connect(empty_database_url)
        try:
            return len(await migrate.apply(connection, schema="refreshd", now=NOW, migrations=[slow]))
        finally:
            await connection.close()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(migrate_once()) for _ in range(3)]
    assert sorted(task.result() for task in tasks) == [0, 0, 1]


async def test_a_migration_that_fails_leaves_nothing_and_those_before_it_stay(session: Connection) -> None:
    with pytest.raises(SchemaMismatch, match="migration 0002_step failed and left nothing behind"):
        await migrate.apply(session, schema="refreshd", now=NOW, migrations=[FIRST, BROKEN])
    assert await session.fetchval("SELECT to_regclass('half')") is None
    assert (await migrate.status(session, migrations=[FIRST, SECOND])).missing == (SECOND,)
    assert await migrate.apply(session, schema="refreshd", now=NOW, migrations=[FIRST, SECOND]) == (SECOND,)


async def test_the_daemon_refuses_missing_migrations_and_names_the_command(session: Connection) -> None:
    await migrate.apply(session, schema="refreshd", now=NOW, migrations=[FIRST])
    with pytest.raises(SchemaMismatch, match="lacks migrations: 0002_step") as caught:
        await migrate.require_current(session, migrations=[FIRST, SECOND])
    assert "`refreshd migrate`" in caught.value.hint


async def test_an_altered_migration_is_refused_by_daemon_and_migrate(session: Connection) -> None:
    await migrate.apply(session, schema="refreshd", now=NOW, migrations=[FIRST])
    with pytest.raises(SchemaMismatch, match=r"another content.*0001_step"):
        await migrate.require_current(session, migrations=[ALTERED])
    with pytest.raises(SchemaMismatch, match=r"another content.*0001_step") as caught:
        await migrate.apply(session, schema="refreshd", now=NOW, migrations=[ALTERED, SECOND])
    assert "`refreshd migrate --check`" in caught.value.hint


async def test_a_newer_migration_that_only_adds_is_reported_and_hinders_nothing(session: Connection) -> None:
    newer = migration(2, "CREATE TABLE two (n int);", additive=True)
    await migrate.apply(session, schema="refreshd", now=NOW, migrations=[FIRST, newer])
    found = await migrate.require_current(session, migrations=[FIRST])
    assert [row.label for row in found.newer] == ["0002_step"]
    assert await migrate.apply(session, schema="refreshd", now=NOW, migrations=[FIRST]) == ()


async def test_a_newer_migration_that_changes_things_is_refused(session: Connection) -> None:
    await migrate.apply(session, schema="refreshd", now=NOW, migrations=[FIRST, SECOND])
    with pytest.raises(SchemaMismatch, match="by a newer refreshd: 0002_step"):
        await migrate.require_current(session, migrations=[FIRST])


async def test_a_role_that_may_not_create_the_schema_is_told_what_it_needs(session: Connection) -> None:
    await session.execute("CREATE ROLE stranger; SET ROLE stranger")
    try:
        with pytest.raises(LedgerUnavailable, match="permission denied") as caught:
            await migrate.apply(session, schema="refreshd", now=NOW, migrations=[FIRST])
    finally:
        await session.execute("RESET ROLE; DROP ROLE stranger")
    assert caught.value.hint.startswith("GRANT CREATE ON DATABASE test_")


async def test_an_existing_schema_needs_no_right_to_create_one(session: Connection) -> None:
    await session.execute("CREATE ROLE tenant; CREATE SCHEMA refreshd AUTHORIZATION tenant; SET ROLE tenant")
    try:
        assert await migrate.apply(session, schema="refreshd", now=NOW, migrations=[FIRST]) == (FIRST,)
    finally:
        await session.execute("RESET ROLE; DROP OWNED BY tenant; DROP ROLE tenant")


async def test_a_read_only_database_is_named_as_such(session: Connection) -> None:
    await session.execute("SET default_transaction_read_only = on")
    with pytest.raises(LedgerUnavailable, match="read-only"):
        await migrate.apply(session, schema="refreshd", now=NOW, migrations=[FIRST])


async def test_a_database_that_goes_away_is_named_as_such(session: Connection, empty_database_url: str) -> None:
    killer = await asyncpg.connect(empty_database_url)
    await killer.execute("SELECT pg_terminate_backend($1, 5000)", session.get_server_pid())
    await killer.close()
    with pytest.raises(LedgerUnavailable, match="does not answer"):
        await migrate.status(session, migrations=[FIRST])


async def test_an_old_server_is_refused(session: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "OLDEST_POSTGRES", 99)
    with pytest.raises(SchemaMismatch, match="needs 99 or later"):
        await migrate.status(session, migrations=[FIRST])


async def test_the_test_template_is_current(connection: Connection) -> None:
    assert (await migrate.require_current(connection)).is_current
