"""How the text of a setting becomes a value, and how a value is shown. An unusable text is a ValueError that says what to write.

No message repeats the text: it may be a secret. Whoever reports the fault adds the text where it is none.
"""

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from refreshd.crash import POINTS
from refreshd.operators import read_operators


class ScheduleAuth(StrEnum):
    """How SetScheduledRefresh proves itself; the vendor's page names no header at all, instances differ."""

    API_KEY = "x-api-key"
    BEARER = "bearer"
    AUTHORIZE_TOKEN = "authorize-token"  # noqa: S105 # a name
    NONE = "none"


class Integration(StrEnum):
    """How the company learns of refreshes; with webhooks the rule of the cached call does not apply."""

    POLLING = "polling"
    WEBHOOKS = "webhooks"


class Mode(StrEnum):
    """Whether refreshd may write at Flinks."""

    ENFORCE = "enforce"
    OBSERVE = "observe"


class ManualRefresh(StrEnum):
    """Whether refreshd may start a live bank login."""

    OFF = "off"
    STALE = "stale"


class LoginIds(StrEnum):
    """How much of a LoginId, and whether a client, the page shows."""

    MASKED = "masked"
    WHOLE = "whole"


class LogFormat(StrEnum):
    """One JSON object a line, or lines for people."""

    JSON = "json"
    CONSOLE = "console"


