"""Calendar arithmetic: the vendor's window, the routine's hour, and what is due again. Every function takes `now`."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo

WINDOW_START = time(4)
WINDOW_END = time(8)
"""The vendor's nightly job, UTC. https://docs.flinks.com/guides/connect/nightly-refresh"""

ELIGIBILITY = timedelta(days=7)
"""Without a good refresh for this long, Flinks stops refreshing a login until its user connects again (same page)."""

AT_MOST_AHEAD = timedelta(minutes=1)
"""What clocks may differ by: a date that is further in the future was made by one that was wrong."""


def has_passed(interval: timedelta, *, since: datetime | None, now: datetime) -> bool:
    """Whether something is due again after its interval. A date of the future would put it off for as long as a clock was wrong."""
    return since is None or not -AT_MOST_AHEAD <= now - since < interval


def in_vendor_window(now: datetime) -> bool:
    """Whether the vendor's nightly job may be running, when refreshd authorizes nobody."""
    return WINDOW_START <= now.astimezone(UTC).time() < WINDOW_END


def latest_window_end(now: datetime) -> datetime:
    """When the last vendor night that is over ended."""
    return _latest(now, WINDOW_END, UTC)


def latest_night_start(now: datetime) -> datetime:
    """When the vendor's latest night began, be it over or not."""
    return _latest(now, WINDOW_START, UTC)


def next_window_start(now: datetime) -> datetime:
    """When the vendor's next night begins; `now` itself when it begins now."""
    return _following(now, WINDOW_START, UTC, strictly=False)


def latest_routine_start(now: datetime, at: time, zone: tzinfo) -> datetime:
    """When the routine that is due now began: the latest `at` in `zone` that is not in the future, in UTC.

    Where daylight saving skips the hour, the moment is the one its offset before the change would give; where it occurs twice, the first.
    """
    return _latest(now, at, zone)


def next_routine_start(now: datetime, at: time, zone: tzinfo) -> datetime:
    """When the next routine begins, in UTC."""
    return _following(now, at, zone, strictly=True)


def _on(day: date, at: time, zone: tzinfo) -> datetime:
    return datetime.combine(day, at, zone).astimezone(UTC)


def _latest(now: datetime, at: time, zone: tzinfo) -> datetime:
    today = now.astimezone(zone).date()
    return max(moment for moment in _around(today, at, zone) if moment <= now)


def _following(now: datetime, at: time, zone: tzinfo, *, strictly: bool) -> datetime:
    today = now.astimezone(zone).date()
    return min(moment for moment in _around(today, at, zone) if moment > now or (moment == now and not strictly))


def _around(day: date, at: time, zone: tzinfo) -> list[datetime]:
    return [_on(day + timedelta(days=offset), at, zone) for offset in (-2, -1, 0, 1, 2)]
