"""Flinks and Postgres: whether they answer, how fast, how much of the budget is used, and where it fails."""

from grafana.board import Board, Cell, Row
from grafana.panels import GREEN, GREY, NEUTRAL, ORANGE, RED, YELLOW, Look, Saying, graph, number, states
from grafana.queries import RATE, asked, grown, leaders, mean, metric, per_second, quantile

_CALLS = "refreshd_flinks_requests_total"
_FAILURES = "refreshd_flinks_request_failures_total"


def board() -> Board:
    return Board(
        uid="refreshd-vendor",
        title="Vendor and database",
        description="Whether Flinks and Postgres answer, how fast, how much of the budget is used, and where calls fail.",
        rows=(
            Row(title="Now", height=4, cells=_now()),
            Row(title="Calls to Flinks", height=8, cells=_calls()),
            Row(title="Failures", height=8, cells=_failures()),
            Row(title="Time", height=8, cells=_times()),
            Row(title="Postgres", height=8, cells=_postgres()),
        ),
    )


def _now() -> tuple[Cell, ...]:
    flinks = Saying(
        id=1,
        title="Flinks",
        unit="none",
        description="Whether the last call led to an answer. Run: refreshd doctor.",
    )
    breaker = Saying(
        id=2,
        title="Credentials",
        unit="none",
        description="Calls rest while Flinks refuses a key, or knows none of our logins. Run: refreshd doctor.",
    )
    database = Saying(
        id=3,
        title="Postgres",
        unit="none",
        description="Whether the ledger answers, for the copy that fares worst.",
    )
    schema = Saying(
        id=4,
        title="Schema",
        unit="none",
        description="Whether the ledger's version is the one that this refreshd needs. Run: refreshd migrate --check.",
    )
    rate = Saying(
        id=18,
        title="Calls a minute, in force",
        unit="short",
        description="How many may leave now; below the setting while Flinks throttles, and for a while after.",
    )
    held = Saying(
        id=12,
        title="Institutions held",
        unit="short",
        description="Banks whose logins rest because the bank is down. Run: refreshd institutions.",
    )
    up = {"1": ("answers", GREEN), "0": ("no answer", RED)}
    version = f"max({metric('refreshd_database_schema_version')}) - max({metric('refreshd_database_schema_expected_version')})"
    return (
        (number(flinks, asked(f"min({metric('refreshd_flinks_up')})"), steps=((None, GREY),), words=up), 4),
        (
            number(
                breaker,
                asked(f"max({metric('refreshd_flinks_breaker_open')})"),
                steps=((None, GREY),),
                words={"0": ("accepted", GREEN), "1": ("refused", RED)},
            ),
            4,
        ),
        (number(database, asked(f"min({metric('refreshd_database_up')})"), steps=((None, GREY),), words=up), 4),
        (number(rate, asked(leaders("refreshd_flinks_rate_per_minute")), steps=NEUTRAL), 4),
        (number(held, asked(leaders("refreshd_institutions_held")), steps=((None, GREEN), (1, ORANGE))), 4),
        (number(schema, asked(version), steps=((None, RED),), words={"0": ("as expected", GREEN)}), 4),
    )


def _calls() -> tuple[Cell, ...]:
    used = Saying(
        id=5,
        title="Calls a minute, against the budget",
        unit="short",
        description="By operation. The dashed line is the most that may leave; the routine uses all of it while it lasts.",
    )
    statuses = Saying(
        id=6,
        title="Answers, by HTTP status",
        unit="short",
        description="In each step of the graph; error: no answer arrived.",
    )
    capacity = f"max(60 * {metric('refreshd_flinks_limiter_capacity_requests')} / {metric('refreshd_flinks_limiter_period_seconds')})"
    queries = [
        asked(f"60 * {per_second(_CALLS, by='operation')}", "{{operation}}"),
        asked(capacity, "budget"),
        asked(leaders("refreshd_flinks_rate_per_minute"), "in force"),
    ]
    colours = {"200": GREEN, "error": RED, "401": ORANGE, "403": ORANGE, "429": YELLOW, "502": RED}
    return (
        (
            graph(
                used,
                queries,
                Look(stacked=True, dashed=["budget", "in force"], colours={"budget": RED, "in force": ORANGE}),
            ),
            14,
        ),
        (
            graph(
                statuses, [asked(grown(_CALLS, by="code"), "{{code}}")], Look(bars=True, stacked=True, colours=colours)
            ),
            10,
        ),
    )


