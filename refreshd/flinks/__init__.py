"""The HTTP client: one choke point, one session. It adds the secret, sends, hands the bytes to `wire`, and tells who wants to know.

A `FlinksConnection` has two doors: a `FlinksReader`, which refuses to change anything, and a `ScheduleWriter`, the write gate. Whoever
was handed no writer cannot change a schedule.
"""

from refreshd.flinks.connection import (
    FlinksConnection,
    FlinksReader,
    ScheduleWriter,
    log_call,
)
from refreshd.flinks.overhttp import AiohttpTransport
from refreshd.flinks.transport import Leave, RawResponse, Transport

__all__ = [
    "AiohttpTransport",
    "FlinksConnection",
    "FlinksReader",
    "Leave",
    "RawResponse",
    "ScheduleWriter",
    "Transport",
    "log_call",
]
