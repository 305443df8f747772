"""What a command works with: the settings, a way to Postgres, and the ledger, opened for as long as a block runs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from refreshd import crash, policies, postgres
from refreshd.access import check_schema, open_ledger, reached
from refreshd.ledger import Ledger
from refreshd.preview import PreviewPolicy
from refreshd.settings import Settings, load_settings

_APPLICATION = "refreshd command"
_SESSIONS = 2


def ledger_settings(config: Path | None) -> Settings:
    """Settings for a command that needs the ledger and not Flinks."""
    return _armed(load_settings(require_flinks=False, config=config))


def full_settings(config: Path | None) -> Settings:
    return _armed(load_settings(require_flinks=True, config=config))


def _armed(settings: Settings) -> Settings:
    """With the kill switch of the tests set, where these settings set it."""
    if crash_at := policies.crash_point(settings):
        crash.arm(crash_at.name, time=crash_at.time)
    return settings


@asynccontextmanager
async def connection(settings: Settings) -> AsyncIterator[postgres.Connection]:
    """One session on the ledger's schema, which need not exist yet."""
    async with reached(settings) as url:
        session = await postgres.connect(url, schema=settings.database_schema, name=_APPLICATION)
        try:
            yield session
        finally:
            await postgres.close(session)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The ledger, and the moment at which the command began: one `now` for all that it says and stores.

    It is the database's, whatever the clock of the machine that an operator happens to sit at: an approval runs for as long as it says.
    """

    settings: Settings
    ledger: Ledger
    now: datetime
    url: str


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Opened]:
    """The ledger, once it is known to be migrated."""
    async with reached(settings) as url:
        await check_schema(url, settings)
        async with open_ledger(url, settings, size=_SESSIONS, name=_APPLICATION) as database:
            ledger = Ledger(database)
            scaled = settings.scaled_dates is not None
            now = policies.clock(settings).now() if scaled else await ledger.clock()
            yield Opened(settings=settings, ledger=ledger, now=now, url=url)


def preview_policy(settings: Settings) -> PreviewPolicy:
    return PreviewPolicy(judge=policies.judge_policy(settings), guard=policies.guard_policy(settings))
