"""A database that is there and takes no connections."""

from urllib.parse import urlsplit

import asyncpg
import pytest

from refreshd.core.errors import LedgerUnavailable
from refreshd.postgres import connect
from tests.support.postgres import SCHEMA, PostgresServer


async def test_a_database_that_is_closed_for_maintenance_is_away_and_no_bug(
    postgres: PostgresServer, database_url: str
) -> None:
    name = urlsplit(database_url).path.removeprefix("/")
    admin = await asyncpg.connect(postgres.url_of("postgres"))
    await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    try:
        with pytest.raises(LedgerUnavailable, match="not currently accepting connections"):
            await connect(database_url, schema=SCHEMA, name="test")
    finally:
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await admin.close()
