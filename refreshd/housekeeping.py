"""What is kept for a time only: the trace's days made ahead and dropped, old rows deleted, in steps too small to be in anybody's way.

It runs beside the passes, so that a backup which reads the trace for hours delays a drop and nothing else. Events of `schedule_change`
are kept for ever.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol

import structlog

from refreshd.core.errors import RowsLocked
from refreshd.core.model import Term
from refreshd.core.retention import Kept, Retention
from refreshd.ports import Clock, Leadership

_log = structlog.get_logger(__name__)

DAYS_AHEAD = 7
"""The trace's days are made so long before their first call: somebody who keeps us from it has a week to end."""
ROWS_AT_ONCE = 1_000
LOOK_SECONDS = 3_600.0
"""By the clock's dates, which a demo has pass faster. Nothing of it is due sooner: what is kept is kept for days."""
AGAIN_SECONDS = 60.0
"""Until the next look where somebody's lock has left some of it undone."""


class KeepingLedger(Protocol):
    """The ledger as housekeeping sees it. Each call is one small step; it raises RowsLocked rather than wait for somebody else's lock."""

    async def add_day(self, *, now: datetime, ahead: int, term: Term) -> str | None:
        """Make the next missing day of the trace, up to `ahead` days after `now`. Returns its name, None when none is missing."""
        ...

    async def drop_day(self, *, before: datetime, term: Term) -> str | None:
        """Drop the oldest day of the trace that was over before then. Returns its name, None when there is none."""
        ...

    async def forget(self, kept: Kept, *, before: datetime, limit: int, term: Term) -> int:
        """Delete the oldest rows that are of before then. Returns how many."""
        ...


class Housekeeping:
    """Keeps the ledger's house for as long as a leadership lasts."""

    def __init__(self, ledger: KeepingLedger, leadership: Leadership, clock: Clock, retention: Retention) -> None:
        self._ledger = ledger
        self._leadership = leadership
        self._clock = clock
        self._retention = retention
        self._waits = False

    async def run(self) -> None:
        """Look every hour, and again in a minute where something was left, until cancelled."""
        done, looked_at = False, self._clock.now()
        while True:
            now = self._clock.now()
            if not done or abs(now - looked_at).total_seconds() >= LOOK_SECONDS:
                done, looked_at = await self.keep(), now
            await asyncio.sleep(AGAIN_SECONDS)

    async def keep(self) -> bool:
        """Do all that is due. False: somebody's lock left some of it for the next look, which is told once."""
        done = True
        for step in (self._add_day, self._drop_day, *map(self._forgetting, Kept)):
            done = await self._to_its_end(step) and done
        if not done and not self._waits:
            _log.warning("house_waits", hint="somebody reads the trace in a long transaction; see pg_stat_activity")
        self._waits = not done
        return done

    async def _to_its_end(self, step: Callable[[], Awaitable[bool]]) -> bool:
        """Step until nothing is left. Each step is a transaction of its own, so others have their turn in between."""
        try:
            more = True
            while more:
                more = await step()
        except RowsLocked:
            return False
        return True

    async def _add_day(self) -> bool:
        now, term = self._clock.now(), self._leadership.term
        return await self._ledger.add_day(now=now, ahead=DAYS_AHEAD, term=term) is not None

    async def _drop_day(self) -> bool:
        before = self._clock.now() - self._retention.trace
        name = await self._ledger.drop_day(before=before, term=self._leadership.term)
        if name is not None:
            _log.info("trace_day_dropped", day=name)
        return name is not None

    def _forgetting(self, kept: Kept) -> Callable[[], Awaitable[bool]]:
        async def forget() -> bool:
            before, term = self._clock.now() - self._retention.of(kept), self._leadership.term
            return await self._ledger.forget(kept, before=before, limit=ROWS_AT_ONCE, term=term) == ROWS_AT_ONCE

        return forget
