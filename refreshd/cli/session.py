"""What a command works with: the settings, a way to Postgres, and the ledger, opened for as long as a block runs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from refreshd import postgres
from refreshd.core.errors import SettingsError
from refreshd.embedded import reachable_database
from refreshd.settings import Settings, load_settings

_APPLICATION = "refreshd command"


def ledger_settings(config: Path | None) -> Settings:
    """Settings for a command that needs the ledger and not Flinks."""
    return load_settings(require_flinks=False, config=config)


def full_settings(config: Path | None) -> Settings:
    return load_settings(require_flinks=True, config=config)


def database_url(settings: Settings) -> str:
    if settings.database_url is None:
        raise SettingsError("REFRESHD_DATABASE_URL is missing", hint="write postgresql://user@host/database")
    return settings.database_url.get_secret_value()


@asynccontextmanager
async def connection(settings: Settings) -> AsyncIterator[postgres.Connection]:
    """One session on the ledger's schema, which need not exist yet."""
    async with reachable_database(database_url(settings)) as url:
        session = await postgres.connect(url, schema=settings.database_schema, name=_APPLICATION)
        try:
            yield session
        finally:
            await session.close()
