"""The ledger's row of the call budget, for virtual time: what `take_budget` and `claim` of `sql/queries/lease.sql` do, on loop time.

A database does not know of virtual time. The contract that both keep is in `tests/edges/test_claims.py`.
"""

import asyncio

from refreshd.core.errors import LeaseLost
from refreshd.core.model import Term
from refreshd.pacing import PERMIT_SECONDS, Claim
from refreshd.skew import Skew


class BudgetRow:
    """One ledger's: whose term is the newest, and from when on slots are free. `step` sets its clock forward or back."""

    def __init__(self) -> None:
        self.term = Term(0)
        self.answer_seconds = 0.0
        self._rate: int | None = None
        self._opens_at = float("-inf")
        self._stepped = 0.0

    def step(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self._stepped += seconds

    def take(self, rate_per_minute: int, term: Term | None = None) -> "RowLease":
        """The next leader: a later term, and the budget taken under its rate."""
        now = self._now()
        self.term = term or Term(self.term + 1)
        lowered = self._rate is not None and self._rate > rate_per_minute
        self._opens_at = (now + 61 if lowered else max(self._opens_at, now)) + PERMIT_SECONDS
        self._rate = rate_per_minute
        return RowLease(self, self.term)

    async def claim(self, slots: int, slot_seconds: float, term: Term) -> tuple[bool, float]:
        """Whether they are granted, and the seconds from the moment at which the question arrives until the first slot begins."""
        await asyncio.sleep(self.answer_seconds / 2)
        if term != self.term:
            raise LeaseLost(f"another refreshd leads this ledger: term {term} is over")
        now = self._now()
        begins_at = min(max(self._opens_at, now), now + 62)
        granted = self._opens_at <= now + 0.25
        self._opens_at = begins_at + slots * slot_seconds if granted else begins_at
        await asyncio.sleep(self.answer_seconds / 2)
        return granted, begins_at - now

    def _now(self) -> float:
        return asyncio.get_running_loop().time() + self._stepped


class RowLease:
    """A leadership that believes in itself for as long as `believes`, whatever the row says, and works by a clock that `skew` knows."""

    def __init__(self, row: BudgetRow, term: Term) -> None:
        self.believes = True
        self.skew = Skew()
        self._row = row
        self._term = term

    @property
    def term(self) -> Term:
        if not self.believes:
            raise LeaseLost("this refreshd does not lead the ledger")
        self.skew.require_agreement()
        return self._term

    async def claim(self, slots: int, slot_seconds: float) -> Claim:
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        granted, wait = await self._row.claim(slots, slot_seconds, self.term)
        return Claim(granted=granted, begins_at_seconds=asked_at + wait, opens_at_seconds=loop.time() + wait)
