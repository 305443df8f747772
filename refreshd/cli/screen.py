"""Where a command writes. Answers go to standard output, progress and trouble to standard error; nothing else prints.

On a terminal there is color and text wraps to the width; into a pipe goes plain aligned text, as wide as it is, for grep and awk.
The vendor's and the company's words are never read as markup.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from refreshd.core.errors import InputRejected, RefreshdError

Cell = str | Text
Rows = Sequence[Sequence[Cell]]

GAP = 2
SHOWN_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table. `whole`: never wrapped or cut (ids, times); `right`: numbers."""

    head: str
    whole: bool = False
    right: bool = False
    style: str | None = None


class Screen:
    """Standard output and standard error of one command."""

    def __init__(self) -> None:
        self._out = Console(highlight=False, markup=False, emoji=False)
        self._err = Console(highlight=False, markup=False, emoji=False, stderr=True)

    @property
    def console(self) -> Console:
        """Standard output itself, for the demo, which tells a story of its own."""
        return self._out

    @property
    def is_terminal(self) -> bool:
        return self._out.is_terminal

    @property
    def width(self) -> int | None:
        """Columns of the terminal; None into a pipe, which has no width."""
        return self._out.width if self._out.is_terminal else None

    def line(self, text: Cell = "", *, style: str | None = None, indent: int = 0) -> None:
        """One paragraph."""
        if self.is_terminal:
            self._out.print(Padding(_styled(text, style), (0, 0, 0, indent)))
        else:
            self._raw(" " * indent + _plain(text))

    def hanging(self, head: Cell, text: Cell) -> None:
        """A head and what belongs to it, its further lines indented below its first."""
        if not self.is_terminal:
            lines = _plain(text).split("\n")
            blank = " " * cell_len(_plain(head))
            for index, line in enumerate(lines):
                self._raw(f"{blank if index else _plain(head)}{line}")
            return
        grid = Table.grid(padding=0)
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(head, text)
        self._out.print(grid)

    def title(self, text: str) -> None:
        """The head of a section, with air above it."""
        self.line()
        self.line(text, style="bold")

    def facts(self, pairs: Iterable[tuple[str, Cell]]) -> None:
        """Labels with what they say, one below the other."""
        rows = list(pairs)
        if not self.is_terminal:
            label_width = max((cell_len(label) for label, _ in rows), default=0)
            for label, text in rows:
                self._raw(f"  {label.ljust(label_width)}  {_plain(text)}")
            return
        grid = Table.grid(padding=(0, GAP))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(overflow="fold")
        for label, text in rows:
            grid.add_row(label, text)
        self._out.print(Padding(grid, (0, 0, 0, GAP)))

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> None:
        with self.stream(columns) as stream:
            for row in rows:
                stream.add(row)

    @contextmanager
    def stream(self, columns: Sequence[Column]) -> Iterator["RowStream"]:
        """A table whose rows may be many: they are shown as they come, a few hundred at a time."""
        stream = RowStream(columns, self._show_rich if self.is_terminal else self._show_aligned)
        yield stream
        stream.flush()

    def _show_rich(self, columns: Sequence[Column], rows: Rows, widths: Sequence[int], *, with_head: bool) -> None:
        table = _rich_table(columns, rows, widths, with_head=with_head)
        self._out.print(Padding(table, (0, 0, 0, GAP)))

    def _show_aligned(self, columns: Sequence[Column], rows: Rows, widths: Sequence[int], *, with_head: bool) -> None:
        for row in [[column.head for column in columns], *rows] if with_head else rows:
            self._raw(_aligned(columns, row, widths))

    def json(self, value: object) -> None:
        """A value as JSON; on a terminal in lines, into a pipe too: people read both."""
        self._raw(json.dumps(value, default=_plain_value, indent=2, ensure_ascii=False))

    @contextmanager
    def json_array(self, *, key: str = "", beside: Mapping[str, object] | None = None) -> Iterator["JsonArray"]:
        """An array that is written as it comes: by itself, or as the last member `key` of an object."""
        indent = "  " if key else ""
        if key:
            head = json.dumps(dict(beside or {}), default=_plain_value, indent=2, ensure_ascii=False)
            self._raw(head.removesuffix("\n}") + f',\n{indent}"{key}": [', end="")
        else:
            self._raw("[", end="")
        yield JsonArray(self._raw, indent)
        self._raw(f"\n{indent}]\n}}" if key else "\n]")

    def flush(self) -> None:
        """Show now what was written, before a long wait."""
        self._out.file.flush()

    def note(self, text: str) -> None:
        """Something beside the answer, for the person who waits."""
        self._tell(Text(text, "dim"))

    def warn(self, text: str) -> None:
        self._tell(Text.assemble(("warning: ", "bold yellow"), text))

    def trouble(self, error: RefreshdError) -> None:
        """One clear sentence, and what to do about it."""
        self._tell(Text.assemble(("error: ", "bold red"), clean_lines(error.message)))
        for fault in error.faults if isinstance(error, InputRejected) else ():
            self._tell(Text(f"  {clean(fault)}"))
        if error.hint:
            self._tell(Text.assemble(("hint: ", "bold"), error.hint))

    def _tell(self, text: Text) -> None:
        self._err.print(text, soft_wrap=not self._err.is_terminal)

    def progress_of_bytes(self) -> "Progress":
        """A bar for a file; silent where standard error is no terminal."""
        return self._progress(DownloadColumn())

    def progress_of_steps(self) -> "Progress":
        """A bar for counted work, with the time left."""
        return self._progress(MofNCompleteColumn())

    def waiting(self, text: str) -> AbstractContextManager[object]:
        """A sign of life while something takes a moment."""
        return self._err.status(Text(text))

    def _progress(self, amount: DownloadColumn | MofNCompleteColumn) -> "Progress":
        parts = (TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn(compact=True))
        return Progress(*parts, console=self._err, transient=True, disable=not self._err.is_terminal)

    def _raw(self, text: str, end: str = "\n") -> None:
        self._out.file.write(text + end)


