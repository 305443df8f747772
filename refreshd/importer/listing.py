"""A client list, checked line by line: what is right is yielded, what is wrong is remembered with its line, column and reason.

Holds a line at a time, whatever the file's size, and never more than `LINE_LIMIT` bytes of it.
"""

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, TypeVar
from uuid import UUID

from refreshd.core.errors import InputRejected

T = TypeVar("T")

LINE_LIMIT = 65_536
"""Bytes of one line; a longer one is refused without being read as a whole."""

FAULTS_KEPT = 1_000
"""Bad rows that are told one by one; the others are counted."""

REQUIRED = ("client_id", "login_id", "active")
OPTIONAL = ("scheduled",)

Row = tuple[int, str, str, bool, bool]
"""line, client_id, login_id, active, scheduled: a row of `staged_link`."""

_WORDS = {
    **dict.fromkeys(("true", "t", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0"), False),
}
_GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_NO_GUID = str(UUID(int=0))
_CLIENT_ID_LIMIT = 1_000
_SHOWN = 60
_BOM = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_EXAMPLE = "the first line names the columns: client_id,login_id,active[,scheduled]"


@dataclass(slots=True)
class Faults:
    """Bad rows, the first of them word by word."""

    told: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, place: str, reason: str) -> None:
        self.count += 1
        if len(self.told) < FAULTS_KEPT:
            self.told.append(f"{place}: {reason}")

    def refuse(self) -> None:
        """Raise InputRejected if there is any."""
        if self.count:
            rows = "1 bad row" if self.count == 1 else f"{self.count:,} bad rows"
            more = f" (the first {FAULTS_KEPT:,} are listed)" if self.count > FAULTS_KEPT else ""
            raise InputRejected(
                f"the client list has {rows}{more}; nothing was changed",
                hint="mend them and import again; it is all or nothing",
                faults=tuple(self.told),
            )


class Columns:
    """Where the columns that we know stand, and how a row of values is read."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = [name.strip().lower() for name in names]
        _refuse_header(self.names)
        self.ignored = tuple(name for name in self.names if name not in {*REQUIRED, *OPTIONAL})
        self._at = {name: at for at, name in enumerate(self.names)}

    def row(self, number: int, values: Sequence[object], place: str, faults: Faults) -> Row | None:
        """The row, or None after what is wrong with it was added to `faults`."""
        if len(values) != len(self.names):
            faults.add(place, f"has {len(values)} columns, the header has {len(self.names)}")
            return None
        before = faults.count
        cells = {name: values[at] for name, at in self._at.items()}
        row = (
            number,
            _checked(_client_id, cells, "client_id", place, faults) or "",
            _checked(_login_id, cells, "login_id", place, faults) or "",
            bool(_checked(_truth, cells, "active", place, faults)),
            "scheduled" not in cells or bool(_checked(_truth, cells, "scheduled", place, faults)),
        )
        return row if faults.count == before else None


def _refuse_header(names: Sequence[str]) -> None:
    missing = [name for name in REQUIRED if name not in names]
    if len(missing) == len(REQUIRED):
        separators = [word for sign, word in ((";", "semicolons"), ("\t", "tabs")) if sign in "".join(names)]
        hint = f"separate the columns by commas, not {separators[0]}" if separators else _EXAMPLE
        raise InputRejected("the client list has no header", hint=hint)
    if missing:
        raise InputRejected(f"the header of the client list lacks {', '.join(missing)}", hint=_EXAMPLE)
    twice = sorted({name for name in names if names.count(name) > 1 and name in {*REQUIRED, *OPTIONAL}})
    if twice:
        raise InputRejected(f"the header of the client list names {', '.join(twice)} twice", hint=_EXAMPLE)


def _checked(
    check: Callable[[object], T], cells: Mapping[str, object], name: str, place: str, faults: Faults
) -> T | None:
    try:
        return check(cells[name])
    except ValueError as error:
        faults.add(f"{place}, {name}", str(error))
        return None


def _client_id(value: object) -> str:
    text = "" if value is None else str(value).strip()
    if not text:
        raise ValueError("is empty")
    if len(text) > _CLIENT_ID_LIMIT:
        raise ValueError(f"is longer than {_CLIENT_ID_LIMIT} characters")
    return text


def _login_id(value: object) -> str:
    text = "" if value is None else str(value).strip()
    if not _GUID.fullmatch(text) or text == _NO_GUID:
        raise ValueError(f"{_shown(text)} is no GUID" if text else "is empty")
    return text


def _truth(value: object) -> bool:
    word = _WORDS.get(str(value).strip().lower())
    if word is None:
        raise ValueError(f"{_shown(value)} is none of true, false, 1, 0, yes, no, t, f, y, n")
    return word


def _shown(value: object) -> str:
    text = str(value)
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")


class Lines:
    """The good lines of a file as text. A bad one becomes a fault and is left out."""

    def __init__(self, file: BinaryIO, faults: Faults, progress: Callable[[int], None] | None = None) -> None:
        self._file = file
        self._faults = faults
        self._progress = progress
        self._bytes = 0
        self.number = 0
        self.record_at = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        while raw := self._read():
            self.number += 1
            text = self._text(raw)
            if text is not None:
                self.record_at = self.record_at or self.number
                return text
        raise StopIteration

    def _read(self) -> bytes:
        line = self._file.readline(LINE_LIMIT + 1)
        if self.number == 0:
            _refuse_utf_16(line)
            line = line.removeprefix(_BOM)
        self._bytes += len(line)
        if self._progress is not None:
            self._progress(self._bytes)
        return line

    def _text(self, raw: bytes) -> str | None:
        place = f"line {self.number}"
        if len(raw) > LINE_LIMIT:
            self._skip_rest_of(raw)
            self._faults.add(place, f"is longer than {LINE_LIMIT:,} bytes")
        elif b"\x00" in raw:
            self._faults.add(place, "has a NUL byte")
        else:
            try:
                return raw.decode("utf-8")
            except UnicodeDecodeError as error:
                reason = f"is not UTF-8 (byte {raw[error.start]:#04x} at {error.start + 1}); is the file in Latin-1?"
                self._faults.add(place, reason)
        return None

    def _skip_rest_of(self, line: bytes) -> None:
        while line and not line.endswith(b"\n"):
            line = self._file.readline(LINE_LIMIT)
            self._bytes += len(line)


def _refuse_utf_16(line: bytes) -> None:
    if line.startswith(_UTF_16):
        raise InputRejected("the client list is in UTF-16", hint="save it as UTF-8")


class CsvListing:
    """A CSV file as rows for the staging table. `columns` is known once the first row was asked for."""

    def __init__(self, file: BinaryIO, progress: Callable[[int], None] | None = None) -> None:
        self.faults = Faults()
        self._lines = Lines(file, self.faults, progress)
        self._reader = csv.reader(self._lines, strict=True)
        self.columns = self._header()

    def _header(self) -> Columns:
        for values in self._records():
            return Columns(values)
        self.faults.refuse()
        raise InputRejected("the client list is empty", hint=_EXAMPLE)

    def rows(self) -> Iterator[Row]:
        for values in self._records():
            number = self._lines.record_at
            row = self.columns.row(number, values, f"line {number}", self.faults)
            if row is not None:
                yield row

    def _records(self) -> Iterator[list[str]]:
        """Records that are not blank. One that csv cannot read is a fault, and the next one is tried."""
        while True:
            self._lines.record_at = 0
            try:
                values = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                self.faults.add(f"line {self._lines.record_at}", f"is no CSV: {error}")
                continue
            if values:
                yield values
