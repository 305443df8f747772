"""What a session of ours starts with, where it goes, and what is said when the database does not take it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from refreshd import migrate
from refreshd.access import check_schema
from refreshd.core.errors import LedgerUnavailable, SchemaMismatch
from refreshd.core.model import LoginId
from refreshd.ledger import Ledger
from refreshd.postgres import Connection, connect, open_database, pool
from refreshd.postgres.hosts import HEAD_START_SECONDS, hosts_of
from refreshd.settings import Settings
from tests.support.cut_line import line_to
from tests.support.ledger import NOW, judge_all, link, login_id, set_writer_clock, take_lease
from tests.support.postgres import SCHEMA, PostgresServer

ODD = {
    "default_transaction_isolation": "serializable",
    "statement_timeout": "1ms",
    "idle_session_timeout": "50ms",
    "lock_timeout": "1ms",
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "iso_8601",
    "TimeZone": "Asia/Kolkata",
    "standard_conforming_strings": "off",
    "search_path": "nowhere",
}
"""What an administrator may have set for a database; each of them would break something if a session of ours took it over."""


@asynccontextmanager
async def role(connection: Connection, database_url: str, more: str = "") -> AsyncIterator[str]:
    """An ordinary role of this test's own, as a URL."""
    database = urlsplit(database_url).path[1:]
    name = f"plain_{database}"
    await connection.execute(f"CREATE ROLE {name} LOGIN {more}")
    try:
        yield urlunsplit(urlsplit(database_url)._replace(netloc=f"{name}@"))
    finally:
        await connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


async def test_whatever_the_database_sets_by_default_our_sessions_are_as_they_must_be(
    connection: Connection, database_url: str
) -> None:
    await set_writer_clock(connection, NOW)
    await link(connection, "ann", login_id(1))
    term = await take_lease(connection)
    for name, value in ODD.items():
        statement = "SELECT format('ALTER DATABASE %I SET %I = %s', current_database(), $1::text, $2::text)"
        await connection.execute(await connection.fetchval(statement, name, value if "," in value else f"'{value}'"))
    session = await connect(database_url, schema=SCHEMA, name="test")
    try:
        await asyncio.sleep(0.1)  # longer than the idle session that the database allows
        for name, value in ODD.items():
            assert await session.fetchval("SELECT current_setting($1)", name) != value, name
        await session.execute("SELECT pg_sleep(0.05)")
    finally:
        await session.close()
    async with open_database(database_url, schema=SCHEMA, size=2) as database:
        ledger = Ledger(database)
        await judge_all(ledger, term)
        assert await ledger.add_day(now=NOW, ahead=1, term=term) == "call_20260301"
        stored = await ledger.login(LoginId(login_id(1)))
        assert stored is not None
        assert stored.verdict_since == NOW


async def test_a_role_that_may_not_enter_the_schema_is_told_what_to_grant(
    connection: Connection, database_url: str
) -> None:
    async with role(connection, database_url) as url:
        with pytest.raises(LedgerUnavailable, match="may not use schema refreshd") as caught:
            await check_schema(url, Settings(database_url=SecretStr(url)))
        assert f"GRANT USAGE ON SCHEMA refreshd TO {urlsplit(url).username}" in caught.value.hint


async def test_a_role_that_owns_nothing_is_told_that_it_must(connection: Connection, database_url: str) -> None:
    async with role(connection, database_url) as url:
        await connection.execute(f"GRANT USAGE ON SCHEMA refreshd TO {urlsplit(url).username}")
        async with open_database(url, schema=SCHEMA, size=1) as database:
            with pytest.raises(LedgerUnavailable, match="permission denied for table login") as caught:
                await Ledger(database).totals(now=NOW)
        assert "must own table login" in caught.value.hint


@contextmanager
def _latin(postgres: PostgresServer) -> Iterator[str]:
    postgres._execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    try:
        yield postgres.url_of("latin")
    finally:
        postgres._execute("DROP DATABASE latin WITH (FORCE)")


