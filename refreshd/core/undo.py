"""Undoing a plan: what a person asked for, what it does about each login, and the plan of enables that it becomes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from refreshd.core import guard
from refreshd.core.caps import GuardPolicy, Withheld
from refreshd.core.guard import AdmittedPlan
from refreshd.core.model import Change, LoginId, PlanId
from refreshd.core.plan import PlanTotals
from refreshd.core.planner import PlanDigest


class Undoing(StrEnum):
    """What the undoing of a plan does about one login that it disabled (`undo.sql`)."""

    ENABLED = "enabled"
    INACTIVE = "inactive"
    ON_AGAIN = "on_again"
    UNDER_WAY = "under_way"
    REFUSED = "refused"
    FORGOTTEN = "forgotten"


UNDOING_WORDS = {
    Undoing.ENABLED: "to be enabled",
    Undoing.INACTIVE: "left off: no active client",
    Undoing.ON_AGAIN: "on again already",
    Undoing.UNDER_WAY: "already on its way",
    Undoing.REFUSED: "refused by Flinks",
    Undoing.FORGOTTEN: "no longer in the ledger",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """What a person asked for. `planned_at` None: no pass has taken it up yet; `plan_id` None after that: nothing was to be enabled."""

    number: int
    undone: PlanId
    asked_at: datetime
    asked_by: str
    reason: str
    planned_at: datetime | None = None
    plan_id: PlanId | None = None


def said_of_undo(undo: Undo) -> str:
    """How far it is, for a page and a command alike."""
    if undo.planned_at is None:
        return "its undoing waits for the next pass that enforces"
    if undo.plan_id is None:
        return "its undoing found nothing to enable"
    return f"its undoing is plan {undo.plan_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoneLogin:
    """A login that the undone plan disabled; `clients` are the active ones that want it, a few of them."""

    login_id: LoginId
    outcome: Undoing
    clients: Sequence[str] = ()


@dataclass(slots=True, kw_only=True)
class Undoable:
    """All that the undone plan disabled, counted as it passes by in the order of LoginId."""

    counts: Counter[Undoing] = field(default_factory=Counter)
    _digest: PlanDigest = field(default_factory=PlanDigest)

    def add(self, login: UndoneLogin) -> None:
        self.counts[login.outcome] += 1
        if login.outcome is Undoing.ENABLED:
            self._digest.add(login.login_id, Change.ENABLE)

    @property
    def enables(self) -> int:
        return self._digest.count

    @property
    def plan_id(self) -> PlanId:
        return self._digest.plan_id()

    def weighed(self, totals: PlanTotals, policy: GuardPolicy) -> AdmittedPlan | Withheld:
        """The plan of enables as the guard sees it: by the caps, as every plan, and without what waits beside it."""
        alone = replace(totals, enables_waiting=self.enables)
        return guard.admit_whole(self.plan_id, self.enables, Change.ENABLE, alone, policy)
