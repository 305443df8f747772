"""The log of a fortnight: written to nowhere, as the daemon writes it, and counted for the copy whose task wrote the line."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import structlog

from refreshd.logs import configure_logging, counted

Count = Callable[[str], None]

writer: ContextVar[Count | None] = ContextVar("writer", default=None)
"""Who counts a line of this task and of those that it begins."""


@contextmanager
def logging_to_nowhere() -> Iterator[None]:
    """Leaves the logging of the process as it was."""
    root = logging.getLogger()
    handlers, level, before = list(root.handlers), root.level, structlog.get_config()
    try:
        with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123 - it is no path of ours
            configure_logging(as_json=True, stream=nowhere)
            with counted(_count):
                yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.captureWarnings(capture=False)
        structlog.configure(**before)


def _count(level: str) -> None:
    count = writer.get()
    if count is not None:
        count(level)
