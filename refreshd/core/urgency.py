"""Which class of work a free worker takes next (design section 3), decided only once a permit is in hand."""

from enum import StrEnum


class Source(StrEnum):
    """Where due work waits.

    CHANGE gives the next call of a schedule change that has begun (its token is minted, its third try is due), else a new one;
    CONTINUATION gives the next call of any other conversation. Were they one source, changes that need several calls would go out
    as continuations and leave the savable logins nothing.
    """

    CHANGE = "change"
    CONTINUATION = "continuation"
    REPORT = "report"
    SAVABLE = "savable"
    MANUAL = "manual"
    REST = "rest"
    REASSERTION = "reassertion"


_USUAL = (
    Source.CHANGE,
    Source.CONTINUATION,
    Source.REPORT,
    Source.SAVABLE,
    Source.MANUAL,
    Source.REST,
    Source.REASSERTION,
)
_AFTER_A_CHANGE = (
    Source.CONTINUATION,
    Source.REPORT,
    Source.SAVABLE,
    Source.CHANGE,
    Source.MANUAL,
    Source.REST,
    Source.REASSERTION,
)


def order(*, last_was_change: bool) -> tuple[Source, ...]:
    """The sources in the order in which to ask them.

    A disable goes out next, before a routine of thousands; right after one, begun calls, the report and the savable logins come first,
    so that thousands of disables leave them half of the budget. `last_was_change`: the call before was of a schedule change, be it its
    first or a later one.
    """
    return _AFTER_A_CHANGE if last_was_change else _USUAL
