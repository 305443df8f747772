from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refreshd.core import timing

ZONES = (
    "UTC",
    "America/Toronto",
    "America/St_Johns",
    "America/Vancouver",
    "America/Sao_Paulo",
    "America/Nuuk",
    "Europe/Lisbon",
    "Europe/Berlin",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
)

ELEVEN = time(11)

zones = st.sampled_from(ZONES).map(ZoneInfo)
hours = st.times(max_value=time(23, 59)).map(lambda at: at.replace(second=0, microsecond=0)) | st.sampled_from(
    (time(0), time(1, 30), time(2), time(2, 30), ELEVEN)
)
nows = st.datetimes(min_value=datetime(2010, 1, 1), max_value=datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


WINDOW = {
    "a microsecond before it": ("2026-03-10T03:59:59.999999", False),
    "its first moment": ("2026-03-10T04:00:00", True),
    "its last moment": ("2026-03-10T07:59:59.999999", True),
    "the moment it is over": ("2026-03-10T08:00:00", False),
    "noon": ("2026-03-10T12:00:00", False),
}


@pytest.mark.parametrize(("moment", "inside"), WINDOW.values(), ids=WINDOW.keys())
def test_the_vendors_window_is_from_4_to_8_utc(moment: str, inside: bool) -> None:  # noqa: FBT001 - a table's column
    assert timing.in_vendor_window(utc(moment)) is inside


@given(nows, zones)
def test_the_vendors_window_is_the_same_in_every_zone(now: datetime, zone: ZoneInfo) -> None:
    assert timing.in_vendor_window(now.astimezone(zone)) is timing.in_vendor_window(now)


@given(nows)
def test_the_windows_around_a_moment_are_the_nearest_ones(now: datetime) -> None:
    over, begins = timing.latest_window_end(now), timing.next_window_start(now)
    assert over <= now < over + timedelta(days=1)
    assert begins - timedelta(days=1) < now <= begins
    assert (over.time(), begins.time()) == (timing.WINDOW_END, timing.WINDOW_START)
    between = begins - over == timedelta(hours=20)
    assert between is not timing.in_vendor_window(now) or now == begins


STARTS = {
    "winter in Toronto": ("America/Toronto", "2026-01-15T18:00:00", "2026-01-15T16:00:00", "2026-01-16T16:00:00"),
    "summer in Toronto": ("America/Toronto", "2026-07-15T18:00:00", "2026-07-15T15:00:00", "2026-07-16T15:00:00"),
    "the day Toronto springs forward": (
        "America/Toronto",
        "2026-03-08T14:59:00",
        "2026-03-07T16:00:00",
        "2026-03-08T15:00:00",
    ),
    "the day Toronto falls back": (
        "America/Toronto",
        "2026-11-01T15:30:00",
        "2026-10-31T15:00:00",
        "2026-11-01T16:00:00",
    ),
    "Lisbon is at UTC in winter": (
        "Europe/Lisbon",
        "2026-01-15T11:00:00",
        "2026-01-15T11:00:00",
        "2026-01-16T11:00:00",
    ),
    "half an hour of daylight saving in Lord Howe": (
        "Australia/Lord_Howe",
        "2026-10-04T12:00:00",
        "2026-10-04T00:00:00",
        "2026-10-05T00:00:00",
    ),
    "another date than in UTC, in Kiritimati": (
        "Pacific/Kiritimati",
        "2026-05-01T20:59:00",
        "2026-04-30T21:00:00",
        "2026-05-01T21:00:00",
    ),
}


@pytest.mark.parametrize(("zone", "now", "latest", "following"), STARTS.values(), ids=STARTS.keys())
def test_the_routine_starts_at_its_hour_in_its_zone(zone: str, now: str, latest: str, following: str) -> None:
    assert timing.latest_routine_start(utc(now), ELEVEN, ZoneInfo(zone)) == utc(latest)
    assert timing.next_routine_start(utc(now), ELEVEN, ZoneInfo(zone)) == utc(following)


def test_an_hour_that_daylight_saving_skips_is_taken_as_if_the_clock_had_not_been_changed() -> None:
    zone = ZoneInfo("America/Toronto")
    assert timing.next_routine_start(utc("2026-03-08T06:00:00"), time(2, 30), zone) == utc("2026-03-08T07:30:00")


def test_an_hour_that_occurs_twice_counts_the_first_time() -> None:
    zone = ZoneInfo("America/Toronto")
    assert timing.next_routine_start(utc("2026-11-01T04:00:00"), time(1, 30), zone) == utc("2026-11-01T05:30:00")
    assert timing.latest_routine_start(utc("2026-11-01T06:45:00"), time(1, 30), zone) == utc("2026-11-01T05:30:00")


@given(nows, hours, zones)
def test_the_routine_that_is_due_began_not_in_the_future_and_the_next_one_is_to_come(
    now: datetime, at: time, zone: ZoneInfo
) -> None:
    latest, following = timing.latest_routine_start(now, at, zone), timing.next_routine_start(now, at, zone)
    assert latest <= now < following
    assert latest.tzinfo is UTC
    assert following.tzinfo is UTC


@given(nows, hours, zones)
def test_no_routine_is_left_out_between_the_latest_and_the_next(now: datetime, at: time, zone: ZoneInfo) -> None:
    latest, following = timing.latest_routine_start(now, at, zone), timing.next_routine_start(now, at, zone)
    assert timing.next_routine_start(latest, at, zone) == following
    assert timing.latest_routine_start(following, at, zone) == following
    assert timing.latest_routine_start(following - timedelta(microseconds=1), at, zone) == latest


@given(nows, hours, zones, st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=3)))
def test_a_later_moment_never_has_an_earlier_routine(now: datetime, at: time, zone: ZoneInfo, later: timedelta) -> None:
    assert timing.latest_routine_start(now, at, zone) <= timing.latest_routine_start(now + later, at, zone)


