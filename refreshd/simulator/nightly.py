"""The nightly refresh job: who is eligible, what a night does to a login, and what it costs.

Nothing runs in the background. `advance` lives through all that lies between the last look and the date given, turn by
turn, so that a leap over a month and a month of small steps end in the same world.

https://docs.flinks.com/guides/connect/nightly-refresh
"""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from refreshd.simulator import codes
from refreshd.simulator.draws import fraction, pick
from refreshd.simulator.login import NIGHT_LENGTH, Attempt, Login, failed, succeeded
from refreshd.simulator.state import World

NIGHT_BEGINS = time(4, tzinfo=UTC)
ELIGIBILITY = timedelta(days=7)
"""A good refresh, and a cached call, must both be no older than this."""


def night_of(day: date) -> datetime:
    """Return when the job of that day begins."""
    return datetime.combine(day, NIGHT_BEGINS)


def in_window(moment: datetime) -> bool:
    """Tell whether the job is running: 04:00 to 08:00 UTC."""
    utc = moment.astimezone(UTC)
    return timedelta() <= utc - night_of(utc.date()) < NIGHT_LENGTH


def eligible(login: Login, now: datetime, *, webhooks: bool) -> bool:
    """Tell whether the job would refresh `login` now. Silent staleness does not show here: that is what makes it silent."""
    if not login.scheduled or login.attempt.disqualifies:
        return False
    if login.last_refresh is None or now - login.last_refresh > ELIGIBILITY:
        return False
    return webhooks or (login.last_cached_call is not None and now - login.last_cached_call <= ELIGIBILITY)


def advance(world: World, to: datetime) -> None:
    """Let every turn that falls after the world's date, up to and with `to`, happen in order. Never goes back."""
    since, to = world.date.astimezone(UTC), to.astimezone(UTC)
    if to <= since:
        return
    for night in _nights(since, to):
        for login in _turns(world, after=since - night, upto=to - night):
            _take_turn(world, login, night + login.turn)
    world.date = to


def _nights(since: datetime, to: datetime) -> Iterator[datetime]:
    for days in range((to.date() - since.date()).days + 1):
        yield night_of(since.date() + timedelta(days=days))


def _turns(world: World, *, after: timedelta, upto: timedelta) -> list[Login]:
    if upto < timedelta() or after >= NIGHT_LENGTH:
        return []
    if world.turns is None:
        world.turns = sorted(world.logins.values(), key=lambda login: (login.turn, login.login_id))
    first = bisect_right(world.turns, after, key=lambda login: login.turn)
    last = bisect_right(world.turns, upto, key=lambda login: login.turn)
    return world.turns[first:last]


def _take_turn(world: World, login: Login, now: datetime) -> None:
    if login.flag_returns:
        login.scheduled, login.flag_returns = True, False
    if not login.scheduled:
        return
    tried = eligible(login, now, webhooks=world.config.webhooks) and not login.stuck
    if tried or world.config.bill_ineligible:
        world.audit.bill(login.login_id)
    if tried:
        record(login, _attempt(world, login, now))


def _attempt(world: World, login: Login, now: datetime) -> Attempt:
    outage = world.outage(login.institution, now)
    if outage:
        return failed(now, outage.code)
    night = (world.config.seed, login.login_id, now.date())
    if fraction("fails", *night) >= login.institution.failure_chance:
        return succeeded(now)
    return failed(now, pick(login.institution.failures, fraction("how", *night)))


def record(login: Login, attempt: Attempt) -> None:
    """Remember how a refresh of `login` ended."""
    login.attempt = attempt
    if attempt.state == codes.COMPLETED:
        login.last_refresh = attempt.at
