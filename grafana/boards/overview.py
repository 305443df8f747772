"""What is wrong, since when, for whom, and what it costs. The board that most alerts link to."""

from grafana.board import Board, Cell, Row, panel_of
from grafana.panels import (
    BLUE,
    GOOD_AT_ZERO,
    GREEN,
    GREY,
    NEUTRAL,
    ORANGE,
    PURPLE,
    RED,
    YELLOW,
    Look,
    Saying,
    alerts,
    graph,
    number,
    ranking,
)
from grafana.queries import asked, leaders, metric
from grafana.standing import SPARE, last_pass, leadership

VERDICTS = {
    "leaking": RED,
    "held": "dark-red",
    "quarantined": PURPLE,
    "drifted": "light-purple",
    "stale": ORANGE,
    "reconnect": YELLOW,
    "failed": "light-yellow",
    "unseen": "light-blue",
    "fresh": GREEN,
    "disabled": GREY,
}
_AGES = {
    "2d_3d": ("2 to 3 days", YELLOW),
    "3d_6d": ("3 to 6 days", ORANGE),
    "6d_7d": ("the last day to save one", RED),
    "ge_7d": ("too late: 7 days or more", "dark-red"),
    "never": ("never refreshed", GREY),
}
_ACTIVE = f"sum({leaders('refreshd_active_logins', by='refresh_age')})"
_STALE = f"sum({leaders('refreshd_stale_logins', by='verdict')})"
_SILENT = leaders("refreshd_stale_logins", 'verdict="stale"')
_FAILED = f"sum({leaders('refreshd_failed_logins', by='error_code, disposition')})"


def board() -> Board:
    return Board(
        uid="refreshd-overview",
        title="Overview",
        description="What needs you now, who is affected, since when, and what it costs.",
        since="now-14d",
        rows=(
            Row(title="What needs you", height=5, cells=_needs_you()),
            Row(title="Whether it works", height=4, cells=_works()),
            Row(title="Alerts and roles", height=5, cells=_alerts()),
            Row(title="Freshness", height=8, cells=_freshness()),
            Row(title="Failures", height=8, cells=_failures()),
            Row(title="Money", height=7, cells=_money()),
        ),
    )


def _needs_you() -> tuple[Cell, ...]:
    held = Saying(
        id=1,
        title="Held by the guard",
        unit="short",
        description="Logins in plans that wait for a person; they are billed until somebody answers. Run: refreshd plans.",
        link=("The guard", panel_of("refreshd-reconcile", 10)),
    )
    leaking = Saying(
        id=4,
        title="Leaking",
        unit="short",
        description="Logins without an active client, not confirmed off: billed for nothing. Run: refreshd logins --verdict leaking.",
        link=("Disables", panel_of("refreshd-reconcile", 9)),
    )
    stale = Saying(
        id=2,
        title="Silently stale",
        unit="short",
        description="Active logins that no longer refresh although no error says why. Run: refreshd logins --verdict stale.",
        link=("Which ones", "/d/refreshd-logins?${__url_time_range}"),
    )
    users = Saying(
        id=3,
        title="Waiting for their users",
        unit="short",
        description="Active logins whose user must connect the bank again. Run: refreshd logins --verdict reconnect.",
        link=("Which ones", "/d/refreshd-logins?${__url_time_range}"),
    )
    verdict = "refreshd_logins"
    return (
        (number(held, asked(leaders("refreshd_held_logins")), steps=GOOD_AT_ZERO), 6),
        (number(leaking, asked(leaders(verdict, 'verdict="leaking"')), steps=GOOD_AT_ZERO), 6),
        (number(stale, asked(leaders(verdict, 'verdict="stale"')), steps=((None, GREEN), (1, ORANGE))), 6),
        (number(users, asked(leaders(verdict, 'verdict="reconnect"')), steps=((None, GREEN), (1, YELLOW))), 6),
    )


