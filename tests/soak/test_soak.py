"""The soak itself, with numbers as small as they can be: what it lives through, what it counts, what it does when something fails."""

import json
from collections import Counter
from pathlib import Path

import pytest

from refreshd.crash import POINTS
from tests.soak.__main__ import COMPANY, WEEKS, arguments, jobs, main, shares
from tests.soak.company import TIGHT_RATES, fates, hurried, rate_of, whole_round
from tests.soak.figures import Figures
from tests.soak.fuzzing import last_words
from tests.support.kills import RATE, Fate, campaign
from tests.support.process import launched_with

BOOKS = {"books": "company 1", "rate": 60, "calls": 100, "most_in_60s": 41, "faults": {"hang": 2}, "untraced": 3}


def figures() -> Figures:
    return Figures(seed=1, began_at="2026-03-02T09:00:00+00:00", commit="abc", cores=2)


@pytest.mark.slow
def test_a_small_soak_lives_through_all_of_it_and_writes_its_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = tmp_path / "figures.json"
    code = main(
        ["--kills", "2", "--takeovers", "0", "--weeks", "0", "--seconds", "0", "--seed", "7", "--json", str(written)]
    )
    said = capsys.readouterr()
    assert code == 0, said.err
    told = json.loads(written.read_text(encoding="utf-8"))
    assert told["kills"] == sum(told["survived"].values()) == 2
    assert told["survived"]["at random"] == 1
    assert 0 < told["most_in_60s"][str(RATE)] <= told["calls"]
    assert "kills survived" in said.out


_WITHOUT_PACE = """
import asyncio
from refreshd import pacing

async def at_once(self):
    return pacing.Permit(self, asyncio.get_running_loop().time())

pacing.Budget._next = at_once
pacing.Permit.is_fresh = property(lambda self: not self._is_spent)
"""
"""Every permit is there when it is asked for, and good for ever."""


@pytest.mark.slow
async def test_a_refreshd_whose_pacing_is_broken_breaks_the_campaigns_rule_of_the_budget(database_url: str) -> None:
    """The referee can see: what is never broken in a campaign would be found if it were."""

    async def live() -> None:
        async with campaign(database_url, seed=1, rate_per_minute=TIGHT_RATES[0]) as killing:
            killing.here.launch = launched_with(_WITHOUT_PACE)
            await killing.one_life(Fate(after_seconds=4.0, leading=True))

    with hurried(), pytest.raises(AssertionError, match=r"^\d+ calls in "):
        await live()


def test_a_round_comes_to_every_point_and_to_as_many_random_moments() -> None:
    seen = Counter(fate.point for fate in fates(3, whole_round(), tight=False))
    assert seen.pop(None) == len(POINTS)
    assert seen == Counter(POINTS)


def test_equal_seeds_mean_equal_fates() -> None:
    assert [*map(str, fates(3, 20, tight=False))] == [*map(str, fates(3, 20, tight=False))]
    assert [*map(str, fates(3, 20, tight=False))] != [*map(str, fates(4, 20, tight=False))]


def test_where_the_rate_is_tight_lives_are_long_and_end_at_random() -> None:
    assert {rate_of(seed, tight=True) for seed in range(3)} == set(TIGHT_RATES)
    assert max(fate.after_seconds for fate in fates(3, 50, tight=True)) > 10.0
    assert {fate.point for fate in fates(3, 50, tight=True)} == {None}


def test_every_kill_and_every_week_that_is_asked_for_is_somebodys_job() -> None:
    work = list(jobs(arguments(["--kills", "400", "--weeks", "25", "--seed", "2"])))
    asked = [(job.module, dict(zip(job.argv[::2], job.argv[1::2], strict=False))) for job in work]
    assert sum(int(options["--lives"]) for module, options in asked if module == COMPANY) == 400
    assert sum(int(options["--count"]) for module, options in asked if module == WEEKS) == 25
    assert len({job.argv for job in work}) == len(work)
    assert shares(25, 10) == [10, 10, 5]


def test_what_processes_tell_is_added_up() -> None:
    heard = figures()
    later = {**BOOKS, "calls": 110, "most_in_60s": 44}
    for news in (
        {"survived": "lease_taken"},
        {"survived": "at random"},
        BOOKS,
        later,
        {**BOOKS, "books": "weeks of 1", "rate": 30, "most_in_60s": 29},
        {"weeks": 1},
        {"takeovers": {"killed": [4.0, 4.2, 4.1]}},
    ):
        heard.hear(news, "python -m again")
    assert (heard.kills, heard.calls, heard.untraced, heard.weeks) == (2, 210, 6, 1)
    assert heard.most_in_60s == {30: 29, 60: 44}
    assert heard.faults == {"hang": 4}
    assert ("... at named points", f"1, at 1 of {len(POINTS)}") in heard.rows()
    assert ("takeovers from a leader that was killed", "3: median 4.10 s, worst 4.20 s") in heard.rows()
    assert json.loads(json.dumps(heard.as_json()))["most_in_60s"] == {"30": 29, "60": 44}


def test_what_nobody_understands_is_an_error() -> None:
    with pytest.raises(ValueError, match="nobody understands"):
        figures().hear({"surviving": 1}, "python -m again")


def test_a_failure_says_how_to_play_it_again() -> None:
    heard, again = figures(), "python -m tests.soak.company --seed 10003"
    heard.hear({"failed": "life 3, lease_taken:1", "seed": 10_003, "told": "Traceback"}, again)
    [failure] = heard.failures
    assert (failure.seed, failure.when, failure.replay) == (10_003, "life 3, lease_taken:1", again)
    assert ("what failed", "1") in heard.rows()


def test_the_fuzzers_last_words_are_read() -> None:
    said = "stat::number_of_executed_units: 53426\nstat::slowest_unit_time_sec: 0\nstat::peak_rss_mb: 66\n"
    expected = {"executions": 53_426, "seconds": 7.1, "slowest_seconds": 0, "peak_mb": 66}
    assert last_words(said, seconds=7.06) == expected
