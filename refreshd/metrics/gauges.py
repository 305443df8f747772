"""The gauges about the daemon: its passes, the guard, the vendor client, the database, the process. Those about logins: `fleet`."""

import platform

from refreshd.core import caps
from refreshd.core.model import VerdictName
from refreshd.metrics import labels
from refreshd.metrics.fleet import FLEET
from refreshd.metrics.projection import Gauge, Samples, always, flag, leader, one, seconds, totals
from refreshd.metrics.state import State

LIMITER_PERIOD_SECONDS = 60.0


def _phases(state: State) -> Samples:
    ran = state.passes.phase_seconds if state.leading else {}
    return {(phase,): ran[phase] for phase in labels.PHASES if phase in ran}


def _conditions(state: State) -> Samples:
    return {(str(condition),): float(holds) for condition, holds in state.conditions.items()}


def _build(state: State) -> Samples:
    return {(state.version, state.revision, platform.python_version()): 1.0}


def _succeeded(state: State) -> Samples:
    """A leader that has just begun knows of its predecessors' passes from the ledger."""
    known = (state.passes.succeeded_at, None if state.totals is None else state.totals.succeeded_at)
    return one(seconds(max((at for at in known if at is not None), default=None))) if state.leading else {}


def _pool(state: State) -> Samples:
    return {} if state.pool is None else {("idle",): state.pool.idle, ("in_use",): state.pool.in_use}


def _rate(state: State) -> Samples:
    """Of the leader alone: it is the one that calls."""
    return one(state.rate_in_force or state.policy.rate_per_minute) if state.leading else {}


def _limit(state: State) -> Samples:
    """What the guard would let through, by its own arithmetic."""
    if state.totals is None:
        return {}
    logins = sum(state.totals.by_verdict.values())
    not_off = logins - state.totals.by_verdict.get(VerdictName.DISABLED, 0)
    return one(caps.allowance(state.policy.guard, not_off))


def _paused(state: State) -> Samples:
    return one(float(state.paused)) if state.leading and state.paused is not None else {}


_RECONCILE = (
    Gauge(
        "refreshd_reconcile_last_phase_duration_seconds",
        "How long each phase of the latest pass took; a phase that did not run has no series.",
        _phases,
        ("phase",),
    ),
    Gauge(
        "refreshd_reconcile_interval_seconds",
        "Time between the starts of two passes (REFRESHD_PASS_INTERVAL); alerts multiply it.",
        always(lambda state: state.policy.pass_interval_seconds),
    ),
    Gauge(
        "refreshd_reconcile_last_success_timestamp_seconds",
        "When a pass last succeeded, a predecessor's included.",
        _succeeded,
    ),
    Gauge(
        "refreshd_reconcile_last_completion_timestamp_seconds",
        "When a pass last ended, well or not.",
        leader(lambda passes: seconds(passes.completed_at)),
    ),
    Gauge(
        "refreshd_reconcile_next_start_timestamp_seconds",
        "When the next pass is due, unless a change in the ledger starts it earlier.",
        leader(lambda passes: seconds(passes.next_at)),
    ),
    Gauge(
        "refreshd_reconcile_running",
        "1 while a pass runs.",
        leader(lambda passes: float(passes.running)),
    ),
    Gauge(
        "refreshd_disable_backlog_logins",
        "Logins waiting to be switched off.",
        totals(lambda each: each.backlog),
    ),
    Gauge(
        "refreshd_guard_holding",
        "1 while a plan is held; look at it with refreshd plans, then refreshd approve, or mend the client list.",
        totals(lambda each: float(each.held > 0)),
    ),
    Gauge(
        "refreshd_guard_limit_logins",
        "Most logins that refreshd may disable in 24 hours without approval.",
        _limit,
    ),
    Gauge(
        "refreshd_institutions_held",
        "Institutions that are down, so that only one login at a time asks them; which ones: refreshd institutions.",
        totals(lambda each: each.institutions_held),
    ),
    Gauge("refreshd_held_logins", "Logins in held plans.", totals(lambda each: each.held)),
    Gauge(
        "refreshd_paused",
        "1 while an operator has stopped vendor writes; refreshd status says who and why, refreshd resume --reason ends it.",
        _paused,
    ),
    Gauge(
        "refreshd_observe_only",
        "1 when refreshd plans and reports but never writes to Flinks (REFRESHD_MODE=observe).",
        always(lambda state: float(state.policy.observe)),
    ),
)

