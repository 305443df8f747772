"""Structured tasks raise groups of errors; people and programs want the one that counts."""

from collections.abc import Iterator
from contextlib import contextmanager

from refreshd.core.errors import RefreshdError


@contextmanager
def plain_errors() -> Iterator[None]:
    """Where all that happened in a group is of the expected kind, raise the one that came first instead."""
    try:
        yield
    except BaseExceptionGroup as group:
        leaves = list(_leaves(group))
        if not all(isinstance(each, RefreshdError) for each in leaves):
            raise
        raise leaves[0] from group


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for each in group.exceptions:
        if isinstance(each, BaseExceptionGroup):
            yield from _leaves(each)
        else:
            yield each
