"""What people ask of the ledger. One method for each named query; nothing here needs a lease."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from refreshd.core.canary import CanaryAnswers
from refreshd.core.fate import Decision, Fate
from refreshd.core.model import (
    CallTrace,
    Change,
    Disposition,
    Lane,
    LoginId,
    Operation,
    PassId,
    PlanId,
    PlanState,
    Term,
    VerdictName,
)
from refreshd.core.plan import HeldPlan, Weighed
from refreshd.ledger import rows
from refreshd.postgres import Database, Record
from refreshd.reading import Leader, LinkedClient, Orphan, PlanMember, ScheduleEvent, StoredLogin, StoredPass
from refreshd.sqlfiles import load_queries

_FIRST = UUID(int=0)


class ReadingQueries:
    """The ledger as commands and pages see it (`ports.ReadingLedger`)."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._login = load_queries("login")
        self._plan = load_queries("plan")
        self._canary = load_queries("canary")
        self._decision = load_queries("decision")
        self._pass = load_queries("pass")
        self._trace = load_queries("trace")
        self._report = load_queries("report")
        self._lease = load_queries("lease")
        self._import = load_queries("import")

    async def login(self, login_id: LoginId) -> StoredLogin | None:
        row = await self._database.row(self._login["one"](login_id=login_id))
        return None if row is None else stored_login(row)

    async def logins(self, verdict: VerdictName | None, *, after: LoginId | None, limit: int) -> Sequence[StoredLogin]:
        after_id = after or _FIRST
        query = (
            self._login["all"](after=after_id, limit=limit)
            if verdict is None
            else self._login["of_verdict"](verdict=verdict.value, after=after_id, limit=limit)
        )
        return [stored_login(row) for row in await self._database.rows(query)]

    async def plan_members(self, plan_id: PlanId, *, after: LoginId | None, limit: int) -> Sequence[StoredLogin]:
        query = self._login["of_plan"](plan_id=plan_id, after=after or _FIRST, limit=limit)
        return [stored_login(row) for row in await self._database.rows(query)]

    async def plan(self, plan_id: PlanId) -> HeldPlan | None:
        row = await self._database.row(self._plan["one"](plan_id=plan_id))
        return None if row is None else held_plan(row)

    async def plan_fates(self, plan_id: PlanId) -> Mapping[Fate, int]:
        found = await self._database.rows(self._plan["fates"](plan_id=plan_id))
        return {Fate(row["fate"]): row["logins"] for row in found}

    async def plan_story(self, plan_id: PlanId, *, after: LoginId | None, limit: int) -> Sequence[PlanMember]:
        query = self._login["of_plan_ever"](plan_id=plan_id, after=after or _FIRST, limit=limit)
        found = await self._database.rows(query)
        return [PlanMember(login=stored_login(row), fate=Fate(row["fate"])) for row in found]

    async def plan_decisions(self, plan_id: PlanId) -> Sequence[Decision]:
        found = await self._database.rows(self._decision["of_plan"](plan_id=plan_id))
        return [Decision(**dict(row)) for row in found]

    async def canary_of(self, plan_id: PlanId) -> CanaryAnswers | None:
        found = await self._database.rows(self._canary["of_plans"](plan_ids=[plan_id]))
        return rows.canary_answers(found[0]) if found else None

    async def clients_of(self, login_id: LoginId) -> Sequence[LinkedClient]:
        found = await self._database.rows(self._login["clients"](login_id=login_id))
        return [LinkedClient(**dict(row)) for row in found]

    async def calls_of(self, login_id: LoginId, *, limit: int) -> Sequence[CallTrace]:
        found = await self._database.rows(self._trace["of_login"](login_id=login_id, limit=limit))
        return [call_trace(row) for row in found]

    async def changes_of(self, login_id: LoginId, *, limit: int) -> Sequence[ScheduleEvent]:
        found = await self._database.rows(self._login["changes"](login_id=login_id, limit=limit))
        return [schedule_event(row) for row in found]

    async def plans(self, *, closed: int = 0) -> Sequence[HeldPlan]:
        return [held_plan(row) for row in await self._database.rows(self._plan["listed"](closed=closed))]

    async def passes(self, *, limit: int) -> Sequence[StoredPass]:
        found = await self._database.rows(self._pass["newest"](limit=limit))
        return [StoredPass(**dict(row)) for row in found]

    async def orphans(self, *, limit: int) -> Sequence[Orphan]:
        found = await self._database.rows(self._report["orphans"](limit=limit))
        return [Orphan(**dict(row)) for row in found]

    async def calls_since(self, since: datetime) -> int:
        row = await self._database.row(self._trace["count_since"](since=since))
        return 0 if row is None else row["count"]

    async def routine_due(self, routine_start: datetime) -> Mapping[Lane, int]:
        found = await self._database.rows(self._login["due"](routine_start=routine_start))
        return {Lane(row["lane"]): row["logins"] for row in found}

    async def source_read_at(self) -> datetime | None:
        row = await self._database.row(self._import["source_read_at"]())
        return None if row is None else row["source_read_at"]

    async def leader(self) -> Leader | None:
        row = await self._database.row(self._lease["holder"]())
        if row is None:
            return None
        return Leader(
            holder=row["holder"],
            term=Term(row["term"]),
            acquired_at=row["acquired_at"],
            expires_at=row["expires_at"],
            held=row["held"],
        )


