"""The requirement files install from any index, and say the same as pyproject.toml."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
FILES = sorted((ROOT / "requirements").glob("*.txt"))
_PIN = re.compile(r"^([a-z0-9][a-z0-9.-]*)==(\S+)", re.MULTILINE)
_NAME = re.compile(r"^[A-Za-z0-9._-]+")


def pins(name: str) -> dict[str, str]:
    return dict(_PIN.findall((ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")))


def asked_for(*extras: str) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    return {_NAME.findall(line)[0].lower().replace("_", "-") for line in lines}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_address_and_no_path_of_a_machine_stands_in_a_requirement_file(path: Path) -> None:
    foreign = [
        line
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"://|file:/|--(extra-)?index-url|--find-links|--trusted-host|(^|\s)/\w", line)
    ]
    assert foreign == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_requirement_is_pinned_with_hashes(path: Path) -> None:
    entries = re.split(r"^(?=[a-z0-9])", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    assert entries
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry or not _PIN.match(entry)] == []


def test_what_pyproject_asks_for_is_locked() -> None:
    assert asked_for() <= pins("run").keys()
    assert asked_for("embedded", "otel", "dev") <= pins("dev").keys()


def test_what_runs_is_what_is_tested() -> None:
    assert pins("run").items() <= pins("dev").items()
