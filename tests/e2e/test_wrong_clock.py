"""A daemon whose host's clock is set, forth and back: it says so on all its surfaces, and leads whenever the clocks agree."""

import asyncio
from datetime import timedelta

import aiohttp
import pytest
from pydantic import SecretStr

from refreshd.clock import SystemClock
from refreshd.daemon import Daemon
from refreshd.orders import Orders
from refreshd.postgres import Connection
from refreshd.settings import Settings
from tests.support.postgres import SCHEMA
from tests.support.set_clock import SetClock
from tests.support.world import PATIENCE_SECONDS

pytestmark = pytest.mark.slow

TEN_DAYS = timedelta(days=10)
FLINKS_IS_AWAY = "http://127.0.0.1:1/v3"


class _Told:
    """What a daemon says of itself."""

    def __init__(self, address: str, session: aiohttp.ClientSession) -> None:
        self._address = address
        self._session = session

    async def _text(self, path: str) -> str:
        async with self._session.get(f"{self._address}{path}") as answer:
            return await answer.text()

    async def until_it_leads(self, *, leads: bool) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await self.metric("refreshd_leader") != leads or ("mend the time" in await self.ready()) is leads:  # noqa: ASYNC110 - it serves what it tells
                await asyncio.sleep(0.02)

    async def ready(self) -> str:
        return await self._text("/readyz")

    async def metric(self, name: str) -> float | None:
        lines = (await self._text("/metrics")).splitlines()
        return next((float(each.split()[-1]) for each in lines if each.startswith(f"{name} ")), None)


def _settings(database_url: str) -> Settings:
    return Settings.model_validate(
        {
            "database_url": SecretStr(database_url),
            "database_schema": SCHEMA,
            "flinks_base_url": FLINKS_IS_AWAY,
            "flinks_customer_id": "43387ca6-0391-4c82-857d-70d95f087ecb",
            "listen": "127.0.0.1:0",
        }
    )


async def test_a_daemon_whose_clock_is_wrong_says_so_and_leads_when_it_is_mended(
    database_url: str, connection: Connection
) -> None:
    clock, orders = SetClock(SystemClock(), TEN_DAYS), Orders()
    daemon = Daemon(_settings(database_url), clock=clock)
    async with asyncio.TaskGroup() as group, aiohttp.ClientSession() as session:
        group.create_task(daemon.run(orders))
        told = _Told(await daemon.address(), session)

        await told.until_it_leads(leads=False)
        assert await told.metric("refreshd_clock_skew_seconds") == pytest.approx(TEN_DAYS.total_seconds(), abs=60)
        assert await told.metric("refreshd_database_up") == 1
        assert await connection.fetchval("SELECT count(*) FROM reconcile_pass") == 0

        clock.ahead = timedelta(0)
        await told.until_it_leads(leads=True)
        clock.ahead = -TEN_DAYS
        await told.until_it_leads(leads=False)
        clock.ahead = timedelta(0)
        await told.until_it_leads(leads=True)
        orders.ask_to_stop()

    wrong = "SELECT count(*) FROM reconcile_pass WHERE abs(extract(epoch FROM started_at - clock_timestamp())) > 3600"
    assert await connection.fetchval(wrong) == 0
