"""What people asked to be undone becomes plans of enables: weighed by the caps, held or admitted, and recorded, under the lease.

A command or a page only asks, and shows before what a pass would make of it.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog

from refreshd.core import caps
from refreshd.core.caps import WINDOW, GuardPolicy, Withheld
from refreshd.core.errors import RowsLocked
from refreshd.core.guard import AdmittedPlan
from refreshd.core.model import Change, LoginId, PassId, PlanId, Term
from refreshd.core.plan import HeldPlan, PlanTotals
from refreshd.core.undo import Undo, Undoable, Undoing, UndoneLogin

_log = structlog.get_logger(__name__)

_AT_ONCE = 1_000


class Disabled(Protocol):
    """What is needed of the ledger to look."""

    async def disabled_by(self, plan_id: PlanId, *, after: LoginId | None, limit: int) -> Sequence[UndoneLogin]:
        """The next of what the plan disabled, by LoginId."""
        ...

    async def undo_outcomes(self, plan_id: PlanId) -> Mapping[Undoing, int]:
        """All of it, counted."""
        ...


class UndoLedger(Disabled, Protocol):
    """What is needed of the ledger to act."""

    async def undos_asked(self) -> Sequence[Undo]:
        """Those that wait for a pass, the oldest first."""
        ...

    async def plan_totals(self, *, now: datetime) -> PlanTotals: ...

    async def take_up(
        self,
        undo: Undo,
        plan: HeldPlan | AdmittedPlan | None,
        *,
        now: datetime,
        until: datetime,
        pass_id: PassId,
        term: Term,
    ) -> bool:
        """Store the plan and cover its logins. False, and nothing, where these are not those that were weighed.

        Raises RowsLocked where somebody else's transaction holds one of them.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenUp:
    """An undo of which a pass has made a plan, or found nothing to enable."""

    enables: int
    withheld: Withheld | None


async def _read(ledger: Disabled, undone: PlanId) -> Undoable:
    """What an undoing would do now."""
    found = Undoable()
    async for each in disabled_by(ledger, undone):
        found.add(each)
    return found


async def disabled_by(ledger: Disabled, undone: PlanId) -> AsyncIterator[UndoneLogin]:
    """All that the plan disabled, by LoginId, a chunk in memory at a time."""
    after: LoginId | None = None
    while chunk := await ledger.disabled_by(undone, after=after, limit=_AT_ONCE):
        for each in chunk:
            yield each
        after = chunk[-1].login_id


class Undoings:
    """Carries out what was asked, one after the other, so that each is weighed with what the one before it takes of the day."""

    def __init__(self, ledger: UndoLedger, policy: GuardPolicy) -> None:
        self._ledger = ledger
        self._policy = policy

    async def take_up(self, *, now: datetime, pass_id: PassId, term: Term) -> Sequence[TakenUp]:
        """One whose logins are locked, or changed sides meanwhile, is left for the next pass, and the rest of this one goes on."""
        taken: list[TakenUp] = []
        for each in await self._ledger.undos_asked():
            try:
                done = await self._take_up(each, now=now, pass_id=pass_id, term=term)
            except RowsLocked as error:
                _log.warning("undo_waits", undoes=each.undone, error=error.message, hint=error.hint)
                continue
            if done is not None:
                taken.append(done)
        return taken

    async def _take_up(self, undo: Undo, *, now: datetime, pass_id: PassId, term: Term) -> TakenUp | None:
        found = await _read(self._ledger, undo.undone)
        judged = found.weighed(await self._ledger.plan_totals(now=now), self._policy) if found.enables else None
        withheld = judged if isinstance(judged, Withheld) else None
        plan = _as_stored(found, judged, now)
        if not await self._ledger.take_up(undo, plan, now=now, until=now + WINDOW, pass_id=pass_id, term=term):
            return None
        plan_id = found.plan_id if found.enables else None
        _log.info("undo_planned", undoes=undo.undone, plan=plan_id, logins=found.enables, held=withheld is not None)
        return TakenUp(enables=found.enables, withheld=withheld)


def _as_stored(
    found: Undoable, judged: AdmittedPlan | Withheld | None, now: datetime
) -> HeldPlan | AdmittedPlan | None:
    if isinstance(judged, Withheld):
        return caps.held(judged, found.plan_id, Change.ENABLE, found.enables, now)
    return judged
