"""What the migrations make: the schema that is there to be read, queries that run on it, and nothing outside it."""

import re
from collections.abc import Callable

import asyncpg
import pytest

from refreshd import migrate
from refreshd.postgres import Connection
from refreshd.sqlfiles import load_queries, query_nouns, schema_text, sql_root
from tests.support.ledger import NOW

_CATALOGUE = {
    "columns": """
        SELECT table_name, column_name, ordinal_position, data_type, is_nullable, column_default, is_identity, generation_expression
        FROM information_schema.columns WHERE table_schema = current_schema() ORDER BY 1, 3""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = current_schema()::regnamespace ORDER BY 1, 2""",
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema() ORDER BY 1, 2",
    "views": "SELECT viewname, definition FROM pg_views WHERE schemaname = current_schema() ORDER BY 1",
    "functions": """
        SELECT proname, pg_get_functiondef(oid), proacl::text FROM pg_proc
        WHERE pronamespace = current_schema()::regnamespace ORDER BY 1""",
    "triggers": """
        SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(pg_trigger.oid) FROM pg_trigger
        JOIN pg_class ON pg_class.oid = tgrelid
        WHERE relnamespace = current_schema()::regnamespace AND NOT tgisinternal ORDER BY 1, 2""",
    "options": """
        SELECT relname, relkind::text, reloptions FROM pg_class WHERE relnamespace = current_schema()::regnamespace ORDER BY 1""",
}


async def _catalogue(connection: Connection) -> dict[str, list[tuple[object, ...]]]:
    own = "schema_migration"
    return {
        part: [tuple(row.values()) for row in await connection.fetch(query) if own not in str(row[0])]
        for part, query in _CATALOGUE.items()
    }


@pytest.mark.parametrize("part", _CATALOGUE)
async def test_the_schema_for_reading_is_the_sum_of_the_migrations(empty_database_url: str, part: str) -> None:
    connection = await asyncpg.connect(empty_database_url)
    await migrate.apply(connection, schema="refreshd", now=NOW)
    migrated = await _catalogue(connection)
    await connection.execute("DROP SCHEMA refreshd CASCADE; CREATE SCHEMA refreshd")
    async with connection.transaction():
        await connection.execute(schema_text())
    read = await _catalogue(connection)
    await connection.close()

    assert migrated[part]
    assert read[part] == migrated[part]


async def test_every_named_query_runs_on_the_schema(connection: Connection) -> None:
    staging = load_queries("import")
    async with connection.transaction():
        await connection.execute(*staging["create_staging"]())
        await connection.execute(*staging["create_before"]())
        for noun in query_nouns():
            for name, query in load_queries(noun).items():
                if name.endswith("_cursor"):  # aiosql's second form of the same query
                    continue
                prepared = await connection.prepare(query.sql)
                assert len(prepared.get_parameters()) == len(query.parameters), f"{noun}.{name}"


def test_no_sql_file_names_a_schema() -> None:
    for path in sql_root().rglob("*.sql"):
        code = re.sub(r"--.*", "", path.read_text(encoding="utf-8"))
        assert not re.search(r"\b(refreshd|public)\.(?!now\b)\w", code), path.name


def test_no_query_asks_for_the_time_except_for_the_lease_and_the_rests() -> None:
    clocks = re.compile(
        r"\b(now\(\)|current_timestamp|clock_timestamp|statement_timestamp|localtimestamp)", re.IGNORECASE
    )
    asking = {
        path.stem for path in (sql_root() / "queries").glob("*.sql") if clocks.search(path.read_text(encoding="utf-8"))
    }

    assert asking == {
        "lease",
        "restraint",
        "doctor",
    }  # rests outlive a process; the doctor compares clocks, and decides nothing


def test_no_query_selects_what_is_named_nowhere() -> None:
    """The view `login_evidence` names its columns one by one, and is there to be taken whole."""
    star = re.compile(r"SELECT\s+\*(?!\s+FROM login_evidence\b)|(?<!\blogin_evidence)\.\*")
    for noun in query_nouns():
        for name, query in load_queries(noun).items():
            assert not star.search(query.sql), f"{noun}.{name}"


async def test_two_schemas_of_one_database_do_not_meet(empty_database_url: str) -> None:
    first, second = await asyncpg.connect(empty_database_url), await asyncpg.connect(empty_database_url)
    await migrate.apply(first, schema="one", now=NOW)
    await migrate.apply(second, schema="Second ledger", now=NOW)
    heard: list[str] = []

    await second.add_listener(await second.fetchval("SELECT activity_channel()"), _remember(heard))
    await first.execute("INSERT INTO client (client_id) VALUES ('a')")
    await first.execute("INSERT INTO client_login (client_id, login_id) VALUES ('a', gen_random_uuid())")

    assert await first.fetchval("SELECT count(*) FROM login") == 1
    assert await second.fetchval("SELECT count(*) FROM login") == 0
    assert not heard
    await second.execute("INSERT INTO client (client_id) VALUES ('a')")
    await second.execute("INSERT INTO client_login (client_id, login_id) VALUES ('a', gen_random_uuid())")
    assert heard == ["activity"]
    await first.close()
    await second.close()


def _remember(heard: list[str]) -> Callable[..., None]:
    return lambda _connection, _pid, _channel, payload: heard.append(payload)
