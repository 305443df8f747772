"""A report in slices: a statement with all of a large one in its values would hold the event loop while they are encoded."""

from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from operator import attrgetter
from typing import NamedTuple
from uuid import UUID

from refreshd.core.model import LoginId, Report, ReportCard

MERGED_AT_ONCE = 2_500

_ORDER = attrgetter("login_id.int")
_FIRST, _LAST = 0, 2**128 - 1


class Slice(NamedTuple):
    """What the report says about all logins from `first` to `last`: these are listed, and no others of them are."""

    first: LoginId
    last: LoginId
    cards: Sequence[ReportCard]


def slices(report: Report) -> Iterator[Slice]:
    """Slices that cover every LoginId there can be, in order; an empty report speaks about all of them too."""
    cards = sorted(report.cards, key=_ORDER)
    starts = range(MERGED_AT_ONCE, len(cards), MERGED_AT_ONCE)
    bounds = chain([_FIRST], (_ORDER(cards[start]) for start in starts), [_LAST + 1])
    for number, (first, after) in enumerate(pairwise(bounds)):
        begin = number * MERGED_AT_ONCE
        yield Slice(LoginId(UUID(int=first)), LoginId(UUID(int=after - 1)), cards[begin : begin + MERGED_AT_ONCE])
