"""Whether the database does for us what we need of it, by the word of those who need it.

That somebody can connect to it says little: a server that is read-only, full or out of sessions lets everybody in to look. So what has
failed stays failed until the same kind of work has succeeded, and nobody sees a sick database recover for a moment between two tries.
"""

from collections.abc import Callable
from enum import StrEnum

from refreshd.core.errors import RefreshdError


class Need(StrEnum):
    """What is needed of it, in the order in which a daemon comes to it."""

    LEASE = "lease"
    PASSES = "passes"
    RESULTS = "results"


class Needs:
    """`show` hears what is wrong in a sentence, None: nothing; it hears nothing before the first attempt has ended."""

    def __init__(self, show: Callable[[str | None], None]) -> None:
        self._show = show
        self._faults: dict[Need, str] = {}
        self._untried = {Need.LEASE}

    def told(self, need: Need, error: RefreshdError | None) -> None:
        """How it went: None, it was done for us; else it could not be."""
        if error is None:
            self.served(need)
        else:
            self._untried.discard(need)
            self._faults[need] = error.message
            self._show(self._fault)

    def served(self, *needs: Need) -> None:
        """The database has just done this for us."""
        news = self._untried.union(self._faults).intersection(needs)
        self._untried.difference_update(needs)
        for each in needs:
            self._faults.pop(each, None)
        if news:
            self._show(self._fault)

    def leadership_over(self) -> None:
        """Results that could not be stored are lost with it: now it takes a pass to show that the next ones can."""
        fault = self._faults.pop(Need.RESULTS, None)
        if fault is not None:
            self._faults.setdefault(Need.PASSES, fault)

    @property
    def _fault(self) -> str | None:
        return next((self._faults[each] for each in Need if each in self._faults), None)
