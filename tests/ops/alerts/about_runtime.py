"""Stories about the processes."""

from tests.ops.alerts.story import Proof, Story

_LAG = "refreshd_event_loop_lag_seconds_bucket"


def _lag(*, quarter: str, half: str, all_of_them: str) -> dict[str, str]:
    """Timers so far that ran within a quarter and half a second, and all of them; the late ones take up to a whole one."""
    limits = {"0.25": quarter, "0.5": half, "1": all_of_them, "+Inf": all_of_them}
    return {f'{_LAG}{{le="{limit}"}}': values for limit, values in limits.items()}


PROOFS = (
    Proof(
        alert="RefreshdAbsent",
        severity="critical",
        summary="refreshd is gone.",
        first="refreshd doctor",
        panel="refreshd-overview?viewPanel=17",
        stories=(
            Story(
                title="no copy answers",
                series={"up": "0x20", "up@b": "0x20"},
                quiet=("9m",),
                fires=("12m",),
                says="Prometheus reaches no copy of refreshd: none runs, or none is found. No other alert can speak.",
            ),
            Story(
                title="no copy is found",
                series={"up": "1x5 _x20", "up@b": "1x5 _x20"},
                quiet=("18m",),
                fires=("22m",),
                says="Prometheus reaches no copy of refreshd: none runs, or none is found. No other alert can speak.",
                labels={"namespace": ""},
            ),
            Story(title="one of two answers", series={"up": "0x90", "up@b": "1x90"}, quiet=("90m",)),
        ),
    ),
    Proof(
        alert="RefreshdInstanceDown",
        severity="warning",
        summary="A copy of refreshd does not answer.",
        first="refreshd doctor",
        panel="refreshd-runtime?viewPanel=1",
        copy="b",
        stories=(
            Story(
                title="the second copy does not answer",
                series={"up": "1x20", "up@b": "0x20"},
                quiet=("9m",),
                fires=("12m",),
                says="10.1.0.8:9877 cannot be scraped. If another copy leads, all work goes on, without a spare.",
            ),
            Story(title="both answer", series={"up": "1x60", "up@b": "1x60"}, quiet=("60m",)),
        ),
    ),
    Proof(
        alert="RefreshdCrashLooping",
        severity="warning",
        summary="refreshd starts again and again.",
        first="refreshd doctor",
        panel="refreshd-runtime?viewPanel=9",
        copy="a",
        stories=(
            Story(
                title="three restarts within half an hour",
                series={
                    "process_start_time_seconds": "100x50 200x8 300x8 400x60",
                    "process_start_time_seconds@b": "9x130",
                },
                quiet=("66m", "100m"),
                fires=("70m", "78m"),
                says="10.1.0.7:9877 started 3 times in half an hour.",
            ),
            Story(
                title="two restarts, and others long before",
                series={"process_start_time_seconds": "100x35 200x29 300x5 400x60"},
                quiet=("75m",),
            ),
            Story(
                title="it takes a second look",
                series={"process_start_time_seconds": "1x39 2x2 3 4x60"},
                quiet=("11m45s",),
                fires=("12m15s",),
                says="10.1.0.7:9877 started 3 times in half an hour.",
                every="15s",
            ),
        ),
    ),
    Proof(
        alert="RefreshdConfigReloadFailed",
        severity="warning",
        summary="refreshd runs with old settings.",
        first="refreshd doctor",
        panel="refreshd-runtime?viewPanel=14",
        copy="b",
        stories=(
            Story(
                title="one copy refused its new settings",
                series={
                    "refreshd_config_last_reload_successful": "1x20",
                    "refreshd_config_last_reload_successful@b": "0x20",
                },
                quiet=("4m",),
                fires=("6m",),
                says="10.1.0.8:9877 refused the new settings as a whole and keeps the old ones, "
                "which a restart would not bring back.",
            ),
            Story(title="all is well", series={"refreshd_config_last_reload_successful": "1x60"}, quiet=("60m",)),
        ),
    ),
    Proof(
        alert="RefreshdEventLoopBlocked",
        severity="warning",
        summary="The event loop of refreshd is blocked.",
        first="refreshd doctor",
        panel="refreshd-runtime?viewPanel=2",
        copy="a",
        stories=(
            Story(
                title="twelve timers in a thousand are late",
                series=_lag(quarter="0+980x30", half="0+988x30", all_of_them="0+1000x30"),
                quiet=("10m",),
                fires=("13m",),
                says="On 10.1.0.7:9877 one timer in a hundred runs 583.3ms late: too little CPU, or a bug.",
            ),
            Story(
                title="five in a thousand are",
                series=_lag(quarter="0+985x60", half="0+995x60", all_of_them="0+1000x60"),
                quiet=("60m",),
            ),
            Story(
                title="eight bad minutes",
                series=_lag(
                    quarter="0+100x19 1900x6 1900+100x40",
                    half="0+100x19 1900x6 1900+100x40",
                    all_of_them="0+100x70",
                ),
                quiet=("29m", "33m"),
                fires=("31m",),
                says="On 10.1.0.7:9877 one timer in a hundred runs 975ms late: too little CPU, or a bug.",
            ),
            Story(
                title="six bad minutes",
                series=_lag(
                    quarter="0+100x19 1900x4 1900+100x40",
                    half="0+100x19 1900x4 1900+100x40",
                    all_of_them="0+100x70",
                ),
                quiet=("30m",),
            ),
        ),
    ),
    Proof(
        alert="RefreshdTaskFailing",
        severity="warning",
        summary="A part of refreshd fails and is started again.",
        first="refreshd doctor",
        panel="refreshd-runtime?viewPanel=3",
        copy="a",
        stories=(
            Story(
                title="four failures",
                series={'refreshd_task_failures_total{task="listener"}': "0x40 1 2 3 4x60"},
                quiet=("48m", "76m"),
                fires=("50m", "68m"),
                says="The task listener on 10.1.0.7:9877 failed 4 times in half an hour.",
                labels={"task": "listener"},
            ),
            Story(
                title="three failures",
                series={'refreshd_task_failures_total{task="listener"}': "0x40 1 2 3x60"},
                quiet=("60m",),
            ),
        ),
    ),
    Proof(
        alert="RefreshdErrorsLogged",
        severity="warning",
        summary="refreshd logs errors that somebody must see to.",
        first="refreshd doctor",
        panel="refreshd-runtime?viewPanel=4",
        stories=(
            Story(
                title="three errors within three hours, each on the hour",
                series={
                    'refreshd_log_messages_total{level="error"}': "0x200 1x59 2x59 3x300",
                    'refreshd_log_messages_total{level="error"}@b': "0x600",
                    'refreshd_log_messages_total{level="warning"}': "0+1x600",
                },
                quiet=("5h24m", "7h"),
                fires=("5h27m", "6h15m"),
                says="3 errors in three hours: a client list that was refused, a key, or a bug. The log says which.",
            ),
            Story(
                title="two errors, and one long before",
                series={'refreshd_log_messages_total{level="error"}': "0x200 1x119 2x79 3x300"},
                quiet=("6h50m",),
            ),
            Story(
                title="warnings, however many",
                series={
                    'refreshd_log_messages_total{level="error"}': "0x600",
                    'refreshd_log_messages_total{level="warning"}': "0+9x600",
                },
                quiet=("9h",),
            ),
        ),
    ),
    Proof(
        alert="RefreshdClockSkew",
        severity="warning",
        summary="The clocks of refreshd and Postgres differ.",
        first="refreshd doctor",
        panel="refreshd-runtime?viewPanel=1",
        copy="b",
        stories=(
            Story(
                title="six seconds behind",
                series={"refreshd_clock_skew_seconds": "0.01x20", "refreshd_clock_skew_seconds@b": "-6x20"},
                quiet=("9m",),
                fires=("12m",),
                says="The clock of 10.1.0.8:9877 is 6s off the database's; past a minute it cannot lead.",
            ),
            Story(title="four seconds ahead", series={"refreshd_clock_skew_seconds": "4x60"}, quiet=("60m",)),
        ),
    ),
    Proof(
        alert="RefreshdVersionSkew",
        severity="info",
        summary="Copies of refreshd are of different versions.",
        first="refreshd doctor",
        panel="refreshd-runtime?viewPanel=12",
        stories=(
            Story(
                title="a rollout that stopped half way",
                series={
                    'refreshd_build_info{version="0.1.0",revision="aaa",python_version="3.11.2"}': "1x20",
                    'refreshd_build_info{version="0.2.0",revision="bbb",python_version="3.11.2"}@b': "1x20",
                },
                quiet=("50m",),
                fires=("70m",),
                says="2 versions run beside each other. It works; the rollout is not finished.",
                every="10m",
            ),
            Story(
                title="one version on two Pythons",
                series={
                    'refreshd_build_info{version="0.1.0",revision="aaa",python_version="3.11.2"}': "1x20",
                    'refreshd_build_info{version="0.1.0",revision="aaa",python_version="3.13.1"}@b': "1x20",
                },
                quiet=("3h",),
                every="10m",
            ),
        ),
    ),
)
