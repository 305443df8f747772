"""Runs refreshd's own commands, in this process or in one of their own, and keeps what they print."""

import io
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest.mock import patch

import structlog

from refreshd.cli import main

PLAIN = {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "200"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """What it said, with every run of blanks and line ends as one blank: for assertions on meaning, not on layout."""
        return " ".join((self.out + " " + self.err).split())


def refreshd(*argv: str, env: Mapping[str, str] | None = None, stdin: bytes = b"") -> Ran:
    """Run a command in this process; `env` is all that it sees of REFRESHD_*."""
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.dict(os.environ, environment(env), clear=True),
        patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin))),
        redirect_stdout(out),
        redirect_stderr(err),
        _logging_as_before(),
    ):
        try:
            main(argv)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
    return Ran(code=code, out=out.getvalue(), err=err.getvalue())


@contextmanager
def _logging_as_before() -> Iterator[None]:
    """A command sets logging up for its whole process; the tests after it want theirs back."""
    root, configured = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:], root.level = handlers, level
        structlog.configure(**configured)


def start_refreshd(*argv: str, env: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
    """Start a command in a process of its own, its output in pipes."""
    return subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "refreshd", *argv],
        env=environment(env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def environment(env: Mapping[str, str] | None) -> dict[str, str]:
    """This process's environment without any REFRESHD_* of its own."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("REFRESHD_")}
    return {**clean, **PLAIN, **(env or {})}
