"""Everything that `/metrics` shows: the home of metric names, one registry for each daemon.

The daemon hands over what happens through hooks that neither block nor raise; counters move, and gauges are projected at scrape from
one frozen state. The login, `reconcile_last_*` and disable gauges are the leader's alone, so `max without (instance)` is the truth.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType

from prometheus_client import (
    CollectorRegistry,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from refreshd.core.conversation import Terms
from refreshd.core.model import CallTrace, Credential, FetchDepth, Operation
from refreshd.core.totals import LedgerTotals
from refreshd.health import Condition
from refreshd.metrics.counters import CallCounters, ChangeCounters, PassCounters, SettledTurn
from refreshd.metrics.gauges import GAUGES
from refreshd.metrics.labels import PassFailure
from refreshd.metrics.projection import StateCollector
from refreshd.metrics.runtime import DatabaseCounters, ProcessCounters
from refreshd.metrics.state import ConfigLoad, MetricsPolicy, PassTimes, PoolUse, Prospects, State
from refreshd.ports import PassRecord

__all__ = [
    "DatabaseCounters",
    "Metrics",
    "MetricsPolicy",
    "PassFailure",
    "PoolUse",
    "Prospects",
    "SettledTurn",
    "operations_used",
]


class Metrics:
    """What one daemon counts and shows; it begins as a standby."""

    def __init__(self, *, version: str, revision: str, policy: MetricsPolicy) -> None:
        # A switch of the whole process: `_created` series cost memory and tell nobody anything.
        disable_created_metrics()  # type: ignore[no-untyped-call] # the library forgot its annotation
        self.registry = CollectorRegistry()
        self._state = State(version=version, revision=revision, policy=policy)
        self._passes = PassCounters(self.registry)
        self._changes = ChangeCounters(self.registry)
        self._calls = CallCounters(policy, self.registry)
        self._process = ProcessCounters(self.registry)
        self.database = DatabaseCounters(self.registry)
        self.registry.register(StateCollector(GAUGES, lambda: self._state))
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    # Role ---------------------------------------------------------------------------------------------------------------------------

    def lead(self) -> None:
        """The lease is ours. The login gauges appear with the first totals."""
        self._become(leading=True)

    def follow(self) -> None:
        """The lease is not ours: the leader's gauges disappear at once."""
        self._become(leading=False)

    def _become(self, *, leading: bool) -> None:
        if leading is not self._state.leading:
            self._passes.changed_leadership()
            passes = replace(self._state.passes, running=False)
            self._state = replace(self._state, leading=leading, totals=None, prospects=None, passes=passes)

    # Passes and totals --------------------------------------------------------------------------------------------------------------

    def on_pass_started(self) -> None:
        self._state = replace(self._state, passes=replace(self._state.passes, running=True))

    def on_pass(self, record: PassRecord) -> None:
        """A pass came to its end and was recorded."""
        self._passes.finished(record)
        succeeded = record.finished_at if record.failure is None else self._state.passes.succeeded_at
        self._end_pass(record.finished_at, succeeded, record.phase_seconds, at_once=record.more)

    def on_pass_failed(self, reason: PassFailure, *, at: datetime) -> None:
        """A pass broke off with an error (`PassFailure.of`) and left no record."""
        self._passes.broke_off(reason)
        self._end_pass(at, self._state.passes.succeeded_at, {}, at_once=False)

    def _end_pass(
        self, at: datetime, succeeded_at: datetime | None, phases: Mapping[str, float], *, at_once: bool
    ) -> None:
        rest = timedelta(seconds=0 if at_once else self._state.policy.pass_interval_seconds)
        times = PassTimes(
            succeeded_at=succeeded_at,
            completed_at=at,
            next_at=at + rest,
            phase_seconds=MappingProxyType(dict(phases)),
        )
        self._state = replace(self._state, passes=times)

    def publish(self, totals: LedgerTotals, prospects: Prospects) -> None:
        """Show these from the next scrape on. A standby shows none: totals that come late, after the lease went, are dropped."""
        if self._state.leading:
            self._state = replace(self._state, totals=totals, prospects=prospects)

    # Calls --------------------------------------------------------------------------------------------------------------------------

    def on_call(self, trace: CallTrace) -> None:
        """One HTTP call is over (a `CallObserver`)."""
        self._calls.called(trace)
        self._state = replace(self._state, flinks_up=trace.failure is None)

    def on_settled(self, settled: SettledTurn) -> None:
        """One turn is recorded."""
        self._changes.settled(settled.turn)
        self._calls.settled(settled)

    def waited(self, seconds: float) -> None:
        """A permit came after so long."""
        self._calls.waited(seconds)

    def set_rate(self, rate: int) -> None:
        """So many calls may leave in any 60 seconds from now on."""
        self._state = replace(self._state, rate_in_force=rate)

    def set_breaker(self, *, is_open: bool) -> None:
        self._state = replace(self._state, breaker_open=is_open)

    def set_paused(self, *, is_paused: bool) -> None:
        """Whether an operator has stopped vendor writes, as the leader's newest pass found it."""
        self._state = replace(self._state, paused=is_paused)

    # Process ------------------------------------------------------------------------------------------------------------------------

    def set_database_up(self, *, is_up: bool) -> None:
        self._state = replace(self._state, database_up=is_up)

    @property
    def is_deaf(self) -> bool:
        """Whether the last ping did not come back; a daemon that is deaf polls, so it is as ready as before."""
        return self._state.hears is False

    def on_notify_path(self, delay_seconds: float | None) -> None:
        """A ping went through the database; None: it did not come back."""
        self._state = replace(self._state, hears=delay_seconds is not None, notify_delay_seconds=delay_seconds)

    def set_conditions(self, conditions: Mapping[Condition, bool]) -> None:
        """Readiness as `Health.readiness().conditions` gives it."""
        self._state = replace(self._state, conditions=MappingProxyType(dict(conditions)))

    def on_lag(self, seconds: float) -> None:
        """The event loop ran a timer so late."""
        self._process.lagged(seconds)

    def on_log(self, level: str) -> None:
        """A line went to the log."""
        self._process.logged(level)

    def on_task_failed(self, task: str) -> None:
        """A task of the leadership broke off (`labels.TASKS`), and the leadership with it."""
        self._process.task_failed(task)

    def set_schema(self, *, version: int, expected: int) -> None:
        """The newest migration that the ledger has, and the newest that we know."""
        self._state = replace(self._state, schema_version=version, schema_expected=expected)

    def set_clock_skew(self, seconds: float) -> None:
        """How far our clock is ahead of the database's, as last compared; absent until then."""
        self._state = replace(self._state, clock_skew_seconds=seconds)

    def set_pool(self, pool: PoolUse | None) -> None:
        """The pool of the leadership that begins; None: it is over."""
        self._state = replace(self._state, pool=pool)

    def follow_policy(self, policy: MetricsPolicy) -> None:
        """The operator has set other thresholds, caps and limits."""
        self._state = replace(self._state, policy=policy)
        self._calls.show(policy.operations)

    def on_config_loaded(self, *, at: datetime) -> None:
        """The settings were read, at the start or anew, and are in force."""
        self._state = replace(self._state, config=ConfigLoad(successful=True, succeeded_at=at))

    def on_config_refused(self) -> None:
        """New settings had a fault: the old ones are kept."""
        if self._state.config is not None:
            self._state = replace(self._state, config=replace(self._state.config, successful=False))


def operations_used(terms: Terms, *, manual_refresh: bool) -> frozenset[Operation]:
    """The calls that an installation with these settings can make."""
    used = {Operation.AUTHORIZE, Operation.GET_NIGHTLY_REFRESH_STATUS, Operation.SET_SCHEDULED_REFRESH}
    if terms.mints_tokens or terms.schedule_credential is Credential.AUTHORIZE_TOKEN:
        used.add(Operation.GENERATE_AUTHORIZE_TOKEN)
    if manual_refresh:
        used.add(Operation.AUTHORIZE_LIVE)
    if terms.fetch is FetchDepth.DETAIL:
        used |= {Operation.GET_ACCOUNTS_DETAIL, Operation.GET_ACCOUNTS_DETAIL_ASYNC}
    elif terms.fetch is FetchDepth.SUMMARY or manual_refresh:
        used |= {Operation.GET_ACCOUNTS_SUMMARY, Operation.GET_ACCOUNTS_SUMMARY_ASYNC}
    return frozenset(used)
