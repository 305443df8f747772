from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from refreshd.core import forecast
from refreshd.core.conversation import Terms
from refreshd.core.model import Credential, FetchDepth
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
