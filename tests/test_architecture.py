"""The house keeps its rules; and each rule, shown a house that breaks it, says so."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.architecture import (
    Gate,
    Source,
    assembled_sql,
    guarded_elsewhere,
    long_functions,
    long_module,
    schema_named,
    sources,
    write_gates,
)

ROOT = Path(__file__).parent.parent
HOUSE = sources(ROOT)
SQL = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in (ROOT / "sql").rglob("*.sql")}


def lint_imports(directory: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 # the linter of our own environment
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )


def snippet(text: str, *, path: str = "refreshd/somewhere.py") -> Source:
    return Source(path, text)


def test_every_module_imports_only_what_its_layer_allows() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        pytest.param("core/errors.py", "import asyncio", "The core is values and pure functions", id="core and I/O"),
        pytest.param(
            "core/model.py", "import refreshd.core.guard", "The core has layers of its own", id="core upwards"
        ),
        pytest.param("core/model.py", "import refreshd.clock", "Every module has its layer", id="core to an edge"),
        pytest.param("migrate.py", "import refreshd.settings", "Every module has its layer", id="edge to its sibling"),
        pytest.param("clock.py", "import aiohttp", "aiohttp lives in", id="library away from home"),
        pytest.param("clock.py", "import asyncpg", "asyncpg lives at", id="database away from home"),
        pytest.param("clock.py", "import aiolimiter", "aiolimiter lives in", id="limiter away from home"),
        pytest.param("unplaced.py", "", "refreshd.unplaced", id="module without a layer"),
        pytest.param("simulator/dates.py", "import refreshd.core.codes", "Every module has its layer", id="simulator"),
        pytest.param("clock.py", "import refreshd.simulator", "nobody's library", id="simulator as a library"),
    ],
)
def test_an_import_that_breaks_a_contract_is_found(tmp_path: Path, module: str, line: str, contract: str) -> None:
    shutil.copytree(ROOT / "refreshd", tmp_path / "refreshd", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    target = tmp_path / "refreshd" / module
    before = target.read_text(encoding="utf-8") if target.exists() else ""
    target.write_text(f"{before}\n{line}\n", encoding="utf-8")
    result = lint_imports(tmp_path)
    assert result.returncode == 1
    assert contract in " ".join(result.stdout.split())


def test_functions_are_short() -> None:
    assert [complaint for source in HOUSE for complaint in long_functions(source)] == []


def test_a_long_function_is_found() -> None:
    body = "\n".join(["    pass"] * 40)
    assert long_functions(snippet(f"async def f():\n{body}\n")) == [
        "refreshd/somewhere.py:1: f has 41 lines; 40 are the most"
    ]
    assert long_functions(snippet(f"def f():\n{body.removesuffix('    pass')}\n")) == []


def test_modules_are_short() -> None:
    assert [complaint for source in HOUSE for complaint in long_module(source)] == []


def test_a_long_module_is_found() -> None:
    assert long_module(snippet("x = 1\n" * 301))
    assert not long_module(snippet("x = 1\n" * 300))


def test_no_sql_is_assembled_in_python() -> None:
    assert [complaint for source in HOUSE for complaint in assembled_sql(source)] == []


@pytest.mark.parametrize(
    "text",
    [
        'f"SELECT 1 FROM {table}"',
        'f"LISTEN {channel}"',
        'f"CREATE SCHEMA {name}"',
        'f"SET search_path TO {name}"',
        '"SELECT a FROM login WHERE " + condition',
        '"DELETE FROM %s" % table',
        '"UPDATE {} SET x = 1".format(table)',
    ],
)
def test_sql_that_is_assembled_is_found(text: str) -> None:
    assert assembled_sql(snippet(f"query = {text}\n"))


@pytest.mark.parametrize("text", ['f"select one from {list}"', '"SELECT 1 FROM login"', 'f"UPDATED {n} rows"'])
def test_prose_and_whole_statements_are_not_assembled_sql(text: str) -> None:
    assert not assembled_sql(snippet(f"query = {text}\n"))


def test_no_sql_file_names_the_schema() -> None:
    assert SQL
    assert [complaint for path, text in SQL.items() for complaint in schema_named(path, text)] == []


@pytest.mark.parametrize("text", ["SELECT 1 FROM refreshd.login;", 'CREATE SCHEMA "refreshd";'])
def test_a_schema_that_is_named_is_found(text: str) -> None:
    assert schema_named("sql/x.sql", text)


@pytest.mark.parametrize(
    "text", ["-- refreshd's own\nSELECT 1;", "SELECT 'refreshd migrate';", "NOTIFY refreshd_work;"]
)
def test_comments_texts_and_channels_may_say_refreshd(text: str) -> None:
    assert not schema_named("sql/x.sql", text)


def test_only_the_guard_makes_what_may_be_applied() -> None:
    assert [complaint for source in HOUSE for complaint in guarded_elsewhere(source)] == []


def test_a_guarded_value_made_elsewhere_is_found() -> None:
    text = "plan = guard.GuardedPlan(plan=plan)\nchange = GuardedChange(login_id=login)\n"
    assert len(guarded_elsewhere(snippet(text))) == 2
    assert not guarded_elsewhere(snippet(text, path="refreshd/core/guard.py"))


def test_one_class_alone_writes_at_flinks_and_it_takes_guarded_changes_only() -> None:
    gates = [gate for source in HOUSE for gate in write_gates(source)]
    assert len({(gate.path, gate.class_name) for gate in gates}) == 1, gates
    assert all(gate.class_name and gate.takes_a_guarded_change for gate in gates), gates


def test_every_way_to_write_at_flinks_is_found() -> None:
    text = """
class Writer:
    async def set_schedule(self, change: GuardedChange) -> None:
        await self._send(wire.set_scheduled_refresh(change))

    async def shortcut(self, login_id: LoginId) -> None:
        await self._send(set_scheduled_refresh(login_id))

def behind_the_gate(login_id: LoginId) -> None:
    set_scheduled_refresh(login_id)
"""
    path = "refreshd/somewhere.py"
    assert write_gates(snippet(text)) == [
        Gate(path, "Writer", takes_a_guarded_change=True),
        Gate(path, "Writer", takes_a_guarded_change=False),
        Gate(path, "", takes_a_guarded_change=False),
    ]
