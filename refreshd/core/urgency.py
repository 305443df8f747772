"""Which class of work a free worker takes next (design section 3), decided only once a permit is in hand."""

from enum import StrEnum


class Source(StrEnum):
    """Where due work waits."""

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
    so that thousands of disables leave them half of the budget.
    """
    return _AFTER_A_CHANGE if last_was_change else _USUAL
