"""What the daemon shows of itself: metrics, health and the page's overview, fed by the same hooks."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import timedelta

import structlog

from refreshd import __version__, policies, skew
from refreshd.core import forecast
from refreshd.core.breaker import Breaker
from refreshd.core.errors import (
    ClocksDisagree,
    LeaseLost,
    LeaseRanOut,
    LedgerUnavailable,
    RefreshdError,
    RowsLocked,
    SettingsError,
)
from refreshd.core.forecast import RoutineOutcome
from refreshd.core.model import CallTrace, Pause
from refreshd.core.plan import HeldPlan
from refreshd.core.timing import next_routine_start
from refreshd.core.totals import LedgerTotals
from refreshd.dispatch import Settled
from refreshd.engine import Counted
from refreshd.health import PAUSE, Condition, Health, Role
from refreshd.inquiry import PageLedger, Reach
from refreshd.metrics import Metrics, PassFailure, PoolUse, Prospects
from refreshd.migrate import MigrationStatus
from refreshd.needs import Need, Needs
from refreshd.operators import Operators
from refreshd.overview import BudgetUse, Overview, said_of_pause
from refreshd.pacing import Budget
from refreshd.ports import Clock, PassRecord
from refreshd.pulse import Pulse, loop_seconds
from refreshd.revision import revision
from refreshd.settings import LoginIds, Settings, settings_in_force
from refreshd.tracing import NoSpans, Spans
from refreshd.web import DecidingLedger, Desk, Site

_log = structlog.get_logger(__name__)

_LAG_LIMIT_SECONDS = 1.0

_NOT_TAKEN = "the client list is not taken, and the ledger keeps the old one: the log says why under source_refused"


class Watch:
    """Implements the hooks of a leadership (`leading.Watcher`) and answers the page and the probes."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.metrics = Metrics(version=__version__, revision=revision(), policy=policies.metrics_policy(settings))
        self.metrics.on_config_loaded(at=clock.now())
        self.health = Health()
        self._pulse = Pulse(self.health)
        self._needs = Needs(self._show_database)
        for each in (Condition.CONFIGURATION, Condition.EVENT_LOOP, Condition.CLOCK):
            self.health.holds(each)
        self.budget: Budget | None = None
        self.spans: Spans = NoSpans()
        self._settings = settings
        self._terms = policies.terms(settings)
        self._clock = clock
        self._last_pass: PassRecord | None = None
        self._totals: LedgerTotals | None = None
        self._plans: tuple[HeldPlan, ...] | None = None
        self._pause: Pause | None = None
        self._routine: RoutineOutcome | None = None
        self._lapsing: Mapping[str, int] | None = None
        self._desk: Desk | None = None

    # What a leadership tells --------------------------------------------------------------------------------------------------------

    def on_call(self, trace: CallTrace) -> None:
        self.metrics.on_call(trace)
        self.spans.on_call(trace)

    def on_settled(self, settled: Settled) -> None:
        self.metrics.on_settled(settled)

    def on_breaker(self, breaker: Breaker) -> None:
        """A credential was refused or accepted again, or the settings became suspect."""
        self.metrics.set_breaker(is_open=breaker.open)
        if breaker.open:
            stopped = ", ".join(sorted(breaker.stopped)) or "every login is unknown to Flinks: base URL and customer id"
            self.health.fails(Condition.CREDENTIALS, f"Flinks refuses: {stopped}")
        else:
            self.health.holds(Condition.CREDENTIALS)
        self._show_conditions()

    def on_pass_started(self) -> None:
        self.metrics.on_pass_started()
        self.spans.on_pass_started(self._clock.now())

    def on_pass(self, record: PassRecord) -> None:
        self._needs.served(Need.PASSES)
        self._last_pass = record
        self.metrics.on_pass(record)
        self.spans.on_pass(record)

    def on_pass_failed(self, error: RefreshdError) -> None:
        """It broke off with this error and left no record; where none was under way, a leadership did."""
        reason, now = PassFailure.of(error), self._clock.now()
        self.metrics.on_pass_failed(reason, at=now)
        self.spans.on_pass_broken(reason, now)

    def working(self, name: str) -> AbstractContextManager[None]:
        return self._pulse.working(name, longest_call_seconds=max(policies.timeouts(self._settings).values()))

    def on_totals(self, counted: Counted, again_in: float) -> None:
        self._pulse.counted(again_in)
        self._totals = counted.totals
        self._plans = tuple(counted.plans)
        outcome = forecast.routine_outcome(
            counted.deadlines.routine_due, self._terms, self._rate_in_force(), self._clock.now()
        )
        self._routine, self._lapsing = outcome, counted.deadlines.lapsing
        prospects = Prospects(lapsing=counted.deadlines.lapsing, routine=outcome, counted_again_in_seconds=again_in)
        self.metrics.publish(counted.totals, prospects)

    def _rate_in_force(self) -> float:
        return self._settings.rate_per_minute if self.budget is None else self.budget.throttle.rate

    def on_skew(self, ahead: timedelta) -> None:
        """Our clock was compared with the database's, as each candidate does, leader or not."""
        self.metrics.set_clock_skew(ahead.total_seconds())
        self.health.found(Condition.CLOCK, skew.fault(ahead))
        self._show_conditions()

    def on_recorded(self, error: LedgerUnavailable | RowsLocked | None) -> None:
        """What calls have led to is stored, or waits."""
        self._needs.told(Need.RESULTS, error)

    def on_task_failed(self, task: str) -> None:
        self.metrics.on_task_failed(task)

    def on_feed(self, taken: bool) -> None:  # noqa: FBT001 # a hook with one thing to say
        """A look at the source query came to its end. Why a list was not taken is the log's: it may quote what is in the list."""
        self.beat("feed")
        self.health.remark("source", None if taken else _NOT_TAKEN)

    def on_pause(self, pause: Pause | None) -> None:
        """What an operator has ordered, as the newest pass finds it."""
        if pause is not None and pause != self._pause:
            _log.warning(
                "writes_paused", by=pause.paused_by, reason=pause.reason, paused_at=pause.paused_at.isoformat()
            )
        elif pause is None and self._pause is not None:
            _log.info("writes_resumed")
        self._pause = pause
        self.metrics.set_paused(is_paused=pause is not None)
        self.health.remark(PAUSE, None if pause is None else said_of_pause(pause))

    def on_notify_path(self, seconds: float | None) -> None:
        """The listener has tried whether it would hear, and how soon."""
        self.metrics.on_notify_path(seconds)
        self.beat("listener")

    def beat(self, loop: str) -> None:
        self._pulse.beat(loop)

    def on_lag(self, seconds: float) -> None:
        """The event loop ran a timer so late; a loop that is blocked answers nobody."""
        self.metrics.on_lag(seconds)
        self.beat("event_loop")
        if seconds > _LAG_LIMIT_SECONDS:
            self.health.fails(
                Condition.EVENT_LOOP, f"a timer ran {seconds:.1f} s late: something blocks the event loop"
            )
        else:
            self.health.holds(Condition.EVENT_LOOP)
        self._show_conditions()

    # What the daemon tells ----------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """The loops of every daemon run, and say so from now on."""
        self._pulse.begin()

    def database_answers(self, schema: MigrationStatus) -> None:
        """The database is there, and the schema is what this refreshd needs. Whether it also does what we need, the work will tell."""
        self.metrics.set_schema(version=schema.version, expected=schema.expected)
        self.health.holds(Condition.SCHEMA)
        self._show_conditions()

    def follow_settings(self, settings: Settings) -> None:
        """The settings were read anew, and are in force."""
        before = self._settings
        self._settings, self._terms = settings, policies.terms(settings)
        if self._desk is not None and before.operators != settings.operators:
            self._desk.follow(policies.operators(settings) or Operators({}))
        self.metrics.follow_policy(policies.metrics_policy(settings))
        self.metrics.on_config_loaded(at=self._clock.now())
        self.health.remark("settings", None)

    def settings_refused(self, error: SettingsError) -> None:
        """New settings cannot be had: the old ones stay in force, all of them."""
        self.metrics.on_config_refused()
        self.health.remark(
            "settings", f"the settings that were to be loaded are refused, the old ones are in force: {error.message}"
        )

    def leadership_failed(self, error: RefreshdError) -> None:
        """A leadership, or the wait for one, ended with this error. Told at once, and again when all of the leadership has ended."""
        need = Need.PASSES if self.health.readiness().role is Role.LEADER else Need.LEASE
        if need is Need.PASSES:
            self.on_pass_failed(error)
            if isinstance(error, LeaseLost):
                self.metrics.on_task_failed("lease")
        self.follow()
        if isinstance(error, LedgerUnavailable | LeaseRanOut | RowsLocked):
            self._needs.told(need, error)
        elif isinstance(error, ClocksDisagree):
            self._needs.served(Need.LEASE)

    def stands_by(self) -> None:
        """We have asked for the lease, and somebody else holds it: what a leader needs of the database is that one's business now."""
        self._needs.served(Need.LEASE, Need.PASSES)

    def lead(self, pool: PoolUse | None = None) -> None:
        """The lease is ours, and this is the pool that the leadership works with."""
        self._needs.served(Need.LEASE)
        self.metrics.set_pool(pool)
        self.health.become(Role.LEADER)
        self.health.holds(Condition.CREDENTIALS)
        settings = self._settings
        interval, feeds = settings.pass_interval.total_seconds(), settings.source_query_file is not None
        self._pulse.lead(pass_interval_seconds=interval, feeds=feeds)
        if not feeds:
            self.health.remark("source", None)  # a reload may have taken the source query out
        self.metrics.lead()
        self._show_conditions()

    def follow(self) -> None:
        """The lease is somebody else's, or nobody's: nothing that only a leader knows is shown any more."""
        self._needs.leadership_over()
        self.health.become(Role.STANDBY)
        self.health.holds(Condition.CREDENTIALS)
        self._pulse.follow()
        self._last_pass, self._totals, self._plans, self._pause = None, None, None, None
        self._routine, self._lapsing = None, None
        self.health.remark(PAUSE, None)
        self.health.remark("source", None)
        self.metrics.follow()
        self.metrics.set_pool(None)
        self._show_conditions()

    def _show_database(self, fault: str | None) -> None:
        self.metrics.set_database_up(is_up=fault is None)
        self.health.found(Condition.DATABASE, fault)
        self._show_conditions()

    def _show_conditions(self) -> None:
        self.metrics.set_conditions(self.health.readiness().conditions)

    # What the page asks -------------------------------------------------------------------------------------------------------------

    def overview(self) -> Overview:
        """The present state, for the page."""
        now, settings = self._clock.now(), self._settings
        return Overview(
            now=now,
            version=__version__,
            mode=settings.mode.value,
            last_pass=self._last_pass,
            totals=self._totals,
            budget=self._budget_use(),
            held=self._plans,
            pause=self._pause,
            next_routine_at=next_routine_start(now, settings.routine_at, settings.routine_timezone),
            routine=self._routine,
            lapsing=self._lapsing,
            deaf=self.metrics.is_deaf,
        )

    def site(self, reach: Reach[PageLedger], deciding: Reach[DecidingLedger]) -> Site:
        """What the HTTP door shows, by the settings that are in force at that moment."""
        operators = policies.operators(self._settings)
        self._desk = None if operators is None else Desk(operators=operators, reach=deciding)
        return Site(
            registry=self.metrics.registry,
            health=self.health,
            overview=self.overview,
            reach=reach,
            story_terms=lambda: policies.story_terms(self._settings),
            settings=lambda: settings_in_force(self._settings),
            whole_ids=lambda: self._settings.page_login_ids is LoginIds.WHOLE,
            desk=self._desk,
        )

    def _budget_use(self) -> BudgetUse | None:
        if self.budget is None:
            return None
        used = self.budget.used_in_last_minute(loop_seconds())
        throttle = self.budget.throttle
        return BudgetUse(
            used=used, rate_per_minute=throttle.setting, in_force=throttle.rate if throttle.lowered else None
        )
