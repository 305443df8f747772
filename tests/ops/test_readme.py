"""The README is true: its commands run, its tables are the code's own, its transcript is what the demo says."""

import ast
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from deploy.prometheus.rules.rule import Severity
from deploy.prometheus.rules.table import alerts
from refreshd import phrases
from refreshd.cli import app
from refreshd.core import errors, timing
from refreshd.core.caps import ALWAYS_ALLOWED
from refreshd.core.conversation import Terms
from refreshd.core.forecast import fits_in_a_day, routine_length
from refreshd.core.model import Credential, FetchDepth, VerdictName
from refreshd.demo.stage import FACTOR
from refreshd.settings import Settings, settings_table
from tests.support.commands import environment
from tests.support.documents import ROOT, document
from tests.support.postgres import PostgresServer
from tests.support.session import Step, commands, expected_code, play, unsaid

README = document("README.md")
NOON = "2026-03-10T17:00:00+00:00"
"""An hour at which the routine is due and the vendor sleeps."""
RATE = 30
MOST_LINES = 320


def words(text: str) -> str:
    return " ".join(text.split())


def setting(name: str) -> object:
    return Settings.model_fields[name].default


# Run it in five minutes -------------------------------------------------------------------------------------------------------------


def blocks(word: str) -> list[str]:
    return [fence.text for fence in README.fences if word in fence.words]


