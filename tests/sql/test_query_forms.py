"""The forms that CONTRIBUTING tells writers of queries to use, tried on aiosql, asyncpg and a real server together."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from aiosql.utils import SQLParseException

from refreshd.postgres import Connection
from refreshd.sqlfiles import Query, load_queries

A, B = UUID(int=1), UUID(int=2)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def query(directory: Path, header: str, sql: str) -> Query:
    (directory / "queries").mkdir()
    (directory / "queries" / "form.sql").write_text(f"-- name: {header}\n-- A form.\n{sql}\n", encoding="utf-8")
    (loaded,) = load_queries("form", root=directory).values()
    return loaded


@pytest.mark.parametrize(
    ("header", "sql", "values", "expected"),
    [
        pytest.param("q(a, b)$", "SELECT :b::int - :a::int;", {"a": 1, "b": 3}, 2, id="numbered by first use"),
        pytest.param("q(a)$", "SELECT :a::int + :a::int;", {"a": 2}, 4, id="twice is one"),
        pytest.param("q(a)$", "SELECT :a::uuid IS NULL;", {"a": None}, True, id="NULL with a cast"),
        pytest.param("q(a)$", "SELECT ':a' || :a::text;", {"a": "x"}, ":ax", id="text in quotes is left alone"),
        pytest.param("q(now)$", "SELECT :now::timestamptz;", {"now": NOON}, NOON, id="a moment"),
        pytest.param(
            "q(now, span)$",
            "SELECT :now::timestamptz - :span::interval;",
            {"now": NOON, "span": timedelta(hours=2)},
            NOON - timedelta(hours=2),
            id="an interval",
        ),
        pytest.param(
            "q(ids)$", "SELECT count(*) FROM unnest(:ids::uuid[]) AS id;", {"ids": [A, B]}, 2, id="a list as an array"
        ),
        pytest.param(
            "q(ids, id)$", "SELECT :id::uuid = ANY(:ids::uuid[]);", {"ids": [], "id": A}, False, id="empty list"
        ),
        pytest.param(
            "q(ids, at)$",
            "SELECT max(at) FROM unnest(:ids::uuid[], :at::timestamptz[]) AS row (id, at);",
            {"ids": [A, B], "at": [NOON, None]},
            NOON,
            id="rows as arrays side by side",
        ),
        pytest.param("q()$", "SELECT 1;", {}, 1, id="no parameters"),
    ],
)
async def test_a_form_works(
    connection: Connection, tmp_path: Path, header: str, sql: str, values: dict[str, object], expected: object
) -> None:
    assert await connection.fetchval(*query(tmp_path, header, sql)(**values)) == expected


@pytest.mark.parametrize(
    "sql",
    [
        pytest.param("SELECT (:a::int[])[1:2];", id="array slice"),
        pytest.param("SELECT 1 -- the client's\n + :a::int -- the login's\n;", id="apostrophes after code"),
    ],
)
def test_a_form_that_writers_must_avoid_is_garbled(tmp_path: Path, sql: str) -> None:
    """When one of these begins to work, the warning in CONTRIBUTING may go."""
    try:
        text, *_ = query(tmp_path, "q(a)$", sql)(a=1)
    except SQLParseException:
        return
    assert ":a" in text or "$2" in text
