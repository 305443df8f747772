"""Fixtures that every part of the tests may ask for, and the rule that no test is left out in silence."""

import os
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from tests.support.postgres import SCHEMA, Connection, PostgresServer, throwaway_postgres

pytest_plugins = ["tests.support.skips"]


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """The server of this run; under pytest-xdist all workers share the directory above their own."""
    base = tmp_path_factory.getbasetemp()
    with throwaway_postgres((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "postgres") as server:
        yield server


@pytest.fixture
def database_url(postgres: PostgresServer) -> Iterator[str]:
    """A database of this test's own, migrated into the schema `refreshd`."""
    with postgres.database(migrated=True) as url:
        yield url


@pytest.fixture
def empty_database_url(postgres: PostgresServer) -> Iterator[str]:
    """A database of this test's own with nothing in it."""
    with postgres.database(migrated=False) as url:
        yield url


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[Connection]:
    """One session on `database_url` whose search path is the ledger's schema."""
    session = await asyncpg.connect(database_url, server_settings={"search_path": SCHEMA})
    yield session
    await session.close()


@pytest.fixture
async def ledger_pool(database_url: str) -> AsyncIterator["asyncpg.Pool[asyncpg.Record]"]:
    """A pool on `database_url` whose search path is the ledger's schema."""
    async with asyncpg.create_pool(
        database_url, min_size=1, max_size=4, server_settings={"search_path": SCHEMA}
    ) as pool:
        yield pool
