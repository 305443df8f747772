"""Recording rules: the ratios that alerts and dashboards share. A ratio is a ratio of sums, and absent where nothing is counted."""

from deploy.prometheus.rules.promql import most, series, summed, total
from deploy.prometheus.rules.rule import Recording

ACTIVE = "job:refreshd_active_logins:sum"
FAILED = "job:refreshd_failed_logins:sum"
STALE = "job:refreshd_stale_logins_per_active_logins:ratio"
SILENT = "job:refreshd_silent_logins_per_active_logins:ratio"
"""Of the stale logins only those with `verdict="stale"`: no error explains them."""

BURN_WINDOWS = ("30m", "2h", "6h", "1d", "3d")


def burn(window: str) -> str:
    """Failed requests to Flinks as a share of all, over the window."""
    return f"job:refreshd_flinks_request_failures_per_requests:ratio_rate{window}"


def requests(function: str, window: str) -> str:
    """`rate` or `increase` of all requests to Flinks."""
    return total(f"{function}({series('refreshd_flinks_requests_total')}[{window}])", "operation", "code")


def _burn(window: str) -> Recording:
    failures = total(f"rate({series('refreshd_flinks_request_failures_total')}[{window}])", "reason")
    return Recording(name=burn(window), expr=f"{failures}\n/\n({requests('rate', window)} > 0)")


def _per_active(name: str, stale: str) -> Recording:
    return Recording(name=name, expr=f"{stale}\n/\n({series(ACTIVE)} > 0)")


RECORDINGS = (
    Recording(name=ACTIVE, expr=summed(series("refreshd_active_logins"), "refresh_age")),
    Recording(name=FAILED, expr=summed(series("refreshd_failed_logins"), "error_code", "disposition")),
    _per_active(STALE, summed(series("refreshd_stale_logins"), "verdict")),
    _per_active(SILENT, most(series("refreshd_stale_logins", verdict="stale"), "verdict")),
    *(_burn(window) for window in BURN_WINDOWS),
)
