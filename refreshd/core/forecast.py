"""How long the routine takes at the operator's rate: what each login costs in calls, over the budget, around the vendor's night."""

from datetime import datetime, timedelta

from refreshd.core import timing
from refreshd.core.conversation import Terms
from refreshd.core.model import Evidence, FetchDepth

DAY = timedelta(hours=24)
NIGHT = timedelta(hours=4)
"""The vendor's window, in which the routine rests."""


def calls_for_one(terms: Terms) -> int:
    """The calls of one login's routine when all goes well: a token, the Authorize, and the fetch where one is wanted."""
    return 1 + int(terms.mints_tokens) + int(terms.fetch is not FetchDepth.OFF)


def routine_length(logins: int, terms: Terms, rate_per_minute: int) -> timedelta:
    """How long the calls for so many logins take, if nothing else needs the budget."""
    return timedelta(minutes=logins * calls_for_one(terms) / rate_per_minute)


def routine_end(start: datetime, length: timedelta) -> datetime:
    """When a routine of that length is over: it rests through every vendor's night that it meets."""
    at, left = start, length
    if timing.in_vendor_window(at):
        at = timing.latest_window_end(at) + DAY
    while left > (room := timing.next_window_start(at) - at):
        left -= room
        at += room + NIGHT
    return at + left


def fits_in_a_day(length: timedelta) -> bool:
    """Whether one day's routine is over before the next begins; if not, logins lapse although the daemon works on."""
    return length <= DAY - NIGHT


def eligible_until(evidence: Evidence, *, polling: bool) -> datetime | None:
    """When Flinks will stop refreshing the login at night, by the clocks alone; None where one of them never began.

    Seven days after the last good refresh and, for a polling integration, seven days after the last cached call; the call is the
    clock that we can move. https://docs.flinks.com/guides/connect/nightly-refresh
    """
    clocks = (evidence.refreshed_at, evidence.cached_call_at) if polling else (evidence.refreshed_at,)
    began = [each for each in clocks if each is not None]
    return min(began) + timing.ELIGIBILITY if len(began) == len(clocks) else None
