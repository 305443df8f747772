"""What holds for every command: help, version, usage errors, Ctrl-C, broken pipes."""

import signal

import pytest

from refreshd.cli.start import run_async, told
from refreshd.core.errors import DependencyDown, HeldByGuard, SettingsError
from tests.support.commands import refreshd, start_refreshd


def test_help_names_every_command_the_exit_codes_and_a_first_day() -> None:
    ran = refreshd("--help")
    assert ran.code == 0
    for word in ("simulator", "A first day", "Exit codes", "held by the guard", "refreshd approve"):
        assert word in ran.words


def test_no_command_at_all_shows_the_help_and_is_wrong_usage() -> None:
    ran = refreshd()
    assert ran.code == 2
    assert "A first day" in ran.words


def test_the_version_is_one_line() -> None:
    ran = refreshd("--version")
    assert (ran.code, ran.out.split()[0], len(ran.out.splitlines())) == (0, "refreshd", 1)


def test_a_mistyped_command_is_corrected_in_one_sentence() -> None:
    ran = refreshd("simulatr")
    assert ran.code == 2
    assert ran.out == ""
    assert "Did you mean 'simulator'?" in ran.err
    assert "hint: refreshd --help" in ran.err


def test_a_wrong_option_points_at_the_help_of_its_command() -> None:
    ran = refreshd("simulator", "--port", "http")
    assert ran.code == 2
    assert "--port" in ran.err
    assert "hint: refreshd simulator --help" in ran.err


def test_every_expected_error_of_a_group_is_told_once_and_the_worst_code_counts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    @told
    def command() -> None:
        errors = [HeldByGuard("held"), DependencyDown("down", hint="start it"), DependencyDown("down")]
        raise ExceptionGroup("several", errors)

    with pytest.raises(Exception) as ended:  # noqa: PT011 - typer's Exit is a private matter of the command line
        command()
    assert getattr(ended.value, "exit_code", None) == 4
    assert capsys.readouterr().err.splitlines() == ["error: down", "hint: start it", "error: held"]


def test_a_bug_keeps_its_traceback() -> None:
    @told
    def command() -> None:
        raise ExceptionGroup("several", [SettingsError("expected"), KeyError("a bug")])

    with pytest.raises(ExceptionGroup, match="several"):
        command()


def test_work_runs_on_either_loop() -> None:
    async def answer() -> int:
        return 42

    assert run_async(answer()) == run_async(answer(), fast=True) == 42


def test_ctrl_c_ends_the_simulator_with_a_summary() -> None:
    with start_refreshd("simulator", "--port", "0", "--logins", "5") as process:
        assert process.stdout is not None
        assert "listens on http://127.0.0.1:" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "answered 0 calls" in out
    assert "Traceback" not in err
