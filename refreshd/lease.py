"""Who leads: one row of the ledger, a term issued by the database, and a deadline of our own that ends before the database's.

The holder believes itself leader only for `ttl` less a margin from the moment it *asked*, so that a slow answer, a frozen process or a
database that is away end its leadership before anybody else can begin. The lease keeps a connection of its own: a pool that is busy must
not cost it. The slots of the call budget are claimed over the same connection, so each claim asks the database who leads, too.

The numbers, for four seconds: it is renewed every second, each answer is waited for 1.25 s, and our own deadline comes half a second
early. So one question may go unanswered, connection and all, and a second one is still in time (1 + 1.25, a breath of 0.3, and there is
a second left for it): a database that stalls for two seconds costs nothing. Who cannot renew the lease says so at the deadline, which
cuts short whatever is still waited for. A standby sleeps exactly until the lease that it found runs out. So the time from a leader's last
word to its successor's first is four seconds and one answer, whatever silenced it; and half a second more where a write of its had begun
and does not end, which the successor then ends.
"""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import cache

import structlog

from refreshd import crash
from refreshd.core.errors import ClocksDisagree, LeaseLost, LeaseRanOut, LedgerUnavailable, RowsLocked
from refreshd.core.model import Term
from refreshd.crash import Point
from refreshd.pacing import PERMIT_SECONDS, BudgetTaken, Claim
from refreshd.postgres import Connection, Record, Statement, connect, database_trouble
from refreshd.skew import LIMIT, Skew
from refreshd.skew import seconds_since_boot as _seconds
from refreshd.sleeping import first_of
from refreshd.sqlfiles import Queries, load_queries

_log = structlog.get_logger(__name__)

TTL = timedelta(seconds=4)

_AFTER_THE_END_SECONDS = 0.01
_NOT_GIVEN_SECONDS = 0.2
"""After a lease that was free and not given to us: another one was quicker, or the server finds our clock just beyond the limit."""


@cache
def _queries() -> Queries:
    return load_queries("lease")


