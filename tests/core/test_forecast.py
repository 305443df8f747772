from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refreshd.core import forecast
from refreshd.core.conversation import Terms
from refreshd.core.model import Credential, FetchDepth, Lane
from tests.support.builders import ACTIVE, NOW, ago


def terms(*, mints: bool = True, fetch: FetchDepth = FetchDepth.OFF) -> Terms:
    return Terms(mints_tokens=mints, fetch=fetch, schedule_credential=Credential.API_KEY)


def at(hour: int, day: int = 5) -> datetime:
    return datetime(2026, 1, day, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("of", "calls"),
    [(terms(mints=False), 1), (terms(), 2), (terms(fetch=FetchDepth.DETAIL), 3)],
)
def test_a_login_costs_a_token_an_authorize_and_a_fetch(of: Terms, calls: int) -> None:
    assert forecast.calls_for_one(of) == calls


def test_the_length_follows_from_the_rate() -> None:
    assert forecast.routine_length(300, terms(), 30) == timedelta(minutes=20)


@pytest.mark.parametrize(
    ("start", "length", "end"),
    [
        (at(16), timedelta(hours=2), at(18)),
        (at(16), timedelta(hours=12), at(4, 6)),
        (at(16), timedelta(hours=13), at(9, 6)),
        (at(16), timedelta(hours=33), at(9, 7)),
        (at(5), timedelta(hours=1), at(9)),
        (at(4), timedelta(), at(8)),
        (at(8), timedelta(hours=1), at(9)),
    ],
)
def test_a_routine_rests_through_the_vendors_night(start: datetime, length: timedelta, end: datetime) -> None:
    assert forecast.routine_end(start, length) == end


def test_a_routine_of_more_than_twenty_hours_never_catches_up() -> None:
    assert forecast.fits_in_a_day(timedelta(hours=20))
    assert not forecast.fits_in_a_day(timedelta(hours=20, seconds=1))


@pytest.mark.parametrize(
    ("refreshed", "called", "polling", "days"),
    [
        pytest.param(ago(days=1), ago(days=2), True, 5, id="the older of the two clocks decides"),
        pytest.param(ago(days=1), ago(days=2), False, 6, id="with webhooks only a good refresh counts"),
        pytest.param(ago(days=9), ago(days=2), True, -2, id="lapsed"),
        pytest.param(None, ago(days=2), True, None, id="never refreshed"),
        pytest.param(ago(days=1), None, True, None, id="never called"),
        pytest.param(ago(days=1), None, False, 6, id="never called, with webhooks"),
    ],
)
def test_eligibility_ends_seven_days_after_the_older_of_the_clocks_that_apply(
    *, refreshed: datetime | None, called: datetime | None, polling: bool, days: int | None
) -> None:
    evidence = replace(ACTIVE, refreshed_at=refreshed, cached_call_at=called)
    until = forecast.eligible_until(evidence, polling=polling)
    assert until == (None if days is None else NOW + timedelta(days=days))


# How today's routine ends ------------------------------------------------------------------------------------------------------------

Due = dict[tuple[Lane, datetime | None], int]
SAVABLE, REST = Lane.SAVABLE, Lane.REST
EVENING = datetime(2026, 3, 2, 22, 0, tzinfo=UTC)
PLAIN = Terms(mints_tokens=False, fetch=FetchDepth.OFF, schedule_credential=Credential.API_KEY)


def test_nothing_due_has_no_end_and_is_in_time() -> None:
    outcome = forecast.routine_outcome({}, PLAIN, 30, EVENING)
    assert (outcome.remaining, outcome.ends_at, outcome.lapsing, outcome.is_in_time) == (0, None, 0, True)
    assert outcome.deadline == datetime(2026, 3, 3, 4, 0, tzinfo=UTC)


@pytest.mark.parametrize(("logins", "in_time"), [(6 * 60 * 30, True), (6 * 60 * 30 + 1, False)])
def test_a_routine_is_in_time_when_its_last_call_leaves_before_the_vendors_night(logins: int, in_time: bool) -> None:  # noqa: FBT001 # a column
    assert forecast.routine_outcome({(SAVABLE, None): logins}, PLAIN, 30, EVENING).is_in_time is in_time


def test_logins_that_lapse_before_their_turn_are_counted_and_those_served_before_are_not() -> None:
    due: Due = {
        (SAVABLE, None): 600,  # never called, so they come first: twenty minutes
        (SAVABLE, EVENING + timedelta(hours=1)): 1_500,  # room for 1,200 of them
        (SAVABLE, EVENING + timedelta(days=3)): 100,
        (REST, None): 9_999,
    }
    assert forecast.routine_outcome(due, PLAIN, 30, EVENING).lapsing == 300


def test_a_clock_that_runs_out_in_the_vendors_night_leaves_only_the_time_before_it() -> None:
    in_the_night = datetime(2026, 3, 3, 6, 0, tzinfo=UTC)
    due: Due = {(SAVABLE, in_the_night): 6 * 60 * 30 + 7}
    assert forecast.routine_outcome(due, PLAIN, 30, EVENING).lapsing == 7


def test_a_clock_that_has_run_out_takes_all() -> None:
    assert forecast.routine_outcome({(SAVABLE, EVENING - timedelta(hours=1)): 5}, PLAIN, 30, EVENING).lapsing == 5


due_hours = st.dictionaries(st.integers(0, 167), st.integers(1, 40_000), max_size=12)


@given(due_hours, st.integers(1, 120))
def test_a_faster_rate_never_lapses_more_and_never_ends_later(hours: dict[int, int], rate: int) -> None:
    due: Due = {(SAVABLE, EVENING + timedelta(hours=hour)): logins for hour, logins in hours.items()}
    slow, fast = (forecast.routine_outcome(due, PLAIN, each, EVENING) for each in (rate, 2 * rate))
    assert fast.lapsing <= slow.lapsing <= slow.remaining
    assert slow.ends_at is None or fast.ends_at is None or fast.ends_at <= slow.ends_at


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_the_time_worked_until_the_end_is_the_length_of_the_routine(begin: int, minutes: int) -> None:
    start, length = EVENING + timedelta(minutes=begin), timedelta(minutes=minutes)
    assert forecast.working_time(start, forecast.routine_end(start, length)) == length
