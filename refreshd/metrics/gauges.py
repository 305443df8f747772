"""Every gauge with its help, in one table; `projection` reads them from the state."""

import platform

from refreshd.core import guard
from refreshd.core.codes import label_of
from refreshd.core.model import VerdictName
from refreshd.metrics import labels
from refreshd.metrics.projection import Gauge, Samples, always, counted, flag, leader, one, seconds, totals
from refreshd.metrics.state import State

LIMITER_PERIOD_SECONDS = 60.0
SECONDS_PER_DAY = 86_400


def _failed(state: State) -> Samples:
    if state.totals is None:
        return {}
    samples: dict[tuple[str, ...], float] = {
        (code, str(disposition)): 0 for code, disposition in labels.failed_labels()
    }
    for (code, disposition), count in state.totals.failed.items():
        key = (label_of(code), str(disposition))
        samples[key] = samples.get(key, 0) + count
    return samples


def _ineligible(state: State) -> Samples:
    """Nothing until a report was read: a ledger without one knows of no ineligible login, which is not the same as none."""
    if state.totals is None or state.totals.reported_at is None:
        return {}
    return counted(labels.LEDGER_STATES, lambda each: each.ineligible)(state)


def _phases(state: State) -> Samples:
    ran = state.passes.phase_seconds if state.leading else {}
    return {(phase,): ran[phase] for phase in labels.PHASES if phase in ran}


def _conditions(state: State) -> Samples:
    return {(str(condition),): float(holds) for condition, holds in state.conditions.items()}


def _build(state: State) -> Samples:
    return {(state.version, platform.python_version()): 1.0}


def _limit(state: State) -> Samples:
    """What the guard would let through, by its own arithmetic."""
    if state.totals is None:
        return {}
    logins = sum(state.totals.by_verdict.values())
    not_off = logins - state.totals.by_verdict.get(VerdictName.DISABLED, 0)
    return one(guard.allowance(state.policy.guard, not_off))


def _paused(state: State) -> Samples:
    return one(float(state.paused)) if state.leading and state.paused is not None else {}


_LOGINS = (
    Gauge(
        "refreshd_logins",
        "Logins in the ledger, by verdict; the sum is the ledger. For the logins behind a number: refreshd logins --verdict V.",
        counted(VerdictName, lambda each: each.by_verdict),
        ("verdict",),
    ),
    Gauge(
        "refreshd_leaking_login_seconds",
        "Time, summed over logins, that logins of inactive clients have been scheduled, and so billed, since their clients left; "
        "divide by 86400 for login-days.",
        totals(lambda each: each.leaking_login_days * SECONDS_PER_DAY),
    ),
    Gauge(
        "refreshd_active_logins",
        "Logins of active clients, by the age of their last successful refresh; past ge_7d Flinks no longer refreshes them.",
        counted(labels.REFRESH_AGES, lambda each: each.active_by_age),
        ("refresh_age",),
    ),
    Gauge(
        "refreshd_inactive_logins",
        "Logins without an active client, by whether Flinks still schedules them; enabled ones are billed for nothing.",
        counted(labels.SCHEDULES, lambda each: each.inactive_by_schedule),
        ("schedule",),
    ),
    Gauge(
        "refreshd_stale_logins",
        "Active logins whose last refresh, when last seen, was too old, or which nobody has looked at; "
        'verdict="stale" are the silent ones, with no error to explain them.',
        counted(labels.STALE_VERDICTS, lambda each: each.stale),
        ("verdict",),
    ),
    Gauge(
        "refreshd_stale_threshold_seconds",
        "Age of the last refresh from which an active login counts as stale (REFRESHD_STALE_AFTER).",
        always(lambda state: state.policy.stale_after_seconds),
    ),
    Gauge(
        "refreshd_failed_logins",
        "Active logins whose last refresh attempt failed, by vendor error code and by what clears it; "
        "those that need their client: refreshd logins --verdict reconnect.",
        _failed,
        ("error_code", "disposition"),
    ),
    Gauge(
        "refreshd_ineligible_logins",
        "Logins that the newest report names as scheduled and not eligible, by their ledger state; absent ones are orphans.",
        _ineligible,
        ("ledger",),
    ),
    Gauge(
        "refreshd_oldest_refresh_timestamp_seconds",
        "The oldest last successful refresh among active logins.",
        totals(lambda each: seconds(each.oldest_refresh_at)),
    ),
    Gauge(
        "refreshd_oldest_inactive_scheduled_timestamp_seconds",
        "When the inactive login that has been scheduled longest became inactive; 0 when there is none.",
        totals(lambda each: seconds(each.oldest_leak_at) or 0.0),
    ),
    Gauge(
        "refreshd_snapshot_timestamp_seconds",
        "When the ledger was counted for the login gauges; if it stands still, so do they.",
        totals(lambda each: seconds(each.counted_at)),
    ),
)

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
        "When a pass last succeeded.",
        leader(lambda passes: seconds(passes.succeeded_at)),
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
    Gauge("refreshd_held_logins", "Logins in held plans.", totals(lambda each: each.held)),
    Gauge(
        "refreshd_paused",
        "1 while an operator has stopped vendor writes; refreshd status says who and why, refreshd resume ends it.",
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
        "1 when the database answered last time, 0 when it did not; absent before the first attempt.",
        always(lambda state: flag(state.database_up)),
    ),
    Gauge("refreshd_leader", "1 while this daemon holds the lease.", always(lambda state: float(state.leading))),
    Gauge(
        "refreshd_ready_condition",
        "1 for each readiness condition that holds; /readyz says in words what is wrong.",
        _conditions,
        ("condition",),
    ),
    Gauge("refreshd_build_info", "Always 1; the labels say what runs.", _build, ("version", "python_version")),
)

GAUGES = (*_LOGINS, *_RECONCILE, *_FLINKS, *_PROCESS)
