"""Traces for those who have a collector: one trace a pass, one span a call under it. Sole home of OpenTelemetry, which is an extra.

Off unless the standard variables name a collector; then nothing of it is even imported. A span is made once its subject is over, from what
the trace of calls and the record of the pass say anyway: nobody carries a context around, and no call waits for it. No span names a login,
a client, a RequestId or an address.
"""

import asyncio
import os
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from refreshd.core.errors import SettingsError
from refreshd.core.model import CallTrace, PassId
from refreshd.ports import PassRecord

if TYPE_CHECKING:  # an extra: whoever has no collector need not have it
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
GOODBYE_SECONDS = 2.0
"""What the end of a daemon grants to the spans that are left."""

_PASSES_REMEMBERED = 8
"""A call that began under an earlier pass still finds its trace."""


class Spans(Protocol):
    """Hears what begins and what is over. Must not block and must not raise."""

    def on_pass_started(self, at: datetime) -> None: ...

    def on_pass_broken(self, reason: str, at: datetime) -> None:
        """What ended may have been a pass; where none was under way there is nothing to tell."""
        ...

    def on_pass(self, record: PassRecord) -> None: ...

    def on_call(self, trace: CallTrace) -> None: ...


class NoSpans:
    """Nobody collects."""

    def on_pass_started(self, at: datetime) -> None:
        """Nobody asks."""

    def on_pass_broken(self, reason: str, at: datetime) -> None:
        """Likewise."""

    def on_pass(self, record: PassRecord) -> None:
        """Nobody asks."""

    def on_call(self, trace: CallTrace) -> None:
        """Likewise."""


def is_configured(environ: Mapping[str, str]) -> bool:
    """Whether the standard variables ask for traces: a collector is named, and nothing says no."""
    is_disabled = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    is_unwanted = environ.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower() == "none"
    return any(environ.get(name) for name in _ENDPOINTS) and not is_disabled and not is_unwanted


@asynccontextmanager
async def collected(*, version: str, environ: Mapping[str, str] = os.environ) -> AsyncIterator[Spans]:
    """Send spans to the collector while the block runs, and what is left at its end.

    Raises SettingsError when one is named and the extra is not installed.
    """
    if not is_configured(environ):
        yield NoSpans()
        return
    provider, give_up = _provider(version)
    try:
        yield OpenTelemetrySpans(provider)
    finally:
        giving_up = asyncio.get_running_loop().call_later(GOODBYE_SECONDS, give_up)
        try:
            await asyncio.to_thread(provider.shutdown)
        finally:
            giving_up.cancel()


def _provider(version: str) -> "tuple[TracerProvider, Callable[[], None]]":
    """Spans on their way to the collector, and what ends the tries to reach one that is away."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource  # noqa: PLC0415 - likewise
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - likewise
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - likewise
    except ImportError as error:
        raise SettingsError(
            "OTEL_EXPORTER_OTLP_ENDPOINT names a collector, and OpenTelemetry is not installed",
            hint="pip install 'refreshd[otel]', or take the variable out",
        ) from error
    named = "OTEL_SERVICE_NAME" in os.environ
    resource = Resource.create({SERVICE_VERSION: version, **({} if named else {SERVICE_NAME: "refreshd"})})
    provider = TracerProvider(resource=resource)
    exporter = OTLPSpanExporter()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider, exporter.shutdown


class OpenTelemetrySpans:
    """Makes the spans."""

    def __init__(self, provider: "TracerProvider") -> None:
        from opentelemetry import trace as api  # noqa: PLC0415 - an extra

        self._api = api
        self._tracer = provider.get_tracer("refreshd")
        self._passes: OrderedDict[PassId, Context] = OrderedDict()
        self._began_at: datetime | None = None

    def on_pass_started(self, at: datetime) -> None:
        self._began_at = at

    def on_pass_broken(self, reason: str, at: datetime) -> None:
        """It left no record, so its trace has no number either."""
        if self._began_at is None:
            return
        span = self._tracer.start_span("pass", start_time=_nanoseconds(self._began_at))
        span.set_status(self._api.StatusCode.ERROR, reason)
        span.end(_nanoseconds(at))
        self._began_at = None

    def on_pass(self, record: PassRecord) -> None:
        """The root of a trace; the calls of its work follow when it is over."""
        self._began_at = None
        attributes: dict[str, str | int | float] = {
            "refreshd.pass_id": record.pass_id,
            "refreshd.judged": record.judged,
            "refreshd.intended": record.intended,
            "refreshd.held": record.held,
        }
        attributes |= {f"refreshd.{phase}_seconds": seconds for phase, seconds in record.phase_seconds.items()}
        span = self._tracer.start_span("pass", attributes=attributes, start_time=_nanoseconds(record.started_at))
        if record.failure is not None:
            span.set_status(self._api.StatusCode.ERROR, record.failure)
        span.end(_nanoseconds(record.finished_at))
        self._passes[record.pass_id] = self._api.set_span_in_context(span)
        while len(self._passes) > _PASSES_REMEMBERED:
            self._passes.popitem(last=False)

    def on_call(self, trace: CallTrace) -> None:
        """A call of a pass that nobody remembers, or of none, is a trace of its own."""
        attributes: dict[str, str | int] = {
            "refreshd.operation": trace.operation.value,
            "refreshd.attempt": trace.attempt,
            "http.request.method": trace.method,
        }
        if trace.http_status is not None:
            attributes["http.response.status_code"] = trace.http_status
        if trace.failure is not None:
            attributes["error.type"] = trace.failure
        span = self._tracer.start_span(
            f"flinks {trace.operation.value}",
            context=None if trace.pass_id is None else self._passes.get(trace.pass_id),
            kind=self._api.SpanKind.CLIENT,
            attributes=attributes,
            start_time=_nanoseconds(trace.called_at),
        )
        if trace.failure is not None:
            span.set_status(self._api.StatusCode.ERROR, trace.failure)
        span.end(_nanoseconds(trace.called_at + timedelta(seconds=trace.latency_seconds)))


def _nanoseconds(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000) * 1_000
