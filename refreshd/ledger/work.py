"""What the pool draws from and records into. One method for each named query."""

from collections.abc import Collection, Sequence
from datetime import datetime

from refreshd.core import guard
from refreshd.core.effects import Effect
from refreshd.core.errors import WritesPaused
from refreshd.core.guard import Withdrawn
from refreshd.core.model import CallTrace, Change, Lane, LoginId, PassId, Report, Term
from refreshd.crash import Write
from refreshd.fence import fenced
from refreshd.ledger import rows
from refreshd.ledger.effects import Effects
from refreshd.ledger.slices import Slice, slices
from refreshd.ports import DueChange, DueLogin
from refreshd.postgres import Database, Record, Session, Statement
from refreshd.sqlfiles import load_queries


class WorkQueries:
    """The ledger as the pool sees it (`ports.WorkLedger`)."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._effects = Effects()
        self._work = load_queries("work")
        self._trace = load_queries("trace")
        self._report = load_queries("report")

    async def due_changes(
        self, *, now: datetime, reassert: bool, busy: Collection[LoginId], limit: int
    ) -> Sequence[DueChange]:
        query = self._work["changes"](now=now, reasserts=reassert, busy=list(busy), limit=limit)
        return [rows.due_change(row) for row in await self._database.rows(query)]

    async def due_authorizes(
        self, lane: Lane, *, now: datetime, routine_start: datetime, busy: Collection[LoginId], limit: int
    ) -> Sequence[DueLogin]:
        query = self._work["authorizes"](
            lane=lane.value, now=now, routine_start=routine_start, busy=list(busy), limit=limit
        )
        return [rows.due_login(row) for row in await self._database.rows(query)]

    async def due_manual(self, *, now: datetime, busy: Collection[LoginId], limit: int) -> Sequence[DueLogin]:
        query = self._work["manual"](now=now, busy=list(busy), limit=limit)
        return [rows.due_login(row) for row in await self._database.rows(query)]

    async def is_active(self, login_id: LoginId) -> bool:
        return bool(await self._database.value(self._work["is_active"](login_id=login_id)))

    async def release_refused(self, *, since: datetime, until: datetime, term: Term) -> int:
        async with fenced(self._database, term, Write.RELEASE_REFUSED) as session:
            return int(await session.fetchval(*self._work["release_refused"](since=since, until=until)))

    async def last_report_at(self) -> datetime | None:
        row = await self._database.row(self._report["last_read_at"]())
        return None if row is None else row["reported_at"]

    async def mark_sent(
        self, login_id: LoginId, change: Change, *, now: datetime, pass_id: PassId | None, term: Term
    ) -> Withdrawn | None:
        mark = self._work["mark_sent"](login_id=login_id, now=now, pass_id=pass_id, term=term)
        async with fenced(self._database, term, Write.MARK_SENT) as session:
            if await session.fetchval(*self._work["lock_to_send"](login_id=login_id)):
                raise _paused()
            look = _look(await session.fetchrow(*self._work["intended"](login_id=login_id, change=change.value)), now)
            if look is None:
                await session.execute(*mark)
        return look

    async def look_again(self, login_id: LoginId, change: Change, *, now: datetime) -> Withdrawn | None:
        found = await self._database.row(self._work["intended_unless_paused"](login_id=login_id, change=change.value))
        if found is not None and found["is_paused"]:
            raise _paused()
        return _look(found, now)

    async def withdraw(self, login_id: LoginId, *, reason: str, now: datetime, term: Term) -> None:
        async with fenced(self._database, term, Write.WITHDRAW) as session:
            await session.execute(*self._work["withdraw"](login_id=login_id, detail=reason, now=now, term=term))

    async def mark_manual(self, login_id: LoginId, *, now: datetime, term: Term) -> bool:
        return await self._manual(self._work["mark_manual"](login_id=login_id, now=now), term)

    async def unmark_manual(self, login_id: LoginId, *, term: Term) -> None:
        await self._manual(self._work["unmark_manual"](login_id=login_id), term)

    async def _manual(self, mark: Statement, term: Term) -> bool:
        async with fenced(self._database, term, Write.MARK_MANUAL) as session:
            return await session.fetchval(*mark) is not None

    async def record(self, traces: Sequence[CallTrace], effects: Sequence[Effect], *, term: Term) -> None:
        async with fenced(self._database, term, Write.RECORD) as session:
            if traces:
                await session.execute(*self._trace["add"](**rows.trace_columns(traces), term=term))
            await self._effects.store(session, effects, term=term)

    async def record_report(self, report: Report, *, term: Term) -> int:
        async with fenced(self._database, term, Write.RECORD_REPORT) as session:
            for each in slices(report):
                await self._merge(session, each, report.read_at)
            await session.execute(*self._report["mark_read"](read_at=report.read_at))
            return int(await session.fetchval(*self._report["count_orphans"]()))

    async def _merge(self, session: Session, part: Slice, read_at: datetime) -> None:
        cards = rows.card_columns(part.cards)
        span = {"login_ids": cards["login_ids"], "first": part.first, "last": part.last}
        await session.execute(*self._report["list"](**cards, read_at=read_at))
        await session.execute(*self._report["unlist"](**span))
        await session.execute(*self._report["add_orphans"](**cards, read_at=read_at))
        await session.execute(*self._report["drop_orphans"](**span))


def _look(row: Record | None, now: datetime) -> Withdrawn | None:
    """What the guard says of an intent as it is now; one that is gone was withdrawn by somebody."""
    if row is None or row["login_id"] is None:
        return Withdrawn(reason="it is not intended any more")
    due = rows.due_change(row)
    look = guard.second_look(due.intent, due.evidence, now)
    return look if isinstance(look, Withdrawn) else None


def _paused() -> WritesPaused:
    return WritesPaused(
        "vendor writes are paused",
        hint='`refreshd status` says by whom and why; `refreshd resume --reason "..."` ends it',
    )