def _works() -> tuple[Cell, ...]:
    lapsing = Saying(
        id=5,
        title="Lapsing within a day",
        unit="short",
        description="Active logins that Flinks gives up within 24 hours, unless they refresh or get their cached call.",
    )
    slack = Saying(
        id=7,
        title="Routine: time to spare",
        unit="s",
        description="Between the routine's expected end at the present rate and the vendor's next night; below zero logins are left out.",
        link=("The routine", panel_of("refreshd-reconcile", 15)),
    )
    flinks = Saying(
        id=18,
        title="Flinks",
        unit="none",
        description="Whether the last call led to an answer, and whether calls rest because a credential is refused. Run: refreshd doctor.",
        link=("Calls", panel_of("refreshd-vendor", 8)),
    )
    writes = Saying(
        id=19,
        title="Writes to Flinks",
        unit="none",
        description="Whether refreshd switches scheduled refresh at all: an operator may have paused it, or it only observes.",
    )
    return (
        (last_pass(6, ("Passes", panel_of("refreshd-reconcile", 5))), 5),
        (
            number(
                lapsing, asked(leaders("refreshd_lapsing_logins", 'within="1d"')), steps=((None, GREEN), (1, ORANGE))
            ),
            5,
        ),
        (
            number(
                slack,
                asked(SPARE),
                steps=_SLACK,
                none="at rest",
            ),
            5,
        ),
        (number(flinks, asked(_FLINKS), steps=NEUTRAL, words=_FLINKS_WORDS), 4),
        (number(writes, asked(_WRITES), steps=NEUTRAL, words=_WRITES_WORDS), 5),
    )


_WRITES = f"2 * max({metric('refreshd_paused')}) + max({metric('refreshd_observe_only')})"
_WRITES_WORDS = {
    "0": ("on", GREEN),
    "1": ("observe only", BLUE),
    "2": ("paused", ORANGE),
    "3": ("paused", ORANGE),
}
_SLACK = ((None, RED), (0, ORANGE), (7200, GREEN))
_FLINKS = f"min({metric('refreshd_flinks_up')}) - 2 * max({metric('refreshd_flinks_breaker_open')})"
_FLINKS_WORDS = {
    "1": ("answers", GREEN),
    "0": ("no answer", ORANGE),
    "-1": ("key refused", RED),
    "-2": ("key refused", RED),
}


def _alerts() -> tuple[Cell, ...]:
    firing = Saying(
        id=8,
        title="Alerts that fire",
        unit="none",
        description="What Prometheus has raised and not taken back; each leads to its runbook and to the panel that explains it.",
    )
    return (
        (alerts(firing, "Refreshd"), 12),
        (leadership(17), 12),
    )


def _freshness() -> tuple[Cell, ...]:
    fleet = Saying(
        id=9,
        title="Logins by verdict",
        unit="short",
        description="The whole ledger, each login once. What grows here, and is neither green nor grey, wants a look.",
        link=("Logins", "/d/refreshd-logins?${__url_time_range}"),
    )
    share = Saying(
        id=10,
        title="Stale share of the active logins",
        unit="percentunit",
        description="silent: no error says why. It has alerts at the dashed lines; those whose failure is known have none.",
    )
    shares = [asked(f"{_SILENT} / {_ACTIVE}", "silent"), asked(f"{_STALE} / {_ACTIVE}", "all")]
    ages = Saying(
        id=11,
        title="Active logins not refreshed for two days or longer",
        unit="short",
        description="By the age of their last refresh. From the seventh day on Flinks no longer tries at night.",
    )
    return (
        (
            graph(
                fleet,
                [asked(leaders("refreshd_logins", by="verdict"), "{{verdict}}")],
                Look(stacked=True, colours=VERDICTS),
            ),
            10,
        ),
        (
            graph(
                share,
                shares,
                _STALE_LOOK,
            ),
            6,
        ),
        (
            graph(
                ages,
                [
                    asked(leaders("refreshd_active_logins", f'refresh_age="{age}"'), words)
                    for age, (words, _) in _AGES.items()
                ],
                Look(stacked=True, colours=dict(_AGES.values())),
            ),
            8,
        ),
    )


