"""What people decide about the ledger's daemon, stored with who, when and why. Nothing here needs a lease."""

from datetime import datetime

from refreshd.core.canary import WITHOUT_CANARY
from refreshd.core.errors import PlanUnknown
from refreshd.core.model import Pause, PlanId, PlanState
from refreshd.crash import Word
from refreshd.fence import spoken
from refreshd.ledger import rows
from refreshd.postgres import Database, Record, Session
from refreshd.sqlfiles import load_queries

_WHERE_IDS_STAND = "`refreshd plans` lists the plans that wait"


class DecidingQueries:
    """The ledger as an operator changes it. Each decision wakes the daemon."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._plan = load_queries("plan")
        self._decision = load_queries("decision")
        self._canary = load_queries("canary")

    async def find_plan(self, prefix: str, *, closed_too: bool = False) -> PlanId:
        """The one plan whose id begins so. Raises PlanUnknown, also for one that is closed unless `closed_too`."""
        found = await self._found(prefix)
        if found["state"] == PlanState.CLOSED and not closed_too:
            raise _closed(PlanId(found["plan_id"]))
        return PlanId(found["plan_id"])

    async def find_to_reject(self, prefix: str) -> PlanId:
        """Likewise; one that is closed only while something that was intended of it is not over."""
        found = await self._found(prefix)
        if found["state"] == PlanState.CLOSED and not found["goes_on"]:
            raise _closed(PlanId(found["plan_id"]))
        return PlanId(found["plan_id"])

    async def _found(self, prefix: str) -> Record:
        found = await self._database.rows(self._plan["find"](prefix=prefix))
        if not found or not prefix:
            raise PlanUnknown(f"there is no plan {prefix!r}", hint=_WHERE_IDS_STAND)
        if len(found) > 1 and found[0]["plan_id"] != prefix:
            raise PlanUnknown(f"more than one plan begins with {prefix!r}", hint=_WHERE_IDS_STAND)
        return found[0]

    async def approve_plan(self, plan_id: PlanId, *, by: str, reason: str, now: datetime, until: datetime) -> int:
        """Let a plan's members be changed until then, and accept the present totals. Returns the number of members.

        Also one that was rejected before.
        """
        known, words = await self.find_plan(plan_id), rows.storable(reason) or ""
        async with spoken(self._database, Word.APPROVE) as session:
            approve = self._plan["approve"](
                plan_id=known, now=now, until=until, reason=words, canary_above=WITHOUT_CANARY
            )
            if await session.fetchval(*approve) is None:
                raise _closed(known)
            await session.execute(*self._canary["forget"](plan_id=known))
            await self._note(session, "approve", by=by, reason=reason, now=now, plan_id=known)
            members = await self._tell_members(session, known, "approved", words, now)
            # Logins first, as whoever merges a report: the other way round the two would wait for each other.
            await session.execute(*self._plan["accept_first_totals"](plan_id=known, now=now))
            return members

    async def reject_plan(self, plan_id: PlanId, *, by: str, reason: str, now: datetime) -> int:
        """Send nothing of a plan any more; its members stay under it until a client returns. Returns the number of members."""
        known, words = await self.find_to_reject(plan_id), rows.storable(reason) or ""
        async with spoken(self._database, Word.REJECT) as session:
            if await session.fetchval(*self._plan["reject"](plan_id=known, now=now, reason=words)) is None:
                raise _closed(known)
            await session.execute(*self._plan["bind_rest"](plan_id=known))
            await self._note(session, "reject", by=by, reason=reason, now=now, plan_id=known)
            return await self._tell_members(session, known, "rejected", words, now)

    async def _tell_members(self, session: Session, plan_id: PlanId, event: str, reason: str, now: datetime) -> int:
        tell = self._plan["tell_members"](plan_id=plan_id, event=event, now=now, reason=reason)
        return int(await session.fetchval(*tell))

    async def pause(self) -> Pause | None:
        row = await self._database.row(self._decision["standing_pause"]())
        return None if row is None else Pause(**dict(row))

    async def pause_writes(self, *, by: str, reason: str, now: datetime) -> bool:
        """No schedule change is marked as sent after this returns. False: they were paused already, and stay as they were."""
        who, why = rows.storable(by), rows.storable(reason)
        async with spoken(self._database, Word.PAUSE) as session:
            paused = await session.fetchval(*self._decision["pause"](now=now, by=who, reason=why)) is not None
            if paused:
                await self._note(session, "pause", by=by, reason=reason, now=now)
            return paused

    async def resume_writes(self, *, by: str, reason: str, now: datetime) -> bool:
        """False: nothing was paused."""
        async with spoken(self._database, Word.RESUME) as session:
            resumed = await session.fetchval(*self._decision["resume"]()) is not None
            if resumed:
                await self._note(session, "resume", by=by, reason=reason, now=now)
            return resumed

    async def _note(
        self, session: Session, decision: str, *, by: str, reason: str, now: datetime, plan_id: PlanId | None = None
    ) -> None:
        who, why = rows.storable(by), rows.storable(reason)
        note = self._decision["note"](now=now, by=who, decision=decision, plan_id=plan_id, reason=why)
        await session.execute(*note)


def _closed(plan_id: PlanId) -> PlanUnknown:
    return PlanUnknown(f"plan {plan_id} is closed: it covers no login any more", hint=_WHERE_IDS_STAND)
