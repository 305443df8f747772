"""What is kept for a time only goes in small steps, and nobody who writes the trace ever waits for it."""

import asyncio
import itertools
from datetime import datetime, timedelta

import pytest

from refreshd import housekeeping
from refreshd.clock import ScaledClock
from refreshd.core.errors import RowsLocked
from refreshd.core.model import CallTrace, Operation, Term
from refreshd.core.retention import Kept, Retention
from refreshd.housekeeping import Housekeeping
from refreshd.ledger import Ledger
from refreshd.postgres import Connection, connect
from tests.support.ledger import DAY, NOW, link, login_id
from tests.support.postgres import SCHEMA
from tests.support.virtual_loop import VirtualClock, run_virtual

RETENTION = Retention(trace=3 * DAY, account_data=10 * DAY)


class Held:
    """A leadership that lasts, and the clock that it lives by."""

    def __init__(self, term: Term) -> None:
        self.is_held = True
        self.term = term
        self.date = NOW

    def now(self) -> datetime:
        return self.date


def keeper(ledger: Ledger, held: Held) -> Housekeeping:
    return Housekeeping(ledger, held, held, RETENTION)


def call(days: float = 0) -> CallTrace:
    return CallTrace(
        called_at=NOW + days * DAY,
        operation=Operation.AUTHORIZE,
        method="POST",
        url="/",
        body=None,
        login_id=login_id(1),
        http_status=200,
        flinks_code=None,
        message=None,
        request_id=None,
        latency_seconds=0.1,
        attempt=1,
        pass_id=None,
        failure=None,
    )


async def days_of(connection: Connection) -> list[str]:
    rows = await connection.fetch(
        "SELECT inhrelid::regclass::text AS day FROM pg_inherits WHERE inhparent = 'call'::regclass ORDER BY day"
    )
    return [row["day"] for row in rows if row["day"] != "call_default"]


async def test_days_are_made_a_week_ahead_and_dropped_when_their_time_is_over(
    ledger: Ledger, connection: Connection, term: Term
) -> None:
    held = Held(term)
    keeps = keeper(ledger, held)
    for days in range(6):
        held.date = NOW + days * DAY
        await ledger.record([call(days)], (), term=term)  # the first one comes before its day was made
        assert await keeps.keep()

    found = await connection.fetch("SELECT tableoid::regclass::text AS day FROM call ORDER BY called_at")
    assert [row["day"] for row in found] == [f"call_2026030{day}" for day in (4, 5, 6, 7)]
    assert await days_of(connection) == [f"call_202603{day:02}" for day in range(4, 15)]


@pytest.mark.parametrize("statement", ["SELECT count(*) FROM call", "UPDATE call SET message = message"])
async def test_a_reader_or_writer_of_the_trace_is_not_in_the_way_of_the_recorder_or_a_pass_nor_housekeeping_in_its_own(
    ledger: Ledger, connection: Connection, database_url: str, term: Term, statement: str
) -> None:
    held = Held(term)
    keeps = keeper(ledger, held)
    assert await keeps.keep()
    backup = await connect(database_url, schema=SCHEMA, name="backup")
    try:
        await backup.execute(f"BEGIN; {statement}")
        held.date = NOW + 6 * DAY
        with pytest.raises(RowsLocked):
            await ledger.drop_day(before=held.date - 3 * DAY, term=term)
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            keeping = group.create_task(keeps.keep())
            for number in range(20):
                await ledger.record([call(6 + number / 1440)], (), term=term)
            assert not await keeping
            await backup.execute(statement)
        waiting = (
            "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database"
            " WHERE NOT granted AND datname = current_database()"
        )
        assert await connection.fetchval(waiting) == 0
    finally:
        await backup.close()
    assert await keeps.keep()
    assert (await days_of(connection))[0] == "call_20260305"
    assert await connection.fetchval("SELECT count(*) FROM call") == 20


