"""Plays stories with the real promtool: several test files in one process, because starting it costs as much as playing them."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.prometheus.rules.render import rules_file
from tests.ops.alerts import about_database, about_logins, about_reconcile, about_runtime, about_vendor
from tests.ops.alerts.about_recordings import Figure, figure_file
from tests.ops.alerts.story import Proof, story_file

PROOFS = (
    *about_runtime.PROOFS,
    *about_reconcile.PROOFS,
    *about_logins.PROOFS,
    *about_vendor.PROOFS,
    *about_database.PROOFS,
)

PROMTOOL = shutil.which("promtool")

needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool not found: apt-get install prometheus")

Rule = dict[str, Any]


def rules() -> list[Rule]:
    """Every rule of the file, as Prometheus reads it."""
    groups = yaml.safe_load(rules_file())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def key(rule: Rule) -> tuple[str, str]:
    """The name of an alert, and its window where several have that name; of a recording, its name."""
    return str(rule.get("alert", rule.get("record"))), rule.get("labels", {}).get("window", "")


def with_recordings(rule: Rule, known: list[Rule]) -> list[Rule]:
    """The rule behind the recordings that it reads, which may read others."""
    read = [each for each in known if "record" in each and f"{each['record']}{{" in rule["expr"]]
    return [*(found for each in read for found in with_recordings(each, known)), rule]


def promtool(*argv: str | Path, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """Both streams as one: a failure is told on the other stream than the name of its file."""
    return subprocess.run(  # noqa: S603 # Prometheus' own tool
        [str(PROMTOOL), *(str(word) for word in argv)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd=cwd,
    )


def write(path: Path, content: object) -> str:
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path.name


def played(directory: Path, files: list[str]) -> dict[str, str]:
    """What promtool said of each test file: empty when all in it holds."""
    ran = promtool("test", "rules", *files, cwd=directory)
    parts = re.split(r"^Unit Testing: +(\S+)\n", ran.stdout, flags=re.MULTILINE)
    said = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert said.keys() == set(files), ran.stdout
    return {name: "" if text.strip() == "SUCCESS" else text for name, text in said.items()}


def files_of(test: Proof | Figure, directory: Path, name: str, rule: Rule, known: list[Rule]) -> list[str]:
    """The files that hold this one rule against one test; it stands behind the recordings that it reads."""
    behind = {key(each): each for each in with_recordings(rule, known)}
    rule_file = write(directory / f"{name}.rules.yml", {"groups": [{"name": "proved", "rules": [*behind.values()]}]})
    return [
        write(directory / f"{name}.{number}.yml", content) for number, content in enumerate(_contents(test, rule_file))
    ]


def _contents(test: Proof | Figure, rule_file: str) -> list[dict[str, Any]]:
    if isinstance(test, Figure):
        return [figure_file(test, rule_file)]
    return [story_file(test, story, rule_file) for story in test.stories]