def _failures() -> tuple[Cell, ...]:
    ratio = Saying(
        id=7,
        title="Share of calls that failed",
        unit="percentunit",
        description="Over half an hour and six hours. At the lines the error budget of 1 % burns six and fourteen times too fast.",
    )
    reasons = Saying(
        id=8,
        title="Failed calls, by reason",
        unit="short",
        description="In each step. auth: a key is refused; throttled: lower the rate; timeout, connect, server: Flinks itself.",
    )
    retries = Saying(
        id=11,
        title="Calls sent again",
        unit="short",
        description="In each step, by operation; every one of them costs budget.",
    )
    shares = [asked(_share(span), span) for span in ("30m", "6h")]
    return (
        (graph(ratio, shares, Look(steps=((None, GREEN), (0.06, ORANGE), (0.14, RED)), limits=True)), 8),
        (
            graph(
                reasons, [asked(f"{grown(_FAILURES, by='reason')} > 0", "{{reason}}")], Look(bars=True, stacked=True)
            ),
            9,
        ),
        (
            graph(
                retries,
                [asked(grown("refreshd_flinks_retries_total", by="operation"), "{{operation}}")],
                Look(bars=True, stacked=True),
            ),
            7,
        ),
    )


def _share(span: str) -> str:
    """Failures by calls over a span of its own: in the idle hours of a day there are too few calls for a shorter one."""
    calls = grown("refreshd_flinks_request_duration_seconds_count", span=span)
    return f"{grown(_FAILURES, span=span)} / ({calls} > 0)"


def _times() -> tuple[Cell, ...]:
    latency = Saying(
        id=9,
        title="Latency of Authorize",
        unit="s",
        description="Half of the calls, nine in ten, and all but one in a hundred; the wait for the budget is left out.",
    )
    slow = Saying(
        id=19,
        title="Latency by operation, nine in ten",
        unit="s",
        description="Which call is slow.",
    )
    wait = Saying(
        id=10,
        title="Mean wait for the budget",
        unit="s",
        description="How long work waited for its turn. Hours of it are normal within the routine; a disable goes first.",
    )
    authorize = "refreshd_flinks_request_duration_seconds"
    quantiles = [asked(_of_authorize(share, authorize), f"p{share * 100:g}") for share in (0.5, 0.9, 0.99)]
    return (
        (graph(latency, quantiles, Look(fill=0)), 8),
        (graph(slow, [asked(quantile(0.9, authorize, by="operation"), "{{operation}}")], Look(fill=0)), 8),
        (graph(wait, [asked(mean("refreshd_flinks_limiter_wait_seconds"), "wait")]), 8),
    )


def _of_authorize(share: float, name: str) -> str:
    buckets = metric(f"{name}_bucket", 'operation="authorize"')
    return f"histogram_quantile({share:g}, sum by (le) (rate({buckets}[{RATE}])))"


def _postgres() -> tuple[Cell, ...]:
    pool = Saying(
        id=13,
        title="Connections of the pool",
        unit="short",
        description="In use and idle, against the size of the pool; at the line work waits for a connection.",
    )
    waits = Saying(
        id=14,
        title="Waits for a connection, over 100 ms",
        unit="percentunit",
        description="Share of the times that a connection was wanted; work that waits longer finds the pool too small, or Postgres slow.",
    )
    queries = Saying(
        id=15,
        title="Mean time of a query",
        unit="s",
        description="By named query (sql/queries); one that grows with the ledger lacks an index or its statistics.",
    )
    failures = Saying(
        id=16,
        title="Queries that failed",
        unit="short",
        description="In each step, by named query.",
    )
    delay = Saying(
        id=20,
        title="How long a notification takes",
        unit="s",
        description="From our own ping in the database to our own ear; nothing is shown while a copy is deaf.",
    )
    hears = Saying(
        id=17,
        title="Who hears notifications",
        unit="none",
        description="A copy that is deaf polls: what the application writes waits for the next pass. Run: refreshd doctor.",
    )
    at_once = per_second("refreshd_database_pool_wait_seconds_bucket", 'le="0.1"')
    wanted = per_second("refreshd_database_pool_wait_seconds_count")
    size = asked(leaders("refreshd_database_pool_max_connections"), "size")
    return (
        (
            graph(
                pool,
                [asked(f"sum by (state) ({metric('refreshd_database_pool_connections')})", "{{state}}"), size],
                Look(stacked=True, dashed=["size"], colours={"size": RED}),
            ),
            8,
        ),
        (
            graph(
                waits,
                [asked(f"1 - {at_once} / ({wanted} > 0)", "waited")],
                Look(colours={"waited": ORANGE}, soft_max=0.1),
            ),
            8,
        ),
        (graph(queries, [asked(mean("refreshd_database_query_duration_seconds", by="query"), "{{query}}")]), 8),
        (
            graph(
                failures,
                [asked(grown("refreshd_database_query_failures_total", by="query"), "{{query}}")],
                Look(bars=True, stacked=True),
            ),
            12,
        ),
        (graph(delay, [asked(f"max by (instance) ({metric('refreshd_notify_delay_seconds')})", "{{instance}}")]), 6),
        (
            states(
                hears,
                [asked(f"min by (instance) ({metric('refreshd_notify_path_up')})", "{{instance}}")],
                {"1": ("hears", GREEN), "0": ("deaf, polls", ORANGE)},
            ),
            6,
        ),
    )
