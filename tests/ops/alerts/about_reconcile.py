"""Stories about passes, the guard, disables, the routine, and who leads."""

from collections.abc import Mapping

from tests.ops.alerts.story import Proof, Story

_SUCCESS = "refreshd_reconcile_last_success_timestamp_seconds"
_INTERVAL = {"refreshd_reconcile_interval_seconds": "60x9999", "refreshd_reconcile_interval_seconds@b": "30x9999"}
_COUNTED_EVERY = {"refreshd_snapshot_interval_seconds": "15x99", "refreshd_snapshot_interval_seconds@b": "7x99"}
_DISABLED = "refreshd_disables_total"
_NOT_DISABLED = 'refreshd_disable_failures_total{reason="vendor"}'


def _last_success(minutes: str) -> dict[str, str]:
    return {_SUCCESS: f"60{minutes}", f"{_SUCCESS}@b": f"0{minutes}", **_INTERVAL}


def _passes(failures: str) -> dict[str, str]:
    """Ten passes a minute, and these failures."""
    return {
        "refreshd_reconcile_passes_total": "0+10x200",
        "refreshd_reconcile_passes_total@b": "0x200",
        'refreshd_reconcile_failures_total{reason="database"}': failures,
        'refreshd_reconcile_failures_total{reason="internal"}@b': "0x200",
    }


def _disables(failures: str, disables: str = "0x200") -> dict[str, str]:
    return {_DISABLED: disables, f"{_DISABLED}@b": "0x200", _NOT_DISABLED: failures, f"{_NOT_DISABLED}@b": "0x200"}


def _disables_say(count: int) -> str:
    return f"{count} disables of the last hour were sent and not confirmed; those logins stay billed."


def _leaking(count: int, **more: str) -> dict[str, str]:
    return {
        'refreshd_logins{verdict="leaking"}': f"{count}x30",
        'refreshd_logins{verdict="leaking"}@b': "0x30",
        'refreshd_logins{verdict="held"}': "40x30",
        "refreshd_observe_only": "0x30",
        "refreshd_paused": "0x30",
        "refreshd_observe_only@b": "0x30",
        "refreshd_paused@b": "0x30",
        **more,
    }


def _leading(**by_copy: int) -> Mapping[str, str]:
    return {f"refreshd_leader@{copy}": f"{value}x60" for copy, value in by_copy.items()}


