"""One application's open transaction holds one login: that one waits, and nobody else."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import pytest

from refreshd import reconcile
from refreshd.clock import ScaledClock
from refreshd.core.caps import GuardPolicy
from refreshd.core.effects import Confirmed, Refused
from refreshd.core.errors import RowsLocked
from refreshd.core.model import Change, Term, Verdict, VerdictName
from refreshd.ledger import Ledger
from refreshd.postgres import Connection, connect
from refreshd.reconcile import PassPolicy, Reconciler
from refreshd.recorder import Recorder
from tests.support.builders import JUDGE
from tests.support.ledger import DAY, HOUR, NOW, judge_all, link, login_id, set_writer_clock
from tests.support.postgres import SCHEMA

LOCKED, OTHERS = login_id(1), (login_id(2), login_id(3))


@pytest.fixture
async def application(connection: Connection, database_url: str) -> AsyncIterator[Connection]:
    """An application that has changed the client of LOCKED and does not commit."""
    await set_writer_clock(connection, NOW)
    for number in (1, 2, 3):
        await link(connection, f"c{number}", login_id(number))
    session = await connect(database_url, schema=SCHEMA, name="application")
    await session.execute("BEGIN")
    await session.execute("UPDATE client SET active = false WHERE client_id = 'c1'")
    yield session
    await session.close()


def confirmed(number: int) -> Confirmed:
    return Confirmed(login_id=login_id(number), change=Change.ENABLE, confirmed_at=NOW)


async def _durable(connection: Connection) -> int:
    count: int = await connection.fetchval("SELECT count(*) FROM schedule_change WHERE event = 'confirmed'")
    return count


async def test_a_group_of_the_recorder_waits_for_no_locked_row(
    application: Connection, connection: Connection, ledger: Ledger, term: Term
) -> None:
    with pytest.raises(RowsLocked):
        await ledger.record((), [confirmed(1), confirmed(2)], term=term)

    recorder = Recorder(lambda traces, effects: ledger.record(traces, effects, term=term))
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        running = group.create_task(recorder.run())
        locked, *others = [group.create_task(recorder.record([confirmed(number)])) for number in (1, 2, 3)]
        await asyncio.wait(others)
        await recorder.record([confirmed(2)])
        assert not locked.done()
        assert await _durable(connection) == 3
        await application.execute("ROLLBACK")
        await locked
        assert await _durable(connection) == 4
        running.cancel()


async def test_verdicts_of_the_others_are_stored_at_once(
    application: Connection, connection: Connection, ledger: Ledger, term: Term
) -> None:
    async with asyncio.timeout(1):
        await judge_all(ledger, term, now=NOW + HOUR)
    due = await ledger.evidence_due(now=NOW + HOUR, limit=10)
    assert [each.login_id for each in due] == [LOCKED]
    await application.execute("ROLLBACK")
    await judge_all(ledger, term, now=NOW + HOUR)
    assert not await ledger.evidence_due(now=NOW + HOUR, limit=10)
    assert not connection.is_closed()


async def test_refusals_of_the_others_are_forgotten_at_once_and_that_of_a_locked_login_with_the_next_one(
    connection: Connection, ledger: Ledger, term: Term, database_url: str
) -> None:
    """While settings are suspect: a lock must not end the leadership, and with it the calls in flight."""
    await link(connection, "here", LOCKED, *OTHERS)
    refusals = [
        Refused(login_id=each, refused_at=NOW, code="INVALID_LOGIN", not_before=NOW + 7 * DAY)
        for each in (LOCKED, *OTHERS)
    ]
    await ledger.record((), refusals, term=term)
    operator = await connect(database_url, schema=SCHEMA, name="operator")
    async with operator.transaction():
        await operator.execute("SELECT FROM login WHERE login_id = $1 FOR UPDATE", LOCKED)
        assert await ledger.release_refused(since=NOW, until=NOW + HOUR, term=term) == len(OTHERS)
    await operator.close()
    assert await ledger.release_refused(since=NOW, until=NOW + HOUR, term=term) == 1


@dataclass(frozen=True)
class Leader:
    term: Term


def reconciler_of(ledger: Ledger, term: Term) -> Reconciler:
    return Reconciler(
        ledger,
        Leader(term),
        ScaledClock(start=NOW, factor=1.0),
        PassPolicy(judge=JUDGE, guard=GuardPolicy(max_fraction=1.0, max_count=500), observe=False),
    )


@pytest.mark.parametrize("locked", [3, 4, 7, 10])
async def test_logins_that_somebody_holds_keep_nobody_from_being_judged_however_long_they_are_due(
    connection: Connection, ledger: Ledger, term: Term, database_url: str, monkeypatch: pytest.MonkeyPatch, locked: int
) -> None:
    """More of them than are judged at once, and others due behind them: a client who left just now is one of these."""
    monkeypatch.setattr(reconcile, "JUDGED_AT_ONCE", 3)
    store, chunks = ledger.store_verdicts, list[int]()

    async def stored(verdicts: Sequence[Verdict], *, now: datetime, term: Term) -> int:
        chunks.append(await store(verdicts, now=now, term=term))
        return chunks[-1]

    monkeypatch.setattr(ledger, "store_verdicts", stored)
    await set_writer_clock(connection, NOW)
    await link(connection, "here", *(login_id(number) for number in range(1, 11)))
    due_at = "UPDATE login SET verdict_until = $2 WHERE login_id = $1"
    for number in range(locked + 1, 11):
        await connection.execute(due_at, login_id(number), NOW - (11 - number) * HOUR)
    application = await connect(database_url, schema=SCHEMA, name="application")
    async with application.transaction():
        hold = "SELECT FROM login ORDER BY login_id LIMIT $1 FOR NO KEY UPDATE"
        await application.execute(hold, locked)
        async with asyncio.timeout(20):
            record = await reconciler_of(ledger, term).run()
    await application.close()
    assert record.judged == 10 - locked
    assert chunks.count(0) == 1, "the locked ones are met once, and judged for nothing only then"
    due = await ledger.evidence_due(now=NOW, limit=100)
    assert sorted(each.login_id for each in due) == [login_id(number) for number in range(1, locked + 1)]


@pytest.mark.parametrize("held", [True, False])
async def test_a_pass_whose_logins_somebody_else_holds_is_not_followed_by_the_next_one_at_once(
    connection: Connection,
    ledger: Ledger,
    term: Term,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    held: bool,
) -> None:
    """There would be no end to it, and no pause in it: each would find the very same ones, as the oldest to be disabled again."""
    monkeypatch.setattr(reconcile, "PLANNED_AT_ONCE", 3)
    await link(connection, "gone", *(login_id(number) for number in range(1, 7)), active=False)
    for number in range(1, 7):
        off_at = NOW - 40 * DAY + number * HOUR
        await ledger.record((), [replace(confirmed(number), change=Change.DISABLE, confirmed_at=off_at)], term=term)
    operator = await connect(database_url, schema=SCHEMA, name="operator")
    reconciler = reconciler_of(ledger, term)
    await judge_all(ledger, term, inactive=VerdictName.DISABLED)

    async with operator.transaction():
        if held:
            await operator.execute("SELECT FROM login ORDER BY confirmed_off_at LIMIT 3 FOR UPDATE")
        record = await reconciler.run()
    await operator.close()
    assert (record.intended, record.more) == ((0, False) if held else (3, True))
