"""Skipped tests are named at the end of a run; with REFRESHD_TEST_NO_SKIPS=1 they fail it.

A skip's reason says what is missing and how to get it: "promtool not found: apt-get install prometheus".
"""

import os

import pytest
from _pytest.terminal import TerminalReporter

_NO_SKIPS = "REFRESHD_TEST_NO_SKIPS"


def reason_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    """The reason without pytest's prefix; a skip's longrepr is (file, line, reason)."""
    detail = report.longrepr
    reason = detail[2] if isinstance(detail, tuple) else str(detail)
    return reason.removeprefix("Skipped: ")


def skips_fail() -> bool:
    return os.environ.get(_NO_SKIPS) == "1"


def skipped(reporter: TerminalReporter) -> list[str]:
    """One line for each test that did not run."""
    reports = reporter.stats.get("skipped", [])
    return [f"not run here: {report.nodeid} ({reason_of(report)})" for report in reports]


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    lines = skipped(terminalreporter)
    if not lines:
        return
    terminalreporter.section("left out on this machine", red=skips_fail(), yellow=not skips_fail())
    for line in lines:
        terminalreporter.write_line(line)
    if skips_fail():
        terminalreporter.write_line(f"{_NO_SKIPS}=1: a run that leaves out a test fails")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not isinstance(reporter, TerminalReporter) or not skips_fail():
        return
    if skipped(reporter) and session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
