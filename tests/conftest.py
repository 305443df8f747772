"""Fixtures that every part of the tests may ask for, and the rule that no test is left out in silence."""

import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from refreshd.postgres import Connection
from tests.support.postgres import SCHEMA, PostgresServer, throwaway_postgres

_POSTGRES_DIRECTORY = "REFRESHD_TEST_POSTGRES"

pytest_plugins = ["tests.support.skips", "tests.support.ledger"]


def pytest_configure(config: pytest.Config) -> None:
    """Choose the server's directory once a run; the workers of pytest-xdist inherit the choice.

    It is not under pytest's own directory: another run, when it starts, closes that to the user a root's server runs as.

    A shell has what it starts in the background ignore Ctrl-C, which processes inherit; those of the tests are to hear it.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if _is_worker(config):
        return
    os.environ[_POSTGRES_DIRECTORY] = tempfile.mkdtemp(prefix="refreshd-test-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if not _is_worker(config):
        shutil.rmtree(os.environ.pop(_POSTGRES_DIRECTORY), ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest modules are dealt to the workers, and each begins with its own.

    pytest-xdist hands every worker one slice of the list to begin with; who has done his takes of the rest of another's.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    long = [item for item in items if item.get_closest_marker("first")]
    rest = iter([item for item in items if not item.get_closest_marker("first")])
    dealt: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for number, (_, module) in enumerate(itertools.groupby(long, key=lambda item: item.path)):
        dealt[number % workers] += module
    left = len(items)
    items.clear()
    for number, begins in enumerate(dealt):
        share = (left - len(items)) // (workers - number)
        items += [*begins, *itertools.islice(rest, max(0, share - len(begins)))]
    items += rest


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The server of this run, shared by its workers."""
    with throwaway_postgres(Path(os.environ[_POSTGRES_DIRECTORY]) / "postgres") as server:
        yield server


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A directory of this test's own that every user of the machine can enter: what a server that root starts needs."""
    with tempfile.TemporaryDirectory(prefix="refreshd-test-") as path:
        yield Path(path)


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
