"""Through the real PgBouncer, whose sessions are lent for one transaction and shared by all its customers."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from refreshd.access import check_schema
from refreshd.core.errors import LedgerUnavailable
from refreshd.core.model import Term
from refreshd.doctor import Finding, Outcome, examine
from refreshd.ledger import Ledger
from refreshd.postgres import Connection, Database, connect, open_database, session_settings
from refreshd.settings import Settings
from tests.support.ledger import NOW, judge_all, link, login_id, set_writer_clock
from tests.support.pgbouncer import pooled
from tests.support.postgres import SCHEMA, PostgresServer

IGNORING = f"ignore_startup_parameters = {','.join(session_settings(SCHEMA, name='test'))}"
"""How many an installation makes its other programs work."""


@pytest.fixture
def pooler_url(database_url: str, open_path: Path) -> Iterator[str]:
    with pooled(database_url, open_path) as url:
        yield url


@pytest.fixture
async def lent(pooler_url: str) -> AsyncIterator[Database]:
    async with open_database(pooler_url, schema=SCHEMA, size=4, lent=True) as database:
        yield database


async def test_many_at_once_share_two_sessions_and_each_finds_the_ledger(
    lent: Database, connection: Connection, term: Term
) -> None:
    await set_writer_clock(connection, NOW)
    for number in range(1, 31):
        await link(connection, f"c{number}", login_id(number))
    ledger = Ledger(lent)
    await judge_all(ledger, term)
    async with asyncio.TaskGroup() as group:
        looks = [group.create_task(ledger.login(login_id(number))) for number in range(1, 31)]
        counts = [group.create_task(ledger.totals(now=NOW)) for _ in range(5)]
    assert all((stored := look.result()) is not None and stored.reason == "test" for look in looks)
    assert {sum(count.result().by_verdict.values()) for count in counts} == {30}


async def test_a_lent_session_is_given_back_as_it_was(lent: Database, pooler_url: str) -> None:
    await lent.value(("SELECT count(*) FROM login",))
    async with lent.transaction() as session:
        assert await session.fetchval("SELECT current_setting('search_path')") == '"refreshd"'
        assert await session.fetchval("SELECT current_setting('lock_timeout')") == "2s"
    customers = [await asyncpg.connect(pooler_url, statement_cache_size=0) for _ in range(2)]
    try:
        transactions = [customer.transaction() for customer in customers]
        for customer, transaction in zip(customers, transactions, strict=True):
            await transaction.start()  # both server sessions are lent to somebody else now
            assert await customer.fetchval("SELECT current_setting('search_path')") == '"$user", public'
            assert await customer.fetchval("SELECT current_setting('lock_timeout')") == "0"
        for transaction in transactions:
            await transaction.rollback()
    finally:
        for customer in customers:
            await customer.close()


async def test_a_pooler_where_the_database_was_meant_is_named(pooler_url: str) -> None:
    with pytest.raises(LedgerUnavailable, match="pooler") as caught:
        await connect(pooler_url, schema=SCHEMA, name="test")
    assert "REFRESHD_DATABASE_DIRECT_URL" in caught.value.hint


async def test_a_pooler_that_drops_what_sessions_set_is_found_out(database_url: str, open_path: Path) -> None:
    with pooled(database_url, open_path, more=IGNORING) as url:
        settings = Settings(database_url=SecretStr(url))
        with pytest.raises(LedgerUnavailable, match="drops what our sessions set") as caught:
            await check_schema(url, settings)
    assert "REFRESHD_DATABASE_DIRECT_URL" in caught.value.hint


@pytest.mark.parametrize("more", ["", IGNORING], ids=["refuses", "drops"])
async def test_the_doctor_names_the_way_past_a_pooler_that_stands_where_the_database_was_meant(
    database_url: str, open_path: Path, more: str
) -> None:
    with pooled(database_url, open_path, more=more) as url:
        findings: list[Finding] = []
        await examine(Settings(database_url=SecretStr(url)), vendor=False, tell=findings.append)
    (found,) = [each for each in findings if each.outcome is Outcome.BAD]
    assert (found.subject, found.exit_code) == ("database", 4)
    assert "a pooler stands before the database" in found.sentence
    assert "REFRESHD_DATABASE_DIRECT_URL" in found.hint


async def test_the_doctor_looks_whether_both_ways_lead_to_one_ledger(
    database_url: str, pooler_url: str, postgres: PostgresServer
) -> None:
    with postgres.database(migrated=True) as other_url:
        for direct, said in ((database_url, "leads to the same ledger"), (other_url, "lead to different ledgers")):
            findings: list[Finding] = []
            settings = Settings(database_url=SecretStr(pooler_url), database_direct_url=SecretStr(direct))
            await examine(settings, vendor=False, tell=findings.append)
            assert said in next(each for each in findings if each.subject == "pooler").sentence