@contextmanager
def beside(line: str, directory: Path) -> Iterator[str]:
    """The command of the README's first shell, on a free port and at a fixed hour; yields the port."""
    argv = [*line.split()[1:], "--port", "0", "--start", NOON]
    process = subprocess.Popen(  # noqa: S603 # our own program
        [sys.executable, "-m", "refreshd", *argv],
        cwd=directory,
        env=environment({"PYTHONPATH": str(ROOT)}),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().partition("127.0.0.1:")[2].partition(",")[0]
    finally:
        process.terminate()
        process.communicate(timeout=20)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[list[Step]]:
    """The README's second shell, on a database of its own instead of one under the reader's directory."""
    directory = tmp_path_factory.mktemp("reader")
    (simulator,), (block,) = blocks("run-beside"), blocks("run")
    with postgres.database(migrated=False) as url, beside(simulator, directory) as port:
        text = block.replace("embedded:$PWD/ledger", f"'{url}'").replace(":9878/", f":{port}/")
        assert text.count(url) == text.count(f":{port}/") == 1
        path = f"{Path(sys.executable).parent}:{environment(None)['PATH']}"
        env = environment({"PATH": path, "REFRESHD_SCALED_DATES": f"{NOON}*1@{time.time()}"})  # noqa: TID251 # joins the simulator's dates
        yield play(commands(text), cwd=directory, env=env)


@pytest.mark.slow
def test_every_command_of_the_first_five_minutes_ends_as_the_readme_says(session: list[Step]) -> None:
    wrong = [step for step in session if step.code != expected_code(step.command)]
    assert wrong == []
    assert sum(step.command.startswith("refreshd ") for step in session) >= 11
    assert any(expected_code(step.command) == 3 for step in session)


@pytest.mark.slow
def test_the_output_that_is_shown_is_what_the_commands_say(session: list[Step]) -> None:
    (shown,) = blocks("ran")
    parts = re.split(r"^\$ (.+)\n", shown, flags=re.MULTILINE)[1:]
    said = {step.command: step.output for step in session}
    assert len(parts) >= 4
    for command, expected in zip(parts[::2], parts[1::2], strict=True):
        assert unsaid(expected.splitlines(), said[command]) == [], said[command]


def test_output_that_was_not_said_is_found() -> None:
    output = "  fresh  12 s\n  stale  1 min 2 s\n"
    assert unsaid(["fresh 3 h", "…", " stale 5 s"], output) == []
    assert unsaid(["stale 5 s", "fresh 3 h"], output) == ["fresh 3 h"]
    assert unsaid(["leaking 5 s"], output) == ["leaking 5 s"]


# The transcript ---------------------------------------------------------------------------------------------------------------------


def told_by_the_demo() -> list[re.Pattern[str]]:
    """Every line that the demo's source can print; what is filled in may be anything."""
    texts: list[str] = []
    for path in (ROOT / "refreshd" / "demo").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                texts.append("".join(_part(part) for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    lines = {re.sub(r"\[/?[a-z ]*\]", "", line).strip() for text in texts for line in text.split("\n")}
    return [re.compile(re.escape(line).replace(_HOLE, ".*")) for line in lines if len(line.replace(_HOLE, "")) >= 12]


_HOLE = "\0"


def _part(node: ast.expr) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else _HOLE


def logical_lines(transcript: str) -> list[str]:
    """The story's lines, those that hang below another one joined to it; without hour and label."""
    joined = re.sub(r"\n {11,}(?=\S)", " ", transcript)
    return [re.sub(r"^(?:[A-Z][a-z]{2} \d\d:\d\d  |  [a-z ]{14}  )", "", line).strip() for line in joined.splitlines()]


def test_the_transcript_is_what_the_demo_says() -> None:
    (transcript,) = blocks("transcript")
    forms = told_by_the_demo()
    told = [line for line in logical_lines(transcript) if line not in {"", "…", "$ make demo"}]
    assert len(told) > 12
    assert [line for line in told if not any(form.fullmatch(line) for form in forms)] == []


def test_a_line_that_the_demo_does_not_say_is_found() -> None:
    forms = told_by_the_demo()
    assert not any(form.fullmatch("All 46 are gone.") for form in forms)


def test_the_demo_takes_two_minutes() -> None:
    assert timedelta(days=1) / FACTOR == timedelta(minutes=2)
    assert "in two minutes" in README.text


# Tables -----------------------------------------------------------------------------------------------------------------------------


def test_the_settings_are_those_of_the_code() -> None:
    assert settings_table() in README.text


def test_the_commands_are_those_of_the_code() -> None:
    listed = [row[0].strip("`") for row in README.table("command", "what it does")]
    assert sorted(listed) == sorted(name for _, name, _ in app._COMMANDS)


def test_the_exit_codes_are_those_of_the_errors() -> None:
    (line,) = re.findall(r"^Exit codes: (.+)\.$", README.text, flags=re.MULTILINE)
    listed = {int(part[0]): part[2:] for part in line.split(", ")}
    assert listed.keys() == set(range(5))
    assert "usage" in listed[errors.SettingsError.exit_code]
    assert "guard" in listed[errors.HeldByGuard.exit_code]
    assert "dependency" in listed[errors.DependencyDown.exit_code]


def test_the_verdicts_are_those_of_the_code() -> None:
    listed = [row[0].strip("`") for row in README.table("verdict", "meaning", "refreshd does")]
    assert sorted(listed) == sorted(VerdictName)


def test_every_alert_that_pages_is_listed_with_what_it_says_and_its_first_command() -> None:
    pages = [alert for alert in alerts() if alert.severity is Severity.CRITICAL]
    assert README.table("page", "it means", "run first") == [
        [f"[{alert.name}](docs/runbooks/{alert.name}.md)", alert.summary, f"`{alert.first}`"] for alert in pages
    ]
    assert f"{len({alert.name for alert in alerts()})} alerts" in README.text


# Figures ----------------------------------------------------------------------------------------------------------------------------


def length(logins: int, *, token: bool) -> timedelta:
    terms = Terms(mints_tokens=token, fetch=FetchDepth.OFF, schedule_credential=Credential.API_KEY)
    return routine_length(logins, terms, RATE)


def test_the_routine_takes_as_long_as_the_forecast_says() -> None:
    assert setting("rate_per_minute") == RATE
    rows = README.table("active logins", "without token", "with token")
    assert [row[0] for row in rows] == ["1,000", "10,000", "100,000"]
    for logins, *cells in rows:
        for token, cell in zip((False, True), cells, strict=True):
            forecast = length(int(logins.replace(",", "")), token=token)
            assert cell == phrases.span(forecast) + ("" if fits_in_a_day(forecast) else ": too long")


def test_the_most_that_the_rate_carries_is_what_the_forecast_says() -> None:
    (found,) = re.findall(r"So ([\d,]+) logins without token, or ([\d,]+) with,", README.text)
    for token, figure in zip((False, True), found, strict=True):
        most = int(figure.replace(",", ""))
        assert fits_in_a_day(length(most, token=token))
        assert not fits_in_a_day(length(most + 1, token=token))


def test_the_caps_and_the_night_are_those_of_the_code() -> None:
    text = words(README.text)
    assert f"`REFRESHD_MAX_DISABLE_COUNT` ({setting('max_disable_count')})" in text
    fraction = setting("max_disable_fraction")
    assert isinstance(fraction, float)
    assert f"`REFRESHD_MAX_DISABLE_FRACTION` ({fraction:.0%})".replace("%", " %") in text
    assert f"or {ALWAYS_ALLOWED} where that is fewer" in text
    assert f"From {timing.WINDOW_START:%H:%M} to {timing.WINDOW_END:%H:%M} UTC" in text


def test_the_readme_is_read_in_one_sitting() -> None:
    assert len(README.text.splitlines()) <= MOST_LINES
