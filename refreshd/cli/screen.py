"""Where a command writes. Answers go to standard output, progress and trouble to standard error; nothing else prints.

On a terminal there is color and text wraps to the width; into a pipe goes plain aligned text, as wide as it is, for grep and awk.
The vendor's and the company's words are never read as markup.
"""

import json
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from refreshd.core.errors import RefreshdError

Cell = str | Text

GAP = 2


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
        """A table of few rows: all of them are read before the first is shown."""
        if self.is_terminal:
            self._out.print(Padding(_rich_table(columns, rows), (0, 0, 0, GAP)))
        else:
            for line in _aligned(columns, [list(row) for row in rows]):
                self._raw(line)

    def json(self, value: object) -> None:
        """A value as JSON; on a terminal in lines, into a pipe too: people read both."""
        self._raw(json.dumps(value, default=_plain_value, indent=2, ensure_ascii=False))

    def json_item(self, value: object, *, first: bool) -> None:
        """One more member of an array that is written as it comes; `json_begin` and `json_end` go around."""
        self._raw(("" if first else ",\n") + json.dumps(value, default=_plain_value, ensure_ascii=False), end="")

    def json_begin(self) -> None:
        self._raw("[")

    def json_end(self) -> None:
        self._raw("\n]")

    def flush(self) -> None:
        """Show now what was written, before a long wait."""
        self._out.file.flush()

    def note(self, text: str) -> None:
        """Something beside the answer, for the person who waits."""
        self._err.print(Text(text), style="dim", soft_wrap=True)

    def warn(self, text: str) -> None:
        self._err.print(Text.assemble(("warning: ", "bold yellow"), text), soft_wrap=True)

    def trouble(self, error: RefreshdError) -> None:
        """One clear sentence, and what to do about it."""
        self._err.print(Text.assemble(("error: ", "bold red"), error.message), soft_wrap=True)
        if error.hint:
            self._err.print(Text.assemble(("hint: ", "bold"), error.hint), soft_wrap=True)

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


def _rich_table(columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(
            column.head,
            no_wrap=column.whole,
            overflow="fold",
            justify="right" if column.right else "left",
            style=column.style,
        )
    for row in rows:
        table.add_row(*row)
    return table


def _aligned(columns: Sequence[Column], rows: list[list[Cell]]) -> Iterable[str]:
    lines = [[column.head for column in columns], *([_plain(cell) for cell in row] for row in rows)]
    widths = [max(cell_len(line[index]) for line in lines) for index in range(len(columns))]
    for line in lines:
        padded = [
            _pad(text, width, right=column.right) for text, width, column in zip(line, widths, columns, strict=True)
        ]
        yield ("  " + (" " * GAP).join(padded)).rstrip()


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
