"""The source query feeds the ledger by itself, and a list that cannot be taken changes nothing."""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
import structlog
from pydantic import SecretStr

from refreshd.core.caps import GuardPolicy
from refreshd.core.errors import LeaseLost, LedgerUnavailable
from refreshd.core.model import Term
from refreshd.feed import Feed
from refreshd.importer import ImportTerms, import_file
from refreshd.importer.source import open_source
from refreshd.ledger import Ledger
from refreshd.postgres import Connection
from refreshd.settings import Settings
from tests.support.ledger import NOW, active_logins, take_lease
from tests.support.postgres import SCHEMA

LOGINS = 60
QUERY = "SELECT customer AS client_id, bank_login AS login_id, NOT gone AS active FROM company.customer"


class _Leader:
    """Whoever asks is told that we lead."""

    term = Term(0)


class Calendar:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.moment = NOW

    def now(self) -> datetime:
        return self.moment


@pytest.fixture
def calendar() -> Calendar:
    return Calendar()


@pytest.fixture
async def company(connection: Connection) -> Connection:
    """The company's own table, in a schema of its own, with 60 customers."""
    await connection.execute("CREATE SCHEMA company")
    await connection.execute(
        "CREATE TABLE company.customer (customer text, bank_login uuid, gone boolean DEFAULT false)"
    )
    await connection.execute(
        "INSERT INTO company.customer SELECT 'c' || n, md5(n::text)::uuid FROM generate_series(1, $1::int) AS n", LOGINS
    )
    return connection


@pytest.fixture
def feed(company: Connection, ledger: Ledger, database_url: str, calendar: Calendar, tmp_path: Path) -> Feed:
    assert not company.is_closed()
    file = tmp_path / "source.sql"
    file.write_text(QUERY, encoding="utf-8")
    settings = Settings(
        database_url=SecretStr(database_url), source_query_file=file, source_interval=timedelta(hours=1)
    )
    policy = GuardPolicy(max_fraction=0.1, max_count=500)
    return Feed(settings, url=database_url, ledger=ledger, leadership=_Leader(), clock=calendar, policy=policy)


async def test_the_companys_own_tables_become_the_ledger(feed: Feed, company: Connection) -> None:
    assert await feed.read()
    assert sum((await active_logins(company)).values()) == LOGINS


async def test_who_is_gone_from_the_source_becomes_inactive(feed: Feed, company: Connection) -> None:
    await feed.read()
    await company.execute("UPDATE company.customer SET gone = true WHERE customer = 'c1'")
    await company.execute("DELETE FROM company.customer WHERE customer = 'c2'")
    assert await feed.read()
    assert sum((await active_logins(company)).values()) == LOGINS - 2


async def test_a_leader_that_was_replaced_feeds_nothing(feed: Feed, company: Connection) -> None:
    await take_lease(company)
    with pytest.raises(LeaseLost):
        await feed.read()
    assert not await active_logins(company)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param("DELETE FROM company.customer WHERE length(customer) = 2", id="lost more than the caps allow"),
        pytest.param("DELETE FROM company.customer", id="empty"),
        pytest.param("UPDATE company.customer SET customer = NULL WHERE customer = 'c7'", id="a row without a client"),
        pytest.param("DROP TABLE company.customer", id="does not run"),
    ],
)
async def test_a_list_that_cannot_be_taken_changes_nothing(feed: Feed, company: Connection, spoil: str) -> None:
    await feed.read()
    await company.execute(spoil)
    assert not await feed.read()
    assert sum((await active_logins(company)).values()) == LOGINS


