"""A company, its ledger in a real Postgres, its Flinks without a socket, and refreshd's leaderships, all on virtual time.

Nobody listens for notifications here (they would come later than the clock jumps), so whoever writes clients triggers the pass by hand.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from unittest.mock import patch
from uuid import UUID

import asyncpg
from pydantic import SecretStr

from refreshd import housekeeping, leading, policies
from refreshd.core.canary import CANARIES
from refreshd.core.caps import WINDOW
from refreshd.demo.company import Company
from refreshd.leading import Given, Leading
from refreshd.ledger import Ledger
from refreshd.once import Tally
from refreshd.pacing import Budget
from refreshd.postgres import Connection, Database, session_settings
from refreshd.restraint import recalled
from refreshd.settings import Settings
from refreshd.simulator import InProcessDoor, Shares, Simulator, SimulatorConfig, company_links, populate
from refreshd.simulator.calls import Operation
from refreshd.simulator.institutions import Institution
from refreshd.skew import Skew
from tests.support.budget_row import BudgetRow
from tests.support.in_process import Door, InProcessTransport
from tests.support.ledger import take_lease
from tests.support.postgres import SCHEMA, leave_as_it_is
from tests.support.set_clock import SetClock
from tests.support.virtual_loop import VirtualClock, busy, run_virtual, waiting_for_real
from tests.support.world import BOREAL, SEED

DAY = timedelta(days=1)
RATE = 30
RARELY_SECONDS = 900.0
"""Between two counts of the ledger, and two looks of housekeeping: what a story tells does not hang on them, and most of its time would
go there."""


@dataclass(kw_only=True)
class VirtualWorld:
    """Everything around refreshd, on one clock. `host` is what refreshd takes for it, which somebody may set."""

    url: str
    clock: VirtualClock
    host: SetClock
    settings: Settings
    flinks: Simulator
    company: Company
    ledger: Ledger
    sql: Connection
    row: BudgetRow = field(default_factory=BudgetRow)
    way: Callable[[Door], Door] = lambda door: door
    """What lies between refreshd and Flinks."""
    budget: Budget = field(init=False)
    """Of whoever leads, or led last."""

    # refreshd -----------------------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def leading(self) -> AsyncIterator[Leading]:
        """A leadership as a fresh process has it; the end of the block cuts it off in the middle of whatever it does.

        Raises ClocksDisagree.
        """
        with busy():
            term = await take_lease(self.sql)
        lease, loop = self.row.take(self.settings.rate_per_minute, term), asyncio.get_running_loop()
        lease.skew = Skew(self.host, seconds=loop.time)
        lease.skew.compare(lease.skew.date(), self.clock.now())
        self.budget = Budget(self.settings.rate_per_minute, lease)
        self.budget.resume(await self.ledger.rate_in_force())
        given = Given(
            url=self.url,
            ledger=self.ledger,
            lease=lease,
            budget=self.budget,
            transport=InProcessTransport(self.way(InProcessDoor(self.flinks, self.clock.now, loop.time))),
            clock=self.host,
            breaker=await recalled(self.ledger, policies.fingerprints(self.settings)),
        )
        lead = Leading(self.settings, given, Tally(lambda _: None, lambda _: None))
        async with asyncio.TaskGroup() as group:
            running = group.create_task(lead.engine.run(asyncio.Event()))
            yield lead
            running.cancel()

    async def lead_for(self, span: timedelta) -> None:
        """Let a leadership work so long, and cut it off."""
        async with self.leading():
            await asyncio.sleep(span.total_seconds())

    async def approve_all(self) -> int:
        """Approve what is held, as an operator would; returns how many plans there were."""
        now = self.clock.now()
        plans = [each for each in await self.ledger.plans() if each.remaining]
        held = [each for each in plans if each.approved_until is None or each.approved_until <= now]
        for each in held:
            await self.ledger.approve_plan(each.plan_id, by="test", reason="test", now=now, until=now + WINDOW)
        return len(held)

    async def past_the_canary(self, trigger: Callable[[], None]) -> None:
        """The first five of a large plan are answered, and a pass has looked at the answers."""
        await until(self._canary_is_answered)
        trigger()

    async def _canary_is_answered(self) -> bool:
        return await self.count("SELECT count(*) FROM canary WHERE answer IS NOT NULL") >= CANARIES

    # The company --------------------------------------------------------------------------------------------------------------------

    async def leave(self, *client_ids: str) -> None:
        with busy():
            await self.company.leave(client_ids)
        self.tell_flinks()

    async def come_back(self, *client_ids: str) -> None:
        with busy():
            await self.company.come_back(client_ids)
        self.tell_flinks()

    def tell_flinks(self) -> None:
        seconds = asyncio.get_running_loop().time()
        self.flinks.company_inactive(self.company.inactive_logins(), seconds=seconds)

    @property
    def inactive(self) -> frozenset[str]:
        return self.company.inactive_logins()

    @property
    def active(self) -> frozenset[str]:
        return frozenset(link.login_id for link in self.company.links) - self.inactive

    def customers_of(self, bank: str) -> frozenset[str]:
        return frozenset(each.login_id for each in self.flinks.world.logins.values() if each.institution.name == bank)

    # What became of it --------------------------------------------------------------------------------------------------------------

    def calls_by_login(self, operation: Operation) -> Counter[str]:
        return Counter(call.login_id for call in self.flinks.audit.calls if call.operation == operation)

    def calls(self, operation: Operation) -> int:
        return self.flinks.audit.calls_by_operation[operation]

    def dates_of(self, operation: Operation) -> list[datetime]:
        return [call.date for call in self.flinks.audit.calls if call.operation == operation]

    def switched_on(self) -> frozenset[str]:
        return frozenset(each.login_id for each in self.flinks.world.logins.values() if each.scheduled)

    async def verdicts(self) -> dict[str, str]:
        with busy():
            rows = await self.sql.fetch("SELECT login_id::text, verdict FROM login")
        return {row["login_id"]: row["verdict"] for row in rows}

    async def count(self, query: str) -> int:
        with busy():
            return int(await self.sql.fetchval(query))

    def rules_were_kept(self) -> None:
        """What must hold at any time, whatever happened."""
        audit = self.flinks.audit
        assert not audit.breaches_by_rule, list(audit.breaches)[:5]
        assert audit.most_calls_in(60) <= self.settings.rate_per_minute


async def until(holds: Callable[[], Awaitable[bool] | bool], within: timedelta = DAY) -> None:
    """Let virtual time pass, a second at a time, until something holds."""
    for _ in range(int(within.total_seconds())):
        held = holds()
        if held if isinstance(held, bool) else await held:
            return
        await asyncio.sleep(1.0)
    message = f"it did not come to pass within {within}"
    raise AssertionError(message)


Story = Callable[[VirtualWorld], Coroutine[object, object, None]]


@dataclass(frozen=True, kw_only=True)
class Cast:
    """How a virtual world begins; a bank that is named more often has so many more of the logins."""

    start: datetime
    active: int
    inactive: int = 0
    banks: Sequence[Institution] = (BOREAL,)
    config: SimulatorConfig | None = None
    settings: dict[str, object] | None = None


def play(database_url: str, cast: Cast, story: Story) -> None:
    """Tell a story in a virtual world; a night has gone by before it begins."""

    async def main(clock: VirtualClock) -> None:
        with busy():
            pool = await _pool(database_url)
            sql = await asyncpg.connect(database_url, server_settings=session_settings(SCHEMA, name="test"))
        try:
            world = await _world(database_url, cast, clock, waiting_for_real(Ledger(Database(pool))), sql)
            await story(world)
        finally:
            with busy():
                await sql.close()
                await pool.close()

    with (
        patch.object(leading, "TOTALS_SECONDS", RARELY_SECONDS),
        patch.object(housekeeping, "LOOK_SECONDS", RARELY_SECONDS),
    ):
        run_virtual(main, cast.start)


async def _pool(database_url: str) -> "asyncpg.Pool[asyncpg.Record]":
    """Without timers of its own: they would throw sessions and statements away whenever the clock jumps."""
    return await asyncpg.create_pool(
        database_url,
        min_size=0,
        max_size=8,
        max_inactive_connection_lifetime=0,
        max_cached_statement_lifetime=0,
        server_settings=session_settings(SCHEMA, name="refreshd"),
        reset=leave_as_it_is,
    )


async def _world(url: str, cast: Cast, clock: VirtualClock, ledger: Ledger, sql: Connection) -> VirtualWorld:
    quiet = Shares(stuck=0.0, never_refreshed=0.0, dormant=0.0)
    population = populate(SEED, cast.active + cast.inactive, cast.banks, start=cast.start - DAY, shares=quiet)
    flinks = Simulator(cast.config or SimulatorConfig(), population)
    flinks.advance(cast.start)
    flinks.audit.reset()
    company = Company(sql, clock, company_links(population, inactive=cast.inactive))
    with busy():
        await company.open_books()
    flinks.company_inactive(company.inactive_logins())
    settings = _settings(flinks.config, cast.settings or {})
    return VirtualWorld(
        url=url,
        clock=clock,
        host=SetClock(clock),
        settings=settings,
        flinks=flinks,
        company=company,
        ledger=ledger,
        sql=sql,
    )


def _settings(config: SimulatorConfig, more: dict[str, object]) -> Settings:
    """Passes are rarer than in life, too: a day has fewer of them to wait for."""
    values: dict[str, object] = {
        "flinks_base_url": "http://127.0.0.1/v3",
        "flinks_customer_id": UUID(config.customer_id),
        "flinks_secret_key": SecretStr(config.secret_key),
        "flinks_api_key": SecretStr(config.api_key),
        "flinks_api_secret": SecretStr(config.api_secret),
        "rate_per_minute": RATE,
        "pass_interval": timedelta(minutes=20),
        "report_interval": timedelta(hours=1),
    }
    return Settings.model_validate({**values, **more})
