"""What the pool of connections tells of itself, on a real Postgres."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from refreshd.core.errors import LedgerUnavailable
from refreshd.ledger import Ledger
from refreshd.metrics import Metrics
from refreshd.postgres import Database, open_database
from tests.support.ledger import NOW
from tests.support.observed import metrics, value
from tests.support.postgres import SCHEMA


@pytest.fixture
def shown() -> Metrics:
    return metrics()


@pytest.fixture
async def database(database_url: str, shown: Metrics) -> AsyncIterator[Database]:
    async with open_database(database_url, schema=SCHEMA, size=2, observer=shown.database) as opened:
        yield opened


async def told(reading: Callable[[], float | None], expected: float) -> None:
    """A statement is told of one turn of the loop after it ended."""
    async with asyncio.timeout(10):
        while reading() != expected:  # noqa: ASYNC110 - the driver sets no event
            await asyncio.sleep(0.001)


async def test_each_statement_of_the_ledger_counts_under_what_it_is_for(database: Database, shown: Metrics) -> None:
    def ran(query: str) -> Callable[[], float | None]:
        return lambda: value(shown, "refreshd_database_query_duration_seconds_count", query=query)

    assert ran("totals")() == 0
    await Ledger(database).totals(now=NOW)
    await told(ran("totals"), 4)
    await told(ran("commit"), 1)
    await database.value(("SELECT 1",))
    await told(ran("other"), 2)  # and the BEGIN of the transaction
    assert ran("draw")() == 0
    assert value(shown, "refreshd_database_query_duration_seconds_sum", query="totals") != 0


async def test_a_statement_that_fails_is_counted_under_what_it_is_for(database: Database, shown: Metrics) -> None:
    async with database._session() as session:
        await session.execute("ALTER TABLE login RENAME TO elsewhere")
    with pytest.raises(Exception, match="login"):
        await Ledger(database).totals(now=NOW)
    await told(lambda: value(shown, "refreshd_database_query_failures_total", query="totals"), 1)
    assert value(shown, "refreshd_database_query_failures_total", query="other") == 0


async def test_the_pool_shows_who_works_who_idles_and_how_long_one_waits(database: Database, shown: Metrics) -> None:
    shown.set_pool(database)

    def pool() -> tuple[float | None, float | None]:
        name = "refreshd_database_pool_connections"
        return value(shown, name, state="in_use"), value(shown, name, state="idle")

    assert pool() == (0, 0)
    async with database._session(), database._session():
        assert pool() == (2, 0)
        with pytest.raises((LedgerUnavailable, TimeoutError)):
            async with asyncio.timeout(0.05), database._session():
                pass
    assert pool() == (0, 2)
    assert value(shown, "refreshd_database_pool_wait_seconds_count") == 2
    assert value(shown, "refreshd_database_pool_max_connections") == 2


def test_without_a_pool_there_is_no_series_of_one(shown: Metrics) -> None:
    assert value(shown, "refreshd_database_pool_connections", state="idle") is None
    assert value(shown, "refreshd_database_pool_max_connections") is None
