"""Alerts about the work: passes, the guard, disables, the routine, and who leads."""

from deploy.prometheus.rules.promql import increase, most, series, total
from deploy.prometheus.rules.rule import Alert, Severity

_SUCCESS = series("refreshd_reconcile_last_success_timestamp_seconds")
_INTERVAL = most(series("refreshd_reconcile_interval_seconds"))
_LAST_SUCCESS = f"time() - {most(f'max_over_time({_SUCCESS}[$memory])')} > $intervals * {_INTERVAL}"

_OVERDUE = Alert(
    name="RefreshdReconcileOverdue",
    severity=Severity.CRITICAL,
    expr=_LAST_SUCCESS,
    numbers={"intervals": "30", "memory": "3d"},
    lasts="5m",
    summary="No pass has succeeded for a long time.",
    description="The last good pass was {{ $value | humanizeDuration }} ago. Clients who leave stay billed, and nothing new is noticed.",
    first="refreshd status",
    panel="refreshd-reconcile?viewPanel=1",
    why="Half an hour at the default interval: a takeover, a restart of Postgres and a first pass over a large ledger are over by then. "
    "The last success is remembered while nobody leads, so that this also speaks when the lease or the database is gone.",
)

_LATE = Alert(
    name="RefreshdReconcileLate",
    severity=Severity.WARNING,
    expr=_LAST_SUCCESS,
    numbers={"intervals": "10", "memory": "3d"},
    lasts="5m",
    summary="Passes are late.",
    description="The last good pass was {{ $value | humanizeDuration }} ago.",
    first="refreshd status",
    panel="refreshd-reconcile?viewPanel=1",
    why="Ten minutes at the default interval: what lasts so long does not heal by the next pass.",
)

_FAILING = Alert(
    name="RefreshdReconcileFailing",
    severity=Severity.WARNING,
    expr=f"{total(increase('refreshd_reconcile_failures_total'), 'reason')}\n"
    f"/\n{total(increase('refreshd_reconcile_passes_total'))}\n> $share",
    numbers={"share": "0.2", "window": "1h"},
    lasts="15m",
    summary="Many passes fail.",
    description="{{ $value | humanizePercentage }} of the passes of the last hour failed.",
    first="refreshd status",
    panel="refreshd-reconcile?viewPanel=5",
    why="A pass that fails is repeated within an interval; one in five is no chance any more.",
)

_HOLDING = Alert(
    name="RefreshdGuardHolding",
    severity=Severity.CRITICAL,
    expr=f"{most(series('refreshd_held_logins'))}\nand\n{most(series('refreshd_guard_holding'))} == 1",
    lasts="5m",
    summary="The guard holds a plan and waits for an operator.",
    description="{{ $value | humanize }} logins would be switched off, more than may go by themselves. "
    "They are billed until somebody decides.",
    first="refreshd plans",
    panel="refreshd-overview?viewPanel=1",
    why="Either many clients left, and each night costs money, or the client list is broken, and everybody downstream reads it too.",
)

_LEAKING = Alert(
    name="RefreshdInactiveLoginsScheduled",
    severity=Severity.WARNING,
    expr=f"{most(series('refreshd_logins', verdict='leaking'), 'verdict')} > 0\n"
    f"unless\n{most(series('refreshd_observe_only'))} == 1\n"
    f"unless\n{most(series('refreshd_paused'))} == 1",
    lasts="2h",
    summary="Logins of clients who left are still switched on.",
    description="{{ $value | humanize }} logins without an active client are billed, nobody holds them back, and they are not off yet.",
    first="refreshd logins --verdict leaking",
    panel="refreshd-overview?viewPanel=4",
    why="A disable takes seconds, and 500 of them half an hour beside a routine at 30 calls a minute. "
    "Held plans, a pause and observe mode have alerts of their own.",
)

_DISABLE_FAILING = Alert(
    name="RefreshdDisableFailing",
    severity=Severity.WARNING,
    expr=f"{total(increase('refreshd_disable_failures_total'), 'reason')} > $failures\n"
    f"and\n{total(increase('refreshd_disable_failures_total'), 'reason')}\n"
    f"> $share * {total(increase('refreshd_disables_total'))}",
    numbers={"failures": "3.5", "share": "0.1", "window": "1h"},
    lasts="15m",
    summary="Flinks does not confirm disables.",
    description='{{ $value | printf "%.0f" }} disables of the last hour were sent and not confirmed; those logins stay billed.',
    first="refreshd logins --verdict leaking",
    panel="refreshd-reconcile?viewPanel=9",
    why="A disable that fails is sent again and may then succeed; more than a tenth of the confirmed ones is a cause, not a chance.",
)

