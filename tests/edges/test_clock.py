from datetime import UTC, datetime, timedelta, timezone

import pytest

from refreshd.clock import ScaledClock, SystemClock
from refreshd.ports import Clock

START = datetime(2026, 3, 1, 8, tzinfo=UTC)


def test_the_system_clock_is_aware_and_in_utc() -> None:
    clock: Clock = SystemClock()
    assert clock.now().tzinfo is UTC
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(minutes=1)  # noqa: TID251 # what it is compared with


def test_a_scaled_clock_starts_at_its_date_and_runs_at_its_factor() -> None:
    seconds = 100.0
    clock: Clock = ScaledClock(start=START, factor=720, monotonic=lambda: seconds)
    assert clock.now() == START
    seconds = 220.0
    assert clock.now() == START + timedelta(days=1)


def test_a_scaled_clock_answers_in_utc_whatever_zone_it_started_in() -> None:
    zone = timezone(timedelta(hours=-5))
    clock = ScaledClock(start=START.astimezone(zone), factor=1, monotonic=lambda: 0.0)
    assert clock.now().tzinfo is UTC
    assert clock.now() == START


def test_a_scaled_clock_refuses_a_naive_start() -> None:
    with pytest.raises(ValueError, match="aware"):
        ScaledClock(start=START.replace(tzinfo=None), factor=1)


@pytest.mark.parametrize("factor", [0, -1])
def test_a_scaled_clock_refuses_to_stand_or_run_back(factor: float) -> None:
    with pytest.raises(ValueError, match="forward"):
        ScaledClock(start=START, factor=factor)