async def test_what_is_over_goes_and_what_was_done_at_flinks_stays(
    ledger: Ledger, connection: Connection, term: Term, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "ROWS_AT_ONCE", 7)
    await link(connection, "ann", login_id(1))
    await connection.execute(
        "INSERT INTO reconcile_pass (term, started_at)"
        " SELECT 1, $1::timestamptz - each * interval '1 hour' FROM generate_series(100, 1, -1) AS each",
        NOW,
    )
    await connection.execute(
        "INSERT INTO account_data SELECT gen_random_uuid(), $1, $1::timestamptz - each * interval '1 day', 'detail', '{}'"
        " FROM generate_series(1, 30) AS each",
        NOW,
    )
    await connection.execute(
        "INSERT INTO plan (plan_id, change, state, held_at, reason, sentence, logins, ledger_logins, ledger_active,"
        " not_confirmed_off, changed_in_window, max_fraction, max_count, allowance)"
        " SELECT state || days, 'disable', state, $1::timestamptz - days * interval '1 day', '', '', 1, 1, 1, 1, 0, 0, 0, 0"
        " FROM unnest(ARRAY['held', 'closed', 'closed', 'closed'], ARRAY[900, 900, 400, 300]) AS each (state, days)",
        NOW,
    )
    await connection.execute("UPDATE login SET plan_id = 'closed400'")
    await connection.execute("INSERT INTO canary (plan_id, login_id) SELECT plan_id, $1 FROM plan", login_id(1))
    await connection.execute(
        "INSERT INTO decision (at, decided_by, decision, plan_id, reason) VALUES ($1, 'ann', 'approve', 'closed900', 'looked')",
        NOW - 900 * DAY,
    )
    await connection.execute(
        "INSERT INTO schedule_change (login_id, change, event, at, reason, plan_id) VALUES ($1, 'disable', 'held', $2, '', 'closed900')",
        login_id(1),
        NOW - 900 * DAY,
    )

    assert await keeper(ledger, Held(term)).keep()

    assert await connection.fetchval("SELECT min(started_at) FROM reconcile_pass") == NOW - 3 * DAY
    assert await connection.fetchval("SELECT min(fetched_at) FROM account_data") == NOW - 10 * DAY
    plans = await connection.fetch("SELECT plan_id FROM plan ORDER BY plan_id")
    assert [row["plan_id"] for row in plans] == ["closed300", "closed400", "held900"]
    assert await connection.fetchval("SELECT count(*) FROM schedule_change") == 1
    assert await connection.fetchval("SELECT count(*) FROM decision") == 1
    canaries = await connection.fetch("SELECT plan_id FROM canary ORDER BY plan_id")
    assert canaries == plans, "those of a plan go with it"


async def test_calls_that_no_day_was_made_for_go_too(ledger: Ledger, term: Term) -> None:
    await ledger.record([call(-40), call(-30), call()], (), term=term)
    assert await ledger.forget(Kept.CALLS, before=NOW - DAY, limit=1, term=term) == 1
    assert await ledger.forget(Kept.CALLS, before=NOW - DAY, limit=5, term=term) == 1
    assert await ledger.forget(Kept.CALLS, before=NOW - DAY, limit=5, term=term) == 0
    assert await ledger.calls_since(NOW - timedelta(seconds=1)) == 1


class Looked:
    """A ledger with nothing to forget, whose days somebody else's lock keeps from us for so many looks; it notes when it is looked at."""

    def __init__(self, locked: int) -> None:
        self.locked = locked
        self.at: list[float] = []

    async def add_day(self, *, now: datetime, ahead: int, term: Term) -> str | None:
        self.at.append(asyncio.get_running_loop().time())
        if len(self.at) <= self.locked:
            raise RowsLocked("another transaction holds a table of the ledger")
        return None

    async def drop_day(self, *, before: datetime, term: Term) -> str | None:
        return None

    async def forget(self, kept: Kept, *, before: datetime, limit: int, term: Term) -> int:
        return 0


def waits_between_looks(looked: Looked, *, hours: int, factor: float = 1) -> list[int]:
    """The seconds between its looks, while dates pass `factor` times as fast."""

    async def main(_: VirtualClock) -> None:
        clock = ScaledClock(start=NOW, factor=factor, monotonic=asyncio.get_running_loop().time)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(Housekeeping(looked, Held(Term(1)), clock, RETENTION).run())
            await asyncio.sleep(hours * 3_600)
            running.cancel()

    run_virtual(main, NOW)
    return [round(later - earlier) for earlier, later in itertools.pairwise(looked.at)]


def test_it_looks_once_an_hour_and_again_in_a_minute_while_a_lock_is_in_its_way() -> None:
    assert waits_between_looks(Looked(locked=3), hours=3) == [60, 60, 60, 3_600, 3_600]


def test_it_keeps_up_with_the_dates_of_a_demo_whose_days_take_two_minutes() -> None:
    waits = waits_between_looks(Looked(locked=0), hours=1, factor=720)
    assert waits
    assert set(waits) == {60}