_LEADERS = Alert(
    name="RefreshdMultipleLeaders",
    severity=Severity.CRITICAL,
    expr=f"{total(series('refreshd_leader'))} > 1",
    lasts="2m",
    summary="Two copies believe that they lead.",
    description="{{ $value | humanize }} copies show themselves as the leader. "
    "The lease keeps all but one from writing, unless they work on different databases.",
    first="refreshd doctor",
    panel="refreshd-reconcile?viewPanel=12",
    why="A takeover is over in seconds; two minutes leave room for slow scrapes.",
)

_NO_LEADER = Alert(
    name="RefreshdNoLeader",
    severity=Severity.WARNING,
    expr=f"{most(series('refreshd_leader'))} < 1",
    lasts="10m",
    summary="Nobody leads.",
    description="Every copy stands by, or cannot reach the database: no pass runs and nothing is sent.",
    first="refreshd doctor",
    panel="refreshd-reconcile?viewPanel=12",
    why="A takeover takes seconds; whatever lasts ten minutes is none. RefreshdReconcileOverdue pages if it goes on.",
)

_PAUSED = Alert(
    name="RefreshdPausedLeftOn",
    severity=Severity.WARNING,
    expr=f"{most(series('refreshd_paused'))} == 1",
    lasts="8h",
    summary="Writes at Flinks are still paused.",
    description="Somebody paused the writes; clients who have left since then are still billed.",
    first="refreshd status",
    panel="refreshd-overview?viewPanel=19",
    why="A pause is for an incident; one that outlives a working day was forgotten.",
)

_OBSERVING = Alert(
    name="RefreshdObserveOnlyLeftOn",
    severity=Severity.INFO,
    expr=f"{most(series('refreshd_observe_only'))} == 1",
    lasts="2d",
    summary="refreshd only observes.",
    description="REFRESHD_MODE is observe: plans are shown, nothing is ever switched off.",
    first="refreshd status",
    panel="refreshd-overview?viewPanel=19",
    why="Right for the first days, and easily forgotten after them.",
)

_ROUTINE_LATE = Alert(
    name="RefreshdRoutineLate",
    severity=Severity.WARNING,
    expr=f"{most(series('refreshd_routine_expected_end_timestamp_seconds'))}\n"
    f"- {most(series('refreshd_routine_deadline_timestamp_seconds'))} > 0",
    lasts="30m",
    summary="Today's routine will not be done before the vendor's night.",
    description="At this rate the routine ends {{ $value | humanizeDuration }} after the vendor's night begins; "
    "what is left waits for tomorrow.",
    first="refreshd status",
    panel="refreshd-overview?viewPanel=7",
    why="The forecast moves with the rate in force; half an hour lets a short throttling pass.",
)

_ROUTINE_LAPSES = Alert(
    name="RefreshdRoutineLosesLogins",
    severity=Severity.WARNING,
    expr=f"{most(series('refreshd_routine_lapsing_logins'))} > 0",
    lasts="30m",
    summary="Logins will lapse because the routine does not get to them.",
    description="{{ $value | humanize }} logins reach their deadline before the routine reaches them. Only a faster rate saves them.",
    first="refreshd status",
    panel="refreshd-reconcile?viewPanel=15",
    why="The routine takes the nearest deadline first, so even one that it misses means that the rate is too low.",
)

_TOTALS = Alert(
    name="RefreshdTotalsStandStill",
    severity=Severity.WARNING,
    expr=f"time() - {most(series('refreshd_snapshot_timestamp_seconds'))}\n"
    f"> $intervals * {most(series('refreshd_snapshot_interval_seconds'))}",
    numbers={"intervals": "40"},
    lasts="5m",
    summary="The login gauges are old.",
    description="The ledger was last counted {{ $value | humanizeDuration }} ago: alerts about logins see the past.",
    first="refreshd status",
    panel="refreshd-reconcile?viewPanel=16",
    why="Ten minutes at the default. The interval is what refreshd shows: it counts a large ledger less often.",
)

ALERTS = (
    _OVERDUE,
    _LATE,
    _FAILING,
    _HOLDING,
    _LEAKING,
    _DISABLE_FAILING,
    _LEADERS,
    _NO_LEADER,
    _PAUSED,
    _OBSERVING,
    _ROUTINE_LATE,
    _ROUTINE_LAPSES,
    _TOTALS,
)
