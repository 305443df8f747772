"""What several dashboards show alike: the age of the last good pass, who leads, the routine's time to spare."""

from grafana_foundation_sdk.builders import stat, statetimeline

from grafana.board import panel_of
from grafana.panels import GREEN, GREY, ORANGE, RED, Saying, number, states
from grafana.queries import asked, leaders, metric

SPARE = (
    f"{leaders('refreshd_routine_deadline_timestamp_seconds')}"
    f" - ({leaders('refreshd_routine_expected_end_timestamp_seconds')} or vector(time()))"
)
"""Between the routine's expected end and the vendor's next night, in seconds; an end that is not known is now: nothing is left to do."""

_LATE = ((None, GREEN), (900, ORANGE), (1800, RED))


def last_pass(panel_id: int, link: tuple[str, str] | None = None) -> stat.Panel:
    say = Saying(
        id=panel_id,
        title="Since the last good pass",
        unit="s",
        description="Age of the last pass that succeeded; beyond two intervals nothing is reconciled any more. Run: refreshd status.",
        link=link,
    )
    return number(say, asked(f"time() - {leaders('refreshd_reconcile_last_success_timestamp_seconds')}"), steps=_LATE)


def leadership(panel_id: int) -> statetimeline.Panel:
    say = Saying(
        id=panel_id,
        title="Who leads",
        unit="none",
        description="Which copy works for the ledger. Exactly one should; none: nobody works, two: the lock is split.",
        link=("Copies", panel_of("refreshd-runtime", 1)),
    )
    words = {"1": ("leads", GREEN), "0": ("stands by", GREY)}
    return states(say, [asked(metric("refreshd_leader"), "{{instance}}")], words)
