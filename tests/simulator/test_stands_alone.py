"""The simulator is written from the vendor's documents alone: it shares no code with what it tests."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import refreshd.simulator

MODULES = sorted(Path(refreshd.simulator.__file__).parent.glob("*.py"))


def imports(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_a_module_imports_nothing_else_of_refreshd(module: Path) -> None:
    ours = [name for name in imports(module) if name.split(".")[0] == "refreshd"]
    assert [name for name in ours if not name.startswith("refreshd.simulator")] == []


def test_only_the_http_door_knows_aiohttp_and_only_dates_read_a_clock() -> None:
    assert [module.name for module in MODULES if "aiohttp" in imports(module)] == ["http.py"]
    assert [module.name for module in MODULES if "datetime.now" in module.read_text()] == ["dates.py"]