async def test_a_database_that_cannot_hold_every_name_is_refused_before_anything_is_made(
    postgres: PostgresServer,
) -> None:
    with _latin(postgres) as url:
        session = await asyncpg.connect(url)
        try:
            with pytest.raises(SchemaMismatch, match="encoded in LATIN1") as caught:
                await migrate.apply(session, schema=SCHEMA, now=NOW)
        finally:
            await session.close()
    assert "--encoding=UTF8" in caught.value.hint


async def test_a_session_that_is_ended_in_a_transaction_is_told_in_the_servers_words(database_url: str) -> None:
    async with open_database(database_url, schema=SCHEMA, size=1) as database:

        async def in_the_middle() -> None:
            async with database.transaction() as session:
                await session.execute("SELECT pg_terminate_backend(pg_backend_pid())")

        with pytest.raises(LedgerUnavailable, match="due to administrator command"):
            await in_the_middle()


async def test_a_session_that_is_ended_while_nothing_is_asked_of_it_is_told_in_ours(
    connection: Connection, database_url: str
) -> None:
    async with open_database(database_url, schema=SCHEMA, size=1) as database:

        async def in_the_middle() -> None:
            async with database.transaction() as session:
                own = await session.fetchval("SELECT pg_backend_pid()")
                await connection.execute("SELECT pg_terminate_backend($1, 5000)", own)

        with pytest.raises(LedgerUnavailable, match="the server has ended the session"):
            await in_the_middle()


async def test_a_pool_whose_sessions_are_all_in_use_says_so_and_is_whole_again_when_one_comes_back(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "CONNECT_SECONDS", 0.2)
    async with open_database(database_url, schema=SCHEMA, size=1) as database:
        async with database.transaction():
            with pytest.raises(LedgerUnavailable, match="all 1 sessions are in use"):
                await Ledger(database).clock()
        await Ledger(database).clock()


# Several hosts ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://u:p@one/d", [("one", 5432)]),
        ("postgresql://u@one:1,two:2/d?target_session_attrs=read-write", [("one", 1), ("two", 2)]),
        ("postgresql://one,two/d?port=7", [("one", 7), ("two", 7)]),
        ("postgresql://u@[::1]:6,[fe80::2]/d", [("::1", 6), ("fe80::2", 5432)]),
        ("postgresql://u@/d?host=/run/a,/run/b&port=3,4", [("/run/a", 3), ("/run/b", 4)]),
        ("postgresql:///d", []),
    ],
)
def test_a_url_names_its_hosts_in_order(url: str, hosts: list[tuple[str, int]]) -> None:
    assert hosts_of(url) == hosts


@given(st.lists(st.tuples(st.from_regex(r"[a-z][a-z0-9.-]{0,9}", fullmatch=True), st.integers(1, 65535)), max_size=4))
def test_every_list_of_hosts_is_read_back(hosts: list[tuple[str, int]]) -> None:
    assert hosts_of(f"postgresql://u:p%40ss@{','.join(f'{name}:{port}' for name, port in hosts)}/d") == hosts


async def test_a_silent_host_hides_no_other(database_url: str) -> None:
    async with line_to(database_url) as (dead, first), line_to(database_url) as (_, second):
        dead.freeze()
        both = urlsplit(first)
        url = urlunsplit(both._replace(netloc=f"{both.netloc},{urlsplit(second).netloc.rpartition('@')[2]}"))
        async with asyncio.timeout(20 * HEAD_START_SECONDS):  # and not the ten seconds that the silent one is given
            session = await connect(url, schema=SCHEMA, name="test")
            assert await session.fetchval("SELECT count(*) FROM login") == 0
            session.terminate()


async def test_when_no_host_answers_what_a_server_said_is_told(database_url: str) -> None:
    async with line_to(database_url) as (_, url):
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        nobody = urlunsplit(parts._replace(netloc=f"nobody@127.0.0.1:1,{host}"))
        with pytest.raises(LedgerUnavailable, match='role "nobody" does not exist'):
            await connect(nobody, schema=SCHEMA, name="test")
