"""Alerts about Flinks: keys, answers, rate."""

from deploy.prometheus.rules.promql import most, of_the_leader, series
from deploy.prometheus.rules.recordings import burn, requests
from deploy.prometheus.rules.rule import Alert, Severity

_AUTH = Alert(
    name="RefreshdFlinksAuthRejected",
    severity=Severity.CRITICAL,
    expr=f"{most(series('refreshd_flinks_breaker_open'))} == 1",
    lasts="5m",
    summary="Flinks refuses a key, or knows none of our logins.",
    description="The calls that need it have stopped and are tried every 15 minutes; nothing heals this but a person.",
    first="refreshd doctor",
    panel="refreshd-vendor?viewPanel=2",
    why="The breaker opens on refusals that name no single login, and closes with the first good answer.",
)

_DOWN = Alert(
    name="RefreshdFlinksDown",
    severity=Severity.WARNING,
    expr=f"{most(of_the_leader('refreshd_flinks_up'))} == 0",
    lasts="15m",
    lingers="10m",
    summary="Flinks does not answer.",
    description="No call of the leader has led to an answer for a while. Nothing is concluded about any login meanwhile.",
    first="refreshd doctor",
    panel="refreshd-vendor?viewPanel=1",
    why="Short outages heal by the retries. A standby's last call may be days old, so only the leader's counts.",
)

_THROTTLED = Alert(
    name="RefreshdFlinksThrottled",
    severity=Severity.WARNING,
    expr=f"{most(of_the_leader('refreshd_flinks_rate_per_minute'))}\n"
    f"/\n{most(of_the_leader('refreshd_flinks_limiter_capacity_requests'))}\n< $share",
    numbers={"share": "0.75"},
    lasts="1h",
    summary="Flinks makes refreshd slower than it is set to be.",
    description="For an hour the rate has been at {{ $value | humanizePercentage }} of the setting or below, because Flinks throttles.",
    first="refreshd status",
    panel="refreshd-vendor?viewPanel=5",
    why="The rate halves when Flinks throttles and climbs back slowly; what stays down for an hour is a setting above the real limit, "
    "or somebody else who calls with the same keys.",
)


def _burning(long: str, short: str, factor: str, lasts: str, severity: Severity) -> Alert:
    return Alert(
        name="RefreshdFlinksErrorBudgetBurn",
        severity=severity,
        expr=f"{series(burn(long))} > $factor * $budget\n"
        f"and\n{series(burn(short))} > $factor * $budget\n"
        f"and\n{requests('increase', long)} > $requests",
        numbers={"factor": factor, "budget": "0.01", "requests": "50"},
        lasts=lasts,
        window=long,
        summary="Too many calls to Flinks fail.",
        description=f"{{{{ $value | humanizePercentage }}}} of the calls of the last {long} led to no answer, and it goes on.",
        first="refreshd status",
        panel="refreshd-vendor?viewPanel=7",
        why=f"One failure in a hundred calls is the budget; {factor} times that over {long}, and still in the last {short}, spends it. "
        "Few calls leave in most hours, so there is no shorter pair, and fewer than 50 calls prove nothing.",
    )


_INSTITUTIONS = Alert(
    name="RefreshdInstitutionsHeld",
    severity=Severity.INFO,
    expr=f"{most(series('refreshd_institutions_held'))} > 0",
    lasts="1d",
    summary="A bank has been down for a day.",
    description="{{ $value | humanize }} institutions are held: one probe at a time, and none of their users is asked to reconnect.",
    first="refreshd institutions",
    panel="refreshd-vendor?viewPanel=12",
    why="A night of maintenance is no news. After a day somebody should ask Flinks, and tell whoever speaks to users.",
)

ALERTS = (
    _AUTH,
    _DOWN,
    _THROTTLED,
    _burning("6h", "30m", "6", "15m", Severity.WARNING),
    _burning("1d", "2h", "3", "1h", Severity.WARNING),
    _burning("3d", "6h", "1", "3h", Severity.INFO),
    _INSTITUTIONS,
)
