"""What `refreshd status` says about what is to come: the routine and whether it ends in time, logins that lapse, and the money."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from rich.text import Text

from refreshd import phrases, policies
from refreshd.cli.screen import Cell
from refreshd.cli.session import Opened
from refreshd.core import forecast, timing
from refreshd.core.forecast import RoutineOutcome
from refreshd.core.model import Lane
from refreshd.core.totals import Deadlines, LedgerTotals
from refreshd.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospects:
    """The routine of today and the next one at the rate in force. `began` is today's; it is not known before a first pass judged."""

    began: datetime
    is_known: bool
    deadlines: Deadlines
    outcome: RoutineOutcome
    following: datetime
    following_logins: int
    following_length: timedelta

    def waiting(self, lane: Lane) -> int:
        return sum(logins for (each, _), logins in self.deadlines.routine_due.items() if each is lane)


async def look_ahead(here: Opened, totals: LedgerTotals) -> Prospects:
    settings, now, ledger = here.settings, here.now, here.ledger
    terms, agenda = policies.terms(settings), policies.agenda(settings, at_once=False)
    rate = await ledger.rate_in_force() or settings.rate_per_minute
    began = agenda.routine_start(now)
    deadlines = await ledger.deadlines(now=now, routine_start=began, polling=agenda.polling)
    active = sum(totals.active_by_age.values())
    return Prospects(
        began=began,
        is_known=bool(await ledger.passes(limit=1)),
        deadlines=deadlines,
        outcome=forecast.routine_outcome(deadlines.routine_due, terms, rate, now),
        following=timing.next_routine_start(now, settings.routine_at, settings.routine_timezone),
        following_logins=active,
        following_length=forecast.routine_length(active, terms, rate),
    )


def warnings(ahead: Prospects) -> Iterator[str]:
    outcome, more_calls = ahead.outcome, "ask Flinks for more calls a minute and raise REFRESHD_RATE_PER_MINUTE"
    if not forecast.fits_in_a_day(ahead.following_length):
        length = phrases.span(ahead.following_length)
        yield f"a routine of {length} is not over before the next one begins; {more_calls}"
    elif not outcome.is_in_time and outcome.ends_at is not None:
        late = phrases.span(outcome.ends_at - outcome.deadline)
        yield f"today's routine ends {late} after the vendor's night begins; {more_calls}"
    if outcome.lapsing:
        yield (
            f"{phrases.counted(outcome.lapsing, 'login')} will lapse before the routine comes to"
            f" {'it' if outcome.lapsing == 1 else 'them'}, and then only their users can mend that"
        )


def facts(ahead: Prospects, totals: LedgerTotals, *, settings: Settings, now: datetime) -> Iterator[tuple[str, Cell]]:
    yield "routine", _today(ahead, now)
    logins, length = phrases.counted(ahead.following_logins, "login"), phrases.span(ahead.following_length)
    yield "next routine", f"{phrases.when(ahead.following, now)}: {logins}, {length} at this rate"
    yield "lapsing", _lapsing(ahead.deadlines)
    yield "leaking", _days(totals.leaking_login_days, settings)
    yield "saved", _days(totals.saved_login_days, settings)


def _today(ahead: Prospects, now: datetime) -> str:
    outcome, began = ahead.outcome, phrases.stamp(ahead.began)
    if not ahead.is_known:
        return "known after the first pass"
    if outcome.ends_at is None:
        return f"nothing waits of the one that began {began}"
    waiting = f"{phrases.counted(outcome.remaining, 'login')} still {'waits' if outcome.remaining == 1 else 'wait'}"
    ends = "in time" if outcome.is_in_time else "too late for tonight"
    return f"{waiting} for the one of {began}: {phrases.span(outcome.ends_at - now)} at this rate, {ends}"


def _lapsing(deadlines: Deadlines) -> Cell:
    """Of the clocks that no call can move, too: those users have to be asked in time."""
    within = deadlines.lapsing
    if not any(within.values()):
        return "no login within three days"
    return Text(", ".join(f"{phrases.number(logins)} within {span}" for span, logins in within.items()), "yellow")


def _days(login_days: float, settings: Settings) -> str:
    cost = settings.cost_per_login_day
    days = f"{phrases.number(round(login_days))} login-days"
    return days if cost is None else f"{days}, that is {float(cost) * login_days:,.2f} at {cost} each"


def as_json(ahead: Prospects, totals: LedgerTotals, settings: Settings) -> dict[str, object]:
    outcome, cost = ahead.outcome, settings.cost_per_login_day
    return {
        "routine": {
            "began_at": ahead.began,
            "waiting": {lane: ahead.waiting(lane) for lane in Lane},
            "over_at": outcome.ends_at,
            "deadline_at": outcome.deadline,
            "in_time": outcome.is_in_time,
            "lapsing": outcome.lapsing,
            "next_at": ahead.following,
            "next_logins": ahead.following_logins,
            "next_seconds": ahead.following_length,
            "fits_in_a_day": forecast.fits_in_a_day(ahead.following_length),
        },
        "lapsing_within": dict(ahead.deadlines.lapsing),
        "leaking_login_days": totals.leaking_login_days,
        "saved_login_days": totals.saved_login_days,
        "leaking_cost": None if cost is None else float(cost) * totals.leaking_login_days,
        "saved_cost": None if cost is None else float(cost) * totals.saved_login_days,
    }