async def test_every_look_tells_whether_the_list_was_taken(
    feed: Feed, company: Connection, calendar: Calendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them leave at once, which is too many; then they are back."""
    looks: list[bool] = []

    async def rest(_: float) -> None:
        if len(looks) == 3:
            raise asyncio.CancelledError
        calendar.moment += timedelta(hours=1)
        await company.execute("UPDATE company.customer SET gone = $1", len(looks) == 1)

    monkeypatch.setattr(asyncio, "sleep", rest)
    with pytest.raises(asyncio.CancelledError):
        await feed.run(looks.append)
    assert looks == [True, False, True]


async def test_a_missing_query_file_is_told_and_nothing_changes(
    feed: Feed, company: Connection, tmp_path: Path
) -> None:
    await feed.read()
    (tmp_path / "source.sql").unlink()
    assert not await feed.read()
    assert sum((await active_logins(company)).values()) == LOGINS


async def test_the_ledger_remembers_when_the_source_was_read(feed: Feed, ledger: Ledger, calendar: Calendar) -> None:
    """A restart does not read it again before its interval has passed."""
    for late, reads in ((timedelta(0), True), (timedelta(minutes=59), False), (timedelta(minutes=60), True)):
        calendar.moment = NOW + late
        before = await ledger.source_read_at()
        assert await feed.read_if_due()
        assert (await ledger.source_read_at() != before) is reads


async def test_a_query_file_that_is_no_utf8_is_told_and_nothing_changes(
    feed: Feed, company: Connection, tmp_path: Path
) -> None:
    await feed.read()
    (tmp_path / "source.sql").write_bytes(b"-- caf\xe9\n" + QUERY.encode())
    with structlog.testing.capture_logs() as lines:
        assert not await feed.read()
    assert [line["event"] for line in lines] == ["source_refused"]
    assert sum((await active_logins(company)).values()) == LOGINS


@pytest.mark.parametrize(
    "body",
    ["RAISE EXCEPTION 'stop'", "RAISE unique_violation", "ASSERT false", "PERFORM 1 / 0", "PERFORM gone FROM nowhere"],
)
async def test_a_function_of_the_company_that_raises_is_told_and_nothing_changes(
    feed: Feed, company: Connection, tmp_path: Path, body: str
) -> None:
    await feed.read()
    await company.execute(
        f"CREATE FUNCTION company.boom() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN {body}; RETURN true; END $$"
    )
    (tmp_path / "source.sql").write_text(QUERY.replace("NOT gone", "company.boom()"), encoding="utf-8")
    with structlog.testing.capture_logs() as lines:
        assert not await feed.read()
    assert [line["event"] for line in lines] == ["source_refused"]
    assert sum((await active_logins(company)).values()) == LOGINS


HANGS_AT_ONCE = "SELECT pg_sleep(60)::text AS client_id, NULL AS login_id, true AS active"
HANGS = "SELECT pg_sleep(60)::text, NULL, true"


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(HANGS_AT_ONCE, id="says nothing at all"),
        pytest.param(f"{QUERY} UNION ALL {HANGS} FROM generate_series(1, 5000)", id="stops after a while"),
    ],
)
async def test_a_source_query_that_hangs_is_given_up_and_its_server_stops_too(
    feed: Feed, company: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    await feed.read()
    monkeypatch.setattr("refreshd.feed.MOST_LIMIT_SECONDS", 0.3)
    (tmp_path / "source.sql").write_text(query, encoding="utf-8")
    with structlog.testing.capture_logs() as lines:
        assert not await feed.read()
    assert [line["error"] for line in lines] == ["the source query took longer than 0.3 s; nothing was changed"]
    assert sum((await active_logins(company)).values()) == LOGINS
    await _until_runs(company, 0)


async def _until_runs(company: Connection, count: int) -> None:
    """Well before the query would end by itself."""
    async with asyncio.timeout(40):
        while await company.fetchval(_STILL_RUNS) != count:  # noqa: ASYNC110 - the server's own time
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("query", [HANGS_AT_ONCE, f"{QUERY} UNION ALL {HANGS} FROM generate_series(1, 5000)"])
async def test_a_source_query_that_is_cut_off_by_a_stop_or_a_reload_ends_at_its_server_too(
    feed: Feed, company: Connection, tmp_path: Path, query: str
) -> None:
    (tmp_path / "source.sql").write_text(query, encoding="utf-8")
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(feed.read())
        await _until_runs(company, 1)
        reading.cancel()
    assert reading.cancelled()
    await _until_runs(company, 0)


async def test_a_source_query_that_hangs_keeps_neither_an_operators_import_nor_a_takeover_waiting(
    feed: Feed, company: Connection, database_url: str, tmp_path: Path
) -> None:
    """Nothing of the ledger is held while a list is read: no lock, and no snapshot that would keep vacuum from its work."""
    (tmp_path / "source.sql").write_text(f"{QUERY} UNION ALL {HANGS} FROM generate_series(1, 5000)", encoding="utf-8")
    clients = BytesIO(b"client_id,login_id,active\nann,11111111-1111-4111-8111-111111111111,true\n")
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(feed.read())
        await _until_runs(company, 1)
        async with asyncio.timeout(20):
            terms = ImportTerms(now=NOW, full=False, allowance=0)
            assert (await import_file(clients, url=database_url, schema=SCHEMA, terms=terms)).clients_added == 1
            await take_lease(company)
        held = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'refreshd import' AND xact_start IS NOT NULL"
        async with asyncio.timeout(20):
            while await company.fetchval(held):  # noqa: ASYNC110 - a statement that is just being run
                await asyncio.sleep(0.02)
        reading.cancel()


async def test_of_two_client_lists_the_one_that_began_before_the_other_was_merged_is_read_again(
    feed: Feed, company: Connection, database_url: str, tmp_path: Path
) -> None:
    """Ann is back, says a file, while the query reads that she is gone."""
    ann = "11111111-1111-4111-8111-111111111111"
    await company.execute("INSERT INTO company.customer VALUES ('ann', $1::text::uuid, true)", ann)
    (tmp_path / "source.sql").write_text(f"{QUERY} CROSS JOIN (SELECT pg_sleep(2)) AS late", encoding="utf-8")
    clients = BytesIO(f"client_id,login_id,active\nann,{ann},true\n".encode())
    with structlog.testing.capture_logs() as lines:
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(feed.read())
            await _until_begun(company)
            terms = ImportTerms(now=NOW, full=False, allowance=0)
            await import_file(clients, url=database_url, schema=SCHEMA, terms=terms)
    assert not reading.result()
    (refused,) = [line["error"] for line in lines if line["event"] == "source_refused"]
    assert "another client list was merged" in refused
    assert await company.fetchval("SELECT active FROM client WHERE client_id = 'ann'")

    await company.execute("UPDATE company.customer SET gone = false WHERE customer = 'ann'")
    assert await feed.read()
    assert sum((await active_logins(company)).values()) == LOGINS + 1


async def _until_begun(company: Connection) -> None:
    asked = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%AS late%' AND pid <> pg_backend_pid()"
    async with asyncio.timeout(40):
        while not await company.fetchval(asked):  # noqa: ASYNC110 - the server's own time
            await asyncio.sleep(0.02)


async def test_a_source_query_of_a_process_that_was_killed_ends_at_its_server_too(
    company: Connection, database_url: str
) -> None:
    async def reads() -> None:
        with suppress(LedgerUnavailable):
            async with open_source(database_url, f"{QUERY} UNION ALL {HANGS}", 1_800.0) as listing:
                sessions.append(listing._session)
                async for _ in listing.links():
                    pass

    sessions: list[Connection] = []
    async with asyncio.TaskGroup() as group:
        group.create_task(reads())
        await _until_runs(company, 1)
        sessions[0].terminate()
    await _until_runs(company, 0)


_STILL_RUNS = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()"


async def test_a_source_query_that_was_given_up_rests_for_its_interval_and_is_told_all_the_while(
    feed: Feed, calendar: Calendar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "source.sql").write_text(HANGS_AT_ONCE, encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr("refreshd.feed.MOST_LIMIT_SECONDS", 0.3)
        assert not await feed.read_if_due()
    (tmp_path / "source.sql").write_text(QUERY, encoding="utf-8")
    with structlog.testing.capture_logs() as lines:
        for late, taken in ((1, False), (59, False), (60, True)):
            calendar.moment = NOW + timedelta(minutes=late)
            assert await feed.read_if_due() is taken
    assert [line["event"] for line in lines] == ["source_merged"]


async def test_a_source_query_may_take_as_long_as_its_interval_within_reason(feed: Feed) -> None:
    assert feed._limit_seconds == 1_800.0, "an hour, and at most half of that"


@pytest.mark.parametrize(
    ("query", "says"),
    [
        pytest.param(f"{QUERY} ORDER BY 1 LIMIT 30", "30 active logins inactive, at most 6 may go", id="half"),
        pytest.param(f"{QUERY} LIMIT 0", "has no row", id="none"),
        pytest.param(QUERY.replace("bank_login", "NULL::uuid"), "60 bad rows", id="NULLs"),
        pytest.param(QUERY.replace("bank_login", "7"), "60 bad rows", id="a number for a LoginId"),
        pytest.param(QUERY.replace("NOT gone", "'perhaps'"), "60 bad rows", id="a word for a truth"),
        pytest.param(QUERY.replace(", NOT gone AS active", ""), "lacks active", id="a column is missing"),
    ],
)
async def test_why_a_list_is_refused_is_one_sentence(
    feed: Feed, company: Connection, tmp_path: Path, query: str, says: str
) -> None:
    await feed.read()
    (tmp_path / "source.sql").write_text(query, encoding="utf-8")
    with structlog.testing.capture_logs() as lines:
        assert not await feed.read()
    ((event, error),) = [(line["event"], line["error"]) for line in lines]
    assert event == "source_refused"
    assert says in error
    assert sum((await active_logins(company)).values()) == LOGINS


async def test_rows_that_a_join_has_doubled_change_nothing(feed: Feed, company: Connection, tmp_path: Path) -> None:
    await feed.read()
    (tmp_path / "source.sql").write_text(f"{QUERY} UNION ALL {QUERY}", encoding="utf-8")
    assert await feed.read()
    assert sum((await active_logins(company)).values()) == LOGINS
