"""Alerts about the processes: there, alive, of one version, on time."""

from deploy.prometheus.rules.promql import increase, kinds, series, total
from deploy.prometheus.rules.rule import Alert, Severity

_ABSENT = Alert(
    name="RefreshdAbsent",
    severity=Severity.CRITICAL,
    expr=f"absent({series('up')})\nor\n{total(series('up'))} == 0",
    lasts="10m",
    summary="refreshd is gone.",
    description="Prometheus reaches no copy of refreshd: none runs, or none is found. No other alert can speak.",
    first="refreshd doctor",
    panel="refreshd-overview?viewPanel=17",
    why="A node that restarts with its only copy is back by then.",
)

_INSTANCE = Alert(
    name="RefreshdInstanceDown",
    severity=Severity.WARNING,
    expr=f"{series('up')} == 0",
    lasts="10m",
    summary="A copy of refreshd does not answer.",
    description="{{ $labels.instance }} cannot be scraped. If another copy leads, all work goes on, without a spare.",
    first="refreshd doctor",
    panel="refreshd-runtime?viewPanel=1",
    why="A rollout and a restart are over by then.",
)

_RELOAD = Alert(
    name="RefreshdConfigReloadFailed",
    severity=Severity.WARNING,
    expr=f"{series('refreshd_config_last_reload_successful')} == 0",
    lasts="5m",
    summary="refreshd runs with old settings.",
    description="{{ $labels.instance }} refused the new settings as a whole and keeps the old ones, which a restart would not bring back.",
    first="refreshd doctor",
    panel="refreshd-runtime?viewPanel=14",
    why="Nothing changes by itself: somebody mends the file and reloads again.",
)

_LOOP = Alert(
    name="RefreshdEventLoopBlocked",
    severity=Severity.WARNING,
    expr=f"histogram_quantile(0.99, rate({series('refreshd_event_loop_lag_seconds_bucket')}[$window])) > $seconds",
    numbers={"seconds": "0.5", "window": "5m"},
    lasts="10m",
    summary="The event loop of refreshd is blocked.",
    description="On {{ $labels.instance }} one timer in a hundred runs {{ $value | humanizeDuration }} late: too little CPU, or a bug.",
    first="refreshd doctor",
    panel="refreshd-runtime?viewPanel=2",
    why="The lease is renewed every second and lasts four; half a second of delay is near to that, and far from normal.",
)

_CRASHING = Alert(
    name="RefreshdCrashLooping",
    severity=Severity.WARNING,
    expr=f"changes({series('process_start_time_seconds')}[$window]) > $restarts",
    numbers={"restarts": "2.5", "window": "30m"},
    lasts="1m",
    summary="refreshd starts again and again.",
    description='{{ $labels.instance }} started {{ $value | printf "%.0f" }} times in half an hour.',
    first="refreshd doctor",
    panel="refreshd-runtime?viewPanel=9",
    why="Rollouts and new keys cost a restart or two.",
)

_TASKS = Alert(
    name="RefreshdTaskFailing",
    severity=Severity.WARNING,
    expr=f"increase({series('refreshd_task_failures_total')}[$window]) > $failures",
    numbers={"failures": "3.5", "window": "30m"},
    lasts="5m",
    summary="A part of refreshd fails and is started again.",
    description='The task {{ $labels.task }} on {{ $labels.instance }} failed {{ $value | printf "%.0f" }} times in half an hour.',
    first="refreshd doctor",
    panel="refreshd-runtime?viewPanel=3",
    why="A lost connection costs one failure and heals.",
)

_ERRORS = Alert(
    name="RefreshdErrorsLogged",
    severity=Severity.WARNING,
    expr=f"{total(increase('refreshd_log_messages_total', level='error'), 'level')} > $errors",
    numbers={"errors": "2.5", "window": "3h"},
    lasts="5m",
    summary="refreshd logs errors that somebody must see to.",
    description='{{ $value | printf "%.0f" }} errors in three hours: a client list that was refused, a key, or a bug. The log says which.',
    first="refreshd doctor",
    panel="refreshd-runtime?viewPanel=4",
    why="What heals by itself is a warning in the log; an error waits for a person. A source query runs once an hour, so three of its "
    "errors are three hours without a client list.",
)

_CLOCK = Alert(
    name="RefreshdClockSkew",
    severity=Severity.WARNING,
    expr=f"abs({series('refreshd_clock_skew_seconds')}) > $seconds",
    numbers={"seconds": "5"},
    lasts="10m",
    summary="The clocks of refreshd and Postgres differ.",
    description="The clock of {{ $labels.instance }} is {{ $value | humanizeDuration }} off the database's; past a minute it cannot lead.",
    first="refreshd doctor",
    panel="refreshd-runtime?viewPanel=1",
    why="Synchronised clocks differ by milliseconds; seconds mean that one of them is not synchronised.",
)

_VERSIONS = Alert(
    name="RefreshdVersionSkew",
    severity=Severity.INFO,
    expr=kinds(series("refreshd_build_info"), "version", "revision", ignoring="python_version") + " > 1",
    lasts="1h",
    summary="Copies of refreshd are of different versions.",
    description="{{ $value | humanize }} versions run beside each other. It works; the rollout is not finished.",
    first="refreshd doctor",
    panel="refreshd-runtime?viewPanel=12",
    why="A rollout takes minutes.",
)

ALERTS = (_ABSENT, _INSTANCE, _CRASHING, _RELOAD, _LOOP, _TASKS, _ERRORS, _CLOCK, _VERSIONS)
