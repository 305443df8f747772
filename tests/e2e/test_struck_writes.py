"""Every kind of transaction is struck in its middle, and at its very end: what was not stored is done again, what was is known."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from itertools import cycle
from pathlib import Path

import pytest

from refreshd import daemon, feed, recorder
from refreshd.candidate import Candidate
from refreshd.core import backoff, breaker
from refreshd.core.backoff import Ladder
from refreshd.core.canary import CANARIES
from refreshd.ledger import Ledger
from refreshd.orders import Orders
from refreshd.postgres import Connection, open_database
from refreshd.settings import Settings
from tests.support.chart import accept_first_plan, comes_to_its_end, nothing_is_left_or_double
from tests.support.cut_line import line_to
from tests.support.postgres import SCHEMA
from tests.support.world import PATIENCE_SECONDS, World, until, world

pytestmark = pytest.mark.slow

NOBODYS = frozenset({"decision", "pause", "schema_migration"})
"""What no leader writes: the words of people, and of `refreshd migrate`."""

_TABLES = """
SELECT relname FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
ORDER BY relname
"""

ERRORS = {
    "53100": "disk full",
    "40P01": "deadlock",
    "55P03": "lock not available",
    "25006": "read-only",
    "53200": "out of memory",
    "40001": "serialization",
    "57P03": "cannot connect now",
    "25P04": "transaction timeout",
}

_STRIKE = """
CREATE FUNCTION strike() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    kinds text[] := string_to_array(TG_ARGV[0], ',');
    blow bigint;
BEGIN
    IF current_setting('application_name') NOT SIMILAR TO 'refreshd( lease%| import)?' THEN
        RETURN NULL;
    END IF;
    blow := nextval('blows_on_' || TG_TABLE_NAME);
    IF blow % 2 = 1 OR blow / 2 > array_length(kinds, 1) THEN
        RETURN NULL;
    END IF;
    CASE kinds[blow / 2]
        WHEN 'terminated' THEN PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(5);
        WHEN 'cancelled' THEN PERFORM pg_cancel_backend(pg_backend_pid()), pg_sleep(5);
        ELSE RAISE EXCEPTION 'struck' USING ERRCODE = kinds[blow / 2];
    END CASE;
    RETURN NULL;