PROOFS = (
    Proof(
        alert="RefreshdReconcileOverdue",
        severity="critical",
        summary="No pass has succeeded for a long time.",
        first="refreshd status",
        panel="refreshd-reconcile?viewPanel=1",
        stories=(
            Story(
                title="the last good pass was half an hour ago",
                series=_last_success("x60"),
                quiet=("36m",),
                fires=("38m",),
                says="The last good pass was 37m 0s ago. Clients who leave stay billed, and nothing new is noticed.",
            ),
            Story(
                title="nobody leads any more, so the gauge is gone",
                series=_last_success("x5 _x60"),
                quiet=("36m",),
                fires=("38m",),
                says="The last good pass was 37m 0s ago. Clients who leave stay billed, and nothing new is noticed.",
            ),
            Story(
                title="it is remembered for three days",
                series=_last_success(" _x99"),
                quiet=("75h",),
                fires=("70h",),
                says="The last good pass was 2d 21h 59m 0s ago. Clients who leave stay billed, and nothing new is noticed.",
                every="1h",
            ),
            Story(title="passes succeed", series={_SUCCESS: "0+60x120", **_INTERVAL}, quiet=("120m",)),
        ),
    ),
    Proof(
        alert="RefreshdReconcileLate",
        severity="warning",
        summary="Passes are late.",
        first="refreshd status",
        panel="refreshd-reconcile?viewPanel=1",
        stories=(
            Story(
                title="the last good pass was ten minutes ago",
                series=_last_success("x60"),
                quiet=("16m",),
                fires=("18m",),
                says="The last good pass was 17m 0s ago.",
            ),
            Story(
                title="it is remembered for three days",
                series=_last_success(" _x99"),
                quiet=("75h",),
                fires=("70h",),
                says="The last good pass was 2d 21h 59m 0s ago.",
                every="1h",
            ),
            Story(title="passes succeed", series={_SUCCESS: "0+60x120", **_INTERVAL}, quiet=("120m",)),
        ),
    ),
    Proof(
        alert="RefreshdReconcileFailing",
        severity="warning",
        summary="Many passes fail.",
        first="refreshd status",
        panel="refreshd-reconcile?viewPanel=5",
        stories=(
            Story(
                title="every pass of a quarter of an hour failed",
                series=_passes("0x99 10+10x14 150x80"),
                quiet=("123m", "172m"),
                fires=("130m", "150m"),
                says="25% of the passes of the last hour failed.",
            ),
            Story(
                title="every pass of eleven minutes failed",
                series=_passes("0x99 10+10x10 110x80"),
                quiet=("130m", "140m"),
            ),
        ),
    ),
    Proof(
        alert="RefreshdGuardHolding",
        severity="critical",
        summary="The guard holds a plan and waits for an operator.",
        first="refreshd plans",
        panel="refreshd-overview?viewPanel=1",
        stories=(
            Story(
                title="forty logins are held",
                series={
                    "refreshd_held_logins": "40x20",
                    "refreshd_held_logins@b": "0x20",
                    "refreshd_guard_holding": "1x20",
                    "refreshd_guard_holding@b": "0x20",
                },
                quiet=("4m",),
                fires=("6m",),
                says="40 logins would be switched off, more than may go by themselves. "
                "They are billed until somebody decides.",
            ),
            Story(
                title="nothing is held",
                series={"refreshd_held_logins": "0x60", "refreshd_guard_holding": "0x60"},
                quiet=("60m",),
            ),
        ),
    ),
    Proof(
        alert="RefreshdInactiveLoginsScheduled",
        severity="warning",
        summary="Logins of clients who left are still switched on.",
        first="refreshd logins --verdict leaking",
        panel="refreshd-overview?viewPanel=4",
        stories=(
            Story(
                title="three logins leak",
                series=_leaking(3),
                quiet=("110m",),
                fires=("130m",),
                says="3 logins without an active client are billed, nobody holds them back, and they are not off yet.",
                every="10m",
            ),
            Story(title="held ones do not count", series=_leaking(0), quiet=("5h",), every="10m"),
            Story(
                title="refreshd only observes",
                series=_leaking(3, refreshd_observe_only="1x30"),
                quiet=("5h",),
                every="10m",
            ),
            Story(title="writes are paused", series=_leaking(3, refreshd_paused="1x30"), quiet=("5h",), every="10m"),
        ),
    ),
    Proof(
        alert="RefreshdDisableFailing",
        severity="warning",
        summary="Flinks does not confirm disables.",
        first="refreshd logins --verdict leaking",
        panel="refreshd-reconcile?viewPanel=9",
        stories=(
            Story(
                title="four failures beside 38 disables",
                series=_disables("0x99 4x100", "0x99 38x100"),
                quiet=("112m", "165m"),
                fires=("118m", "150m"),
                says=_disables_say(4),
            ),
            Story(title="three failures", series=_disables("0x99 3x100"), quiet=("130m",)),
            Story(
                title="four failures beside 45 disables",
                series=_disables("0x99 4x100", "0x99 45x100"),
                quiet=("130m",),
            ),
            Story(
                title="three failures, and two more when those are an hour old",
                series=_disables("0x99 3x61 5x40"),
                quiet=("177m",),
            ),
            Story(
                title="three old failures do not add to four new ones",
                series=_disables("0x99 3x60 7x40", "0x160 45x40"),
                quiet=("177m",),
            ),
            Story(
                title="the disables before the failures count for an hour",
                series=_disables("0x129 4x70", "0x99 45x100"),
                quiet=("158m",),
            ),
            Story(
                title="and no longer",
                series=_disables("0x149 4x70", "0x99 45x100"),
                fires=("180m",),
                says=_disables_say(4),
            ),
        ),
    ),
    Proof(
        alert="RefreshdMultipleLeaders",
        severity="critical",
        summary="Two copies believe that they lead.",
        first="refreshd doctor",
        panel="refreshd-reconcile?viewPanel=12",
        stories=(
            Story(
                title="both show themselves as the leader",
                series={"refreshd_leader": "1x40", "refreshd_leader@b": "1x40"},
                quiet=("1m30s",),
                fires=("2m30s",),
                says="2 copies show themselves as the leader. "
                "The lease keeps all but one from writing, unless they work on different databases.",
                every="15s",
            ),
            Story(title="one leads", series=_leading(a=1, b=0), quiet=("60m",)),
        ),
    ),
    Proof(
        alert="RefreshdNoLeader",
        severity="warning",
        summary="Nobody leads.",
        first="refreshd doctor",
        panel="refreshd-reconcile?viewPanel=12",
        stories=(
            Story(
                title="both stand by",
                series=_leading(a=0, b=0),
                quiet=("9m",),
                fires=("12m",),
                says="Every copy stands by, or cannot reach the database: no pass runs and nothing is sent.",
            ),
            Story(title="the second leads", series=_leading(a=0, b=1), quiet=("60m",)),
        ),
    ),
    Proof(
        alert="RefreshdPausedLeftOn",
        severity="warning",
        summary="Writes at Flinks are still paused.",
        first="refreshd status",
        panel="refreshd-overview?viewPanel=19",
        stories=(
            Story(
                title="paused in the morning",
                series={"refreshd_paused": "1x30", "refreshd_paused@b": "0x30"},
                quiet=("7h",),
                fires=("9h",),
                says="Somebody paused the writes; clients who have left since then are still billed.",
                every="1h",
            ),
            Story(title="not paused", series={"refreshd_paused": "0x30"}, quiet=("30h",), every="1h"),
        ),
    ),
    Proof(
        alert="RefreshdObserveOnlyLeftOn",
        severity="info",
        summary="refreshd only observes.",
        first="refreshd status",
        panel="refreshd-overview?viewPanel=19",
        stories=(
            Story(
                title="for two days",
                series={"refreshd_observe_only": "1x80", "refreshd_observe_only@b": "0x80"},
                quiet=("40h",),
                fires=("55h",),
                says="REFRESHD_MODE is observe: plans are shown, nothing is ever switched off.",
                every="1h",
            ),
            Story(title="it enforces", series={"refreshd_observe_only": "0x90"}, quiet=("80h",), every="1h"),
        ),
    ),
    Proof(
        alert="RefreshdRoutineLate",
        severity="warning",
        summary="Today's routine will not be done before the vendor's night.",
        first="refreshd status",
        panel="refreshd-overview?viewPanel=7",
        stories=(
            Story(
                title="it would end two hours into the night",
                series={
                    "refreshd_routine_expected_end_timestamp_seconds": "107200x60",
                    "refreshd_routine_expected_end_timestamp_seconds@b": "90000x60",
                    "refreshd_routine_deadline_timestamp_seconds": "100000x60",
                    "refreshd_routine_deadline_timestamp_seconds@b": "13600x60",
                },
                quiet=("25m",),
                fires=("35m",),
                says="At this rate the routine ends 2h 0m 0s after the vendor's night begins; what is left waits for tomorrow.",
            ),
            Story(
                title="it ends in time",
                series={
                    "refreshd_routine_expected_end_timestamp_seconds": "99000x60",
                    "refreshd_routine_deadline_timestamp_seconds": "100000x60",
                    "refreshd_routine_deadline_timestamp_seconds@b": "13600x60",
                },
                quiet=("60m",),
            ),
        ),
    ),
    Proof(
        alert="RefreshdRoutineLosesLogins",
        severity="warning",
        summary="Logins will lapse because the routine does not get to them.",
        first="refreshd status",
        panel="refreshd-reconcile?viewPanel=15",
        stories=(
            Story(
                title="seven logins are out of reach",
                series={"refreshd_routine_lapsing_logins": "7x60", "refreshd_routine_lapsing_logins@b": "0x60"},
                quiet=("25m",),
                fires=("35m",),
                says="7 logins reach their deadline before the routine reaches them. Only a faster rate saves them.",
            ),
            Story(title="none is", series={"refreshd_routine_lapsing_logins": "0x90"}, quiet=("90m",)),
        ),
    ),
    Proof(
        alert="RefreshdTotalsStandStill",
        severity="warning",
        summary="The login gauges are old.",
        first="refreshd status",
        panel="refreshd-reconcile?viewPanel=16",
        stories=(
            Story(
                title="nothing was counted for ten minutes",
                series={
                    "refreshd_snapshot_timestamp_seconds": "60x60",
                    "refreshd_snapshot_timestamp_seconds@b": "0x60",
                    **_COUNTED_EVERY,
                },
                quiet=("16m",),
                fires=("18m",),
                says="The ledger was last counted 17m 0s ago: alerts about logins see the past.",
            ),
            Story(
                title="it is counted all the time",
                series={"refreshd_snapshot_timestamp_seconds": "0+60x60", **_COUNTED_EVERY},
                quiet=("60m",),
            ),
        ),
    ),
)
