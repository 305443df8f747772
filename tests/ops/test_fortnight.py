"""The simulated fortnight itself: equal seeds tell equal stories, and alerts go through Prometheus' own states."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.fortnight.alerting import seconds, states
from tests.fortnight.history import tell
from tests.fortnight.town import START
from tests.support.postgres import throwaway_postgres

MINUTE = 60.0
OWN = "refreshd_"
"""All but what is read of the real process."""


@pytest.mark.slow
def test_equal_seeds_tell_equal_stories(open_path: Path, tmp_path: Path) -> None:
    told = []
    for name in ("once", "again"):
        with throwaway_postgres(open_path / name) as server:
            server.leave_rows_in_place()
            with server.database(migrated=True) as url:
                tell(url, tmp_path / name, START + timedelta(hours=5))
        lines = (tmp_path / name / f"{START:%Y-%m-%d}.om").read_text("utf-8").splitlines()
        told.append([each for each in lines if each.startswith(OWN)])
    assert told[0] == told[1]
    assert len(told[0]) > 10_000


@pytest.mark.parametrize(
    ("held", "said"),
    [
        pytest.param([], [], id="never"),
        pytest.param([0, 5, 10], ["pending", "pending", "firing"], id="long enough"),
        pytest.param([0, 5], ["pending", "pending"], id="too short"),
        pytest.param([0, 5, 15, 20], ["pending"] * 4, id="a gap begins anew"),
    ],
)
def test_an_alert_fires_once_its_condition_held_for_long_enough(held: list[int], said: list[str]) -> None:
    found = states([each * MINUTE for each in held], step=5 * MINUTE, after=10 * MINUTE, keep=0)
    assert [state for _, state in found] == said


def test_an_alert_that_is_kept_fires_on_after_its_condition_has_passed() -> None:
    found = list(states([0, 5 * MINUTE], step=5 * MINUTE, after=5 * MINUTE, keep=10 * MINUTE))
    assert [at / MINUTE for at, state in found if state == "firing"] == [5, 10, 15]


@pytest.mark.parametrize(("text", "length"), [("90s", 90), ("15m", 900), ("1h30m", 5400), ("2d", 172_800), ("0s", 0)])
def test_durations_are_read_as_prometheus_writes_them(text: str, length: float) -> None:
    assert seconds(text) == length
