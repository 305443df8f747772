"""The leader goes, in every way in which it can, and the other copy takes over; the vendor's books and the ledger say what was right."""

import asyncio

import pytest

from refreshd.postgres import Connection, Record
from refreshd.simulator.calls import Operation
from tests.support.takeover import Copy, Kind, Takeover, pair
from tests.support.world import PATIENCE_SECONDS, World, until

pytestmark = pytest.mark.slow


def sent_nothing_more(seen: Takeover) -> None:
    """By the vendor's books, from the moment on in which another one led. What had left before that has long arrived."""
    assert not seen.old.calls(seen.taken_at)


async def leads(copy: Copy) -> None:
    assert await copy.answers("/readyz") == (200, "ready\nthis daemon leads its ledger\n")
    assert (await copy.shows())["refreshd_leader"] == "1.0"


async def stands_by(copy: Copy) -> None:
    words = await copy.becomes_ready()
    assert "standby: another daemon leads this ledger" in words
    assert (await copy.shows())["refreshd_leader"] == "0.0"
    assert (await copy.answers("/livez"))[0] == 200


async def test_a_leader_that_is_killed_or_stopped_is_followed_by_the_standby_and_comes_back_as_one(
    database_url: str,
) -> None:
    """One after the other, so restarts follow each other at a rate that binds."""
    async with pair(database_url, active=400) as both:
        await leads(both.leader)
        await stands_by(both.standby)
        for kind in (Kind.STOPPED, Kind.KILLED, Kind.STOPPED):
            seen = await both.takeover(kind)
            seen.was_in_order()
            await seen.old.come_back(kind)
            await both.at_work()
            await stands_by(both.standby)
            await leads(both.leader)
        both.keeps_the_budget()


async def test_a_leader_whose_line_to_postgres_goes_silent_says_so_and_stands_by_when_it_is_mended(
    database_url: str,
) -> None:
    async with pair(database_url, active=300) as both:
        seen = await both.takeover(Kind.SILENCED)
        seen.was_in_order()
        await _says_that_it_hears_nothing(seen.old)
        await leads(seen.new)
        await both.at_work()
        sent_nothing_more(seen)
        stored = await _stored_under(both.here, seen.before.term)

        await seen.old.come_back(Kind.SILENCED)
        await both.at_work()
        await stands_by(seen.old)
        sent_nothing_more(seen)
        assert await _stored_under(both.here, seen.before.term) == stored
        both.keeps_the_budget()


async def _says_that_it_hears_nothing(copy: Copy) -> None:
    """In its log, to its probes, in its metrics, while the line is silent still; and it is alive."""
    over = await copy.process.logged("leadership_over")
    assert "did not answer until the lease had run out" in str(over["error"])
    status, words = await copy.answers("/readyz")
    assert status == 503
    assert words.startswith("not ready\ndatabase: ")
    shown = await copy.shows()
    assert (shown["refreshd_leader"], shown["refreshd_database_up"]) == ("0.0", "0.0")
    assert not [name for name in shown if name.startswith("refreshd_logins")]
    assert (await copy.answers("/livez"))[0] == 200


async def test_a_leader_that_was_frozen_wakes_up_beside_another_one_sends_nothing_and_stands_by(
    database_url: str,
) -> None:
    """It was in the middle of a plan: what it had announced is its successor's to send."""
    async with pair(database_url, active=300, inactive=8) as both:
        here = both.here
        await until("some disables", lambda: here.calls(Operation.SET_SCHEDULED_REFRESH) >= 2)
        seen = await both.takeover(Kind.FROZEN)
        seen.was_in_order()
        with pytest.raises(TimeoutError):
            await seen.old.answers("/livez")
        await both.at_work()
        stored = await _stored_under(both.here, seen.before.term)

        await seen.old.come_back(Kind.FROZEN)
        assert seen.old.times("leadership_over") == 1
        await until("all leaks to be off", lambda: here.switched_on() == here.active)
        await stands_by(seen.old)
        await leads(seen.new)
        sent_nothing_more(seen)
        assert await _stored_under(both.here, seen.before.term) == stored
        both.keeps_the_budget()


async def _stored_under(here: World, term: int) -> list[Record]:
    """Everything in the ledger that carries this term."""
    return await here.sql.fetch(
        """
        SELECT 'call' AS place, call_id::text AS row FROM call WHERE term = $1
        UNION ALL SELECT 'schedule_change', event_id::text FROM schedule_change WHERE term = $1
        UNION ALL SELECT 'pass', reconcile_pass::text FROM reconcile_pass WHERE term = $1
        ORDER BY 1, 2
        """,
        term,
    )


async def test_a_leader_that_is_frozen_while_postgres_works_for_it_keeps_nobody_waiting(database_url: str) -> None:
    """As when a plan covers millions of logins: nobody is gone, so the server alone would let the statement, and the fence, go on."""
    async with pair(database_url, active=100) as both:
        sql = both.here.sql
        await sql.execute(_THE_NEXT_PLAN_TAKES_FIVE_MINUTES)
        await both.here.leave(*both.here.company.sole_clients(30))
        await _until(sql, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
        await sql.execute("UPDATE mood SET is_slow = false")

        seen = await both.takeover(Kind.FROZEN)
        seen.was_in_order()
        assert seen.new.times("overdue_writes_ended") == 1
        await _until(sql, "SELECT count(*) FROM plan WHERE state = 'held' AND logins = 30")
        await seen.old.come_back(Kind.FROZEN)
        await stands_by(seen.old)
        sent_nothing_more(seen)
        assert await sql.fetchval("SELECT count(*) FROM plan") == 1


_THE_NEXT_PLAN_TAKES_FIVE_MINUTES = """
    CREATE TABLE mood AS SELECT true AS is_slow;
    CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF (SELECT is_slow FROM mood) THEN
            PERFORM pg_sleep(300);
        END IF;
        RETURN NEW;
    END
    $$;
    CREATE TRIGGER slow BEFORE INSERT ON plan FOR EACH ROW EXECUTE FUNCTION dawdle();
"""


async def _until(sql: Connection, query: str) -> None:
    """Wait for what happens in another process."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await sql.fetchval(query):  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.02)
