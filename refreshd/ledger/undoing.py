"""What a plan disabled, and the plan that enables it again. Nothing here needs a lease: the daemon carries it out."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from refreshd.core.errors import PlanUnknown
from refreshd.core.fate import Undoing
from refreshd.core.guard import AdmittedPlan
from refreshd.core.model import LoginId, PlanId
from refreshd.core.plan import HeldPlan
from refreshd.ledger import rows
from refreshd.ledger.opening import WITHIN_CAPS, OthersWaitError, exactly, opening
from refreshd.postgres import Database
from refreshd.sqlfiles import load_queries

_FIRST = UUID(int=0)


class UndoingQueries:
    """The ledger as `refreshd undo` sees it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._undo = load_queries("undo")
        self._plan = load_queries("plan")
        self._canary = load_queries("canary")
        self._decision = load_queries("decision")

    async def find_done(self, prefix: str) -> PlanId:
        """The one plan that disabled something and whose id begins so, stored or not. Raises PlanUnknown."""
        found = [row["plan_id"] for row in await self._database.rows(self._undo["find"](prefix=prefix))]
        hint = "`refreshd explain LOGIN_ID` names the plan of each of its changes"
        if not found or not prefix:
            raise PlanUnknown(f"no plan {prefix!r} has disabled anything", hint=hint)
        if len(found) > 1 and prefix not in found:
            raise PlanUnknown(f"more than one plan begins with {prefix!r}", hint=hint)
        return PlanId(found[0])

    async def disabled_by(
        self, plan_id: PlanId, *, after: LoginId | None, limit: int
    ) -> Sequence[tuple[LoginId, Undoing]]:
        """The next of what the plan disabled, by LoginId."""
        query = self._undo["disabled"](plan_id=plan_id, after=after or _FIRST, limit=limit)
        return [(LoginId(row["login_id"]), Undoing(row["outcome"])) for row in await self._database.rows(query)]

    async def undo_plan(
        self, undone: PlanId, plan: HeldPlan | AdmittedPlan, *, by: str, reason: str, now: datetime, until: datetime
    ) -> bool:
        """Store the plan of enables and cover its logins. False, and nothing, where these are not those that were weighed."""
        is_held = isinstance(plan, HeldPlan)
        why = str(plan.reason) if isinstance(plan, HeldPlan) else WITHIN_CAPS
        opened = opening(self._plan, plan, now=now, pass_id=None, reason=why, until=None if is_held else until)
        cover = self._undo["cover"](
            undone=undone,
            plan_id=plan.plan_id,
            event="held" if is_held else "admitted",
            event_reason=why,
            now=now,
            reason=rows.storable(reason) or "",
        )
        note = self._decision["note"](
            now=now, by=rows.storable(by), decision="undo", plan_id=undone, reason=rows.storable(reason)
        )
        try:
            async with self._database.transaction() as session:
                await session.execute(*opened)
                await session.execute(*self._canary["forget"](plan_id=plan.plan_id))
                exactly(plan.logins, await session.fetchval(*cover))
                await session.execute(*note)
        except OthersWaitError:
            return False
        return True
