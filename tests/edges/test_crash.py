"""The kill switch of the tests: nothing in production can pull it, and every name in its table stands for one place in the code."""

import ast
from collections import Counter
from pathlib import Path

import pytest

from refreshd import crash, policies
from refreshd.core.errors import SettingsError
from refreshd.crash import POINTS, Point, Word, Write
from refreshd.settings import Settings
from tests.support.commands import refreshd

PACKAGE = Path(crash.__file__).parent


def _settings(url: str | None, point: str | None) -> Settings:
    return Settings.model_validate({"flinks_base_url": url, "crash_at": point})


def test_a_point_that_nobody_armed_does_nothing() -> None:
    for point in POINTS:
        crash.reach(point)


def test_an_armed_point_kills_at_the_time_that_was_named(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[int] = []
    monkeypatch.setattr("os.kill", lambda _pid, sign: killed.append(sign))
    monkeypatch.setattr(crash, "_armed", {})
    crash.arm(Point.CALL_LEAVES, time=3)
    deaths = []
    for _ in range(4):
        crash.reach(Point.CALL_LEAVES)
        crash.reach(Point.CALL_ANSWERED)
        deaths.append(len(killed))
    assert deaths == [0, 0, 1, 1]


@pytest.mark.parametrize("url", ["https://customer-api.private.fin.ag/v3", "https://127.0.0.1.example/v3", None])
def test_no_process_that_calls_a_real_flinks_can_be_armed(url: str | None) -> None:
    with pytest.raises(SettingsError, match="simulated Flinks on this machine"):
        policies.crash_point(_settings(url, "drained"))


def test_a_process_beside_a_simulated_flinks_can_be_armed() -> None:
    point = policies.crash_point(_settings("http://127.0.0.1:9878/v3", "record.committed:3"))
    assert point is not None
    assert (point.name, point.time) == ("record.committed", 3)
    assert policies.crash_point(_settings("https://customer-api.private.fin.ag/v3", None)) is None


@pytest.mark.parametrize("text", ["nowhere", "record", "record.committed:0", "record.committed:x", "drained:-1"])
def test_a_point_that_does_not_exist_is_refused_with_the_names_of_those_that_do(text: str) -> None:
    ran = refreshd("run", env={"REFRESHD_CRASH_AT": text})
    assert ran.code == 2
    assert "mark_sent.committed" in ran.words


def test_every_name_stands_at_one_place() -> None:
    """Each transaction is opened once, and each other point is reached at one line: a name says where the process died."""
    places: Counter[str] = Counter()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Name(id="fenced" | "spoken" | "_transaction"),
                    args=[*_, ast.Attribute(value=ast.Name(id="Write" | "Word" as kind), attr=name)],
                ):
                    places[f"{kind}.{name}"] += 1
                case ast.Call(
                    func=ast.Attribute(attr="reach"), args=[ast.Attribute(value=ast.Name(id="Point"), attr=name)]
                ):
                    places[f"Point.{name}"] += 1
                case _:
                    pass
    names = [
        *(f"{type(each).__name__}.{each.name}" for each in (*Write, *Word)),
        *(f"Point.{each.name}" for each in Point),
    ]
    assert places == Counter(names)
