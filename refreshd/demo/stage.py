"""Sets the stage: an embedded Postgres with the ledger, the simulated Flinks over HTTP, the company's application, and the dates.

Dates pass at 720 times life, durations are real; the daemon on this stage is the same code that runs in production.
"""

import json
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from pydantic import SecretStr

from refreshd import migrate
from refreshd.clock import ScaledClock, SystemClock
from refreshd.demo.company import Company, application
from refreshd.embedded import reachable_database
from refreshd.postgres import connect
from refreshd.settings import ListenAddress, ScaledDates, Settings
from refreshd.simulator import Simulator, SimulatorConfig, company_links, inactive_logins, populate
from refreshd.simulator.http import running

FACTOR = 720
MORNING = datetime(2026, 1, 5, 8, tzinfo=UTC)
"""A Monday, the very moment at which the vendor's night ends."""

LOGINS = 340
LEFT_LONG_AGO = 46
SEED = 7
RATE_PER_MINUTE = 1_800
DOWN = "Caisse du Fleuve"
"""The bank whose site was down in the night that just ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Everything the story plays with."""

    clock: ScaledClock
    settings: Settings
    flinks: Simulator
    company: Company
    config_file: Path
    night_billed: int
    night_leaked: int


@asynccontextmanager
async def stage(*, listen_port: int = 0) -> AsyncIterator[Stage]:
    """Build it all in a directory of its own, and take it down again."""
    with _directory() as place:
        async with reachable_database(f"embedded:{place / 'postgres'}") as url:
            await _prepare(url)
            async with _world(url, place, listen_port) as built:
                yield built


@contextmanager
def _directory() -> Iterator[Path]:
    """One that the embedded server can enter: run as root, it works under another user."""
    with tempfile.TemporaryDirectory(prefix="refreshd-demo-") as name:
        place = Path(name)
        place.chmod(0o755)
        yield place


async def _prepare(url: str) -> None:
    connection = await connect(url, schema="refreshd", name="refreshd migrate")
    try:
        await migrate.apply(connection, schema="refreshd", now=MORNING)
    finally:
        await connection.close()


@asynccontextmanager
async def _world(url: str, place: Path, listen_port: int) -> AsyncIterator[Stage]:
    evening = MORNING - timedelta(hours=5)
    population = populate(SEED, LOGINS, start=evening)
    links = company_links(population, inactive=LEFT_LONG_AGO)
    flinks = Simulator(SimulatorConfig(inactive_grace_seconds=2.0), population)
    flinks.institution_down(DOWN, MORNING + timedelta(hours=3))
    flinks.advance(MORNING)
    billed = flinks.audit.billed_nights
    leaked = sum(flinks.audit.bills[each] for each in inactive_logins(links))
    flinks.audit.reset()
    dates = ScaledDates(MORNING, FACTOR, SystemClock().now().timestamp())
    clock = ScaledClock.joined(start=dates.start, factor=dates.factor, since=dates.since)
    async with running(flinks, clock.now) as address, application(url, "refreshd", clock, links) as company:
        await company.open_books()
        flinks.company_inactive(company.inactive_logins())
        settings = _settings(url, address, flinks.config, listen_port, dates)
        yield Stage(
            clock=clock,
            settings=settings,
            flinks=flinks,
            company=company,
            config_file=_write_config(place / "refreshd.toml", settings),
            night_billed=billed,
            night_leaked=leaked,
        )


def _settings(url: str, address: str, config: SimulatorConfig, listen_port: int, dates: ScaledDates) -> Settings:
    return Settings(
        database_url=SecretStr(url),
        flinks_base_url=f"{address}/v3",
        flinks_customer_id=UUID(config.customer_id),
        flinks_secret_key=SecretStr(config.secret_key),
        flinks_api_key=SecretStr(config.api_key),
        flinks_api_secret=SecretStr(config.api_secret),
        rate_per_minute=RATE_PER_MINUTE,
        concurrency=8,
        pass_interval=timedelta(seconds=1),
        report_interval=timedelta(hours=1),
        listen=ListenAddress("127.0.0.1", listen_port),
        scaled_dates=dates,
    )


def _write_config(path: Path, settings: Settings) -> Path:
    """What the commands in another shell need; its keys open nothing but the simulator."""
    shown = {
        "database_url": settings.database_url,
        "flinks_base_url": settings.flinks_base_url,
        "flinks_customer_id": settings.flinks_customer_id,
        "flinks_secret_key": settings.flinks_secret_key,
        "flinks_api_key": settings.flinks_api_key,
        "flinks_api_secret": settings.flinks_api_secret,
        "rate_per_minute": settings.rate_per_minute,
        "report_interval": "1h",
        "scaled_dates": settings.scaled_dates,
    }
    path.write_text("".join(f"{name} = {_toml(value)}\n" for name, value in shown.items()), encoding="utf-8")
    return path


def _toml(value: object) -> str:
    if isinstance(value, int):
        return str(value)
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    return json.dumps(text)
