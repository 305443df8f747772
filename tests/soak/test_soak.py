"""The soak itself, with numbers as small as they can be: what it lives through, what it counts, what it does when something fails."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from refreshd.crash import POINTS
from tests.soak.__main__ import COMPANY, WEEKS, arguments, jobs, main, played_again, shares
from tests.soak.company import TIGHT_RATES, TIGHT_ROUND, fates, rate_of, whole_round
from tests.soak.figures import Figures
from tests.soak.fuzzing import last_words
from tests.support.documents import ROOT
from tests.support.kills import RATE
from tests.support.takeover import Kind, TakeoverTimes
from tests.support.virtual_world import RATE as WEEKS_RATE

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
    assert told["kills"] == sum(told["survived"].values()) + sum(told["missed"].values()) == 3
    assert told["survived"]["at random"] == 2
    assert 0 < told["most_in_60s"][str(RATE)] <= told["calls"]
    assert "kills survived" in said.out


def test_a_round_comes_to_every_point_and_to_twice_as_many_random_moments() -> None:
    seen = Counter(fate.point for fate in fates(3, whole_round(), tight=False))
    assert seen.pop(None) == whole_round() == 2 * len(POINTS)
    assert seen == Counter(POINTS)


def test_a_long_campaign_comes_to_every_point_in_ten_lives_or_more_beside_all_its_random_moments() -> None:
    """As `make soak` plays it."""
    seen = Counter(
        fate.point
        for seed, moments, tight in companies(["--kills", "2000"])
        for fate in fates(seed, moments, tight=tight)
    )
    assert seen.pop(None) == 2_000
    assert seen.keys() == {*POINTS}
    assert min(seen.values()) >= 10


def companies(argv: list[str]) -> Iterator[tuple[int, int, bool]]:
    """Seed, random moments, and whether the rate is tight."""
    for job in jobs(arguments(argv)):
        if job.module == COMPANY:
            options = dict(zip(job.argv[:4:2], job.argv[1:4:2], strict=True))
            yield int(options["--seed"]), int(options["--moments"]), "--tight" in job.argv


@pytest.mark.parametrize("tight", [True, False])
def test_equal_seeds_mean_equal_fates_however_many_are_asked_for(*, tight: bool) -> None:
    long, short = ([*map(str, fates(3, moments, tight=tight))] for moments in (30, 11))
    assert long[: len(short)] == short
    assert long != [*map(str, fates(4, 30, tight=tight))]


def test_a_replay_by_seed_plays_the_company_that_failed() -> None:
    for seed, moments, tight in companies(["--kills", "2000"]):
        again = played_again(seed)
        assert ("--tight" in again) is tight
        assert moments <= (TIGHT_ROUND if tight else whole_round())
        assert again[again.index("--seed") + 1] == str(seed)


def test_where_the_rate_is_tight_lives_are_long_and_end_at_random() -> None:
    assert {rate_of(seed, tight=True) for seed in range(3)} == set(TIGHT_RATES)
    assert max(fate.after_seconds for fate in fates(3, 50, tight=True)) > 10.0
    assert {fate.point for fate in fates(3, 50, tight=True)} == {None}


def test_every_kill_and_every_week_that_is_asked_for_is_somebodys_job() -> None:
    work = list(jobs(arguments(["--kills", "400", "--weeks", "25", "--seed", "2"])))
    asked = [(job.module, dict(zip(job.argv[::2], job.argv[1::2], strict=False))) for job in work]
    assert sum(int(options["--moments"]) for module, options in asked if module == COMPANY) == 400
    assert sum(int(options["--count"]) for module, options in asked if module == WEEKS) == 25
    assert len({job.argv for job in work}) == len(work)
    assert shares(25, 10) == [10, 10, 5]


def test_what_processes_tell_is_added_up() -> None:
    heard = figures()
    later = {**BOOKS, "calls": 110, "most_in_60s": 44}
    for news in (
        {"survived": "lease_taken"},
        {"survived": "at random"},
        {"missed": "hold.committed"},
        BOOKS,
        later,
        {**BOOKS, "books": "weeks of 1", "rate": 30, "most_in_60s": 29},
        {"weeks": 1},
        {"takeovers": {"killed": [4.0, 4.2, 4.1]}},
    ):
        heard.hear(news, "python -m again")
    assert (heard.kills, heard.calls, heard.untraced, heard.weeks) == (3, 210, 6, 1)
    assert heard.most_in_60s == {30: 29, 60: 44}
    assert heard.faults == {"hang": 4}
    assert ("... at named points", f"1, at 1 of {len(POINTS)}") in heard.rows()
    assert ("... elsewhere, the named point having been missed", "hold.committed 1") in heard.rows()
    assert ("takeovers from a leader that was killed", "3: median 4.10 s, worst 4.20 s") in heard.rows()
    assert json.loads(json.dumps(heard.as_json()))["most_in_60s"] == {"30": 29, "60": 44}


def test_a_campaign_that_came_to_every_point_tells_of_the_one_that_it_came_to_least_often() -> None:
    heard = figures()
    for point in (*POINTS, *POINTS, *POINTS[1:]):
        heard.hear({"survived": point}, "python -m again")
    told = f"{3 * len(POINTS) - 1}, at each of the {len(POINTS)} in 2 lives or more"
    assert ("... at named points", told) in heard.rows()


def test_the_page_shows_the_rows_that_the_soak_prints() -> None:
    heard = figures()
    heard.takeovers = {kind: [1.0] for kind in Kind}
    heard.fuzzed = {"executions": 1, "seconds": 1, "slowest_seconds": 0, "peak_mb": 1}
    for rate in (WEEKS_RATE, *TIGHT_RATES, RATE):
        heard.hear({**BOOKS, "books": f"at {rate}", "rate": rate}, "python -m again")
    told = (ROOT / "docs/reliability.md").read_text(encoding="utf-8").split("## Figures of the last campaign")[1]
    shown = [
        line.split(" | ")[0].removeprefix("| ") for line in told.split("\n## ")[0].splitlines() if line.startswith("| ")
    ]
    assert shown == ["what", *(what for what, _ in heard.rows())]


def test_what_nobody_understands_is_an_error() -> None:
    with pytest.raises(ValueError, match="nobody understands"):
        figures().hear({"surviving": 1}, "python -m again")


def test_a_failure_says_how_to_play_it_again() -> None:
    heard, again = figures(), "python -m tests.soak.company --seed 10003"
    heard.hear({"failed": "life 3, lease_taken:1", "seed": 10_003, "told": "Traceback"}, again)
    [failure] = heard.failures
    assert (failure.seed, failure.when, failure.replay) == (10_003, "life 3, lease_taken:1", again)
    assert ("what failed", "1") in heard.rows()


@pytest.mark.parametrize(
    ("kind", "seconds", "broken"),
    [
        (Kind.KILLED, 4.99, []),
        (Kind.KILLED, 15.0, ["killed took 15.00 s"]),
        (Kind.STOPPED, 1.2, ["stopped took 1.20 s"]),
    ],
)
def test_a_takeover_that_takes_longer_than_promised_is_a_failure(kind: Kind, seconds: float, broken: list[str]) -> None:
    seen = TakeoverTimes(seconds={kind: [0.5, seconds]})
    told = list(seen.broken_promises())
    assert len(told) == len(broken)
    assert all(words in said for words, said in zip(broken, told, strict=True))


def test_the_fuzzers_last_words_are_read() -> None:
    said = "stat::number_of_executed_units: 53426\nstat::slowest_unit_time_sec: 0\nstat::peak_rss_mb: 66\n"
    expected = {"executions": 53_426, "seconds": 7.1, "slowest_seconds": 0, "peak_mb": 66}
    assert last_words(said, seconds=7.06) == expected
