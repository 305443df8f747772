"""One copy of refreshd, life after life: the daemon's `Candidate`, with means that know of virtual time.

A process that ends takes its counters with it; the next life begins at zero, under the version that is installed by then.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from time import process_time
from unittest.mock import patch

import asyncpg

from refreshd import access, watching
from refreshd.candidate import Candidate
from refreshd.core.errors import LeaseLost
from refreshd.core.model import Term
from refreshd.flinks import Transport
from refreshd.lag import watch_lag
from refreshd.ledger import Ledger
from refreshd.migrate import MigrationStatus
from refreshd.pacing import BudgetTaken, Claim
from refreshd.ports import Clock
from refreshd.postgres import Connection, Database, Observer, database_trouble, session_settings
from refreshd.settings import Settings
from refreshd.sleeping import first_of
from refreshd.watching import Watch
from tests.fortnight.loglines import writer
from tests.fortnight.statements import Pace, unhurried
from tests.support.budget_row import BudgetRow, RowLease
from tests.support.ledger import take_lease
from tests.support.postgres import SCHEMA, leave_as_it_is
from tests.support.virtual_loop import busy

NAME = "refreshd"
_LAG_PERIOD_SECONDS = 60.0
"""A second would be twelve hundred thousand turns of the loop a fortnight."""
_HEARD_AFTER_SECONDS = 0.003
"""Nobody listens in virtual time: a notification is drawn, as statement times are."""

_PAUSE_SECONDS = 60.0
_LOOK_SECONDS = 60.0
"""Between two looks at the lease: one a second would be twelve hundred thousand a fortnight."""


class SharedLease:
    """The ledger's one lease: terms are the database's own, but it is handed on in this process, since its clock is not the virtual one."""

    def __init__(self, sql: Connection) -> None:
        self.holder: str | None = None
        self.budget = BudgetRow()
        self._sql = sql
        self._changed = asyncio.Condition()

    async def take(self, holder: str) -> tuple[Term, int | None]:
        """Wait until nobody has it; the term, and the rate that the last leader was left with."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.holder is None)
            self.holder = holder
        with busy():
            return await take_lease(self._sql), await self._sql.fetchval("SELECT rate_in_force FROM budget")

    async def release(self, holder: str) -> None:
        async with self._changed:
            if self.holder == holder:
                self.holder = None
                self._changed.notify_all()


class CopysLease:
    """One copy's side of it (`candidate.Lease`); a process that ends takes none of its lease with it."""

    def __init__(self, shared: SharedLease, holder: str, on_look: Callable[[], None]) -> None:
        self.holder = holder
        self._on_look = on_look
        self._shared = shared
        self._term: Term | None = None
        self._rate_in_force: int | None = None
        self._slots: RowLease | None = None

    @property
    def term(self) -> Term:
        if self._term is None:
            raise LeaseLost("this refreshd does not lead the ledger")
        return self._term

    async def wait_for_turn(self, stop: asyncio.Event, woken: asyncio.Event, on_taken: Callable[[], None]) -> bool:
        self._on_look()
        if self._shared.holder is not None:
            on_taken()
        self._term, self._rate_in_force = await self._shared.take(self.holder)
        return True

    async def take_budget(self, rate_per_minute: int) -> BudgetTaken:
        self._slots = self._shared.budget.take(rate_per_minute, self.term)
        return BudgetTaken(rate_in_force=self._rate_in_force, rest_seconds=0.0)

    async def claim(self, slots: int, slot_seconds: float) -> Claim:
        if self._slots is None:
            raise LeaseLost("the budget was not taken")
        return await self._slots.claim(slots, slot_seconds)

    async def hold(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._on_look()
            await first_of(stop, seconds=_LOOK_SECONDS)

    async def release(self) -> None:
        self._term, self._slots = None, None
        await self._shared.release(self.holder)


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What both copies live in."""

    url: str
    clock: Clock
    settings: Settings
    transport: Transport
    lease: SharedLease
    pace: Pace


class CopysMeans:
    """`candidate.Means`."""

    def __init__(self, around: Surroundings, watch: Watch, holder: str) -> None:
        self.url = around.url
        self.clock = around.clock
        self.transport = around.transport
        self.lease = CopysLease(around.lease, holder, self._compare_clocks)
        self._around = around
        self._watch = watch

    def _compare_clocks(self) -> None:
        """The server keeps the virtual time, a moment behind ours."""
        self._watch.on_skew(timedelta(seconds=self._around.pace.seconds()))

    async def check_schema(self, settings: Settings) -> MigrationStatus:
        """Stands for the listener, too: whoever does not reach the database hears nothing from it."""
        heard = self._watch.metrics.on_notify_path
        heard(None)
        with busy():
            status = await access.check_schema(self.url, settings)
        heard(_HEARD_AFTER_SECONDS)
        return status

    @asynccontextmanager
    async def open_ledger(self, settings: Settings, *, size: int, observer: Observer) -> AsyncIterator[Ledger]:
        async with self._pool(size, observer) as database:
            yield Ledger(database)

    @asynccontextmanager
    async def _pool(self, size: int, observer: Observer) -> AsyncIterator[Database]:
        with busy(), database_trouble():
            pool = await asyncpg.create_pool(
                self._around.url,
                min_size=0,  # asyncpg tells of each failed try to keep more with a traceback
                max_size=size,
                max_queries=10**9,  # a session that is worn out would be replaced while the clock runs
                max_inactive_connection_lifetime=0,
                max_cached_statement_lifetime=0,
                connection_class=unhurried(self._around.pace, observer),
                server_settings=session_settings(SCHEMA, name=NAME),
                reset=leave_as_it_is,
            )
            for each in [await pool.acquire() for _ in range(size)]:
                await pool.release(each)  # so that none is connected while the clock runs
        try:
            yield Database(pool, observer)
        finally:
            pool.terminate()


class Copy:
    """`begin` starts a life of its process, `end` kills it; in between `watch` is what it shows."""

    def __init__(self, instance: str, around: Surroundings) -> None:
        self.instance = instance
        self.watch: Watch | None = None
        self.version = ""
        self.started_at = around.clock.now()
        self.cpu_before = 0.0
        self._around = around
        self._candidate: Candidate | None = None
        self._life: asyncio.Task[None] | None = None

    def begin(self, version: str, group: asyncio.TaskGroup) -> None:
        """Start the process."""
        self.version = version
        self.started_at = self._around.clock.now()
        self.cpu_before = process_time()
        with patch.object(watching, "__version__", version):
            self.watch = Watch(self._around.settings, self._around.clock)
        means = CopysMeans(self._around, self.watch, self.instance)
        self._candidate = Candidate(self._around.settings, means, self.watch, pause_seconds=_PAUSE_SECONDS)
        self._life = group.create_task(self._live(self.watch, self._candidate, means.lease), name=self.instance)

    async def end(self) -> None:
        """Kill the process."""
        if self._life is not None:
            self._life.cancel()
            await asyncio.wait([self._life])
        self.watch, self._candidate, self._life = None, None, None

    def trigger(self) -> None:
        """What a notification would do."""
        if self._candidate is not None:
            self._candidate.notify()

    async def _live(self, watch: Watch, candidate: Candidate, lease: CopysLease) -> None:
        writer.set(watch.metrics.on_log)
        watch.begin()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(watch_lag(watch.on_lag, period_seconds=_LAG_PERIOD_SECONDS))
                await candidate.run(asyncio.Event())
        finally:
            await lease.release()
