"""What people ask to be undone, what the plan in question disabled, and the plan of enables that a pass makes of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from refreshd.core.errors import PlanUnknown
from refreshd.core.guard import AdmittedPlan
from refreshd.core.model import LoginId, PassId, PlanId, Term
from refreshd.core.plan import HeldPlan
from refreshd.core.undo import Undo, Undoing, UndoneLogin
from refreshd.crash import Word, Write
from refreshd.fence import fenced, spoken
from refreshd.ledger import rows
from refreshd.ledger.opening import OthersWaitError, exactly, opening, reason_of
from refreshd.postgres import Database, Record, Statement
from refreshd.sqlfiles import load_queries

_FIRST = UUID(int=0)
_CLIENTS = 3
_WHOLE_FLEET_SECONDS = 3_600.0


class UndoingQueries:
    """The ledger as `refreshd undo` and the pass that carries it out see it (`undoing.UndoLedger`)."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._undo = load_queries("undo")
        self._plan = load_queries("plan")
        self._canary = load_queries("canary")

    async def find_done(self, prefix: str) -> PlanId:
        """The one plan that disabled something and whose id begins so. Raises PlanUnknown."""
        found = [row["plan_id"] for row in await self._database.rows(self._undo["find"](prefix=prefix))]
        if not found or not prefix:
            raise await self._cannot_be_undone(prefix)
        if len(found) > 1 and prefix not in found:
            raise PlanUnknown(f"more than one plan begins with {prefix!r}", hint=_WHERE_IDS_STAND)
        return PlanId(prefix if prefix in found else found[0])

    async def _cannot_be_undone(self, prefix: str) -> PlanUnknown:
        enabler = await self._database.row(self._undo["enabler"](prefix=prefix)) if prefix else None
        if enabler is None:
            return PlanUnknown(f"no plan {prefix!r} has disabled anything", hint=_WHERE_IDS_STAND)
        hint = "set clients inactive, and their logins are disabled by a plan of their own"
        return PlanUnknown(f"plan {enabler['plan_id']} enables, and only what was disabled can be undone", hint=hint)

    async def ask_undo(self, undone: PlanId, *, by: str, reason: str, now: datetime) -> Undo:
        """Have the leader's next pass undo the plan; nothing more of that plan itself is sent from now on.

        Returns what waits, which somebody may have asked for before.
        """
        who, why = rows.storable(by) or "", rows.storable(reason) or ""
        async with spoken(self._database, Word.ASK_UNDO) as session:
            rest = self._undo["reject_rest"](undone=undone, now=now, reason=f"undone: {why}")
            if await session.fetchval(*rest) is not None:
                await session.execute(*self._plan["bind_rest"](plan_id=undone))
                tell = self._plan["tell_members"](plan_id=undone, event="rejected", now=now, reason=f"undone: {why}")
                await session.fetchval(*tell, timeout=_WHOLE_FLEET_SECONDS)
            await session.execute(*self._undo["ask"](undone=undone, by=who, reason=why, now=now))
            (waits,) = await session.fetch(*self._undo["newest_of"](undone=undone))
            return _undo(waits)

    async def undos_asked(self) -> Sequence[Undo]:
        return [_undo(row) for row in await self._database.rows(self._undo["asked"]())]

    async def undo_of(self, undone: PlanId) -> Undo | None:
        """The newest undoing of a plan; None where nobody wanted one."""
        row = await self._database.row(self._undo["newest_of"](undone=undone))
        return None if row is None else _undo(row)

    async def disabled_by(self, plan_id: PlanId, *, after: LoginId | None, limit: int) -> Sequence[UndoneLogin]:
        query = self._undo["disabled"](plan_id=plan_id, after=after or _FIRST, clients=_CLIENTS, limit=limit)
        return [
            UndoneLogin(login_id=LoginId(row["login_id"]), outcome=Undoing(row["outcome"]), clients=row["clients"])
            for row in await self._database.rows(query)
        ]

    async def undo_outcomes(self, plan_id: PlanId) -> Mapping[Undoing, int]:
        found = await self._database.rows(self._undo["outcomes"](plan_id=plan_id))
        counts = {row["outcome"]: row["logins"] for row in found}
        return {each: counts[each] for each in Undoing if each in counts}

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
        plan_id = None if plan is None else plan.plan_id
        taken = self._undo["taken_up"](decision_id=undo.number, now=now, pass_id=pass_id, plan_id=plan_id)
        try:
            async with fenced(self._database, term, Write.UNDO) as session:
                if plan is not None:
                    ends = None if isinstance(plan, HeldPlan) else until
                    await session.execute(*opening(self._plan, plan, now=now, pass_id=pass_id, until=ends))
                    await session.execute(*self._canary["forget"](plan_id=plan.plan_id))
                    cover = self._cover_undone(undo, plan, now=now, pass_id=pass_id, term=term)
                    exactly(plan.plan_id, await session.fetchval(*cover, timeout=_WHOLE_FLEET_SECONDS))
                await session.execute(*taken)
        except OthersWaitError:
            return False
        return True

    def _cover_undone(
        self, undo: Undo, plan: HeldPlan | AdmittedPlan, *, now: datetime, pass_id: PassId, term: Term
    ) -> Statement:
        return self._undo["cover"](
            undone=undo.undone,
            plan_id=plan.plan_id,
            event="held" if isinstance(plan, HeldPlan) else "admitted",
            event_reason=reason_of(plan),
            now=now,
            reason=undo.reason,
            pass_id=pass_id,
            term=term,
        )


_WHERE_IDS_STAND = "`refreshd plans --closed` lists plans, and `refreshd explain LOGIN_ID` names that of each change"


def _undo(row: Record) -> Undo:
    return Undo(
        number=row["decision_id"],
        undone=PlanId(row["undone"]),
        asked_at=row["at"],
        asked_by=row["decided_by"],
        reason=row["reason"],
        planned_at=row["planned_at"],
        plan_id=row["plan_id"] and PlanId(row["plan_id"]),
    )
