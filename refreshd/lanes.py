"""Logins whose cached Authorize is due, drawn from the tables a few at a time and handed out one by one."""

from collections import deque
from collections.abc import Collection

from refreshd.core.agenda import Agenda
from refreshd.core.model import Lane, LoginId
from refreshd.ports import Clock, DueLogin, WorkLedger

DRAWN_AT_ONCE = 16


class Lanes:
    """The queues of the routine, by lane."""

    def __init__(self, ledger: WorkLedger, clock: Clock, agenda: Agenda) -> None:
        self._ledger = ledger
        self._clock = clock
        self._agenda = agenda
        self._drawn: dict[Lane, deque[DueLogin]] = {lane: deque() for lane in Lane}

    async def next(self, lane: Lane, *, busy: Collection[LoginId]) -> DueLogin | None:
        """The one that has waited longest, still active at this moment; None when none is due."""
        drawn = self._drawn[lane]
        if not drawn:
            drawn.extend(await self._draw(lane, busy))
        while drawn:
            due = drawn.popleft()
            if due.evidence.login_id not in busy and await self._ledger.is_active(due.evidence.login_id):
                return due
        return None

    def clear(self) -> None:
        """Forget what was drawn: something has changed, and the tables know better."""
        for drawn in self._drawn.values():
            drawn.clear()

    async def _draw(self, lane: Lane, busy: Collection[LoginId]) -> list[DueLogin]:
        now = self._clock.now()
        start = self._agenda.routine_start(now)
        draw = self._ledger.due_authorizes
        return list(await draw(lane, now=now, routine_start=start, busy=busy, limit=DRAWN_AT_ONCE))
