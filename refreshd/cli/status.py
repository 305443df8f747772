"""`refreshd status`: the fleet and the daemon on one page."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from rich.text import Text

import refreshd
from refreshd import overview, phrases, policies
from refreshd.cli import prospects
from refreshd.cli.options import AsJson, Config
from refreshd.cli.plans import show_plan
from refreshd.cli.prospects import Prospects, look_ahead
from refreshd.cli.screen import Cell, Column, Screen, clean
from refreshd.cli.session import ledger_settings, opened
from refreshd.cli.shapes import (
    leader_as_json,
    orphan_as_json,
    pass_as_json,
    pause_as_json,
    plan_as_json,
    refused_as_json,
)
from refreshd.cli.start import run_async
from refreshd.cli.styles import VERDICT_STYLES
from refreshd.core import timing
from refreshd.core.model import Pause, VerdictName
from refreshd.core.plan import HeldPlan
from refreshd.core.totals import LedgerTotals
from refreshd.reading import Leader, Orphan, StoredLogin, StoredPass
from refreshd.settings import Settings

_PASSES = 5
_ORPHANS = 10
_REFUSED = 10
_BAR, _NARROW_BAR = 24, 8
_ROOM_FOR_BARS = 100
_MINUTE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """All that the page shows."""

    now: datetime
    lease_now: datetime  # leases live by the database's clock, which no scaling of dates reaches
    settings: Settings
    leader: Leader | None
    calls: int
    totals: LedgerTotals
    prospects: Prospects
    plans: Sequence[HeldPlan]
    passes: Sequence[StoredPass]
    refused: Sequence[StoredLogin]
    orphans: Sequence[Orphan]
    pause: Pause | None
    rate_in_force: int | None


def status(*, config: Config = None, as_json: AsJson = False) -> None:
    """Show the fleet, the budget, the routine and held plans.

    The logins by verdict, who leads, how many calls left in the last minute, how long the routine takes at this rate, the last passes,
    logins that Flinks refuses, with its codes, and those that it reports and no client was ever linked to.
    """
    screen = Screen()
    state = run_async(_state(ledger_settings(config)))
    if as_json:
        screen.json(_as_json(state))
    else:
        _show(screen, state)


async def _state(settings: Settings) -> _State:
    async with opened(settings) as here:
        ledger, now = here.ledger, here.now
        totals = await ledger.totals(now=now)
        return _State(
            now=now,
            lease_now=await ledger.clock(),
            settings=settings,
            leader=await ledger.leader(),
            calls=await ledger.calls_since(now - policies.as_dates(_MINUTE, settings)),
            totals=totals,
            prospects=await look_ahead(here, totals),
            plans=await ledger.plans(),
            passes=await ledger.passes(limit=_PASSES),
            refused=await ledger.logins(VerdictName.QUARANTINED, after=None, limit=_REFUSED),
            orphans=await ledger.orphans(limit=_ORPHANS),
            pause=await ledger.pause(),
            rate_in_force=await ledger.rate_in_force(),
        )


def _show(screen: Screen, state: _State) -> None:
    settings = state.settings
    screen.line(
        f"refreshd {refreshd.__version__}, schema {settings.database_schema}, mode {settings.mode}", style="bold"
    )
    screen.facts(_daemon(state))
    if state.pause is not None:
        said = clean(overview.said_of_pause(state.pause))
        screen.warn(f'{said}; all else goes on, and `refreshd resume --reason "..."` ends it')
    for warning in prospects.warnings(state.prospects):
        screen.warn(warning)
    _show_fleet(screen, state.totals)
    for each in state.plans:
        show_plan(screen, each, state.now)
    _show_passes(screen, state)
    _show_refused(screen, state)
    _show_orphans(screen, state)


def _daemon(state: _State) -> Iterator[tuple[str, Cell]]:
    yield "leader", _leader(state)
    yield "budget", _budget(state)
    yield "report", f"read {phrases.when(state.totals.reported_at, state.now)}"
    yield "vendor's night", _night(state.now)
    yield from prospects.facts(state.prospects, state.totals, settings=state.settings, now=state.now)


def _budget(state: _State) -> Cell:
    used = (
        f"{phrases.counted(state.calls, 'call')} in the last 60 s, of {state.settings.rate_per_minute} that may leave"
    )
    if state.rate_in_force is None:
        return used
    return Text(f"{used}; Flinks asks for fewer, so {state.rate_in_force} for now", "yellow")


def _leader(state: _State) -> Cell:
    leader = state.leader
    if leader is None or not leader.held:
        return Text("nobody leads this ledger; start refreshd run", "bold yellow")
    return f"{leader.holder} since {phrases.when(leader.acquired_at, state.lease_now)}, term {leader.term}"


def _night(now: datetime) -> str:
    if timing.in_vendor_window(now):
        ends = timing.latest_window_end(now) + timedelta(days=1)
        return f"now, until {phrases.when(ends, now)}: no Authorize before that"
    return f"begins {phrases.when(timing.next_window_start(now), now)}"


def _show_fleet(screen: Screen, totals: LedgerTotals) -> None:
    screen.title(phrases.counted(sum(totals.by_verdict.values()), "login"))
    columns = [
        Column(head="verdict", whole=True),
        Column(head="logins", whole=True, right=True),
        *([Column(head="", whole=True)] if screen.width else []),
        Column(head="meaning"),
    ]
    screen.table(columns, (_fleet_row(row, screen.width) for row in overview.fleet(totals)))
    wanted = overview.attention(totals)
    if wanted:
        screen.title("Look at")
        screen.table(
            [Column(head="command", whole=True), Column(head="logins", whole=True, right=True)],
            ((Text(each.command, "bold"), phrases.number(each.count)) for each in wanted),
        )


def _fleet_row(row: overview.FleetRow, width: int | None) -> list[Cell]:
    """A bar only where there is a terminal to draw it on."""
    style = VERDICT_STYLES[row.verdict] if row.count else "dim"
    cells: list[Cell] = [Text(row.verdict, style), Text(phrases.number(row.count), style)]
    if width is not None:
        longest = _BAR if width >= _ROOM_FOR_BARS else _NARROW_BAR
        cells.append(Text("━" * ceil(row.percent * longest / 100), style))
    return [*cells, Text(row.words, "" if row.count else "dim")]


def _show_passes(screen: Screen, state: _State) -> None:
    screen.title("Last passes")
    if not state.passes:
        screen.line("none yet", indent=2)
        return
    columns = [
        Column(head="pass", whole=True, right=True),
        Column(head="when", whole=True, right=True),
        Column(head="judged", whole=True, right=True),
        Column(head="intended", whole=True, right=True),
        Column(head="held", whole=True, right=True),
        Column(head="ended"),
    ]
    rows = (
        (
            str(each.pass_id),
            phrases.age(each.started_at, state.now),
            phrases.number(each.judged),
            phrases.number(each.intended),
            phrases.number(each.held),
            _ended(each),
        )
        for each in state.passes
    )
    screen.table(columns, rows)


def _ended(each: StoredPass) -> str:
    if each.failure:
        return clean(each.failure)
    if each.finished_at is None:
        return "runs, or was cut off"
    return f"after {(each.finished_at - each.started_at).total_seconds():.1f} s"


def _show_refused(screen: Screen, state: _State) -> None:
    if not state.refused:
        return
    count = max(len(state.refused), state.totals.by_verdict.get(VerdictName.QUARANTINED, 0))
    screen.title(f"{phrases.counted(count, 'login')} refused by Flinks for good")
    columns = [
        Column(head="login", whole=True),
        Column(head="for", whole=True, right=True),
        Column(head="code", whole=True),
        Column(head="meanwhile"),
    ]
    rows = (
        (
            str(each.evidence.login_id),
            phrases.span(state.now - each.verdict_since),
            clean(each.code or each.reason),
            "not refreshed" if each.evidence.active else "counts as a leak",
        )
        for each in state.refused
    )
    screen.table(columns, rows)
    _show_left_out(screen, count - len(state.refused), " (`refreshd logins --verdict quarantined`)")
    screen.line("`refreshd explain LOGIN_ID` says of each when it is tried again, and what Flinks answered.", indent=2)


def _show_left_out(screen: Screen, count: int, where: str = "") -> None:
    if count > 0:
        screen.line(f"… and {phrases.number(count)} more{where}", indent=2, style="dim")


def _show_orphans(screen: Screen, state: _State) -> None:
    count = state.totals.ineligible.get("absent", 0)
    if not count:
        return
    screen.title(f"{phrases.counted(count, 'orphan')}: Flinks reports them, and no client was ever linked to them")
    rows = (
        (str(each.login_id), phrases.age(each.first_reported_at, state.now), clean(each.code or each.state or ""))
        for each in state.orphans
    )
    screen.table([Column(head="login", whole=True), Column(head="first seen", whole=True), Column(head="code")], rows)
    _show_left_out(screen, count - len(state.orphans))


def _as_json(state: _State) -> dict[str, object]:
    settings, totals = state.settings, state.totals
    return {
        "now": state.now,
        "version": refreshd.__version__,
        "schema": settings.database_schema,
        "mode": settings.mode,
        "leader": leader_as_json(state.leader),
        "pause": pause_as_json(state.pause),
        "budget": {
            "calls_in_last_60s": state.calls,
            "rate_per_minute": settings.rate_per_minute,
            "rate_in_force": state.rate_in_force or settings.rate_per_minute,
        },
        "reported_at": totals.reported_at,
        "in_vendor_window": timing.in_vendor_window(state.now),
        **prospects.as_json(state.prospects, totals, settings),
        "logins": {row.verdict: row.count for row in overview.fleet(totals)},
        "stale": dict(totals.stale),
        "plans": [plan_as_json(each) for each in state.plans],
        "passes": [pass_as_json(each) for each in state.passes],
        "first_refused": [refused_as_json(each) for each in state.refused],
        "orphans": totals.ineligible.get("absent", 0),
        "first_orphans": [orphan_as_json(each) for each in state.orphans],
    }
