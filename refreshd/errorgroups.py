"""Structured tasks raise groups of errors; people and programs want the one that counts."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from refreshd.core.errors import RefreshdError


@contextmanager
def plain_errors() -> Iterator[None]:
    """Where all that happened in a group is of the expected kind, raise the one that came first instead, as far as that can be told."""
    try:
        yield
    except BaseExceptionGroup as group:
        leaves = list(_leaves(group))
        if not all(isinstance(each, RefreshdError) for each in leaves):
            raise
        raise _first(group) from group


def _first(error: BaseException) -> BaseException:
    """A group names its tasks' errors in their order and that of its own body last, though a task may have erred because of that one.

    It is raised in the wake of its body's, which so is known; and one that was raised while the body was being cancelled was not first.
    A body that a limit of time, or a group of its own, has cut short looks the same as a cancelled one: there a task's error may be taken
    for the first.
    """
    if not isinstance(error, BaseExceptionGroup):
        return error
    of_the_body = error.exceptions[-1]
    is_first = not _was_cancelled(of_the_body) and error.__context__ is of_the_body
    return _first(of_the_body if is_first else error.exceptions[0])


def _was_cancelled(error: BaseException) -> bool:
    before = error.__context__
    return before is not None and (isinstance(before, asyncio.CancelledError) or _was_cancelled(before))


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for each in group.exceptions:
        if isinstance(each, BaseExceptionGroup):
            yield from _leaves(each)
        else:
            yield each
