"""Whether passes run, what they decided, what the guard holds, and how far the routine is."""

from grafana.board import Board, Cell, Row
from grafana.panels import (
    BLUE,
    GOOD_AT_ZERO,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    YELLOW,
    Look,
    Saying,
    graph,
    number,
)
from grafana.queries import asked, grown, leaders, metric, quantile
from grafana.standing import SPARE, last_pass, leadership


def board() -> Board:
    return Board(
        uid="refreshd-reconcile",
        title="Reconcile",
        description="Whether passes run, what they decided, what the guard holds, and how far the routine is.",
        rows=(
            Row(title="Now", height=4, cells=_now()),
            Row(title="Passes", height=8, cells=_passes()),
            Row(title="Changes and the guard", height=8, cells=_changes()),
            Row(title="The ledger and the report", height=8, cells=_ledger()),
            Row(title="The routine", height=8, cells=_routine()),
        ),
    )


def _now() -> tuple[Cell, ...]:
    backlog = Saying(
        id=2,
        title="Waiting to be switched off",
        unit="short",
        description="Disables that the guard let through and Flinks has not confirmed yet.",
    )
    guard = Saying(
        id=3,
        title="Guard",
        unit="none",
        description="Whether a plan waits for a person. Run: refreshd plans.",
    )
    left = Saying(
        id=17,
        title="Routine: logins left",
        unit="short",
        description="Active logins that today's routine has not called yet; 0 when it is done.",
    )
    holding = {"0": ("lets through", GREEN), "1": ("holds a plan", RED)}
    return (
        (last_pass(1), 6),
        (
            number(
                backlog,
                asked(leaders("refreshd_disable_backlog_logins")),
                steps=((None, GREEN), (1, YELLOW), (50, ORANGE)),
            ),
            6,
        ),
        (number(guard, asked(leaders("refreshd_guard_holding")), steps=GOOD_AT_ZERO, words=holding), 6),
        (number(left, asked(leaders("refreshd_routine_remaining_logins")), steps=((None, GREEN), (1, BLUE))), 6),
    )


def _passes() -> tuple[Cell, ...]:
    count = Saying(
        id=5,
        title="Passes, and those that failed",
        unit="short",
        description="Passes that ended in each step of the graph, and the failed ones by reason; internal is a bug.",
    )
    took = Saying(
        id=6,
        title="Duration of a pass",
        unit="s",
        description="Most passes are short; one that judges every login (the first, or after a new report) is not.",
    )
    phases = Saying(
        id=7,
        title="Phases of the latest pass",
        unit="s",
        description="Where the time goes: judge reads and decides, apply and record write to the ledger.",
    )
    failures = f"sum by (reason) (increase({metric('refreshd_reconcile_failures_total')}[$__rate_interval])) > 0"
    quantiles = [
        asked(quantile(share, "refreshd_reconcile_duration_seconds"), f"p{share * 100:g}") for share in (0.5, 0.9, 0.99)
    ]
    return (
        (
            graph(
                count,
                [asked(grown("refreshd_reconcile_passes_total"), "passes"), asked(failures, "failed: {{reason}}")],
                Look(colours={"passes": BLUE}),
            ),
            9,
        ),
        (graph(took, quantiles), 8),
        (
            graph(
                phases,
                [asked(leaders("refreshd_reconcile_last_phase_duration_seconds", by="phase"), "{{phase}}")],
                Look(stacked=True),
            ),
            7,
        ),
    )


def _changes() -> tuple[Cell, ...]:
    disables = Saying(
        id=9,
        title="Disables that Flinks confirmed, and those that it did not",
        unit="short",
        description="In each step. Failures are sent again; while they go on the leak grows. Run: refreshd logins --verdict leaking.",
    )
    held = Saying(
        id=10,
        title="Held, against what may go without asking",
        unit="short",
        description="Logins in held plans, and how many disables the guard lets through in 24 hours without a person.",
    )
    holds = Saying(
        id=11,
        title="Holds, by reason",
        unit="short",
        description="Plans that the guard stopped; shrunk_ledger and empty_ledger mean that the client list itself is to be doubted.",
    )
    failed = f"sum by (reason) (increase({metric('refreshd_disable_failures_total')}[$__rate_interval]))"
    confirmed = asked(grown("refreshd_disables_total"), "confirmed")
    limit = asked(leaders("refreshd_guard_limit_logins"), "limit")
    return (
        (
            graph(
                disables,
                [confirmed, asked(failed, "failed: {{reason}}")],
                Look(bars=True, colours={"confirmed": GREEN, "failed: vendor": RED}),
            ),
            9,
        ),
        (
            graph(
                held,
                [asked(leaders("refreshd_held_logins"), "held"), limit],
                Look(colours={"held": RED, "limit": GREY}, dashed=["limit"]),
            ),
            8,
        ),
        (
            graph(
                holds,
                [asked(grown("refreshd_guard_holds_total", by="reason"), "{{reason}}")],
                Look(bars=True, stacked=True),
            ),
            7,
        ),
    )


def _ledger() -> tuple[Cell, ...]:
    inactive = Saying(
        id=13,
        title="Inactive logins, on and off",
        unit="short",
        description="enabled and unknown ones are billed, or may be; disabled ones are what refreshd has saved.",
    )
    ineligible = Saying(
        id=14,
        title="On and not eligible, by the ledger's word",
        unit="short",
        description="What the newest report lists. absent: Flinks knows logins that the ledger never had; import them or delete the cards.",
    )
    fresh = Saying(
        id=16,
        title="Age of the totals",
        unit="m",
        description="How old the counts on all these boards are; when it grows, so does everything else that you see here.",
    )
    schedules = {"enabled": RED, "unknown": ORANGE, "disabled": GREEN}
    return (
        (
            graph(
                inactive,
                [asked(leaders("refreshd_inactive_logins", by="schedule"), "{{schedule}}")],
                Look(stacked=True, colours=schedules),
            ),
            7,
        ),
        (
            graph(
                ineligible,
                [asked(leaders("refreshd_ineligible_logins", by="ledger"), "{{ledger}}")],
                Look(stacked=True, colours={"absent": PURPLE}),
            ),
            6,
        ),
        (graph(fresh, [asked(f"(time() - {leaders('refreshd_snapshot_timestamp_seconds')}) / 60", "age")]), 4),
        (leadership(12), 7),
    )


def _routine() -> tuple[Cell, ...]:
    left = Saying(
        id=15,
        title="Logins that the routine has left",
        unit="short",
        description="It falls to zero every day, before the vendor's night; where it does not, the rate is too low for the ledger.",
    )
    spare = Saying(
        id=18,
        title="Hours to spare before the vendor's night",
        unit="none",
        description="Deadline less expected end, at the rate in force; below zero logins are left out.",
    )
    lapse = Saying(
        id=19,
        title="Logins that lapse",
        unit="short",
        description="Within one, two and three days unless something is done; and those that the routine will not reach in time.",
    )
    missed = asked(leaders("refreshd_routine_lapsing_logins"), "missed by the routine")
    within = asked(leaders("refreshd_lapsing_logins", by="within"), "within {{within}}")
    colours = {"missed by the routine": RED, "within 1d": ORANGE, "within 2d": YELLOW, "within 3d": BLUE}
    return (
        (graph(left, [asked(leaders("refreshd_routine_remaining_logins"), "left")]), 8),
        (
            graph(
                spare,
                [asked(f"({SPARE}) / 3600", "to spare")],
                Look(steps=((None, RED), (0, GREEN)), limits=True, min=None),
            ),
            8,
        ),
        (graph(lapse, [within, missed], Look(colours=colours)), 8),
    )