_FLINKS = (
    Gauge(
        "refreshd_flinks_limiter_capacity_requests",
        "Requests that may leave in one limiter period (REFRESHD_RATE_PER_MINUTE).",
        always(lambda state: float(state.policy.rate_per_minute)),
    ),
    Gauge(
        "refreshd_flinks_rate_per_minute",
        "Requests that may leave in 60 seconds now; below refreshd_flinks_limiter_capacity_requests while Flinks asks for fewer. "
        "If it stays there, lower REFRESHD_RATE_PER_MINUTE or ask Flinks for more.",
        _rate,
    ),
    Gauge(
        "refreshd_flinks_limiter_period_seconds",
        "The limiter's period.",
        always(lambda _: LIMITER_PERIOD_SECONDS),
    ),
    Gauge(
        "refreshd_flinks_up",
        "1 when the last call led to an answer, 0 when it did not; absent before the first call.",
        always(lambda state: flag(state.flinks_up)),
    ),
    Gauge(
        "refreshd_flinks_breaker_open",
        "1 while calls rest because Flinks refuses a credential or the settings are suspect; run refreshd doctor.",
        always(lambda state: float(state.breaker_open)),
    ),
)

_PROCESS = (
    Gauge(
        "refreshd_database_up",
        "1 while the database does what is needed of it, 0 from a failure until the same has succeeded; absent before the first attempt.",
        always(lambda state: flag(state.database_up)),
    ),
    Gauge(
        "refreshd_notify_path_up",
        "1 when the last ping through the database was heard, 0 when this daemon is deaf and polls instead; absent before the first.",
        always(lambda state: flag(state.hears)),
    ),
    Gauge(
        "refreshd_notify_delay_seconds",
        "From a write to the hearing of its notification, at the last ping; absent while deaf.",
        always(lambda state: state.notify_delay_seconds),
    ),
    Gauge(
        "refreshd_database_schema_version",
        "The newest migration that the ledger has; below refreshd_database_schema_expected_version run refreshd migrate.",
        always(lambda state: state.schema_version),
    ),
    Gauge(
        "refreshd_database_schema_expected_version",
        "The newest migration that this refreshd knows.",
        always(lambda state: state.schema_expected),
    ),
    Gauge(
        "refreshd_database_pool_max_connections",
        "Most connections that the leader's pool opens; the lease, the listener and an import have their own.",
        always(lambda state: None if state.pool is None else state.pool.most),
    ),
    Gauge(
        "refreshd_database_pool_connections",
        "Connections of the leader's pool, by what they do; a standby has none.",
        _pool,
        ("state",),
    ),
    Gauge(
        "refreshd_config_last_reload_successful",
        "1 when the settings were read without a fault the last time; 0: the old ones are kept, and the log says why.",
        always(lambda state: None if state.config is None else float(state.config.successful)),
    ),
    Gauge(
        "refreshd_config_last_reload_success_timestamp_seconds",
        "When the settings that are in force were read.",
        always(lambda state: None if state.config is None else seconds(state.config.succeeded_at)),
    ),
    Gauge(
        "refreshd_clock_skew_seconds",
        "How far this clock is ahead of the database's (negative: behind); more than a minute: it does not lead; mend its host's time.",
        always(lambda state: state.clock_skew_seconds),
    ),
    Gauge("refreshd_leader", "1 while this daemon holds the lease.", always(lambda state: float(state.leading))),
    Gauge(
        "refreshd_ready_condition",
        "1 for each readiness condition that holds; /readyz says in words what is wrong.",
        _conditions,
        ("condition",),
    ),
    Gauge(
        "refreshd_build_info",
        "Always 1; the labels say what runs. Two versions side by side: finish the rollout.",
        _build,
        ("version", "revision", "python_version"),
    ),
)

GAUGES = (*FLEET, *_RECONCILE, *_FLINKS, *_PROCESS)
