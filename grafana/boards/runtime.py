"""The processes themselves: ready or not, blocked or not, what they use, and how often they began anew."""

from grafana.board import Board, Cell, Row
from grafana.panels import GREEN, GREY, RED, YELLOW, Look, Saying, graph, listing, number, states
from grafana.queries import RATE, asked, grown, metric, quantile


def board() -> Board:
    return Board(
        uid="refreshd-runtime",
        title="Runtime",
        description="The processes themselves: ready or not, blocked or not, what they use, and how often they began anew.",
        rows=(
            Row(title="Copies", height=7, cells=_copies()),
            Row(title="Trouble", height=8, cells=_trouble()),
            Row(title="What they use", height=7, cells=_use()),
            Row(title="Scrapes and settings", height=6, cells=_scrapes()),
        ),
    )


def _copies() -> tuple[Cell, ...]:
    ready = Saying(
        id=1,
        title="Readiness",
        unit="none",
        description="Each condition of each copy; /readyz says in words what is wrong with one that does not hold.",
    )
    up = Saying(
        id=15,
        title="Scraped",
        unit="none",
        description="Whether Prometheus reaches each copy.",
    )
    restarts = Saying(
        id=9,
        title="Restarts",
        unit="short",
        description="New processes in each hour; more than three within half an hour is a crash loop.",
    )
    words = {"1": ("holds", GREEN), "0": ("does not hold", RED)}
    conditions = f"min by (instance, condition) ({metric('refreshd_ready_condition')})"
    starts = f"sum by (instance) (changes({metric('process_start_time_seconds')}[1h]))"
    return (
        (states(ready, [asked(conditions, "{{instance}} {{condition}}")], words), 12),
        (states(up, [asked(metric("up"), "{{instance}}")], {"1": ("up", GREEN), "0": ("down", RED)}), 6),
        (graph(restarts, [asked(starts, "{{instance}}")], Look(bars=True, stacked=True)), 6),
    )


def _trouble() -> tuple[Cell, ...]:
    lag = Saying(
        id=2,
        title="Lag of the event loop",
        unit="s",
        description="How late timers run, nearly at worst (99 %). Above half a second something blocks the loop.",
    )
    tasks = Saying(
        id=3,
        title="Tasks that failed and began again",
        unit="short",
        description="In each step, by task; the log has the reason.",
    )
    logs = Saying(
        id=4,
        title="Log lines, by level",
        unit="short",
        description="Warnings and worse in each step; docs/operating.md explains each event.",
    )
    serious = metric("refreshd_log_messages_total", 'level=~"warning|error|critical"')
    colours = {"warning": YELLOW, "error": RED, "critical": "dark-red"}
    return (
        (
            graph(
                lag,
                [asked(quantile(0.99, "refreshd_event_loop_lag_seconds", by="instance"), "{{instance}}")],
                Look(steps=((None, GREEN), (0.5, RED)), limits=True, soft_max=0.6),
            ),
            8,
        ),
        (
            graph(
                tasks,
                [asked(grown("refreshd_task_failures_total", by="task"), "{{task}}")],
                Look(bars=True, stacked=True),
            ),
            8,
        ),
        (
            graph(
                logs,
                [asked(f"sum by (level) (increase({serious}[{RATE}]))", "{{level}}")],
                Look(bars=True, stacked=True, colours=colours),
            ),
            8,
        ),
    )


def _use() -> tuple[Cell, ...]:
    memory = Saying(
        id=5,
        title="Memory",
        unit="bytes",
        description="Resident memory of each copy; it does not grow with the ledger.",
    )
    cpu = Saying(
        id=6,
        title="CPU",
        unit="percentunit",
        description="Of one core, by copy.",
    )
    files = Saying(
        id=7,
        title="File descriptors",
        unit="short",
        description="Open ones by copy; a steady climb is a leak of connections.",
    )
    busy = f"sum by (instance) (rate({metric('process_cpu_seconds_total')}[{RATE}]))"
    return (
        (graph(memory, [asked(metric("process_resident_memory_bytes"), "{{instance}}")]), 8),
        (graph(cpu, [asked(busy, "{{instance}}")]), 8),
        (graph(files, [asked(metric("process_open_fds"), "{{instance}}")]), 8),
    )


def _scrapes() -> tuple[Cell, ...]:
    took = Saying(
        id=10,
        title="Duration of a scrape",
        unit="s",
        description="It reads memory alone and should stay well below 50 ms.",
    )
    series = Saying(
        id=11,
        title="Series of a scrape",
        unit="short",
        description="Bounded: no label names a login, a client or a free text.",
    )
    skew = Saying(
        id=13,
        title="Clock, against the database's",
        unit="s",
        description="Of each copy; beyond a minute it does not lead. Mend the time of its host.",
    )
    settings = Saying(
        id=14,
        title="Settings",
        unit="none",
        description="Whether the last reload was taken; if not, the old settings stay in force. Run: refreshd doctor.",
    )
    runs = Saying(
        id=12,
        title="What runs",
        unit="none",
        description="Version by copy; two versions for more than a rollout means that one was left behind.",
    )
    reloaded = f"min({metric('refreshd_config_last_reload_successful')})"
    brief = f'label_replace({metric("refreshd_build_info")}, "revision", "$1", "revision", "(.{{12}}).*")'
    versions = f"max by (instance, version, revision) ({brief})"
    words = {"1": ("taken", GREEN), "0": ("refused", RED)}
    return (
        (graph(took, [asked(metric("scrape_duration_seconds"), "{{instance}}")]), 5),
        (graph(series, [asked(metric("scrape_samples_scraped"), "{{instance}}")]), 4),
        (graph(skew, [asked(metric("refreshd_clock_skew_seconds"), "{{instance}}")], Look(min=None)), 4),
        (number(settings, asked(reloaded), steps=((None, GREY),), words=words), 3),
        (listing(runs, asked(versions, now=True, table=True), hide=("Time", "Value")), 8),
    )
