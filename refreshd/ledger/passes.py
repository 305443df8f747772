"""What a pass reads and writes: evidence and verdicts, plans and intents, totals. One method for each named query."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from refreshd.core import caps
from refreshd.core.canary import CanaryAnswers, PlanUnderWay
from refreshd.core.caps import WINDOW, Withheld
from refreshd.core.guard import AdmittedPlan, GuardedPlan
from refreshd.core.model import Change, Evidence, LoginId, PassId, PlanId, PlanState, Term, Verdict
from refreshd.core.plan import ChangeReason, HeldPlan, PlannedChange, PlanTotals
from refreshd.core.totals import Deadlines, LedgerTotals
from refreshd.crash import Write
from refreshd.fence import fenced
from refreshd.ledger import rows
from refreshd.ledger.opening import OthersWaitError, exactly, opening, reason_of
from refreshd.ledger.totals import clock, deadlines, totals
from refreshd.ports import PassRecord
from refreshd.postgres import Database, Statement
from refreshd.sqlfiles import load_queries

WHOLE_FLEET_SECONDS = 3_600.0
"""What a statement may take that marks millions of logins; the lease is renewed beside it."""

_FIRST = UUID(int=0)


class PassQueries:
    """The ledger as `reconcile` sees it (`ports.PassLedger`)."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pass = load_queries("pass")
        self._verdict = load_queries("verdict")
        self._plan = load_queries("plan")
        self._canary = load_queries("canary")
        self._login = load_queries("login")

    async def start_pass(self, *, now: datetime, term: Term) -> PassId:
        async with fenced(self._database, term, Write.START_PASS) as session:
            return PassId(await session.fetchval(*self._pass["start"](started_at=now, term=term)))

    async def finish_pass(self, record: PassRecord, *, term: Term) -> None:
        async with fenced(self._database, term, Write.FINISH_PASS) as session:
            await session.execute(
                *self._pass["finish"](
                    pass_id=record.pass_id,
                    finished_at=record.finished_at,
                    judged=record.judged,
                    intended=record.intended,
                    held=record.held,
                    phase_seconds=json.dumps(dict(record.phase_seconds)),
                    withheld=json.dumps([rows.storable(each.sentence) for each in record.withheld]),
                    failure=rows.storable(record.failure),
                )
            )

    async def evidence_due(self, *, now: datetime, limit: int, beside_locks: bool = False) -> Sequence[Evidence]:
        query = self._verdict["due_and_free" if beside_locks else "due"]
        return [rows.evidence(row) for row in await self._database.rows(query(now=now, limit=limit))]

    async def store_verdicts(self, verdicts: Sequence[Verdict], *, now: datetime, term: Term) -> int:
        async with fenced(self._database, term, Write.STORE_VERDICTS) as session:
            done = await session.execute(*self._verdict["store"](**rows.verdict_columns(verdicts), now=now, term=term))
        return int(done.split()[-1])

    async def plan_totals(self, *, now: datetime) -> PlanTotals:
        async with self._database.snapshot() as session:
            counted = await session.fetchrow(*self._plan["totals"](since=now - WINDOW, until=now + WINDOW))
            disables = await session.fetchval(*self._plan["disables_waiting"](now=now))
            enables = await session.fetchval(*self._plan["enables_waiting"](now=now))
        return PlanTotals(**dict(counted or {}), disables_waiting=disables, enables_waiting=enables)

    async def candidates(
        self, change: Change, *, now: datetime, after: LoginId | None, limit: int
    ) -> Sequence[PlannedChange]:
        query = self._plan["disables" if change is Change.DISABLE else "enables"]
        found = await self._database.rows(query(now=now, after=after or _FIRST, limit=limit))
        return [rows.planned(row, change) for row in found]

    async def plans_under_way(self, change: Change, *, now: datetime) -> Sequence[PlanUnderWay]:
        found = await self._database.rows(self._plan["carried_out"](change=change.value, now=now))
        canaries = await self._canary_answers([row["plan_id"] for row in found if row["canary"]])
        return [
            PlanUnderWay(
                plan_id=PlanId(row["plan_id"]), state=PlanState(row["state"]), canary=canaries.get(row["plan_id"])
            )
            for row in found
        ]

    async def _canary_answers(self, plan_ids: Sequence[str]) -> Mapping[str, CanaryAnswers]:
        """For each of these plans, also where nothing has been answered yet."""
        if not plan_ids:
            return {}
        found = await self._database.rows(self._canary["of_plans"](plan_ids=plan_ids))
        return dict.fromkeys(plan_ids, CanaryAnswers()) | {row["plan_id"]: rows.canary_answers(row) for row in found}

    async def approved_candidates(
        self, change: Change, *, now: datetime, limit: int, plan_id: PlanId | None = None
    ) -> Sequence[PlannedChange]:
        query = self._plan["approved_disables" if change is Change.DISABLE else "approved_enables"]
        found = await self._database.rows(query(plan_id=plan_id, now=now, limit=limit))
        return [rows.approved(row, change) for row in found]

    async def reassertions(self, *, now: datetime, confirmed_before: datetime, limit: int) -> Sequence[PlannedChange]:
        query = self._plan["reassertions"](now=now, confirmed_before=confirmed_before, limit=limit)
        return [
            PlannedChange(login_id=LoginId(row["login_id"]), change=Change.DISABLE, reason=ChangeReason.REASSERT)
            for row in await self._database.rows(query)
        ]

    async def intend(self, plan: GuardedPlan, *, now: datetime, pass_id: PassId, term: Term) -> int:
        changes = plan.plan.changes
        query = self._plan["intend"](
            login_ids=[each.login_id for each in changes],
            reasons=[str(each.reason) for each in changes],
            plan_ids=[each.approved_by or plan.plan.plan_id for each in changes],
            covered=[each.approved_by is not None for each in changes],
            change=plan.change.value,
            outside_caps=plan.outside_caps,
            now=now,
            pass_id=pass_id,
            term=term,
        )
        async with fenced(self._database, term, Write.INTEND) as session:
            intended = int(await session.fetchval(*query))
            if plan.admitted is not None and intended:
                await session.execute(*opening(self._plan, plan.admitted, now=now, pass_id=pass_id))
            if plan.canary:
                members = [each.login_id for each in changes]
                for plan_id in {each.approved_by for each in changes}:
                    await session.execute(*self._canary["add"](plan_id=plan_id, login_ids=members))
        return intended

    async def hold(
        self, change: Change, why: Withheld, *, now: datetime, pass_id: PassId, term: Term
    ) -> HeldPlan | None:
        query = self._plan["hold_disables" if change is Change.DISABLE else "hold_enables"]
        cover = query(now=now, pass_id=pass_id, term=term, reason=why.reason.value)
        async with fenced(self._database, term, Write.HOLD) as session:
            await session.execute(*self._plan["plan_follows"]())
            covered = await session.fetchrow(*cover, timeout=WHOLE_FLEET_SECONDS)
            if covered is None or not covered["logins"]:
                return None
            held = caps.held(why, PlanId(covered["plan_id"]), change, covered["logins"], now)
            await session.execute(*opening(self._plan, held, now=now, pass_id=pass_id))
            await session.execute(*self._plan["plan_is_there"](), timeout=WHOLE_FLEET_SECONDS)
        return held

    async def admit(
        self, admitted: AdmittedPlan, *, now: datetime, until: datetime, pass_id: PassId, term: Term
    ) -> bool:
        opened = opening(self._plan, admitted, now=now, pass_id=pass_id, until=until)
        try:
            async with fenced(self._database, term, Write.ADMIT) as session:
                await session.execute(*opened)
                await session.execute(*self._canary["forget"](plan_id=admitted.plan_id))
                cover = self._cover(admitted, now, pass_id, term)
                exactly(admitted.plan_id, await session.fetchval(*cover, timeout=WHOLE_FLEET_SECONDS))
        except OthersWaitError:
            return False
        return True

    def _cover(self, plan: AdmittedPlan, now: datetime, pass_id: PassId, term: Term) -> Statement:
        """Everything that waits now is the plan's."""
        query = self._plan["cover_disables" if plan.change is Change.DISABLE else "cover_enables"]
        return query(plan_id=plan.plan_id, now=now, pass_id=pass_id, term=term, reason=reason_of(plan))

    async def hold_back(self, plan_id: PlanId, why: Withheld, *, now: datetime, pass_id: PassId, term: Term) -> int:
        held = self._plan["hold_back"](
            plan_id=plan_id, now=now, pass_id=pass_id, reason=why.reason.value, sentence=why.sentence
        )
        tell = self._plan["tell_members"](plan_id=plan_id, event="held", now=now, reason=why.reason.value)
        async with fenced(self._database, term, Write.HOLD_BACK) as session:
            if await session.fetchval(*held) is None:
                return 0
            return int(await session.fetchval(*tell, timeout=WHOLE_FLEET_SECONDS))

    async def close_empty_plans(self, *, now: datetime, term: Term) -> None:
        async with fenced(self._database, term, Write.CLOSE_PLANS) as session:
            for row in await session.fetch(*self._plan["run_out"](now=now)):
                await session.execute(*self._plan["release"](plan_id=row["plan_id"]))
            await session.execute(*self._plan["settle"](now=now))

    async def accept_totals(self, *, now: datetime, if_before: datetime, term: Term) -> None:
        async with fenced(self._database, term, Write.ACCEPT_TOTALS) as session:
            await session.execute(*self._plan["accept_totals"](now=now, if_before=if_before))

    async def clock(self) -> datetime:
        """The time as the database has it."""
        return await clock(self._database)

    async def totals(self, *, now: datetime) -> LedgerTotals:
        return await totals(self._database, now=now)

    async def deadlines(self, *, now: datetime, routine_start: datetime, polling: bool) -> Deadlines:
        return await deadlines(self._database, now=now, routine_start=routine_start, polling=polling)

    async def settle_strays(self, *, now: datetime, limit: int, term: Term) -> int:
        async with fenced(self._database, term, Write.SETTLE_STRAYS) as session:
            await session.fetchval(*self._login["set_writer_clock"](now=now.isoformat()))
            return int(await session.fetchval(*self._login["settle_strays"](limit=limit)) or 0)
