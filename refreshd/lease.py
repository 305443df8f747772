"""Who leads: one row of the ledger, a term issued by the database, and a deadline of our own that ends before the database's.

The holder believes itself leader only for `ttl` less a second from the moment it *asked*, in loop time, so that a slow answer, a frozen
process or a database that is away end its leadership before anybody else can begin. The lease keeps a connection of its own: a pool
that is busy must not cost it.
"""

import asyncio
import secrets
from contextlib import suppress
from datetime import timedelta
from functools import cache

from refreshd.core.errors import LeaseLost, LedgerUnavailable
from refreshd.core.model import Term
from refreshd.postgres import Connection, Statement, connect, database_trouble
from refreshd.sqlfiles import Queries, load_queries

TTL = timedelta(seconds=15)
MARGIN_SECONDS = 1.0
"""How much earlier than the database we believe the lease to be over."""


@cache
def _queries() -> Queries:
    return load_queries("lease")


class Lease:
    """Our side of the lease; `ports.Leadership` while it is held."""

    def __init__(self, url: str, *, schema: str, ttl: timedelta = TTL, holder: str | None = None) -> None:
        self.holder = holder or secrets.token_hex(8)
        self._url = url
        self._schema = schema
        self._ttl = ttl
        self._session: Connection | None = None
        self._term: Term | None = None
        self._deadline = 0.0

    @property
    def is_held(self) -> bool:
        """Whether we lead at this moment."""
        return self._term is not None and asyncio.get_running_loop().time() < self._deadline

    @property
    def term(self) -> Term:
        """The term of our lease; raises LeaseLost when we do not lead, or cannot be sure to."""
        if self._term is None:
            raise LeaseLost("this refreshd does not lead the ledger")
        if not self.is_held:
            raise LeaseLost(f"the lease of term {self._term} was not renewed in time")
        return self._term

    async def acquire(self) -> bool:
        """Take the lease if it is free. Raises LedgerUnavailable when the database does not answer."""
        await self._ask(_queries()["acquire"](holder=self.holder, ttl=self._ttl))
        return self.is_held

    async def renew(self) -> None:
        """Make it last another `ttl` from now. Raises LeaseLost when somebody else has led meanwhile."""
        term = self._term
        if term is None:
            raise LeaseLost("this refreshd does not lead the ledger")
        await self._ask(_queries()["renew"](term=term, ttl=self._ttl))
        if self._term is None:
            raise LeaseLost(f"another refreshd leads this ledger: term {term} is over")

    async def take_budget(self, rate_per_minute: int) -> float:
        """Call under this rate from now on; returns the seconds to wait before the first call, because a leader before us called faster.

        Not while `hold` runs, which uses the same session. Raises LeaseLost when somebody else leads by now.
        """
        statement = _queries()["take_budget"](rate_per_minute=rate_per_minute, term=self.term)
        if self._session is None:
            raise LeaseLost("the session of the lease is gone")
        with database_trouble():
            async with asyncio.timeout(self._patience):
                seconds = await self._session.fetchval(*statement)
        if seconds is None:
            raise LeaseLost("another refreshd leads this ledger by now")
        return float(seconds)

    async def release(self) -> None:
        """Let it run out at once, so that a standby need not wait. What fails here heals by itself when the lease runs out.

        Also after an `acquire` that was cancelled: the database may have given us a lease that we never heard of.
        """
        self._term = None
        try:
            if self._session is not None:
                async with asyncio.timeout(self._patience):
                    with database_trouble():
                        await self._session.fetch(*_queries()["release"](holder=self.holder))
        except (LedgerUnavailable, TimeoutError):
            pass
        finally:
            self._hang_up()

    async def hold(self, stop: asyncio.Event) -> None:
        """Renew until `stop` is set, then release. Raises LeaseLost when the lease is lost, never LedgerUnavailable."""
        try:
            while not stop.is_set():
                await self._renew_or_lose()
                await first_of(stop, seconds=self._patience)
        finally:
            await asyncio.shield(self.release())

    async def wait_for_turn(self, stop: asyncio.Event, woken: asyncio.Event | None = None) -> bool:
        """Stand by until the lease is ours (True) or `stop` is set (False); `woken` (a notification) has it tried at once."""
        signals = [stop] if woken is None else [stop, woken]
        while not stop.is_set():
            with suppress(LedgerUnavailable):
                if await self.acquire():
                    return True
            await first_of(*signals, seconds=self._patience)
            if woken is not None:
                woken.clear()
        return False

    @property
    def _patience(self) -> float:
        """Between renewals, and for one answer: three of them fit into the lease."""
        return self._ttl.total_seconds() / 3

    async def _renew_or_lose(self) -> None:
        try:
            await self.renew()
        except LedgerUnavailable as error:
            if not self.is_held:
                raise LeaseLost("the database did not answer until the lease had run out") from error

    async def _ask(self, statement: Statement) -> None:
        asked_at = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._patience):
                term = await self._answer(statement)
        except TimeoutError as error:
            self._hang_up()
            raise LedgerUnavailable("the database did not answer in time about the lease") from error
        except LedgerUnavailable:
            self._hang_up()
            raise
        self._term = None if term is None else Term(term)
        self._deadline = asked_at + self._ttl.total_seconds() - MARGIN_SECONDS

    async def _answer(self, statement: Statement) -> int | None:
        if self._session is None:
            self._session = await connect(self._url, schema=self._schema, name=f"refreshd lease {self.holder}")
        with database_trouble():
            term: int | None = await self._session.fetchval(*statement)
            return term

    def _hang_up(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.terminate()


async def first_of(*events: asyncio.Event, seconds: float) -> None:
    """Sleep until one of the events is set, or the time is over."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            waits = [group.create_task(event.wait()) for event in events]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for each in waits:
                each.cancel()
