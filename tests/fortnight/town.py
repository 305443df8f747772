"""Maple Lending over a fortnight: its clients, its Flinks, its database, and its two copies of refreshd, on one virtual clock."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import asyncpg
from pydantic import SecretStr

from refreshd.core.caps import WINDOW
from refreshd.demo.company import Company
from refreshd.ledger import Ledger
from refreshd.postgres import Connection, Database, session_settings
from refreshd.settings import Settings
from refreshd.simulator import InProcessDoor, Link, Shares, Simulator, SimulatorConfig, company_links, populate
from refreshd.simulator.institutions import INSTITUTIONS
from refreshd.simulator.login import Login
from tests.fortnight.copy import NAME, Copy, SharedLease, Surroundings
from tests.fortnight.statements import Pace
from tests.support.in_process import InProcessTransport
from tests.support.postgres import SCHEMA
from tests.support.virtual_loop import VirtualClock, busy, waiting_for_real

SEED = 7
LOGINS = 640
LEFT_LONG_AGO = 58
NEWCOMERS = 90
START = datetime(2026, 1, 5, 8, tzinfo=UTC)
"""A Monday, the very moment at which the vendor's night ends."""
END = START + timedelta(days=14, hours=10)
RATE = 10

_WEIGHTS = (5, 5, 4, 3, 3, 2, 2, 1)
_BANKS = tuple(bank for bank, weight in zip(INSTITUTIONS, _WEIGHTS, strict=True) for _ in range(weight))
"""Most clients are at the banks that work well, as they are wherever somebody chose them for that."""

_SHARES = Shares(stuck=0.008, never_refreshed=0.004, dormant=0.008)
"""Few are silently stale to begin with, so that those who become so are seen."""

USUAL_WEATHER = (
    "slow(0.6)@any:0.2",
    "slow(1.7)@any:0.04",
    "slow(6)@any:0.006",
    "reset@any:0.003",
    "html_502@any:0.003",
    "hang@Authorize:0.001",
)
"""What any week at any vendor has."""


@dataclass(kw_only=True)
class Town:
    """Everything that the story plays with. `newcomers` have not connected a bank yet."""

    clock: VirtualClock
    flinks: Simulator
    company: Company
    copies: tuple[Copy, ...]
    lease: SharedLease
    pace: Pace
    sql: Connection
    admin: Connection
    ledger: Ledger
    newcomers: list[Login]
    chance: Random = field(default_factory=lambda: Random(SEED))  # noqa: S311 - repeatable chance is the point

    async def until(self, moment: datetime) -> None:
        """Let time pass until then."""
        while (left := (moment - self.clock.now()).total_seconds()) > 0:  # noqa: ASYNC110 - the clock sets no event
            await asyncio.sleep(left)

    # The company --------------------------------------------------------------------------------------------------------------------

    async def leave(self, client_ids: Iterable[str]) -> None:
        with busy():
            await self.company.leave(list(client_ids))
        self._changed()

    async def come_back(self, client_ids: Iterable[str]) -> None:
        with busy():
            await self.company.come_back(list(client_ids))
        self._changed()

    async def join(self, count: int) -> None:
        """New clients connect their bank."""
        links = []
        for _ in range(min(count, len(self.newcomers))):
            login = self.newcomers.pop()
            self.flinks.link(login)
            self.flinks.reconnect(login.login_id, scheduled=True)
            links.append(Link(f"newcomer-{len(self.newcomers):06d}", login.login_id, active=True))
        with busy():
            await self.company.join(links)
        self._changed()

    def active_clients(self, count: int) -> list[str]:
        """Some that have one login which nobody shares, drawn by chance."""
        everybody = self.company.sole_clients(len(self.company.links))
        return self.chance.sample(everybody, k=min(count, len(everybody)))

    def _changed(self) -> None:
        seconds = asyncio.get_running_loop().time()
        self.flinks.company_inactive(self.company.inactive_logins(), seconds=seconds)
        self._trigger()

    # The users ----------------------------------------------------------------------------------------------------------------------

    async def waiting_for_their_users(self) -> list[str]:
        """LoginIds whose user must connect again, as the company reads them from `login_status`."""
        with busy():
            rows = await self.sql.fetch(
                "SELECT login_id::text FROM login_status WHERE must_reconnect ORDER BY login_id"
            )
        return [row["login_id"] for row in rows]

    async def some_connect_again(self, count: int) -> None:
        waiting = await self.waiting_for_their_users()
        for login_id in self.chance.sample(waiting, k=min(count, len(waiting))):
            self.flinks.reconnect(login_id, scheduled=True)

    def active_at(self, institution: str) -> list[str]:
        """Logins there that somebody wants."""
        inactive = self.company.inactive_logins()
        logins = self.flinks.world.logins.values()
        return [
            each.login_id for each in logins if each.institution.name == institution and each.login_id not in inactive
        ]

    # The operator -------------------------------------------------------------------------------------------------------------------

    async def approve(self) -> int:
        """Approve what is held; returns how many plans there were."""
        now = self.clock.now()
        plans = [each for each in await self.ledger.plans() if each.remaining]
        held = [each for each in plans if each.approved_until is None or each.approved_until <= now]
        for each in held:
            await self.ledger.approve_plan(
                each.plan_id, by="operator", reason="looked at it", now=now, until=now + WINDOW
            )
        self._trigger()
        return len(held)

    def _trigger(self) -> None:
        for each in self.copies:
            each.trigger()

    # The troubles -------------------------------------------------------------------------------------------------------------------

    def weather(self, *faults: str) -> None:
        """From now on Flinks has these faults beside the usual ones, which come last."""
        self.flinks.faults.clear()
        self.flinks.add_faults([*faults, *USUAL_WEATHER])

    async def lose_database(self) -> None:
        """It closes to refreshd: no session survives, and no new one begins."""
        with busy():
            name = await self.sql.fetchval("SELECT current_database()")
            await self.admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            await self.admin.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND datname = $2",
                NAME,
                name,
            )

    async def find_database(self) -> None:
        with busy():
            name = await self.sql.fetchval("SELECT current_database()")
            await self.admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


