"""What the page reads: lists by search, banks, one pass. One method for each named query."""

import json
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from refreshd.core.model import LoginId, PassId, VerdictName
from refreshd.handle import Handle
from refreshd.inquiry import InstitutionRow, ListedLogin, PassStory, Search
from refreshd.ledger.reading import call_trace, schedule_event
from refreshd.postgres import Database, Record
from refreshd.reading import StoredPass
from refreshd.sqlfiles import load_queries

_FIRST = LoginId(UUID(int=0))
_LONGEST_PASS = timedelta(days=1)
"""Calls are not sought later than this after a pass that had no successor."""


class PageQueries:
    """The ledger as the page sees it (`inquiry.PageLedger`)."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._page = load_queries("page")

    async def listed(
        self, search: Search, verdict: VerdictName, *, after: LoginId | None, limit: int
    ) -> Sequence[ListedLogin]:
        found = await self._database.rows(
            self._page["listed"](
                verdict=verdict.value,
                institution=search.institution,
                code=search.code,
                first=search.begins.first,
                last=search.begins.last,
                after=after or _FIRST,
                limit=limit,
            )
        )
        return [_listed_login(row) for row in found]

    async def by_handle(self, handle: Handle) -> LoginId | None:
        span = handle.span
        row = await self._database.row(self._page["by_handle"](first=span.first, last=span.last, check=handle.check))
        return None if row is None else LoginId(row["login_id"])

    async def institutions(self, *, limit: int) -> Sequence[InstitutionRow]:
        return [
            InstitutionRow(**dict(row)) for row in await self._database.rows(self._page["institutions"](limit=limit))
        ]

    async def pass_story(self, pass_id: PassId, *, limit: int) -> PassStory | None:
        row = await self._database.row(self._page["pass"](pass_id=pass_id))
        if row is None:
            return None
        until = (row["next_at"] or row["started_at"] + _LONGEST_PASS) + timedelta(minutes=10)
        calls = await self._database.rows(
            self._page["calls_of_pass"](pass_id=pass_id, since=row["started_at"], until=until, limit=limit)
        )
        events = await self._database.rows(self._page["changes_of_pass"](pass_id=pass_id, limit=limit))
        return PassStory(
            stored=_stored_pass(row),
            phase_seconds=json.loads(row["phase_seconds"]),
            withheld=json.loads(row["withheld"]),
            calls=[call_trace(each) for each in calls],
            events=[schedule_event(each) for each in events],
        )


def _listed_login(row: Record) -> ListedLogin:
    return ListedLogin(
        login_id=LoginId(row["login_id"]),
        verdict=VerdictName(row["verdict"]),
        reason=row["reason"],
        verdict_since=row["verdict_since"],
        institution=row["institution"],
        code=row["code"],
        refreshed_at=row["refreshed_at"],
    )


def _stored_pass(row: Record) -> StoredPass:
    return StoredPass(
        pass_id=PassId(row["pass_id"]),
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        judged=row["judged"],
        intended=row["intended"],
        held=row["held"],
        failure=row["failure"],
    )
