"""A small company for tests of whole commands: a simulated Flinks over real HTTP on a thread, a migrated ledger, its client list."""

import asyncio
import copy
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import asyncpg

from refreshd import simulator
from refreshd.clock import ScaledClock, SystemClock
from refreshd.settings.values import ScaledDates
from refreshd.simulator import http
from tests.support.postgres import SCHEMA, LoopThread

NOON = datetime(2026, 3, 10, 17, tzinfo=UTC)
"""An hour at which the routine is due and the vendor sleeps: 13:00 in Toronto."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """One installation: `env` is its settings, `clients` the list it can import."""

    env: dict[str, str]
    clients: Path
    flinks: simulator.Simulator
    inactive: frozenset[str]
    address: str
    database_url: str
    dates: ScaledDates

    def sql(self, statement: str, *values: object) -> list[asyncpg.Record]:
        """What the company's own application does to the ledger, in a session of its own."""

        async def ask() -> list[asyncpg.Record]:
            session = await asyncpg.connect(self.database_url, server_settings={"search_path": SCHEMA})
            try:
                return await session.fetch(statement, *values)
            finally:
                await session.close()

        return asyncio.run(ask())

    def scheduled(self) -> set[str]:
        """Logins that Flinks will bill tonight."""
        return {each.login_id for each in self.flinks.world.logins.values() if each.scheduled}

    def leave(self, count: int) -> set[str]:
        """The clients of so many scheduled logins (or a few more) leave; returns all logins that nobody wants any more."""
        leaving = sorted(self.scheduled() - self.inactive)[:count]
        self.sql(
            "UPDATE client SET active = false WHERE client_id IN (SELECT client_id FROM client_login WHERE login_id = ANY($1))",
            leaving,
        )
        gone = {row["login_id"] for row in self.sql("SELECT login_id::text FROM login WHERE NOT active")}
        self.flinks.company_inactive(gone)
        return gone


@contextmanager
def company(database_url: str, path: Path, *, logins: int, inactive: int, rate: int = 6_000) -> Iterator[Company]:
    """Its Flinks listens for as long as the block runs. Its day begins at `NOON`, whatever the real hour is."""
    population = simulator.populate(7, logins, start=NOON)
    flinks = simulator.Simulator(simulator.SimulatorConfig(), population)
    clients = path / "clients.csv"
    with clients.open("w", newline="", encoding="utf-8") as file:
        gone = simulator.population_csv(population, file, inactive=inactive)
    flinks.company_inactive(gone)
    dates = ScaledDates(start=NOON, factor=1.0, since=SystemClock().now().timestamp())
    with _listening(flinks, dates) as address:
        yield Company(
            env=_places(address, database_url) | _settings(flinks, dates, rate),
            clients=clients,
            flinks=flinks,
            inactive=gone,
            address=address,
            database_url=database_url,
            dates=dates,
        )


@contextmanager
def twin(original: Company, database_url: str) -> Iterator[Company]:
    """The same company as it stands, with a Flinks of its own, on a copy of its ledger: what it does, the original does not see."""
    flinks = copy.deepcopy(original.flinks)
    with _listening(flinks, original.dates) as address:
        yield replace(
            original,
            env=original.env | _places(address, database_url),
            flinks=flinks,
            address=address,
            database_url=database_url,
        )


def _places(address: str, database_url: str) -> dict[str, str]:
    return {"REFRESHD_DATABASE_URL": database_url, "REFRESHD_FLINKS_BASE_URL": f"{address}/v3"}


def _settings(flinks: simulator.Simulator, dates: ScaledDates, rate: int) -> dict[str, str]:
    return {
        "REFRESHD_FLINKS_CUSTOMER_ID": flinks.config.customer_id,
        "REFRESHD_FLINKS_SECRET_KEY": flinks.config.secret_key,
        "REFRESHD_FLINKS_API_KEY": flinks.config.api_key,
        "REFRESHD_FLINKS_API_SECRET": flinks.config.api_secret,
        "REFRESHD_RATE_PER_MINUTE": str(rate),
        "REFRESHD_LISTEN": "127.0.0.1:0",
        "REFRESHD_SCALED_DATES": str(dates),
    }


@contextmanager
def _listening(flinks: simulator.Simulator, dates: ScaledDates) -> Iterator[str]:
    clock = ScaledClock.joined(start=dates.start, factor=dates.factor, since=dates.since)
    thread = LoopThread()
    server = AsyncExitStack()
    try:
        yield thread.run(server.enter_async_context(http.running(flinks, clock.now)))
    finally:
        thread.run(server.aclose())
        thread.close()
