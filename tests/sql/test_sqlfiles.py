"""What sqlfiles promises about finding and reading sql/."""

from pathlib import Path

import pytest
from aiosql.utils import SQLParseException

from refreshd.sqlfiles import Queries, load_migrations, load_queries, query_nouns, schema_text, sql_root


def queries_of(root: Path, text: str) -> Queries:
    directory = root / "queries"
    directory.mkdir()
    (directory / "login.sql").write_text(text, encoding="utf-8")
    return load_queries("login", root=root)


def migrations_in(root: Path, **files: str) -> Path:
    directory = root / "migrations"
    directory.mkdir()
    for name, text in files.items():
        (directory / f"{name}.sql").write_text(text, encoding="utf-8")
    return root


def test_a_query_called_by_names_gives_the_statement_and_its_arguments_in_position_order(tmp_path: Path) -> None:
    queries = queries_of(
        tmp_path,
        """
-- name: record_disabled(login_id, seen_version)!
-- Flinks has said that the login is off.
UPDATE login
SET version = :seen_version::int + 1
WHERE login_id = :login_id
  AND version = :seen_version::int
  AND note <> ':not a parameter';
""",
    )
    query = queries["record_disabled"]
    assert query.description == "Flinks has said that the login is off."
    sql, *arguments = query(login_id="a", seen_version=3)
    assert "version = $1::int + 1" in sql
    assert "login_id = $2" in sql
    assert "version = $1::int\n" in sql
    assert "':not a parameter'" in sql
    assert arguments == [3, "a"]


def test_a_query_without_parameters_is_called_with_none(tmp_path: Path) -> None:
    queries = queries_of(tmp_path, "-- name: count_all()$\n-- How many.\nSELECT count(*) FROM login;\n")
    assert queries["count_all"]() == ("SELECT count(*) FROM login;",)
    assert list(queries) == ["count_all"]
    assert len(queries) == 1


@pytest.mark.parametrize("values", [{}, {"login_id": 1, "other": 2}, {"other": 2}])
def test_a_missing_or_unknown_argument_is_refused_by_name(tmp_path: Path, values: dict[str, object]) -> None:
    queries = queries_of(tmp_path, "-- name: one(login_id)^\n-- One.\nSELECT 1 WHERE :login_id = 1;\n")
    with pytest.raises(TypeError, match=r"query one takes \(login_id\)"):
        queries["one"](**values)


def test_an_unknown_query_is_refused_by_name(tmp_path: Path) -> None:
    queries = queries_of(tmp_path, "-- name: one()^\n-- One.\nSELECT 1;\n")
    with pytest.raises(KeyError, match="has no query two"):
        queries["two"]


def test_an_undeclared_parameter_is_refused_when_the_file_is_read(tmp_path: Path) -> None:
    with pytest.raises(SQLParseException, match="undeclared parameter"):
        queries_of(tmp_path, "-- name: one()^\n-- One.\nSELECT 1 WHERE :login_id = 1;\n")


def test_nouns_are_the_names_of_the_query_files(tmp_path: Path) -> None:
    queries_of(tmp_path, "-- name: one()^\n-- One.\nSELECT 1;\n")
    assert query_nouns(root=tmp_path) == ("login",)


def test_migrations_come_in_order_with_number_name_and_checksum(tmp_path: Path) -> None:
    root = migrations_in(tmp_path, **{"0002_more": "SELECT 2;", "0001_ledger": "SELECT 1;"})
    first, second = load_migrations(root=root)
    assert (first.number, first.name, first.sql) == (1, "ledger", "SELECT 1;")
    assert second.number == 2
    assert first.checksum != second.checksum


def test_a_comment_line_marks_a_migration_as_additive(tmp_path: Path) -> None:
    root = migrations_in(tmp_path, **{"0001_a": "SELECT 1;", "0002_b": "-- A column.\n-- additive: has a default\n"})
    assert [(migration.label, migration.additive) for migration in load_migrations(root=root)] == [
        ("0001_a", False),
        ("0002_b", True),
    ]


def test_a_checksum_does_not_depend_on_line_ends(tmp_path: Path) -> None:
    (tmp_path / "unix").mkdir()
    (tmp_path / "dos").mkdir()
    unix = migrations_in(tmp_path / "unix", **{"0001_ledger": "SELECT 1;\nSELECT 2;\n"})
    dos = migrations_in(tmp_path / "dos", **{"0001_ledger": ""})
    (dos / "migrations" / "0001_ledger.sql").write_bytes(b"SELECT 1;\r\nSELECT 2;\r\n")
    assert load_migrations(root=unix) == load_migrations(root=dos)


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(("0002_late",), id="gap at the start"),
        pytest.param(("0001_a", "0003_b"), id="gap"),
        pytest.param(("0001_a", "0001_b"), id="double number"),
        pytest.param(("1_a",), id="short number"),
        pytest.param(("0001_Ledger",), id="capital"),
    ],
)
def test_oddly_numbered_migrations_are_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    root = migrations_in(tmp_path, **dict.fromkeys(names, "SELECT 1;"))
    with pytest.raises(ValueError, match="migration"):
        load_migrations(root=root)


def test_the_schema_is_read_as_text(tmp_path: Path) -> None:
    (tmp_path / "schema.sql").write_text("CREATE TABLE login ();", encoding="utf-8")
    assert schema_text(root=tmp_path) == "CREATE TABLE login ();"


def test_a_checkout_finds_sql_beside_the_package() -> None:
    assert sql_root().name == "sql"
    assert (sql_root() / "migrations").is_dir()
