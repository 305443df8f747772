"""What housekeeping does to the ledger, one small fenced step at a time."""

from datetime import datetime

from refreshd.core.model import Term
from refreshd.core.retention import Kept
from refreshd.crash import Write
from refreshd.fence import fenced
from refreshd.postgres import Database, Statement
from refreshd.sqlfiles import load_queries


class KeepingQueries:
    """The ledger as `housekeeping` sees it (`housekeeping.KeepingLedger`)."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._retention = load_queries("retention")

    async def add_day(self, *, now: datetime, ahead: int, term: Term) -> str | None:
        name = await self._step(self._retention["add_day"](moment=now, ahead=ahead), term)
        return None if name is None else str(name)

    async def drop_day(self, *, before: datetime, term: Term) -> str | None:
        name = await self._step(self._retention["drop_day"](before=before), term)
        return None if name is None else str(name)

    async def forget(self, kept: Kept, *, before: datetime, limit: int, term: Term) -> int:
        gone = await self._step(self._retention[f"forget_{kept}"](before=before, limit=limit), term)
        return gone if isinstance(gone, int) else 0

    async def _step(self, statement: Statement, term: Term) -> object:
        async with fenced(self._database, term, Write.KEEP_HOUSE) as session:
            done: object = await session.fetchval(*statement)
            return done
