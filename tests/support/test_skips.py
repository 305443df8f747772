"""The rule that no test is left out in silence, tried on a run of its own."""

import pytest

pytest_plugins = ["pytester"]

LEAVES_ONE_OUT = """
    import pytest
    pytest_plugins = ["tests.support.skips"]

    def test_runs():
        pass

    @pytest.mark.skip(reason="promtool not found: apt-get install prometheus")
    def test_needs_promtool():
        raise AssertionError
"""


def outcome(pytester: pytest.Pytester) -> pytest.RunResult:
    pytester.makepyfile(LEAVES_ONE_OUT)
    return pytester.runpytest_subprocess("-p", "tests.support.skips", "-p", "no:cacheprovider")


def test_what_is_left_out_is_named_with_its_reason(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REFRESHD_TEST_NO_SKIPS", raising=False)
    result = outcome(pytester)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["not run here: *test_needs_promtool (promtool not found: apt-get install prometheus)"])


def test_a_skip_fails_the_run_where_none_is_allowed(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFRESHD_TEST_NO_SKIPS", "1")
    result = outcome(pytester)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*a run that leaves out a test fails"])
