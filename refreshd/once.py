"""`refreshd once`: lead, work until nothing is due, stop. For a cron job, a first look, and tests of the whole."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import structlog

from refreshd import policies
from refreshd.access import check_schema, open_ledger, reached, sessions_for_work
from refreshd.core import timing
from refreshd.core.breaker import Breaker
from refreshd.core.effects import Confirmed
from refreshd.core.errors import DependencyDown, LedgerUnavailable, RefreshdError, RowsLocked
from refreshd.core.model import CallTrace, Pause
from refreshd.core.totals import LedgerTotals
from refreshd.dispatch import Settled
from refreshd.engine import Counted
from refreshd.errorgroups import plain_errors
from refreshd.flinks import AiohttpTransport
from refreshd.leading import Given, Leading
from refreshd.lease import Lease
from refreshd.ledger import Ledger
from refreshd.pacing import Budget
from refreshd.ports import Clock, PassRecord
from refreshd.restraint import recalled
from refreshd.settings import Settings
from refreshd.tenure import held

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnceResult:
    """What came of it. `held` counts the logins under plans that wait for approval when the run ends."""

    passes: int
    calls: int
    confirmed: int
    failures: int
    held: int
    totals: LedgerTotals | None
    breaker_open: bool
    in_vendor_window: bool
    pause: Pause | None = None


class Tally:
    """A watcher that counts, and passes on what a progress bar wants to hear."""

    def __init__(self, on_settled: Callable[[Settled], None], on_pass: Callable[[PassRecord], None]) -> None:
        self.passes = 0
        self.calls = 0
        self.confirmed = 0
        self.failures = 0
        self.totals: LedgerTotals | None = None
        self.breaker = Breaker()
        self.pause: Pause | None = None
        self.cut_short = False
        self._on_settled = on_settled
        self._on_pass = on_pass

    def on_call(self, _: CallTrace) -> None:
        self.calls += 1

    def on_settled(self, settled: Settled) -> None:
        self.confirmed += sum(isinstance(effect, Confirmed) for effect in settled.turn.effects)
        self.failures += settled.turn.gave_up
        self._on_settled(settled)

    def on_breaker(self, breaker: Breaker) -> None:
        self.breaker = breaker

    def on_pass_started(self) -> None:
        """Nobody asks."""

    def on_pass(self, record: PassRecord) -> None:
        self.passes += 1
        self.cut_short = False
        self._on_pass(record)

    def on_pass_failed(self, error: RefreshdError) -> None:  # noqa: ARG002 # the log says it
        """The next pass does it all; where there is none, the rest is due still."""
        self.cut_short = True

    def on_totals(self, counted: Counted, _: float) -> None:
        self.totals = counted.totals

    def on_recorded(self, error: LedgerUnavailable | RowsLocked | None) -> None:
        """The log says what waits."""

    def on_task_failed(self, task: str) -> None:
        """The error that broke it off ends us too, and says why."""

    def on_pause(self, pause: Pause | None) -> None:
        self.pause = pause

    def on_feed(self, _: bool) -> None:  # noqa: FBT001 # likewise
        """The log says it."""

    def working(self, _: str) -> AbstractContextManager[None]:
        """Nobody watches over us."""
        return nullcontext()

    def beat(self, loop: str) -> None:
        """Nobody waits for a beat: whoever started us sees us end."""


async def run_once(
    settings: Settings,
    *,
    on_settled: Callable[[Settled], None] = lambda _: None,
    on_pass: Callable[[PassRecord], None] = lambda _: None,
    clock: Clock | None = None,
) -> OnceResult:
    """Passes, and the routine now, until nothing is due.

    Raises DependencyDown when another refreshd leads: the leader alone calls Flinks, or the budget would be spent twice.
    """
    tally = Tally(on_settled, on_pass)
    clock = clock or policies.clock(settings)
    with plain_errors():
        async with reached(settings) as url:
            await check_schema(url, settings)
            await _lead_once(settings, url, tally, clock)
    return _result(tally, clock)


async def _lead_once(settings: Settings, url: str, tally: Tally, clock: Clock) -> None:
    lease = Lease(url, schema=settings.database_schema, skew=policies.skew(settings, clock))
    try:
        if not await lease.acquire():
            raise DependencyDown(
                "another refreshd leads this ledger, and only one at a time may call Flinks",
                hint="`refreshd status` says who; stop it, or wait until its lease has run out",
            )
        await _work(settings, url, lease, tally, clock)
    finally:
        await asyncio.shield(lease.release())


async def _work(settings: Settings, url: str, lease: Lease, tally: Tally, clock: Clock) -> None:
    budget = Budget(settings.rate_per_minute, lease)
    async with (
        held(lease, budget),
        open_ledger(url, settings, size=sessions_for_work(settings)) as database,
        AiohttpTransport.opened() as transport,
    ):
        ledger = Ledger(database)
        given = Given(
            url=url,
            ledger=ledger,
            lease=lease,
            budget=budget,
            transport=transport,
            clock=clock,
            breaker=await recalled(ledger, policies.fingerprints(settings)),
        )
        leading = Leading(settings, given, tally, at_once=True)
        await leading.housekeeping.keep()
        if not await leading.feed.read():
            tally.failures += 1
        await leading.engine.run_until_idle()
        _tell_of_locked(leading, tally)


def _tell_of_locked(leading: Leading, tally: Tally) -> None:
    """What somebody's lock has kept us from to the very end is due still, and no call speaks of it."""
    locked = leading.queue.locked | leading.queue.left
    for login_id in sorted(locked):
        error, hint = "another transaction holds its row of the ledger", "look for it in pg_stat_activity"
        _log.warning("login_given_up", login_id=str(login_id), error=error, hint=hint)
    tally.failures += len(locked) + tally.cut_short


def _result(tally: Tally, clock: Clock) -> OnceResult:
    return OnceResult(
        passes=tally.passes,
        calls=tally.calls,
        confirmed=tally.confirmed,
        failures=tally.failures,
        held=tally.totals.held if tally.totals else 0,
        totals=tally.totals,
        breaker_open=tally.breaker.open,
        in_vendor_window=timing.in_vendor_window(clock.now()),
        pause=tally.pause,
    )
