"""The stories notice what could be wrong with a rule: nearly every change of one ends at least one of them otherwise."""

from pathlib import Path

import pytest

from tests.ops.alerts import about_database, about_logins, about_reconcile, about_runtime, about_vendor
from tests.ops.alerts.about_recordings import FIGURES, Figure
from tests.ops.alerts.mutants import Mutant, mutants
from tests.ops.alerts.promtool import files_of, key, needs_promtool, played, promtool, rules
from tests.ops.alerts.story import Proof

KNOWN = rules()
BY_KEY = {key(rule): rule for rule in KNOWN}

EQUIVALENT = {
    ("RefreshdVersionSkew", "1 (1) -> 1.3"): "versions are counted: more than 1 is more than 1.3",
    ("RefreshdMultipleLeaders", "1 (1) -> 1.3"): "leaders are counted: more than 1 is more than 1.3",
    ("RefreshdNoLeader", "1 (1) -> 0.7"): "a copy shows 0 or 1: less than 1 is less than 0.7",
}
"""Changes after which the rule says the same of every fleet there can be, and why."""

LEAST_KILLED = 0.95

AREAS: dict[str, tuple[Proof | Figure, ...]] = {
    "recordings": FIGURES,
    "runtime": about_runtime.PROOFS,
    "reconcile": about_reconcile.PROOFS,
    "logins": about_logins.PROOFS,
    "database": about_database.PROOFS,
    **{f"vendor {number}": about_vendor.PROOFS[number::3] for number in range(3)},
}
"""Shares of the work that take about as long as each other."""


Case = tuple[Proof | Figure, Mutant]


def cases(tests: tuple[Proof | Figure, ...]) -> list[Case]:
    return [(test, mutant) for test in tests for mutant in mutants(BY_KEY[test.key])]


def survivors(directory: Path, tried: list[Case]) -> list[Case]:
    """Story after story, and each time only those mutants that have survived so far: most die in the first."""
    alive = {
        number: files_of(test, directory, str(number), mutant.rule, KNOWN)
        for number, (test, mutant) in enumerate(tried)
    }
    check = promtool("check", "rules", *(f"{number}.rules.yml" for number in alive), cwd=directory)
    assert check.returncode == 0, f"a mutant must be a rule, or nothing is proved by its end:\n{check.stdout}"
    for story in range(max(len(files) for files in alive.values())):
        now = {number: files[story] for number, files in alive.items() if story < len(files)}
        said = played(directory, list(now.values()))
        alive = {number: files for number, files in alive.items() if number not in now or not said[now[number]]}
    return [tried[number] for number in alive]


@needs_promtool
@pytest.mark.slow
@pytest.mark.parametrize("area", AREAS)
def test_every_change_of_a_rule_is_noticed_by_a_story(tmp_path: Path, area: str) -> None:
    tried = cases(AREAS[area])
    assert tried
    left = [(test.key[0], mutant.change) for test, mutant in survivors(tmp_path, tried)]
    assert [name for name in left if name not in EQUIVALENT] == []
    listed = {(test.key[0], mutant.change) for test, mutant in tried} & EQUIVALENT.keys()
    assert set(left) == listed, "what is listed as equivalent is noticed after all"


def test_hardly_any_change_is_listed_as_one_that_cannot_be_noticed() -> None:
    everything = [case for area in AREAS.values() for case in cases(area)]
    assert len(everything) > 500
    assert len(EQUIVALENT) <= (1 - LEAST_KILLED) * len(everything)
    assert EQUIVALENT.keys() <= {(test.key[0], mutant.change) for test, mutant in everything}


def test_every_kind_of_change_is_tried() -> None:
    rule = {
        "alert": "X",
        "expr": 'max without (pod, verdict) (m{job="refreshd",verdict="stale"}) > 0.5 and x offset 1d',
        "for": "10m",
        "labels": {"severity": "info"},
    }
    assert [mutant.change for mutant in mutants(rule)] == [
        "max (1) -> min",
        "pod, verdict (1) -> verdict",
        "pod, verdict (1) -> pod",
        'verdict="stale" (1) -> verdict!="stale"',
        "> (1) -> <",
        "0.5 (1) -> 0.65",
        "0.5 (1) -> 0.35",
        "and (1) -> or",
        "1d (1) -> 120960s",
        "1d (1) -> 51840s",
        "for: 10m -> 840s",
        "for: 10m -> 360s",
        "severity: info -> critical",
        "severity: info -> warning",
    ]
