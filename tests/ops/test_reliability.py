"""Every promise of docs/reliability.md names tests, and each of them exists."""

import ast
import re
from functools import cache

import pytest

from tests.support.documents import ROOT, document

PAGE = document("docs/reliability.md")
PROMISES = [row for table in PAGE.tables() if table[0] == ["promise", "proved by"] for row in table[1:]]


@cache
def names_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = (each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(each.name for each in functions if each.name.startswith("test_"))


def test_there_are_promises_and_each_stands_once_and_can_be_read_alone() -> None:
    beginnings = [row[0][:50] for row in PROMISES]
    assert len(beginnings) >= 10
    assert sorted(beginnings) == sorted(set(beginnings))
    assert [each for each in beginnings if each.startswith("...")] == []


@pytest.mark.parametrize("row", PROMISES, ids=lambda row: row[0][:60])
def test_every_promise_names_tests_that_exist(row: list[str]) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row[1])
    assert named
    assert [name for path, name in named if name not in names_in(path)] == []