_STALE_LOOK = Look(
    steps=((None, GREEN), (0.05, ORANGE), (0.2, RED)), limits=True, colours={"silent": ORANGE, "all": GREY}
)


def _failures() -> tuple[Cell, ...]:
    whom = Saying(
        id=12,
        title="Failing logins, by who clears it",
        unit="short",
        description="The user must connect again; Flinks tries again by itself; an operator must look; or nobody knows the code.",
    )
    codes = Saying(
        id=13,
        title="Failing logins, by error code",
        unit="short",
        description="The eight that were the most frequent; a code that jumps is one institution or one change at Flinks.",
    )
    before = Saying(
        id=14,
        title="Failing, a day apart",
        unit="short",
        description="A jump above yesterday's line is news; a steady gap between zero and the line is not.",
    )
    banks = Saying(
        id=15,
        title="Not refreshing, by institution",
        unit="percentunit",
        description="Share of its billed logins that fail or never refreshed: paid for, and of no use. The busiest eight, and other.",
    )
    by_code = leaders("refreshd_failed_logins", by="error_code")
    most = f"topk(8, max_over_time(({by_code})[$__range:15m] @ end()))"
    institutions = leaders("refreshd_institution_logins", by="institution, refresh")
    useless = leaders("refreshd_institution_logins", 'refresh!="succeeding"', by="institution, refresh")
    return (
        (
            graph(
                whom,
                [asked(_cleared_by(disposition), words) for disposition, (words, _) in _CLEARED_BY.items()],
                Look(stacked=True, colours=dict(_CLEARED_BY.values())),
            ),
            4,
        ),
        (
            graph(
                codes,
                [asked(f"{by_code} and on (error_code) {most}", "{{error_code}}")],
                Look(legend_table=True),
            ),
            10,
        ),
        (graph(before, [asked(_FAILED, "now"), asked(_DAY_BEFORE, "a day before")], Look(dashed=["a day before"])), 4),
        (
            ranking(
                banks,
                asked(
                    f"sort_desc(sum by (institution) ({useless}) / (sum by (institution) ({institutions}) > 0))",
                    "{{institution}}",
                    now=True,
                ),
                steps=((None, GREEN), (0.2, YELLOW), (0.5, RED)),
                max_value=1,
            ),
            6,
        ),
    )


_CLEARED_BY = {
    "needs_client": ("the user", YELLOW),
    "vendor_retries": ("Flinks, by itself", BLUE),
    "operator": ("an operator", PURPLE),
    "unknown": ("not known", RED),
}


def _cleared_by(disposition: str) -> str:
    codes = leaders("refreshd_failed_logins", f'disposition="{disposition}"', by="error_code")
    return f"sum({codes})"


_DAY_BEFORE = f"sum(max by (error_code, disposition) ({metric('refreshd_failed_logins')} offset 1d))"


def _money() -> tuple[Cell, ...]:
    leak = Saying(
        id=16,
        title="Login-days paid for nothing, and saved",
        unit="short",
        description="Summed over logins: time billed since their clients left, and time that switching off has saved.",
    )
    cost = Saying(
        id=20,
        title="The same as money",
        unit="short",
        description="In your currency, once REFRESHD_COST_PER_LOGIN_DAY says what a login costs a day.",
    )
    saved = f"{leaders('refreshd_saved_login_seconds')} / 86400"
    return (
        (
            graph(
                leak,
                [asked(f"{leaders('refreshd_leaking_login_seconds')} / 86400", "leaking"), asked(saved, "saved")],
                Look(colours={"leaking": RED, "saved": GREEN}),
            ),
            14,
        ),
        (
            graph(
                cost,
                [asked(leaders("refreshd_leaking_cost"), "leaking"), asked(leaders("refreshd_saved_cost"), "saved")],
                Look(colours={"leaking": RED, "saved": GREEN}),
            ),
            10,
        ),
    )
