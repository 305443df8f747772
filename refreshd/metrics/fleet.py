"""The gauges about logins: the leader's alone, from the ledger as it was last counted."""

from collections.abc import Callable

from refreshd.core.codes import label_of
from refreshd.core.forecast import RoutineOutcome
from refreshd.core.model import VerdictName
from refreshd.core.totals import RefreshValue
from refreshd.metrics import labels
from refreshd.metrics.projection import Gauge, Read, Samples, always, counted, one, seconds, totals
from refreshd.metrics.state import State

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


def _institutions(state: State) -> Samples:
    """A name that two institutions share once it is made safe, or `other` itself, is one series."""
    if state.totals is None:
        return {}
    samples: dict[tuple[str, ...], float] = {}
    for name in (None, *(name for name, _ in state.totals.by_institution)):
        for value in RefreshValue:
            samples.setdefault((labels.institution_label(name), str(value)), 0)
    for (name, value), count in state.totals.by_institution.items():
        samples[labels.institution_label(name), str(value)] += count
    return samples


def _interval(state: State) -> Samples:
    return {} if state.prospects is None else one(state.prospects.counted_again_in_seconds)


def _cost(login_days: float, state: State) -> Samples:
    cost = state.policy.cost_per_login_day
    return {} if cost is None else one(login_days * cost)


def _leaking_cost(state: State) -> Samples:
    return {} if state.totals is None else _cost(state.totals.leaking_login_days, state)


def _saved_cost(state: State) -> Samples:
    return {} if state.totals is None else _cost(state.totals.saved_login_days, state)


def _routine(number: Callable[[RoutineOutcome], float | None]) -> Read:
    return lambda state: {} if state.prospects is None else one(number(state.prospects.routine))


def _lapsing(state: State) -> Samples:
    return {} if state.prospects is None else {(each,): state.prospects.lapsing[each] for each in labels.LAPSES_WITHIN}


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
    Gauge(
        "refreshd_snapshot_interval_seconds",
        "Time between two counts of the ledger, which grows with what a count takes.",
        _interval,
    ),
)

_MONEY = (
    Gauge(
        "refreshd_saved_login_seconds",
        "Time, summed over the logins that are off by refreshd at present, that they have been off and so not billed; "
        "divide by 86400 for login-days.",
        totals(lambda each: each.saved_login_days * SECONDS_PER_DAY),
    ),
    Gauge(
        "refreshd_cost_per_login_day",
        "What Flinks charges for a scheduled login and day, in the operator's currency (REFRESHD_COST_PER_LOGIN_DAY).",
        always(lambda state: state.policy.cost_per_login_day),
    ),
    Gauge(
        "refreshd_leaking_cost",
        "What the leaking logins have cost since their clients left, in the operator's currency; refreshd logins --verdict leaking.",
        _leaking_cost,
    ),
    Gauge(
        "refreshd_saved_cost",
        "What the logins that are off by refreshd would have cost since, in the operator's currency.",
        _saved_cost,
    ),
    Gauge(
        "refreshd_institution_logins",
        "Logins that Flinks bills, by institution (the busiest, and other) and by what their refresh is worth; "
        "never: paid for and not once refreshed.",
        _institutions,
        ("institution", "refresh"),
    ),
)

_DEADLINES = (
    Gauge(
        "refreshd_lapsing_logins",
        "Active logins that Flinks stops refreshing within so long, because a 7-day clock runs out; ask those users to connect again.",
        _lapsing,
        ("within",),
    ),
    Gauge(
        "refreshd_routine_remaining_logins",
        "Logins that still wait for their part of today's routine.",
        _routine(lambda outcome: outcome.remaining),
    ),
    Gauge(
        "refreshd_routine_expected_end_timestamp_seconds",
        "When today's routine will be over at the rate in force; absent when nothing is left of it. After the deadline: "
        "ask Flinks for more calls a minute and raise REFRESHD_RATE_PER_MINUTE.",
        _routine(lambda outcome: seconds(outcome.ends_at)),
    ),
    Gauge(
        "refreshd_routine_deadline_timestamp_seconds",
        "When the vendor's next night begins, by which today's routine should be over.",
        _routine(lambda outcome: seconds(outcome.deadline)),
    ),
    Gauge(
        "refreshd_routine_lapsing_logins",
        "Logins that Flinks will stop refreshing before the routine comes to them at the rate in force.",
        _routine(lambda outcome: outcome.lapsing),
    ),
)

FLEET = (*_LOGINS, *_MONEY, *_DEADLINES)
