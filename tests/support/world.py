"""A company, its ledger and its Flinks over real HTTP: what tests of the whole play with.

Dates are the test's own (`Dates`), so that no test depends on the hour at which it runs and a week passes by `forward`; durations are
real. The simulated Flinks lives in the test's process, where it can be looked at; refreshd runs in it too (`once`) or in a process of
its own (`command`, `started`).
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from unittest.mock import patch
from uuid import UUID

from refreshd.clock import ScaledClock, SystemClock
from refreshd.demo.company import Company, application
from refreshd.once import OnceResult, run_once
from refreshd.postgres import Connection, connect
from refreshd.settings import Settings, load_settings
from refreshd.simulator import Population, Shares, Simulator, SimulatorConfig, company_links, populate
from refreshd.simulator.calls import Operation
from refreshd.simulator.http import running
from refreshd.simulator.institutions import Institution
from tests.support.commands import Ran, environment
from tests.support.postgres import SCHEMA
from tests.support.process import Launch, Process, launched

NOON = datetime(2026, 1, 5, 16, tzinfo=UTC)
"""A Monday, eleven in Toronto: the vendor's night is over, the routine begins."""

SEED = 11
BOREAL = Institution(
    institution_id=901, name="Boreal Bank", failure_chance=0.0, failures=(), needs_user_share=0.0, asks_mfa_share=0.0
)
"""A bank where nothing ever fails."""

PATIENCE_SECONDS = 60.0


class Dates:
    """The date of refreshd, of the simulated Flinks and of the company's application alike; runs at the pace of life."""

    def __init__(self, start: datetime = NOON) -> None:
        self._clock = ScaledClock(start=start, factor=1.0)

    def now(self) -> datetime:
        return self._clock.now()

    def forward(self, span: timedelta) -> None:
        """Let time pass at once."""
        self._clock = ScaledClock(start=self.now() + span, factor=1.0)

    def setting(self) -> str:
        """REFRESHD_SCALED_DATES for a process that is to live by this date from now on."""
        return f"{self.now().isoformat()}*1@{SystemClock().now().timestamp()}"


@dataclass(kw_only=True)
class World:
    """Everything around refreshd."""

    flinks: Simulator
    dates: Dates
    company: Company
    sql: Connection
    address: str
    env: dict[str, str] = field(repr=False)
    launch: Launch = launched

    # refreshd -----------------------------------------------------------------------------------------------------------------------

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        return {**self.env, "REFRESHD_SCALED_DATES": self.dates.setting(), **(more or {})}

    def settings(self, **more: str) -> Settings:
        """`rate_per_minute="60"` is REFRESHD_RATE_PER_MINUTE=60."""
        named = {f"REFRESHD_{name.upper()}": value for name, value in more.items()}
        with patch.dict(os.environ, environment(self.environment(named)), clear=True):
            return load_settings(require_flinks=True)

    async def once(self, **more: str) -> OnceResult:
        """`refreshd once`, in this process."""
        return await run_once(self.settings(**more), clock=self.dates)

    async def command(self, *argv: str, env: Mapping[str, str] | None = None) -> Ran:
        """A command in a process of its own, to its end."""
        async with self.launch(*argv, env=self.environment(env)) as process:
            return await process.ended()

    @asynccontextmanager
    async def started(self, *argv: str, env: Mapping[str, str] | None = None) -> AsyncIterator[Process]:
        """A command in a process of its own; it is killed when the block is left."""
        async with self.launch(*argv, env=self.environment(env)) as process:
            yield process

    async def approve_all(self) -> int:
        """Approve every held plan, as an operator would; returns how many there were."""
        held = "SELECT plan_id FROM plan WHERE state = 'held' AND plan_id IN (SELECT login.plan_id FROM login)"
        plans = [row["plan_id"] for row in await self.sql.fetch(held)]
        for plan_id in plans:
            ran = await self.command("approve", plan_id, "--reason", "looked at it")
            assert ran.code == 0, ran.words
        return len(plans)

    # The company --------------------------------------------------------------------------------------------------------------------

    async def leave(self, *client_ids: str) -> None:
        """Clients leave, and the simulated Flinks hears the company's word about it."""
        await self.company.leave(client_ids)
        self.tell_flinks()

    async def come_back(self, *client_ids: str) -> None:
        await self.company.come_back(client_ids)
        self.tell_flinks()

    def tell_flinks(self) -> None:
        seconds = asyncio.get_running_loop().time()
        self.flinks.company_inactive(self.company.inactive_logins(), seconds=seconds)

    @property
    def active(self) -> frozenset[str]:
        return frozenset(link.login_id for link in self.company.links) - self.inactive

    @property
    def inactive(self) -> frozenset[str]:
        return self.company.inactive_logins()

    # What became of it --------------------------------------------------------------------------------------------------------------

    def forward(self, span: timedelta) -> None:
        """Let time pass: the nights in it are lived through at Flinks."""
        self.dates.forward(span)
        self.flinks.advance(self.dates.now())

    def calls(self, operation: Operation, login_id: str | None = None) -> int:
        """How many such calls Flinks saw."""
        seen = self.flinks.audit.calls
        return sum(call.operation == operation and login_id in {None, call.login_id} for call in seen)

    def calls_by_login(self, operation: Operation) -> Counter[str]:
        return Counter(call.login_id for call in self.flinks.audit.calls if call.operation == operation)

    def switched_on(self) -> frozenset[str]:
        """Logins that Flinks will bill tonight."""
        return frozenset(each.login_id for each in self.flinks.world.logins.values() if each.scheduled)

    async def verdicts(self) -> dict[str, str]:
        rows = await self.sql.fetch("SELECT login_id::text, verdict FROM login")
        return {row["login_id"]: row["verdict"] for row in rows}

    async def verdict(self, login_id: str) -> str:
        return str(await self.sql.fetchval("SELECT verdict FROM login WHERE login_id = $1", UUID(login_id)))

    async def traced(self) -> Counter[str]:
        """Rows of the trace by operation, named as Flinks names them."""
        rows = await self.sql.fetch("SELECT operation, count(*) AS calls FROM call GROUP BY operation")
        return Counter({operation_at_flinks(row["operation"]): row["calls"] for row in rows})

    async def cut_off(self) -> Counter[str]:
        """Those of them that got no answer before their limit, or their end: Flinks may not have seen their bytes."""
        rows = await self.sql.fetch(
            "SELECT operation, count(*) AS calls FROM call WHERE failure = 'timeout' GROUP BY operation"
        )
        return Counter({operation_at_flinks(row["operation"]): row["calls"] for row in rows})

    async def events(self, event: str) -> int:
        return int(await self.sql.fetchval("SELECT count(*) FROM schedule_change WHERE event = $1", event))