class LogLevel(StrEnum):
    """The least that is worth a line; `debug` adds one for every call."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where HTTP is served."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class ScaledDates:
    """Dates that pass faster than life, for a simulated Flinks: `start` was at `since`, seconds of Unix time."""

    start: datetime
    factor: float
    since: float

    def __str__(self) -> str:
        return f"{self.start.isoformat()}*{self.factor:g}@{self.since!r}"


@dataclass(frozen=True, slots=True)
class CrashPoint:
    """Where a process kills itself, and at which time of coming there."""

    name: str
    time: int

    def __str__(self) -> str:
        return f"{self.name}:{self.time}"


_UNITS = {"ms": timedelta(milliseconds=1), "s": timedelta(seconds=1), "m": timedelta(minutes=1)}
_UNITS |= {"h": timedelta(hours=1), "d": timedelta(days=1)}
_DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>ms|s|m|h|d)")
_ROUTINE_TIME = re.compile(r"(?P<hour>[01]\d|2[0-3]):(?P<minute>[0-5]\d)")
_LISTEN = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<four>[^\[\]:\s]+)):(?P<port>\d{1,5})")
_FEWEST_SHOWN = 3
_LARGEST_PORT = 65535
_FASTEST = 100_000
_LONGEST_IDENTIFIER = 63


def read_duration(value: object) -> timedelta:
    """`60s`, `15m`, `36h`, `1.5d`. A number without a unit is refused rather than guessed."""
    if isinstance(value, timedelta):
        return value
    matched = _DURATION.fullmatch(str(value).strip())
    if matched is None:
        message = "is no duration; write a number and a unit, as 60s, 15m, 36h or 30d"
        raise ValueError(message)
    try:
        duration = float(matched["number"]) * _UNITS[matched["unit"]]
    except OverflowError as error:
        message = "is longer than any calendar"
        raise ValueError(message) from error
    if not duration:
        message = "must be longer than nothing"
        raise ValueError(message)
    return duration


def show_duration(duration: timedelta) -> str:
    """As people write it, and `read_duration` reads it: `60s` and `48h` rather than `1m` and `2d`, yet `15m` and `30d`."""
    for name in ("d", "h", "m", "s"):
        if not duration % _UNITS[name] and (name == "s" or duration // _UNITS[name] >= _FEWEST_SHOWN):
            return f"{duration // _UNITS[name]}{name}"
    return f"{duration // _UNITS['ms']}ms"


def read_routine_time(value: object) -> time:
    if isinstance(value, time):
        return value
    matched = _ROUTINE_TIME.fullmatch(str(value).strip())
    if matched is None:
        message = "is no time of day; write hours and minutes, as 11:00"
        raise ValueError(message)
    return time(int(matched["hour"]), int(matched["minute"]))


def read_zone(value: object) -> ZoneInfo:
    if isinstance(value, ZoneInfo):
        return value
    try:
        return ZoneInfo(str(value).strip())
    except (KeyError, ValueError, OSError) as error:
        message = "is no time zone; write an IANA name, as America/Toronto"
        raise ValueError(message) from error


def read_listen(value: object) -> ListenAddress:
    if isinstance(value, ListenAddress):
        return value
    matched = _LISTEN.fullmatch(str(value).strip())
    if matched is None or int(matched["port"]) > _LARGEST_PORT:
        message = "is no address; write host and port, as 127.0.0.1:9877 or [::1]:9877"
        raise ValueError(message)
    return ListenAddress(matched["six"] or matched["four"], int(matched["port"]))


def read_scaled_dates(value: object) -> ScaledDates:
    """`2026-01-05T08:00:00+00:00*720@1767600000`: from that date on, 720 times as fast, beginning at that second of Unix time."""
    if isinstance(value, ScaledDates):
        return value
    try:
        start, _, rest = str(value).strip().partition("*")
        factor, _, since = rest.partition("@")
        dates = ScaledDates(datetime.fromisoformat(start), float(factor), float(since))
    except ValueError as error:
        message = "is no scaled date; write START*FACTOR@UNIX-SECONDS, and only for a simulated Flinks"
        raise ValueError(message) from error
    if dates.start.tzinfo is None or not 0 < dates.factor <= _FASTEST:
        message = f"must start at a date with a zone and run at most {_FASTEST} times as fast as life"
        raise ValueError(message)
    return dates


def check_base_url(value: str) -> str:
    """Plain HTTP would carry keys in the clear, so only this machine may be reached by it."""
    url = value.strip()
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        message = "is no web address; write the whole base, as https://INSTANCE-api.private.fin.ag/v3"
        raise ValueError(message)
    if parts.username or parts.password or parts.query or parts.fragment:
        message = "must be an address only, without user, password, ? or #"
        raise ValueError(message)
    if not parts.path.endswith("/v3"):
        message = "must end with /v3 (no slash after it)"
        raise ValueError(message)
    if parts.scheme == "http" and not _is_this_machine(parts.hostname):
        message = "would send keys in the clear; write https:// (http:// is for localhost)"
        raise ValueError(message)
    return url


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def check_database_url(value: SecretStr) -> SecretStr:
    url = value.get_secret_value().strip()
    if not re.match(r"(postgresql|postgres)://|embedded:.", url):
        message = "must be postgresql://user@host/database or embedded:PATH"
        raise ValueError(message)
    return SecretStr(url)


def check_server_url(value: SecretStr) -> SecretStr:
    if not re.match(r"(postgresql|postgres)://", value.get_secret_value()):
        message = "must be postgresql://user@host/database"
        raise ValueError(message)
    return value


def check_header_secret(value: SecretStr) -> SecretStr:
    """A key travels in an HTTP header: a line break in it (a wrapped paste) would fail at every call."""
    text = value.get_secret_value().strip()
    if not text.isascii() or not text.isprintable():
        message = "holds a line break or a sign that no key has; copy it again"
        raise ValueError(message)
    return SecretStr(text)


def check_schema(value: str) -> str:
    if not value or len(value.encode()) > _LONGEST_IDENTIFIER or "\0" in value:
        message = f"must have 1 to {_LONGEST_IDENTIFIER} bytes"
        raise ValueError(message)
    if value.startswith("pg_") or value == "information_schema":
        message = "is a schema of Postgres itself"
        raise ValueError(message)
    return value


def check_operators(value: SecretStr) -> SecretStr:
    read_operators(value.get_secret_value())
    return value


def read_crash_point(value: object) -> CrashPoint:
    """`mark_sent.committed` or `record.uncommitted:3`: a point, and at which time of coming there."""
    if isinstance(value, CrashPoint):
        return value
    name, _, time = str(value).strip().partition(":")
    if name not in POINTS or not (time or "1").isdecimal() or time == "0":
        message = f"is no point; write NAME or NAME:TIME, with a name of {', '.join(POINTS)}"
        raise ValueError(message)
    return CrashPoint(name, int(time or "1"))


Duration = Annotated[timedelta, BeforeValidator(read_duration)]
RoutineTime = Annotated[time, BeforeValidator(read_routine_time)]
Zone = Annotated[ZoneInfo, BeforeValidator(read_zone)]
Listen = Annotated[ListenAddress, NoDecode, BeforeValidator(read_listen)]
CrashAt = Annotated[CrashPoint, NoDecode, BeforeValidator(read_crash_point)]
Scaled = Annotated[ScaledDates, NoDecode, BeforeValidator(read_scaled_dates)]
BaseUrl = Annotated[str, AfterValidator(check_base_url)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(check_database_url)]
ServerUrl = Annotated[SecretStr, AfterValidator(check_server_url)]
OperatorLines = Annotated[SecretStr, AfterValidator(check_operators)]
HeaderSecret = Annotated[SecretStr, AfterValidator(check_header_secret)]
Schema = Annotated[str, AfterValidator(check_schema)]
