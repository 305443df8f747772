"""The one reading of the report: at most one at a time, at most once an interval over restarts, and after failures ever more rarely."""

import asyncio

from refreshd.core import backoff, timing
from refreshd.core import conversation as conversations
from refreshd.core.agenda import Agenda
from refreshd.core.conversation import Conversation
from refreshd.ports import Clock, WorkLedger


class Bulletin:
    """When the report is to be read; `in_hand` while it is."""

    def __init__(self, ledger: WorkLedger, clock: Clock, agenda: Agenda) -> None:
        self.in_hand = False
        self._ledger = ledger
        self._clock = clock
        self._agenda = agenda
        self._fruitless = 0
        self._rests_until = 0.0

    def came(self) -> None:
        """It was read, and is in the ledger."""
        self._fruitless = 0

    def failed(self) -> None:
        """It could not be had: leave it alone for a while, longer each time."""
        self._fruitless += 1
        rest = backoff.report_rests(self._fruitless)
        self._rests_until = asyncio.get_running_loop().time() + rest.total_seconds()

    async def next(self) -> Conversation | None:
        """The reading that is due now, in hand from here on; None when none is."""
        rests = asyncio.get_running_loop().time() < self._rests_until
        if rests or self.in_hand or not self._agenda.reads_report:
            return None
        last = await self._ledger.last_report_at()
        if not timing.has_passed(self._agenda.report_interval, since=last, now=self._clock.now()):
            return None
        self.in_hand = True
        return conversations.read_report(self._agenda.terms)