@asynccontextmanager
async def town(url: str, clock: VirtualClock, more: dict[str, object] | None = None) -> AsyncIterator[Town]:
    """Build it on a migrated database; the bank Caisse du Fleuve had a bad night already."""
    with busy():
        sql = await asyncpg.connect(url, server_settings=session_settings(SCHEMA, name="maple lending"))
        admin = await asyncpg.connect(urlunsplit(urlsplit(url)._replace(path="/postgres")))
        operator = await _operator(url)
    try:
        ledger = waiting_for_real(Ledger(Database(operator)))
        yield await _built(
            Given(
                url=url,
                clock=clock,
                sql=sql,
                admin=admin,
                ledger=ledger,
                settings=settings_of_the_company(**(more or {})),
            )
        )
    finally:
        with busy():
            await operator.close()
            await sql.close()
            await admin.close()


async def _operator(url: str) -> "asyncpg.Pool[asyncpg.Record]":
    return await asyncpg.create_pool(
        url,
        min_size=1,
        max_size=1,
        max_inactive_connection_lifetime=0,
        max_cached_statement_lifetime=0,
        server_settings=session_settings(SCHEMA, name="operator"),
    )


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a town is built on."""

    url: str
    clock: VirtualClock
    sql: Connection
    admin: Connection
    ledger: Ledger
    settings: Settings


async def _built(given: Given) -> Town:
    clock, sql = given.clock, given.sql
    population = populate(SEED, LOGINS + NEWCOMERS, _BANKS, start=START - timedelta(hours=5), shares=_SHARES)
    settled, newcomers = population.logins[:LOGINS], population.logins[LOGINS:]
    present = replace(population, logins=settled)
    flinks = Simulator(_flinks(), present, faults=USUAL_WEATHER)
    flinks.advance(START)
    flinks.audit.reset()
    company = Company(sql, clock, company_links(present, inactive=LEFT_LONG_AGO))
    with busy():
        await company.open_books()
    flinks.company_inactive(company.inactive_logins())
    door = InProcessDoor(flinks, clock.now, asyncio.get_running_loop().time)
    lease, pace = SharedLease(sql), Pace(SEED)
    around = Surroundings(
        url=given.url,
        clock=clock,
        settings=given.settings,
        transport=InProcessTransport(door),
        lease=lease,
        pace=pace,
    )
    return Town(
        clock=clock,
        flinks=flinks,
        company=company,
        copies=tuple(Copy(f"{name}:9877", around) for name in _INSTANCES),
        lease=lease,
        pace=pace,
        sql=sql,
        admin=given.admin,
        ledger=given.ledger,
        newcomers=list(newcomers),
    )


_INSTANCES: Sequence[str] = ("refreshd-0", "refreshd-1")


def _flinks() -> SimulatorConfig:
    return SimulatorConfig(seed=SEED, latency_seconds=0.18, inactive_grace_seconds=30.0, calls_kept=1_000)


def settings_of_the_company(**more: object) -> Settings:
    """As a careful company sets them; passes are rarer than the default, so that a fortnight has fewer of them to wait for."""
    config = _flinks()
    values: dict[str, object] = {
        "flinks_base_url": "http://127.0.0.1/v3",
        "flinks_customer_id": UUID(config.customer_id),
        "flinks_secret_key": SecretStr(config.secret_key),
        "flinks_api_key": SecretStr(config.api_key),
        "flinks_api_secret": SecretStr(config.api_secret),
        "rate_per_minute": RATE,
        "pass_interval": timedelta(minutes=5),
        "report_interval": timedelta(minutes=30),
        "cost_per_login_day": Decimal("0.30"),
    }
    return Settings.model_validate({**values, **more})