def operation_at_flinks(ours: str) -> str:
    """`authorize_live` is the same endpoint as `authorize`."""
    return "".join(word.capitalize() for word in ours.removesuffix("_live").split("_"))


def fleet(count: int, *, start: datetime = NOON, well: bool = True) -> Population:
    """Logins as they were the evening before; `well`: at a bank where nothing fails, and nobody in trouble."""
    evening = start - timedelta(hours=14)
    if not well:
        return populate(SEED, count, start=evening)
    return populate(SEED, count, [BOREAL], start=evening, shares=Shares(stuck=0.0, never_refreshed=0.0, dormant=0.0))


@asynccontextmanager
async def world(
    database_url: str,
    *,
    active: int,
    inactive: int = 0,
    well: bool = True,
    config: SimulatorConfig | None = None,
    schema: str = SCHEMA,
) -> AsyncIterator[World]:
    """A company on a migrated database, at noon, after a night that went as nights go."""
    dates, population = Dates(), fleet(active + inactive, well=well)
    flinks = Simulator(config or SimulatorConfig(), population)
    flinks.advance(dates.now())
    flinks.audit.reset()
    links = company_links(population, inactive=inactive)
    sql = await connect(database_url, schema=schema, name="test")
    try:
        async with running(flinks, dates.now) as address, application(database_url, schema, dates, links) as company:
            await company.open_books()
            flinks.company_inactive(company.inactive_logins())
            yield World(
                flinks=flinks,
                dates=dates,
                company=company,
                sql=sql,
                address=address,
                env=_environment(database_url, schema, address, flinks.config),
            )
    finally:
        await sql.close()


def _environment(database_url: str, schema: str, address: str, config: SimulatorConfig) -> dict[str, str]:
    return {
        "REFRESHD_DATABASE_URL": database_url,
        "REFRESHD_DATABASE_SCHEMA": schema,
        "REFRESHD_FLINKS_BASE_URL": f"{address}/v3",
        "REFRESHD_FLINKS_CUSTOMER_ID": config.customer_id,
        "REFRESHD_FLINKS_SECRET_KEY": config.secret_key,
        "REFRESHD_FLINKS_API_KEY": config.api_key,
        "REFRESHD_FLINKS_API_SECRET": config.api_secret,
        "REFRESHD_RATE_PER_MINUTE": "6000",
        "REFRESHD_CONCURRENCY": "8",
        "REFRESHD_LISTEN": "127.0.0.1:0",
        "REFRESHD_LOG_LEVEL": "debug",
    }


async def until(what: str, holds: Callable[[], bool]) -> None:
    """Wait for something that happens in this process and sets no event."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not holds():  # noqa: ASYNC110 - see above
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"waited in vain for {what}") from None
