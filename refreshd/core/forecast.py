"""How long the routine takes at the operator's rate: what each login costs in calls, over the budget, around the vendor's night."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from refreshd.core import timing
from refreshd.core.conversation import Terms
from refreshd.core.model import Evidence, FetchDepth, Lane

DAY = timedelta(hours=24)
NIGHT = timedelta(hours=4)
"""The vendor's window, in which the routine rests."""


def calls_for_one(terms: Terms) -> int:
    """The calls of one login's routine when all goes well: a token, the Authorize, and the fetch where one is wanted."""
    return 1 + int(terms.mints_tokens) + int(terms.fetch is not FetchDepth.OFF)


def routine_length(logins: int, terms: Terms, rate_per_minute: float) -> timedelta:
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


def working_time(start: datetime, end: datetime) -> timedelta:
    """How much of the span the routine may use: all of it but the vendor's nights."""
    worked, at = timedelta(), start
    if timing.in_vendor_window(at):
        at = timing.latest_window_end(at) + DAY
    while at < end:
        rest = min(timing.next_window_start(at), end)
        worked += rest - at
        at = rest + NIGHT
    return worked


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutineOutcome:
    """How today's routine will end at the rate in force; `ends_at` None: nothing is left of it.

    `deadline`: when the vendor's next night begins, and with it a day that some login had no routine. `lapsing`: logins that Flinks will
    stop refreshing before the routine comes to them.
    """

    remaining: int
    ends_at: datetime | None
    deadline: datetime
    lapsing: int

    @property
    def is_in_time(self) -> bool:
        return self.ends_at is None or self.ends_at <= self.deadline


def routine_outcome(
    due: Mapping[tuple[Lane, datetime | None], int], terms: Terms, rate_per_minute: float, now: datetime
) -> RoutineOutcome:
    """What becomes of the logins that are due (`Deadlines.routine_due`), if nothing else needs the budget."""
    remaining = sum(due.values())
    length = routine_length(remaining, terms, rate_per_minute)
    return RoutineOutcome(
        remaining=remaining,
        ends_at=routine_end(now, length) if remaining else None,
        deadline=timing.next_window_start(now),
        lapsing=_lapsing(due, terms, rate_per_minute, now),
    )


def _lapsing(
    due: Mapping[tuple[Lane, datetime | None], int], terms: Terms, rate_per_minute: float, now: datetime
) -> int:
    """Those with a clock are served in its order, after the savable ones that never had a call; one that lapses is called all the same."""
    served, lapsing = due.get((Lane.SAVABLE, None), 0), 0
    dated = sorted((deadline, logins) for (_, deadline), logins in due.items() if deadline is not None)
    for deadline, logins in dated:
        minutes = working_time(now, deadline) / timedelta(minutes=1)
        room = int(minutes * rate_per_minute / calls_for_one(terms)) - served
        lapsing += logins - max(0, min(logins, room))
        served += logins
    return lapsing


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
