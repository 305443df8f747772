"""`REFRESHD_MODE=observe`: nobody holds the write gate, and nothing that anybody holds leads to it."""

import ast
import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from refreshd.flinks import ScheduleWriter
from refreshd.leading import Given, Leading
from refreshd.once import Tally
from refreshd.pacing import Budget
from refreshd.settings import Mode, Settings
from tests.support.architecture import Source, sources
from tests.support.ledger import NOW

ROOT = Path(__file__).parents[2]


class _Noon:
    def now(self) -> object:
        return NOW


def leadership(mode: Mode) -> Leading:
    settings = Settings.model_validate(
        {
            "flinks_base_url": "http://127.0.0.1/v3",
            "flinks_customer_id": "43387ca6-0391-4c82-857d-70d95f087ecb",
            "flinks_api_key": "an-api-key-of-the-test",
            "mode": mode,
        }
    )
    nothing = cast("Any", object())
    given = Given(
        url="", ledger=nothing, lease=nothing, budget=Budget(30), transport=nothing, clock=cast("Any", _Noon())
    )
    return Leading(settings, given, Tally(lambda _: None, lambda _: None))


def reached_from(root: object) -> Iterator[object]:
    """Every object that can be reached from this one: attributes, closures, bound methods, containers; not through modules or classes."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, type | type(gc)):
            continue
        seen.add(id(each))
        yield each
        found = gc.get_referents(each)
        if hasattr(each, "__globals__"):  # what a function's module holds is nobody's possession
            found = [other for other in found if other is not each.__globals__]
        waiting += found


@pytest.mark.parametrize(("mode", "gates"), [(Mode.OBSERVE, 0), (Mode.ENFORCE, 1)])
async def test_the_write_gate_is_reached_from_a_leadership_that_enforces_and_from_no_other(
    mode: Mode, gates: int
) -> None:
    assert sum(isinstance(each, ScheduleWriter) for each in reached_from(leadership(mode))) == gates


def makers(source: Source) -> Iterator[str]:
    """Where a write gate is made, or handed on under another name."""
    for node in ast.walk(source.tree):
        named = isinstance(node, ast.Name) and node.id == "ScheduleWriter"
        reached = isinstance(node, ast.Attribute) and node.attr == "ScheduleWriter"
        if named or reached:
            yield source.path


def test_two_make_a_write_gate_a_leadership_and_the_doctors_write_probe() -> None:
    made = sorted({path for source in sources(ROOT) for path in makers(source)})
    assert made == ["refreshd/doctor/probe.py", "refreshd/leading.py"]


@pytest.mark.parametrize("text", ["writer = ScheduleWriter(c, k)", "make = flinks.ScheduleWriter"])
def test_another_one_who_makes_it_is_found(text: str) -> None:
    assert list(makers(Source("refreshd/elsewhere.py", text))) == ["refreshd/elsewhere.py"]