class RowStream:
    """Rows on their way to a table. Columns grow with what has been seen, and never shrink again."""

    def __init__(self, columns: Sequence[Column], show: "_ShowRows") -> None:
        self._columns = columns
        self._show = show
        self._widths = [cell_len(column.head) for column in columns]
        self._rows: list[Sequence[Cell]] = []
        self._has_head = False

    def add(self, row: Sequence[Cell]) -> None:
        self._widths = [max(width, cell_len(_plain(cell))) for width, cell in zip(self._widths, row, strict=True)]
        self._rows.append(row)
        if len(self._rows) >= SHOWN_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Show what waits; the head comes with the first rows."""
        if self._rows:
            self._show(self._columns, self._rows, self._widths, with_head=not self._has_head)
            self._has_head = True
            self._rows = []


class JsonArray:
    """Members on their way to an array, one a line."""

    def __init__(self, write: Callable[[str, str], None], indent: str) -> None:
        self._write = write
        self._start = f"\n{indent}  "
        self._is_empty = True

    def add(self, member: object) -> None:
        text = json.dumps(member, default=_plain_value, ensure_ascii=False)
        self._write(("" if self._is_empty else ",") + self._start + text, "")
        self._is_empty = False


class _ShowRows(Protocol):
    def __call__(self, columns: Sequence[Column], rows: Rows, widths: Sequence[int], *, with_head: bool) -> None: ...


def _rich_table(columns: Sequence[Column], rows: Rows, widths: Sequence[int], *, with_head: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim", show_header=with_head)
    for column, width in zip(columns, widths, strict=True):
        table.add_column(
            column.head,
            no_wrap=column.whole,
            min_width=width if column.whole else None,
            overflow="fold",
            justify="right" if column.right else "left",
            style=column.style,
        )
    for row in rows:
        table.add_row(*row)
    return table


def _aligned(columns: Sequence[Column], row: Sequence[Cell], widths: Sequence[int]) -> str:
    cells = zip(row, widths, columns, strict=True)
    padded = [_pad(_plain(cell), width, right=column.right) for cell, width, column in cells]
    return ("  " + (" " * GAP).join(padded)).rstrip()


def _pad(text: str, width: int, *, right: bool) -> str:
    blank = " " * (width - cell_len(text))
    return blank + text if right else text + blank


def _styled(text: Cell, style: str | None) -> Text:
    styled = text if isinstance(text, Text) else Text(text)
    if style:
        styled = styled.copy()
        styled.stylize(style)
    return styled


def _plain(text: Cell) -> str:
    return text.plain if isinstance(text, Text) else text


def clean(text: str) -> str:
    """Somebody else's words without what a terminal would obey."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def clean_lines(text: str) -> str:
    """The same, with its line ends."""
    return "\n".join(clean(line) for line in text.split("\n"))


def _plain_value(value: object) -> object:
    """What the json module cannot write: times in ISO 8601, spans in seconds, ids and words as text."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, UUID):
        return str(value)
    message = f"{type(value).__name__} has no form in JSON"
    raise TypeError(message)
