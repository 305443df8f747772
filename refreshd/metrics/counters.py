"""Counters and histograms: what has happened since the start, moved by the hooks of the daemon.

Label sets that this installation can meet exist from the start at 0, because a counter first seen at 1 has no increase. Exemplars carry
the pass id, never a RequestId or a LoginId.
"""

from collections.abc import Collection
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram

from refreshd.core import conversation as conversations
from refreshd.core.caps import HoldReason
from refreshd.core.conversation import Conversation, Step
from refreshd.core.effects import ChangeFailed, Confirmed, Effect, Refused
from refreshd.core.model import CallTrace, Change, Operation, PassId
from refreshd.core.turn import Turn
from refreshd.metrics.labels import (
    CALL_FAILURES,
    DisableFailure,
    PassFailure,
    failure_label,
    operation_of,
    status_label,
)
from refreshd.metrics.state import MetricsPolicy
from refreshd.ports import PassRecord

_PASS_SECONDS = (1, 15, 60, 300, 3600)
_CALL_SECONDS = (0.25, 1, 5, 30)
_WAIT_SECONDS = (0.1, 1, 5, 60, 300)


class SettledTurn(Protocol):
    """One turn of a conversation, once its effects are durable (`dispatch.Settled`, which siblings do not import)."""

    @property
    def conversation(self) -> Conversation: ...

    @property
    def turn(self) -> Turn: ...


class PassCounters:
    """Passes, and what they held."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._passes = Counter("refreshd_reconcile_passes", "Passes finished, whatever the outcome.", registry=registry)
        self._failures = Counter(
            "refreshd_reconcile_failures", "Passes that failed, by reason.", ["reason"], registry=registry
        )
        self._duration = Histogram(
            "refreshd_reconcile_duration_seconds",
            "Time a pass took, all its phases together.",
            buckets=_PASS_SECONDS,
            registry=registry,
        )
        self._holds = Counter(
            "refreshd_guard_holds", "Plans held by the guard, by reason.", ["reason"], registry=registry
        )
        self._transitions = Counter(
            "refreshd_leader_transitions", "Times this daemon gained or lost the lease.", registry=registry
        )
        for failure in PassFailure:
            self._failures.labels(failure.value)
        for hold in HoldReason:
            self._holds.labels(hold.value)

    def finished(self, record: PassRecord) -> None:
        """Count a pass that came to its end; its phases are measured in loop time, which no scaled clock bends."""
        self._passes.inc()
        self._duration.observe(sum(record.phase_seconds.values()), _exemplar(record.pass_id))
        for withheld in record.withheld:
            self._holds.labels(withheld.reason.value).inc()
        if record.failure is not None:
            self._failures.labels(PassFailure.read(record.failure).value).inc()

    def broke_off(self, reason: PassFailure) -> None:
        self._passes.inc()
        self._failures.labels(reason.value).inc()

    def changed_leadership(self) -> None:
        self._transitions.inc()


class ChangeCounters:
    """Disables, confirmed and not."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._disables = Counter(
            "refreshd_disables",
            "Disables that Flinks confirmed about the LoginId, repeats of old ones included.",
            registry=registry,
        )
        self._failures = Counter(
            "refreshd_disable_failures",
            "Disables that were sent and not confirmed, by reason; refreshd sends them again.",
            ["reason"],
            registry=registry,
        )
        for reason in DisableFailure:
            self._failures.labels(reason.value)

    def settled(self, turn: Turn) -> None:
        for effect in turn.effects:
            self._count(effect, turn)

    def _count(self, effect: Effect, turn: Turn) -> None:
        match effect:
            case Confirmed(change=Change.DISABLE):
                self._disables.inc()
            case ChangeFailed(change=Change.DISABLE):
                refused = any(isinstance(other, Refused) for other in turn.effects)
                reason = DisableFailure.UNKNOWN_LOGIN if refused else DisableFailure.VENDOR
                self._failures.labels(reason.value).inc()
            case _:
                pass


class CallCounters:
    """HTTP calls to Flinks."""

    def __init__(self, policy: MetricsPolicy, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "refreshd_flinks_requests",
            "Requests finished, by HTTP status; code is error when no response arrived. 401 and 403: refreshd doctor tries each key.",
            ["operation", "code"],
            registry=registry,
        )
        self._failures = Counter(
            "refreshd_flinks_request_failures",
            "Requests that led to no answer about what was asked, by reason; a code about the login is an answer. "
            "Which operation it was: refreshd_flinks_requests_total, by code.",
            ["reason"],
            registry=registry,
        )
        self._duration = Histogram(
            "refreshd_flinks_request_duration_seconds",
            "Latency of requests, the wait for the limiter left out.",
            ["operation"],
            buckets=_CALL_SECONDS,
            registry=registry,
        )
        self._retries = Counter("refreshd_flinks_retries", "Requests sent again.", ["operation"], registry=registry)
        self._wait = Histogram(
            "refreshd_flinks_limiter_wait_seconds",
            "Time that requests waited for the limiter.",
            buckets=_WAIT_SECONDS,
            registry=registry,
        )
        self.show(policy.operations)
        for reason in CALL_FAILURES:
            self._failures.labels(reason)

    def show(self, operations: Collection[Operation]) -> None:
        """Begin the series of these calls at zero; a series that is there already stays as it is."""
        for operation in {operation_of(each) for each in operations}:
            self._show(operation)

    def _show(self, operation: Operation) -> None:
        name = operation.value
        self._duration.labels(name)
        self._retries.labels(name)
        for status in (200, None):
            self._requests.labels(name, status_label(operation, status))

    def called(self, trace: CallTrace) -> None:
        name = operation_of(trace.operation).value
        self._requests.labels(name, status_label(trace.operation, trace.http_status)).inc()
        self._duration.labels(name).observe(trace.latency_seconds, _exemplar(trace.pass_id))
        if trace.failure is not None:
            self._failures.labels(failure_label(trace.failure)).inc()

    def settled(self, settled: SettledTurn) -> None:
        """Count another try. A token minted anew and a poll are the next call of a conversation, not a repeat."""
        following = settled.turn.following
        if following is not None and following.tries > settled.conversation.tries:
            self._retries.labels(operation_of(_operation(settled.conversation)).value).inc()

    def waited(self, seconds: float) -> None:
        self._wait.observe(seconds)


def _operation(conversation: Conversation) -> Operation:
    if conversation.step is Step.SET:
        return Operation.SET_SCHEDULED_REFRESH
    return conversations.request(conversation).operation


def _exemplar(pass_id: PassId | None) -> dict[str, str] | None:
    return None if pass_id is None else {"pass_id": str(pass_id)}
