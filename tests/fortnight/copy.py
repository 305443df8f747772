"""One copy of refreshd, life after life: what `daemon` does around a leadership, with `Watch` as the daemon has it.

A process that ends takes its counters with it; the next life begins at zero, under the version that is installed by then.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import process_time
from unittest.mock import patch

import asyncpg

from refreshd import policies, watching
from refreshd.access import check_schema
from refreshd.core.errors import LeaseLost, LedgerUnavailable
from refreshd.flinks import Transport
from refreshd.lag import watch_lag
from refreshd.leading import Given, Leading
from refreshd.ledger import Ledger
from refreshd.pacing import Budget
from refreshd.ports import Clock
from refreshd.postgres import Connection, Database, Observer, database_trouble, session_settings
from refreshd.restraint import recalled
from refreshd.settings import Settings
from refreshd.watching import Watch
from tests.fortnight.loglines import writer
from tests.fortnight.statements import Pace, unhurried
from tests.support.budget_row import BudgetRow, RowLease
from tests.support.ledger import take_lease
from tests.support.postgres import SCHEMA
from tests.support.virtual_loop import busy

NAME = "refreshd"
_LAG_PERIOD_SECONDS = 60.0
"""A second would be twelve hundred thousand turns of the loop a fortnight."""
_HEARD_AFTER_SECONDS = 0.003
"""Nobody listens in virtual time: a notification is drawn, as statement times are."""

_PAUSE_SECONDS = 60.0


class SharedLease:
    """The ledger's one lease: terms are the database's own, but it is handed on in this process, since its clock is not the virtual one."""

    def __init__(self, sql: Connection, rate_per_minute: int) -> None:
        self.holder: str | None = None
        self._sql = sql
        self._rate = rate_per_minute
        self._budget = BudgetRow()
        self._changed = asyncio.Condition()

    async def take(self, holder: str) -> RowLease:
        """Wait until nobody has it."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.holder is None)
            self.holder = holder
        with busy():
            term = await take_lease(self._sql)
        return self._budget.take(self._rate, term)

    async def release(self, holder: str) -> None:
        async with self._changed:
            if self.holder == holder:
                self.holder = None
                self._changed.notify_all()


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What both copies live in."""

    url: str
    clock: Clock
    settings: Settings
    transport: Transport
    lease: SharedLease
    pace: Pace


class DatedLedger(Ledger):
    """A ledger whose server keeps the virtual time, a moment behind ours."""

    def __init__(self, database: Database, around: Surroundings) -> None:
        super().__init__(database)
        self._around = around

    async def clock(self) -> datetime:
        await super().clock()
        return self._around.clock.now() - timedelta(seconds=self._around.pace.seconds())


class Copy:
    """`alive()` is one life of its process; `watch` and `leading` are None outside of it, and while it does not lead."""

    def __init__(self, instance: str, around: Surroundings) -> None:
        self.instance = instance
        self.watch: Watch | None = None
        self.leading: Leading | None = None
        self.version = ""
        self.started_at = around.clock.now()
        self.cpu_before = 0.0
        self._around = around
        self._life: asyncio.Task[None] | None = None

    def begin(self, version: str, group: asyncio.TaskGroup) -> None:
        """Start the process."""
        self.version = version
        self.started_at = self._around.clock.now()
        self.cpu_before = process_time()
        with patch.object(watching, "__version__", version):
            self.watch = Watch(self._around.settings, self._around.clock)
        self._life = group.create_task(self._live(self.watch), name=self.instance)

    async def end(self) -> None:
        """Kill the process."""
        if self._life is not None:
            self._life.cancel()
            await asyncio.wait([self._life])
        self.watch, self._life = None, None

    def trigger(self) -> None:
        """What a notification would do."""
        if self.leading is not None:
            self.leading.engine.trigger()

    async def _live(self, watch: Watch) -> None:
        lease = self._around.lease
        writer.set(watch.metrics.on_log)
        watch.begin()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(watch_lag(watch.on_lag, period_seconds=_LAG_PERIOD_SECONDS))
                while True:
                    await self._one_turn(watch)
        finally:
            await lease.release(self.instance)

    async def _one_turn(self, watch: Watch) -> None:
        """As `Daemon._one_turn`."""
        around = self._around
        try:
            with busy():
                schema = await check_schema(around.url, around.settings)
            watch.database_answers(schema)
            watch.metrics.on_notify_path(_HEARD_AFTER_SECONDS)
            watch.follow()
            await self._lead(watch, await around.lease.take(self.instance))
        except* (LeaseLost, LedgerUnavailable) as group:
            watch.leadership_failed(_first(group))
            watch.metrics.on_notify_path(None)
            await around.lease.release(self.instance)
            await asyncio.sleep(_PAUSE_SECONDS)
        finally:
            watch.follow()

    async def _lead(self, watch: Watch, lease: RowLease) -> None:
        around = self._around
        metrics, rate = watch.metrics, around.settings.rate_per_minute
        watch.budget = budget = Budget(rate, lease, on_wait=metrics.waited, on_rate=metrics.set_rate)
        budget.begin()
        async with self._database(watch.metrics.database) as database:
            watch.lead(database)
            ledger = DatedLedger(database, around)
            budget.resume(await ledger.rate_in_force())
            given = Given(
                url=around.url,
                ledger=ledger,
                lease=lease,
                budget=budget,
                transport=around.transport,
                clock=around.clock,
                breaker=await recalled(ledger, policies.fingerprints(around.settings)),
            )
            self.leading = Leading(around.settings, given, watch)
            try:
                await self.leading.engine.run(asyncio.Event())
            finally:
                self.leading = None

    @asynccontextmanager
    async def _database(self, observer: Observer) -> AsyncIterator[Database]:
        size = self._around.settings.concurrency + 3
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
                reset=_leave_as_it_is,
            )
            for each in [await pool.acquire() for _ in range(size)]:
                await pool.release(each)  # so that none is connected while the clock runs
        try:
            yield Database(pool, observer)
        finally:
            pool.terminate()


def _first(group: BaseExceptionGroup[LeaseLost | LedgerUnavailable]) -> LeaseLost | LedgerUnavailable:
    """The error that came first, as the daemon sees it."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if not isinstance(error, (LeaseLost, LedgerUnavailable)):
        raise TypeError(error) from group
    return error


async def _leave_as_it_is(_: object) -> None:
    """As the daemon's own pool."""
