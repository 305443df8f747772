"""Counters of the process itself: its event loop, its tasks, its log, and the time it spends on the database."""

from prometheus_client import CollectorRegistry, Counter, Histogram, Summary

from refreshd.metrics.labels import LOG_LEVELS, TASKS
from refreshd.metrics.statements import QUERIES, query_label

_LAG_SECONDS = (0.025, 0.1, 0.5, 1)
_POOL_SECONDS = (0.1, 1)


class ProcessCounters:
    """How the loop keeps time, what broke off, and how much was worth a line in the log."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lag = Histogram(
            "refreshd_event_loop_lag_seconds",
            "How late the event loop ran a timer; above 0.5 s something blocks it, or the machine is short of CPU.",
            buckets=_LAG_SECONDS,
            registry=registry,
        )
        self._task_failures = Counter(
            "refreshd_task_failures",
            "Tasks of a leadership that broke off and were begun again; the log says why under leadership_over.",
            ["task"],
            registry=registry,
        )
        self._log_messages = Counter(
            "refreshd_log_messages",
            "Lines written to the log, by level; what the limit on repeats left out is not among them.",
            ["level"],
            registry=registry,
        )
        for task in TASKS:
            self._task_failures.labels(task)
        for level in LOG_LEVELS:
            self._log_messages.labels(level)

    def lagged(self, seconds: float) -> None:
        self._lag.observe(seconds)

    def task_failed(self, task: str) -> None:
        """A task that is not in the table would be a bug: it has no series, and none is made."""
        if task in TASKS:
            self._task_failures.labels(task).inc()

    def logged(self, level: str) -> None:
        if level in LOG_LEVELS:
            self._log_messages.labels(level).inc()


class DatabaseCounters:
    """Statements, and the wait for a connection to run them on (a `postgres.Observer`)."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._wait = Histogram(
            "refreshd_database_pool_wait_seconds",
            "Time that work waited for a connection of the pool; above 0.1 s a slow query holds them: "
            "refreshd_database_query_duration_seconds says which.",
            buckets=_POOL_SECONDS,
            registry=registry,
        )
        self._duration = Summary(
            "refreshd_database_query_duration_seconds",
            "Time spent in statements, by what they are for; commit is what the server's disk takes.",
            ["query"],
            registry=registry,
        )
        self._failures = Counter(
            "refreshd_database_query_failures",
            "Statements that failed, by what they are for; /readyz and the log name the error.",
            ["query"],
            registry=registry,
        )
        self._durations = {query: self._duration.labels(query) for query in QUERIES}
        self._failed = {query: self._failures.labels(query) for query in QUERIES}

    def waited(self, seconds: float) -> None:
        self._wait.observe(seconds)

    def ran(self, statement: str, seconds: float, *, failed: bool) -> None:
        query = query_label(statement)
        self._durations[query].observe(seconds)
        if failed:
            self._failed[query].inc()
