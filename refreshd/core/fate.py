"""What is told of a stored plan: what the guard weighed then and would weigh now, what became of its logins, what people decided."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from refreshd.core.model import Change
from refreshd.core.plan import Weighed


class Fate(StrEnum):
    """What became of one login of a plan; the ledger says which (`plan.sql`, fates)."""

    WAITING = "waiting"
    UNDER_WAY = "under_way"
    DONE = "done"
    CHANGED_SIDES = "changed_sides"
    REFUSED = "refused"
    LEFT = "left"
    FORGOTTEN = "forgotten"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A person's word about a plan."""

    at: datetime
    decided_by: str
    decision: str
    reason: str


DECIDED = {"approve": "approved", "reject": "rejected", "undo": "asked for an undoing"}
"""What a person has done who decided so about a plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One number that the guard weighs: then and now. None: not known."""

    name: str
    then: int | None
    now: int | None


def fate_words(fate: Fate, change: Change) -> str:
    """A fate in words, for a plan that disables or enables."""
    returned = "with an active client again" if change is Change.DISABLE else "without an active client again"
    return {
        Fate.WAITING: "still in it",
        Fate.UNDER_WAY: "under way",
        Fate.DONE: f"{change}d, as Flinks has confirmed",
        Fate.CHANGED_SIDES: returned,
        Fate.REFUSED: "refused by Flinks",
        Fate.LEFT: "in it no longer",
        Fate.FORGOTTEN: "no longer in the ledger",
    }[fate]


def since_then(fates: Mapping[Fate, int]) -> Iterator[tuple[Fate, int]]:
    """What has changed since a plan was made, in the order of `Fate`; nothing for a plan whose members all wait."""
    return ((fate, fates[fate]) for fate in Fate if fate is not Fate.WAITING and fates.get(fate))


def moved(then: Weighed, now: Weighed) -> tuple[Moved, ...]:
    """The totals that the guard weighs, as they were and as they are."""
    return (
        Moved(name="logins in the ledger", then=then.logins, now=now.logins),
        Moved(name="active", then=then.active, now=now.active),
        Moved(name="not confirmed off", then=then.not_confirmed_off, now=now.not_confirmed_off),
        Moved(name="changed in 24 h before", then=then.changed_in_window, now=now.changed_in_window),
        Moved(name="active when last accepted", then=then.accepted_active, now=now.accepted_active),
    )
