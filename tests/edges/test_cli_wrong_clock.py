"""Commands on a machine whose clock is wrong: what they store is dated by the database, and none of them calls Flinks."""

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from unittest.mock import patch

import pytest
from pydantic import SecretStr

from refreshd import policies
from refreshd.cli.session import opened
from refreshd.clock import SystemClock
from refreshd.core.caps import WINDOW
from refreshd.core.model import Change, Term
from refreshd.ledger import Ledger
from refreshd.postgres import Connection
from refreshd.settings import Settings
from tests.support.commands import refreshd
from tests.support.ledger import judge_all, link, login_id
from tests.support.observed import withheld
from tests.support.postgres import SCHEMA
from tests.support.set_clock import SetClock

TWO_DAYS = timedelta(days=2)
FLINKS = {
    "REFRESHD_FLINKS_BASE_URL": "http://127.0.0.1:1/v3",
    "REFRESHD_FLINKS_CUSTOMER_ID": "43387ca6-0391-4c82-857d-70d95f087ecb",
    "REFRESHD_FLINKS_API_KEY": "key",
    "REFRESHD_FLINKS_API_SECRET": "secret",
}


@pytest.fixture(params=[TWO_DAYS, -TWO_DAYS], ids=["ahead", "behind"], autouse=True)
def _wrong_clock(request: pytest.FixtureRequest) -> Iterator[None]:
    wrong = SetClock(SystemClock(), request.param)
    with patch.object(policies, "clock", lambda _: wrong):
        yield


async def _theirs(connection: Connection) -> datetime:
    now: datetime = await connection.fetchval("SELECT clock_timestamp()")
    return now


async def test_an_approval_lasts_a_day_of_the_databases(
    ledger: Ledger, connection: Connection, term: Term, database_url: str
) -> None:
    now = await _theirs(connection)
    await link(connection, "ann", login_id(1), active=False)
    await judge_all(ledger, term, now=now)
    pass_id = await ledger.start_pass(now=now, term=term)
    held = await ledger.hold(Change.DISABLE, withheld(), now=now, pass_id=pass_id, term=term)
    assert held is not None

    argv = ("approve", held.plan_id, "--reason", "looked at it")
    ran = await asyncio.to_thread(refreshd, *argv, env={"REFRESHD_DATABASE_URL": database_url})

    assert ran.code == 0, ran.words
    until = await connection.fetchval("SELECT approved_until FROM plan")
    assert abs(until - now - WINDOW) < timedelta(hours=1)


async def test_every_command_works_by_the_databases_clock(connection: Connection, database_url: str) -> None:
    settings = Settings.model_validate({"database_url": SecretStr(database_url), "database_schema": SCHEMA})
    async with opened(settings) as here:
        assert abs(here.now - await _theirs(connection)) < timedelta(hours=1)


async def test_once_calls_nobody_by_a_wrong_clock_and_says_so(connection: Connection, database_url: str) -> None:
    ran = await asyncio.to_thread(refreshd, "once", env={**FLINKS, "REFRESHD_DATABASE_URL": database_url})

    assert ran.code == 4
    assert "the database's: mend the time of this host" in ran.words
    assert await connection.fetchval("SELECT count(*) FROM reconcile_pass") == 0


async def test_the_doctor_names_the_clock_and_calls_nobody(connection: Connection, database_url: str) -> None:
    ran = await asyncio.to_thread(refreshd, "doctor", env={**FLINKS, "REFRESHD_DATABASE_URL": database_url})

    assert "mend the time of this host" in ran.words
    assert await connection.fetchval("SELECT count(*) FROM call") == 0