def stored_login(row: Record) -> StoredLogin:
    return StoredLogin(
        evidence=rows.evidence(row),
        verdict=VerdictName(row["verdict"]),
        reason=row["reason"],
        verdict_since=row["verdict_since"],
        verdict_until=row["verdict_ends_at"],
        stale=row["stale"],
        error_code=row["error_code"],
        disposition=row["disposition"] and Disposition(row["disposition"]),
        lane=row["lane"] and Lane(row["lane"]),
        routine_at=row["routine_done_at"],
        intent=None if row["intent_id"] is None else rows.intent(row),
    )


def call_trace(row: Record) -> CallTrace:
    return CallTrace(
        called_at=row["called_at"],
        operation=Operation(row["operation"]),
        method=row["method"],
        url=row["url"],
        body=None if row["body"] is None else json.loads(row["body"]),
        login_id=LoginId(row["login_id"]),
        http_status=row["http_status"],
        flinks_code=row["flinks_code"],
        message=row["message"],
        request_id=row["request_id"],
        latency_seconds=row["latency_seconds"],
        attempt=row["attempt"],
        pass_id=None if row["pass_id"] is None else PassId(row["pass_id"]),
        failure=row["failure"],
    )


def schedule_event(row: Record) -> ScheduleEvent:
    return ScheduleEvent(
        login_id=LoginId(row["login_id"]),
        change=Change(row["change"]),
        event=row["event"],
        intent_id=row["intent_id"],
        at=row["at"],
        reason=row["reason"],
        plan_id=None if row["plan_id"] is None else PlanId(row["plan_id"]),
        pass_id=None if row["pass_id"] is None else PassId(row["pass_id"]),
        code=row["code"],
        detail=row["detail"],
    )


def held_plan(row: Record) -> HeldPlan:
    return HeldPlan(
        plan_id=PlanId(row["plan_id"]),
        change=Change(row["change"]),
        state=PlanState(row["state"]),
        held_at=row["held_at"],
        reason=row["reason"],
        sentence=row["sentence"],
        logins=row["logins"],
        remaining=row["remaining"],
        allowance=row["allowance"],
        weighed=Weighed(
            logins=row["ledger_logins"],
            active=row["ledger_active"],
            not_confirmed_off=row["not_confirmed_off"],
            changed_in_window=row["changed_in_window"],
            accepted_active=row["accepted_active"],
            max_fraction=row["max_fraction"],
            max_count=row["max_count"],
        ),
        approved_at=row["approved_at"],
        approved_until=row["approved_until"],
        approval_reason=row["approval_reason"],
        rejected_at=row["rejected_at"],
        rejection_reason=row["rejection_reason"],
    )