END
$$
"""
_ON = """
CREATE SEQUENCE blows_on_{table};
CREATE TRIGGER strike AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION strike('{kinds}')
"""

BLOWS = 3


async def have_struck(sql: Connection) -> Sequence[str]:
    """From now on the second, fourth and sixth write of each table fails when it is done and not yet committed; returns the tables."""
    tables = [row["relname"] for row in await sql.fetch(_TABLES) if row["relname"] not in NOBODYS]
    await sql.execute(_STRIKE)
    for table, error in zip(tables, cycle(ERRORS)):
        await sql.execute(_ON.format(table=table, kinds=f"terminated,cancelled,{error}"))
    return tables


async def spared(sql: Connection, tables: Sequence[str]) -> set[str]:
    """The tables that were not struck as often as they are to be."""
    return {
        table
        for table in tables
        if await sql.fetchval(f"SELECT last_value / 2 FROM blows_on_{table}") < BLOWS  # noqa: S608 - ours
    }


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses that a test can afford."""
    monkeypatch.setattr(daemon, "Candidate", partial(Candidate, pause_seconds=0.02))
    monkeypatch.setattr(recorder, "FIRST_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(feed, "_LOOK_SECONDS", 0.2)
    monkeypatch.setattr(feed, "_RETRY_SECONDS", 0.2)
    monkeypatch.setattr(breaker, "PROBE_AFTER_SECONDS", 0.2)
    monkeypatch.setattr(backoff, "REPORT", Ladder(first=timedelta(seconds=0.2), last=timedelta(seconds=0.2)))


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[None]:
    """The daemon, in this process; whatever it does not expect ends it, and the test."""
    orders = Orders()
    async with asyncio.TaskGroup() as group:
        group.create_task(daemon.Daemon(settings).run(orders))
        yield
        orders.stop.set()


CONCURRENCY = 4
"""Logins in hand at a time, so in a group of results at most."""

OFTEN = {"rate_per_minute": "6000", "concurrency": str(CONCURRENCY), "pass_interval": "1s", "report_interval": "1s"}


OWN_LIST = (
    "SELECT client_id, login_id, active, scheduled FROM {schema}.client JOIN {schema}.client_login USING (client_id)"
)
"""A source query that changes nothing, and is merged all the same."""


async def test_a_write_that_fails_in_the_middle_of_its_transaction_is_done_again(
    database_url: str, tmp_path: Path
) -> None:
    """On a day with everything: a canary, a key that is refused for a while, a source query, plans that people undo."""
    query = tmp_path / "clients.sql"
    query.write_text(OWN_LIST.format(schema=SCHEMA), encoding="utf-8")
    async with world(database_url, active=60, inactive=24) as here:
        tables = await have_struck(here.sql)
        here.flinks.add_faults(["deny@GetNightlyRefreshStatus:x4"])
        settings = here.settings(fetch="summary", source_query_file=str(query), source_interval="1s", **OFTEN)
        async with running(settings), open_database(database_url, schema=SCHEMA, size=1, name="test") as database:
            try:
                async with asyncio.timeout(2 * PATIENCE_SECONDS):
                    while await spared(here.sql, tables) or here.switched_on() != here.active:
                        await have_people_decide(here, Ledger(database))
                        await asyncio.sleep(0.1)
            except TimeoutError:
                raise AssertionError(f"never written as often: {await spared(here.sql, tables)}") from None
            await all_is_stored(here)
            await nothing_waits(here)
        await nothing_is_left_or_double(here, here.sql, again=BLOWS * CONCURRENCY)


async def have_people_decide(here: World, ledger: Ledger) -> None:
    """Plans are approved; the first one is undone, again and again. Nobody of it came back, but that is for the leader to say."""
    await here.approve_all()
    waits = await here.sql.fetchval("SELECT count(*) FROM undoing WHERE planned_at IS NULL")
    if here.switched_on() == here.active and not waits:
        plan_id = await here.sql.fetchval("SELECT plan_id FROM plan WHERE reason = 'first_plan'")
        await ledger.ask_undo(plan_id, by="test", reason="test", now=here.dates.now())


_WAITING = """
SELECT (SELECT count(*) FROM undoing WHERE planned_at IS NULL)
    + (SELECT count(*) FROM credential_stop)
    + (SELECT count(*) FROM canary WHERE answer IS DISTINCT FROM 'expected')
"""


async def nothing_waits(here: World) -> None:
    """What people asked for is planned, no key is held to be refused, and each canary is answered."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await here.sql.fetchval(_WAITING):  # noqa: ASYNC110 - another task
            await asyncio.sleep(0.05)
    assert await here.sql.fetchval("SELECT count(*) FROM canary") == CANARIES


async def all_is_stored(here: World) -> None:
    """All that was due is done, and everything fetched is there once; nobody who waits for a result is left."""
    await comes_to_its_end(here)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (  # noqa: ASYNC110 - another process
            await here.sql.fetchval("SELECT count(*) FROM account_data") < len(here.active)
            or await here.sql.fetchval("SELECT count(*) FROM login WHERE intent IS NOT NULL")
        ):
            await asyncio.sleep(0.05)
    assert await here.sql.fetchval("SELECT count(*) FROM account_data") == len(here.active)


def losing_answers(times: int) -> tuple[Callable[[bytes], bytes], Callable[[], int]]:
    """A line on which every third COMMIT is done and its answer is lost, and how many were."""
    seen = 0

    def pass_on(data: bytes) -> bytes:
        nonlocal seen
        seen += data.count(b"COMMIT\0")
        if b"COMMIT\0" in data and seen % 3 == 0 and seen <= 3 * times:
            raise ConnectionResetError
        return data

    return pass_on, lambda: min(times, seen // 3)


LOST = 12


async def test_a_commit_whose_answer_is_lost_is_neither_forgotten_nor_done_twice(database_url: str) -> None:
    pass_on, lost = losing_answers(LOST)
    async with world(database_url, active=60, inactive=5) as here, line_to(database_url, pass_on) as (_, url):
        await accept_first_plan(here)
        here.env["REFRESHD_DATABASE_URL"] = url
        async with running(here.settings(fetch="summary", **OFTEN)):
            await all_is_stored(here)
            await until("twelve answers to be lost", lambda: lost() == LOST)
        await nothing_is_left_or_double(here, here.sql, again=LOST)