class Lease:
    """Our side of the lease; `ports.Leadership` while it is held."""

    def __init__(
        self,
        url: str,
        *,
        schema: str,
        ttl: timedelta = TTL,
        holder: str | None = None,
        skew: Skew | None = None,
        on_look: Callable[[], None] = lambda: None,
    ) -> None:
        """`skew` learns the database's time, and ends us with ours. `on_look` hears of each look that is over, whatever came of it."""
        self.holder = holder or secrets.token_hex(8)
        self._url = url
        self._schema = schema
        self._ttl = ttl
        self._skew = skew or Skew()
        self._on_look = on_look
        self._session: Connection | None = None
        self._line = asyncio.Lock()
        self._term: Term | None = None
        self._deadline = 0.0

    @property
    def is_held(self) -> bool:
        """Whether we lead at this moment."""
        return self._term is not None and _seconds() < self._deadline

    @property
    def term(self) -> Term:
        """The term of our lease; raises LeaseLost when we do not lead, cannot be sure to, or may not, by our clock."""
        if self._term is None:
            raise LeaseLost("this refreshd does not lead the ledger")
        if not self.is_held:
            raise LeaseLost(f"the lease of term {self._term} was not renewed in time")
        self._skew.require_agreement()
        return self._term

    async def acquire(self) -> bool:
        """Take the lease if it is free.

        Raises LedgerUnavailable when the database does not answer, RowsLocked where somebody holds the lease's row, and ClocksDisagree.
        """
        await self._ask_for_it()
        return self.is_held

    async def renew(self) -> None:
        """Make it last another `ttl` from now. Raises LeaseLost when somebody else has led meanwhile, and where clocks disagree."""
        term = self._term
        if term is None:
            raise LeaseLost("this refreshd does not lead the ledger")
        ours = self._skew.date()
        asked_at, row = await self._ask(_queries()["renew"](term=term, ttl=self._ttl))
        self._term = None if row is None else term
        self._deadline = self._deadline_from(asked_at)
        if row is None:
            raise LeaseLost(f"another refreshd leads this ledger: term {term} is over")
        self._skew.compare(ours, row["clock"])

    async def take_budget(self, rate_per_minute: int) -> BudgetTaken:
        """Call under this rate from now on. Raises LeaseLost when somebody else leads by now."""
        query = _queries()["take_budget"]
        statement = query(rate_per_minute=rate_per_minute, permit_seconds=PERMIT_SECONDS, term=self.term)
        _, row = await self._ask(statement)
        if row is None:
            raise LeaseLost("another refreshd leads this ledger by now")
        crash.reach(Point.BUDGET_TAKEN)
        return BudgetTaken(rate_in_force=row["rate_in_force"], rest_seconds=row["rest_seconds"])

    async def claim(self, slots: int, slot_seconds: float) -> Claim:
        """The next slots of the budget, which no other claim covers, whoever makes it and whatever it believes of itself.

        Raises LeaseLost, and nothing of the database's: while the lease lasts, the database is asked again.
        """
        query, loop = _queries()["claim"], asyncio.get_running_loop()
        while True:
            asked_at = loop.time()
            try:
                _, row = await self._ask(query(slots=slots, slot_seconds=slot_seconds, term=self.term))
            except (LedgerUnavailable, RowsLocked) as error:
                _log.warning("claim_waits", error=error.message, hint=error.hint)
                await asyncio.sleep(self._breath)
                continue
            if row is None:
                raise LeaseLost("another refreshd leads this ledger by now")
            _tell_if_late(loop.time() - asked_at)
            return Claim(
                granted=row["granted"],
                begins_at_seconds=asked_at + row["wait_seconds"],
                opens_at_seconds=loop.time() + row["wait_seconds"],
            )

    async def release(self) -> None:
        """Let it run out at once, so that a standby need not wait. What fails here heals by itself when the lease runs out.

        Also after an `acquire` that was cancelled: the database may have given us a lease that we never heard of.
        """
        self._term = None
        if self._session is not None:
            with suppress(LedgerUnavailable, RowsLocked):
                await self._ask(_queries()["release"](holder=self.holder))
        self._hang_up()

    async def hold(self, stop: asyncio.Event) -> None:
        """Renew until `stop` is set. Raises LeaseLost when it is lost, by our own deadline at the latest; nothing of the database's."""
        while not stop.is_set():
            await self._renew_in_time(stop)
            await first_of(stop, seconds=self._renewal)

    async def wait_for_turn(
        self, stop: asyncio.Event, woken: asyncio.Event | None = None, on_taken: Callable[[], None] = lambda: None
    ) -> bool:
        """Stand by until the lease is ours (True) or `stop` is set (False); `woken` (a notification) has it tried at once.

        `on_taken` hears of each try that found it taken. Raises as `acquire`: a standby whose database does not serve it must say so, too.
        """
        signals = [stop] if woken is None else [stop, woken]
        while not stop.is_set():
            try:
                left_seconds = await self._ask_for_it()
            finally:
                self._on_look()
            if self.is_held:
                return True
            on_taken()
            until_free = left_seconds + _AFTER_THE_END_SECONDS if left_seconds else _NOT_GIVEN_SECONDS
            await first_of(*signals, seconds=min(self._renewal, until_free))
            if woken is not None:
                woken.clear()
        return False

    @property
    def _renewal(self) -> float:
        return self._ttl.total_seconds() / 4

    @property
    def _patience(self) -> float:
        """For one answer."""
        return self._ttl.total_seconds() * 5 / 16

    @property
    def _breath(self) -> float:
        """After a question that was not answered, before it is asked again."""
        return self._patience / 4

    @property
    def _patience_with_locks(self) -> float:
        """The server's: so short that two of them, one after the other, end within our own."""
        return self._patience / 3

    def _deadline_from(self, asked_at: float) -> float:
        """An eighth earlier than the database's."""
        return asked_at + self._ttl.total_seconds() * 7 / 8

    async def _renew_in_time(self, stop: asyncio.Event) -> None:
        """The deadline cuts all of it: the wait for the line, which claims share, each question, and the breath between two."""
        left_seconds = self._deadline - _seconds()
        try:
            async with asyncio.timeout(left_seconds if left_seconds > 0 else self._patience):
                while not await self._is_renewed() and not stop.is_set():
                    await first_of(stop, seconds=self._breath)
        except (TimeoutError, LedgerUnavailable, RowsLocked) as error:
            raise LeaseRanOut("the database did not answer until the lease had run out") from error

    async def _is_renewed(self) -> bool:
        """False where it was not, and lasts; a machine that has slept learns here that it does not, for its timeouts have slept, too."""
        try:
            await self.renew()
        except (LedgerUnavailable, RowsLocked):
            if not self.is_held:
                raise
            return False
        finally:
            self._on_look()
        return True

    async def _ask_for_it(self) -> float:
        """Take the lease if it is free; returns how many seconds the one that was found still lasts."""
        ours = self._skew.date()
        question = _queries()["acquire"](holder=self.holder, ttl=self._ttl, ours=ours, limit=LIMIT)
        asked_at, row = await self._ask_past_overdue_writes(question)
        term, left_seconds = (None, 0.0) if row is None else (row["term"], row["left_seconds"])
        self._term = None if term is None else Term(term)
        self._deadline = self._deadline_from(asked_at)
        if self._term is not None:
            crash.reach(Point.LEASE_TAKEN)
        try:
            if row is not None:
                self._skew.compare(ours, row["clock"])
        except ClocksDisagree:
            if (
                self._term is not None
            ):  # the server gave, by a hair, what our clock refuses: it is for one whose clock is right
                await self.release()
            raise
        return float(left_seconds)

    async def _ask_past_overdue_writes(self, statement: Statement) -> tuple[float, Record | None]:
        """Ask; and once more where somebody holds the lease: a write of the leader before is ended first.

        The server ends what lies idle, but knows no limit for a statement whose leader is frozen: nobody is gone, only nobody reads.
        """
        try:
            return await self._ask(statement)
        except RowsLocked:
            _, row = await self._ask(_queries()["end_overdue_writes"]())
            if row is not None and row["count"]:
                _log.warning("overdue_writes_ended", transactions=row["count"])
            # Also where there was none to end any more: of several standbys that waited for it, another one was quicker.
            return await self._ask(statement)

    async def _ask(self, statement: Statement) -> tuple[float, Record | None]:
        """When it was asked, and the answer. Who is not answered in time hangs up, and the next one finds a new connection."""
        async with self._line:
            asked_at = _seconds()
            try:
                async with asyncio.timeout(self._patience):
                    return asked_at, await self._answer(statement)
            except TimeoutError as error:
                self._hang_up()
                raise LedgerUnavailable("the database did not answer in time about the lease") from error
            except LedgerUnavailable:
                self._hang_up()
                raise

    async def _answer(self, statement: Statement) -> Record | None:
        with database_trouble():
            if self._session is None:
                self._session = await self._dial()
            return await self._session.fetchrow(*statement)

    async def _dial(self) -> Connection:
        session = await connect(self._url, schema=self._schema, name=f"refreshd lease {self.holder}")
        await session.execute(*_queries()["give_up_on_locks"](lock_timeout=f"{self._patience_with_locks * 1000:.0f}ms"))
        return session

    def _hang_up(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.terminate()


def _tell_if_late(seconds: float) -> None:
    """A slot's age counts from the question: where every answer takes so long, nothing is ever sent, and somebody must say why."""
    if seconds > PERMIT_SECONDS:
        _log.warning(
            "claim_late",
            seconds=round(seconds, 3),
            hint="the database answers too slowly for a call to be made in time: look at its load and the way to it",
        )