@pytest.mark.parametrize("zone", ZONES)
def test_every_day_of_three_years_has_exactly_one_routine(zone: str) -> None:
    began = moment = timing.next_routine_start(utc("2025-01-01T00:00:00"), ELEVEN, ZoneInfo(zone))
    starts = []
    while moment < began + timedelta(days=3 * 365):
        starts.append(moment)
        moment = timing.next_routine_start(moment, ELEVEN, ZoneInfo(zone))
    dates = [each.astimezone(ZoneInfo(zone)).date() for each in starts]
    assert all(later - earlier == timedelta(days=1) for earlier, later in pairwise(dates))
    assert {each.astimezone(ZoneInfo(zone)).time() for each in starts} == {ELEVEN}


def test_flinks_gives_a_login_up_a_week_after_its_last_good_refresh() -> None:
    assert timedelta(days=7) == timing.ELIGIBILITY


def test_the_night_that_begins_this_moment_is_the_next_one() -> None:
    begins = utc("2026-03-10T04:00:00")
    assert timing.next_window_start(begins) == begins
    assert timing.next_window_start(begins + timedelta(microseconds=1)) == begins + timedelta(days=1)


def test_the_latest_night_is_the_one_that_began_last_over_or_not() -> None:
    four = datetime(2026, 3, 10, 4, 0, tzinfo=UTC)
    assert timing.latest_night_start(four) == four
    assert timing.latest_night_start(four - timedelta(seconds=1)) == four - timedelta(days=1)
    assert timing.latest_night_start(four + timedelta(hours=12)) == four


@pytest.mark.parametrize(
    ("since", "due"),
    [
        (None, True),
        (timedelta(minutes=-15), True),
        (timedelta(minutes=-14), False),
        (timedelta(), False),
        (timedelta(minutes=1), False),
        (timedelta(minutes=1, seconds=1), True),
        (timedelta(days=10), True),
    ],
    ids=["never", "so long ago", "not so long ago", "now", "by another clock", "by a clock that was ahead", "by days"],
)
def test_something_is_due_after_its_interval_and_where_it_was_done_in_the_future(
    since: timedelta | None, *, due: bool
) -> None:
    now = datetime(2026, 3, 2, 16, tzinfo=UTC)
    done_at = None if since is None else now + since
    assert timing.has_passed(timedelta(minutes=15), since=done_at, now=now) is due
