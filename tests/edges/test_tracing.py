"""One trace a pass, one span a call, nothing personal; and nothing at all where nobody collects."""

import asyncio
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from aiohttp import web
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from refreshd.core.errors import SettingsError
from refreshd.core.model import PassId
from refreshd.tracing import NoSpans, OpenTelemetrySpans, collected, is_configured
from tests.support import observed

COLLECTOR = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}


class Collected:
    """Spans as a collector sees them."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.spans = OpenTelemetrySpans(provider)

    def finished(self, name: str) -> list[ReadableSpan]:
        return [each for each in self.exporter.get_finished_spans() if each.name == name]


@pytest.fixture
def seen() -> Collected:
    return Collected()


def test_the_calls_of_a_pass_are_spans_of_its_trace(seen: Collected) -> None:
    record = observed.pass_record()
    seen.spans.on_pass(record)
    seen.spans.on_call(observed.trace())
    seen.spans.on_call(observed.trace(status=None, failure="timeout"))
    (root,) = seen.finished("pass")
    calls = seen.finished("flinks authorize")
    assert root.parent is None
    assert root.context is not None
    assert len(calls) == 2
    for call in calls:
        assert call.parent is not None
        assert call.parent.span_id == root.context.span_id
        assert call.context is not None
        assert call.context.trace_id == root.context.trace_id
    assert calls[0].status.is_ok or calls[0].status.is_unset
    assert calls[1].status.description == "timeout"


def test_a_pass_that_breaks_off_is_a_span_that_says_why(seen: Collected) -> None:
    began = observed.NOW
    seen.spans.on_pass_started(began)
    seen.spans.on_pass_broken("database", began + timedelta(seconds=3))
    (broken,) = seen.finished("pass")
    assert (broken.status.status_code.name, broken.status.description) == ("ERROR", "database")
    assert broken.start_time is not None
    assert broken.end_time is not None
    assert broken.end_time - broken.start_time == 3_000_000_000


def test_a_leadership_that_ends_between_two_passes_breaks_none_off(seen: Collected) -> None:
    seen.spans.on_pass_broken("leadership_lost", observed.NOW)
    seen.spans.on_pass_started(observed.NOW)
    seen.spans.on_pass(observed.pass_record())
    seen.spans.on_pass_broken("leadership_lost", observed.NOW)
    (root,) = seen.finished("pass")
    assert root.status.is_unset


def test_two_passes_are_two_traces_and_a_call_without_a_pass_is_one_of_its_own(seen: Collected) -> None:
    for number in (77, 78):
        seen.spans.on_pass(replace(observed.pass_record(), pass_id=PassId(number)))
    seen.spans.on_call(replace(observed.trace(), pass_id=None))
    (call,) = seen.finished("flinks authorize")
    traces = {each.context.trace_id for each in (*seen.finished("pass"), call) if each.context}
    assert len(traces) == 3
    assert call.parent is None


def test_a_late_call_of_an_older_pass_still_finds_its_trace_and_memory_is_bounded(seen: Collected) -> None:
    for number in range(50):
        seen.spans.on_pass(replace(observed.pass_record(), pass_id=PassId(number)))
    seen.spans.on_call(replace(observed.trace(), pass_id=PassId(45)))
    seen.spans.on_call(replace(observed.trace(), pass_id=PassId(2)))
    remembered, forgotten = seen.finished("flinks authorize")
    assert remembered.parent is not None
    assert forgotten.parent is None


def test_a_span_lasts_as_long_as_its_call(seen: Collected) -> None:
    seen.spans.on_call(observed.trace())
    (call,) = seen.finished("flinks authorize")
    assert call.start_time is not None
    assert call.end_time is not None
    assert timedelta(microseconds=(call.end_time - call.start_time) / 1_000) == timedelta(seconds=0.3)


def test_no_span_says_whom_it_is_about(seen: Collected) -> None:
    seen.spans.on_pass(observed.pass_record())
    seen.spans.on_call(replace(observed.trace(), message="Mrs Smith", flinks_code="X"))
    told = "".join(each.to_json() for each in seen.exporter.get_finished_spans())
    for personal in (str(observed.LOGIN), "a-request-id", "Mrs Smith", "flinks.example"):
        assert personal not in told


@pytest.mark.parametrize(
    ("environ", "is_on"),
    [
        ({}, False),
        (COLLECTOR, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x/v1/traces"}, True),
        (COLLECTOR | {"OTEL_SDK_DISABLED": "true"}, False),
        (COLLECTOR | {"OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_traces_are_on_when_the_standard_variables_say_so(environ: Mapping[str, str], is_on: bool) -> None:  # noqa: FBT001 # a column
    assert is_configured(environ) is is_on


async def test_without_a_collector_nobody_makes_spans() -> None:
    async with collected(version="1", environ={}) as spans:
        assert isinstance(spans, NoSpans)


def test_without_a_collector_opentelemetry_is_not_even_imported() -> None:
    code = "import sys, refreshd.daemon; sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603 # our own words


async def test_a_collector_without_the_extra_is_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SettingsError, match="OpenTelemetry is not installed"):
        async with collected(version="1", environ=COLLECTOR):
            pass


async def test_spans_reach_the_collector_by_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    bodies: list[bytes] = []

    async def take(request: web.Request) -> web.Response:
        bodies.append(await request.read())
        return web.Response()

    app = web.Application()
    app.router.add_post("/v1/traces", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{runner.addresses[0][1]}"}
    for name, value in (environ | {"OTEL_EXPORTER_OTLP_COMPRESSION": "none"}).items():
        monkeypatch.setenv(name, value)
    async with asyncio.timeout(30), collected(version="1.2.3", environ=environ) as spans:
        spans.on_pass(observed.pass_record())
        spans.on_call(observed.trace())
    await runner.cleanup()
    told = b"".join(bodies)
    assert b"flinks authorize" in told
    assert b"refreshd" in told
    assert str(observed.LOGIN).encode() not in told
