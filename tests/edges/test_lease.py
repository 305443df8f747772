"""One leader at a time, by the database's clock; a leader that cannot be sure does not lead."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import asyncpg
import pytest
import structlog

from refreshd import lease as lease_module
from refreshd.clock import SystemClock
from refreshd.core.errors import LeaseLost, LeaseRanOut, LedgerUnavailable, RowsLocked
from refreshd.core.model import Term
from refreshd.crash import Write
from refreshd.fence import fenced
from refreshd.lease import Lease
from refreshd.ledger import Ledger
from refreshd.pacing import Budget
from refreshd.postgres import Connection, Database, Record, Statement, connect
from refreshd.skew import seconds_since_boot
from refreshd.tenure import held
from tests.support.ledger import NOW, take_lease
from tests.support.postgres import SCHEMA
from tests.support.virtual_loop import run_virtual

TTL = timedelta(seconds=1.5)

MakeLease = Callable[[], Lease]


@pytest.fixture
async def make_lease(database_url: str) -> AsyncIterator[MakeLease]:
    made: list[Lease] = []

    def make() -> Lease:
        made.append(Lease(database_url, schema=SCHEMA, ttl=TTL))
        return made[-1]

    yield make
    for lease in made:
        await lease.release()


async def _run_out(connection: Connection) -> None:
    await connection.execute("UPDATE lease SET expires_at = clock_timestamp()")


async def test_one_of_two_leads_and_the_other_takes_over_by_a_later_term(make_lease: MakeLease) -> None:
    first, second = make_lease(), make_lease()

    assert await first.acquire()
    assert not await second.acquire()
    with pytest.raises(LeaseLost):
        _ = second.term
    earlier = first.term
    await first.release()
    assert await second.acquire()

    assert second.term > earlier
    with pytest.raises(LeaseLost):
        _ = first.term
    assert first.holder != second.holder


async def test_of_many_who_ask_at_once_one_leads(make_lease: MakeLease) -> None:
    leases = [make_lease() for _ in range(8)]

    async with asyncio.TaskGroup() as group:
        answers = [group.create_task(each.acquire()) for each in leases]

    assert sum(each.result() for each in answers) == 1


async def test_a_lease_ends_by_our_own_clock_before_it_ends_by_the_databases(
    make_lease: MakeLease, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine slept: the loop's clock did not go on, and the lease is over all the same."""
    lease = make_lease()
    await lease.acquire()
    assert lease.term
    began = seconds_since_boot()

    monkeypatch.setattr(lease_module, "_seconds", lambda: began + TTL.total_seconds() * 7 / 8)

    assert not lease.is_held
    with pytest.raises(LeaseLost, match="not renewed in time"):
        _ = lease.term
    assert await connection.fetchval("SELECT expires_at > clock_timestamp() FROM lease")


async def test_a_lease_that_ran_out_and_was_taken_cannot_be_renewed(
    make_lease: MakeLease, connection: Connection
) -> None:
    lease = make_lease()
    await lease.acquire()
    await lease.renew()
    await take_lease(connection)

    with pytest.raises(LeaseLost, match="another refreshd"):
        await lease.renew()
    with pytest.raises(LeaseLost):
        _ = lease.term


async def test_a_lease_is_held_beyond_its_length_and_given_back(make_lease: MakeLease, ledger: Ledger) -> None:
    lease = make_lease()
    assert await lease.acquire()
    async with held(lease, Budget(30, lease)):
        await asyncio.sleep(TTL.total_seconds() + 0.5)
        term = lease.term
        leader = await ledger.leader()
        assert leader is not None
        assert (leader.holder, leader.term, leader.held) == (lease.holder, term, True)

    assert await ledger.leader() is None
    assert await make_lease().acquire()


async def test_a_standby_takes_over_when_the_leader_says_goodbye(make_lease: MakeLease) -> None:
    leader, standby, stop, woken = make_lease(), make_lease(), asyncio.Event(), asyncio.Event()
    await leader.acquire()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(standby.wait_for_turn(stop, woken))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await leader.release()
        woken.set()
        async with asyncio.timeout(0.3):
            assert await waiting

    assert standby.is_held


async def test_a_standby_that_is_stopped_does_not_lead(make_lease: MakeLease) -> None:
    leader, standby, stop = make_lease(), make_lease(), asyncio.Event()
    await leader.acquire()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(standby.wait_for_turn(stop))
        await asyncio.sleep(0.05)
        stop.set()

    assert not waiting.result()
    assert not standby.is_held


async def test_a_holder_whose_lease_was_taken_stops(make_lease: MakeLease, connection: Connection) -> None:
    lease = make_lease()
    await lease.acquire()
    await take_lease(connection)

    with pytest.raises(LeaseLost):
        await lease.hold(asyncio.Event())


async def test_a_lost_connection_costs_nothing_while_the_lease_lasts(
    make_lease: MakeLease, connection: Connection
) -> None:
    lease = make_lease()
    await lease.acquire()
    async with _cut_off(connection, lease):
        with pytest.raises(LedgerUnavailable):
            await lease.renew()
        assert lease.is_held

    await lease.renew()


async def test_a_database_that_stays_away_ends_the_lease(make_lease: MakeLease, connection: Connection) -> None:
    lease = make_lease()
    await lease.acquire()
    lease._url = "postgresql://nobody@127.0.0.1:1/none"
    async with _cut_off(connection, lease):
        with pytest.raises(LeaseLost, match="did not answer"):
            await lease.hold(asyncio.Event())


class _Stalling:
    """A database that is silent for a while: what was asked meanwhile is never answered, and nobody gets through to it."""

    def __init__(self) -> None:
        self._speaks = asyncio.Event()
        self._speaks.set()

    async def silent_for(self, seconds: float) -> None:
        self._speaks.clear()
        await asyncio.sleep(seconds)
        self._speaks.set()

    async def connect(self, *_: object, **__: object) -> Any:
        await self._speaks.wait()
        return self

    async def execute(self, *_: object) -> None: ...

    async def fetchrow(self, *_: object) -> Mapping[str, object]:
        if not self._speaks.is_set():
            await asyncio.Event().wait()
        return {"term": 1, "left_seconds": 0.0, "granted": 1, "wait_seconds": 0.0, "clock": SystemClock().now()}

    def terminate(self) -> None: ...


async def _outlives(seconds: float, *, silent_after: float = 0.5) -> float | None:
    """A lease of four seconds is held for ten, while calls are claimed over the same line, and the database is silent for so long.

    How long after our newest deadline the end was told, in virtual time; None: it lasted to the end.
    """
    database, loop, stop = _Stalling(), asyncio.get_running_loop(), asyncio.Event()
    with (
        patch.object(lease_module, "connect", database.connect),
        patch.object(lease_module, "_seconds", loop.time),
    ):
        lease = Lease("", schema="")
        assert await lease.acquire()
        late = None
        loop.call_later(10, stop.set)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(lease.hold(stop))
                claiming = group.create_task(_claim_again_and_again(lease))
                await asyncio.sleep(silent_after)
                await database.silent_for(seconds)
                await stop.wait()
                claiming.cancel()
        except* LeaseRanOut:
            late = loop.time() - lease._deadline
    return late


async def _claim_again_and_again(lease: Lease) -> None:
    """As a leader does that calls; the answers take no time, so the line is taken where the database falls silent."""
    with suppress(LeaseLost):
        while True:
            await lease.claim(1, 0.01)
            await asyncio.sleep(0.11)


SILENT_AFTER = [0.5, 0.7, 0.9, 1.0, 1.3, 1.7]
"""Seconds, in and between the renewals at each full one."""


@pytest.mark.parametrize("silent_after", SILENT_AFTER)
def test_a_database_that_stalls_for_two_seconds_costs_nothing(silent_after: float) -> None:
    assert run_virtual(lambda _: _outlives(2.4, silent_after=silent_after), NOW) is None


@pytest.mark.parametrize("silent_after", SILENT_AFTER)
def test_who_cannot_renew_the_lease_knows_it_at_a_deadline_before_that_of_the_database(silent_after: float) -> None:
    late = run_virtual(lambda _: _outlives(60, silent_after=silent_after), NOW)
    assert late == pytest.approx(0.0, abs=0.01)


async def test_who_has_lost_the_lease_is_told_before_the_release_and_what_it_does_is_cut_short(
    make_lease: MakeLease, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside a silent database a release takes as long as its patience."""
    lease, told = make_lease(), list[str]()

    async def lose(_: asyncio.Event) -> None:
        raise LeaseRanOut("the database is silent")

    async def release() -> None:
        told.append("released")

    async def lead() -> None:
        async with held(lease, Budget(30, lease), lambda _: told.append("lost")):
            try:
                await asyncio.Event().wait()
            finally:
                told.append("cut short")

    await lease.acquire()
    with monkeypatch.context() as patched:
        patched.setattr(lease, "hold", lose)
        patched.setattr(lease, "release", release)
        with pytest.raises(ExceptionGroup) as raised:
            await lead()

    assert raised.group_contains(LeaseRanOut)
    assert told == ["lost", "cut short", "released"]


async def test_a_standby_whose_database_is_away_says_so_and_may_wait_again(make_lease: MakeLease) -> None:
    lease, stop = make_lease(), asyncio.Event()
    url, lease._url = lease._url, "postgresql://nobody@127.0.0.1:1/none"
    with pytest.raises(LedgerUnavailable):
        await lease.wait_for_turn(stop)
    lease._url = url

    assert await lease.wait_for_turn(stop)


async def test_the_fence_follows_the_lease(make_lease: MakeLease, ledger: Ledger, connection: Connection) -> None:
    first, second = make_lease(), make_lease()
    await first.acquire()
    old = first.term
    await ledger.start_pass(now=NOW, term=old)
    await _run_out(connection)
    assert await second.acquire()

    with pytest.raises(LeaseLost):
        await ledger.start_pass(now=NOW, term=old)
    await ledger.start_pass(now=NOW, term=Term(second.term))


async def test_a_lease_that_was_given_in_an_answer_that_was_never_heard_is_taken_again_at_once(
    make_lease: MakeLease,
) -> None:
    lease = make_lease()
    assert await lease.acquire()
    unheard = lease.term
    lease._term = None
    assert await lease.acquire()
    assert lease.term > unheard


async def test_a_question_about_the_lease_that_meets_a_lock_is_taken_back(
    make_lease: MakeLease, connection: Connection
) -> None:
    """Nobody waits for its answer any more, so it must not give the lease away once the lock is gone."""
    lease = make_lease()
    await _run_out(connection)
    async with connection.transaction():
        await connection.execute("SELECT term FROM lease FOR KEY SHARE")
        with pytest.raises(RowsLocked):
            await lease.acquire()
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'"
        while await connection.fetchval(waiting, f"refreshd lease {lease.holder}"):  # noqa: ASYNC110 - the server's own wait
            await asyncio.sleep(0.02)
    assert await connection.fetchval("SELECT term FROM lease") == 0


@pytest.mark.parametrize("how", ["run_out", "released"])
async def test_a_write_that_goes_on_when_its_lease_is_over_is_ended_by_whoever_takes_over(
    make_lease: MakeLease, database: Database, connection: Connection, how: str
) -> None:
    """A leader that is frozen in the middle of a statement is not gone, so nothing but this would end it.

    One that stops hangs up in the middle of a long one, which the server notices only later.
    """
    first, second, writing = make_lease(), make_lease(), asyncio.Event()
    await first.acquire()

    async def write() -> None:
        async with fenced(database, first.term, Write.HOLD) as session:
            writing.set()
            await session.execute("SELECT pg_sleep(300)")

    async with asyncio.TaskGroup() as group:
        outcome = group.create_task(_trouble_of(write()))
        await writing.wait()
        if how == "released":
            await first.release()
        else:
            await _run_out(connection)
        assert await second.acquire()

    assert isinstance(outcome.result(), LedgerUnavailable)


async def test_of_two_standbys_at_one_write_that_is_left_over_the_slower_one_finds_the_lease_taken(
    make_lease: MakeLease, database: Database, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The quicker one has ended it. That is no trouble of the database's, after which the slower one would pause."""
    first, quicker, slower, writing = make_lease(), make_lease(), make_lease(), asyncio.Event()
    await first.acquire()
    asks = slower._ask

    async def ask(statement: Statement) -> tuple[float, Record | None]:
        if "pg_terminate_backend" in statement[0]:
            assert await quicker.acquire()
        return await asks(statement)

    async def write() -> None:
        async with fenced(database, first.term, Write.HOLD) as session:
            writing.set()
            await session.execute("SELECT pg_sleep(300)")

    monkeypatch.setattr(slower, "_ask", ask)
    async with asyncio.TaskGroup() as group:
        group.create_task(_trouble_of(write()))
        await writing.wait()
        await _run_out(connection)
        assert not await slower.acquire()
    assert quicker.is_held


async def test_a_write_that_began_when_the_lease_had_run_out_is_a_successors_and_is_left_alone(
    make_lease: MakeLease, connection: Connection
) -> None:
    await _run_out(connection)
    async with connection.transaction():
        await connection.execute("SELECT term FROM lease FOR KEY SHARE")
        with pytest.raises(RowsLocked):
            await make_lease().acquire()
        assert await connection.fetchval("SELECT 1") == 1


async def test_an_import_and_another_one_who_asks_are_not_ended_when_the_lease_was_released(
    make_lease: MakeLease, database_url: str
) -> None:
    """Of three transactions that go on, one holds the row as a write of a leader does."""
    first, second = make_lease(), make_lease()
    await first.acquire()
    await first.release()
    going_on = {
        "importing": "INSERT INTO client (client_id) VALUES ('c1')",
        "asking": "UPDATE lease SET holder = 'asking' WHERE expires_at = 'infinity'",
        "left over": "SELECT FROM lease FOR KEY SHARE",
    }
    async with AsyncExitStack() as stack:
        sessions = {}
        for name, statement in going_on.items():
            sessions[name] = await connect(database_url, schema=SCHEMA, name=name)
            stack.callback(sessions[name].terminate)
            await sessions[name].execute(f"BEGIN; {statement}")
        assert await second.acquire()
        await sessions["importing"].execute("COMMIT")
        await sessions["asking"].execute("COMMIT")
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)):
            await sessions["left over"].execute("COMMIT")


async def _trouble_of(work: Coroutine[None, None, None]) -> Exception | None:
    try:
        await work
    except LedgerUnavailable as error:
        return error
    return None


async def test_only_the_leader_takes_the_budget(connection: Connection, make_lease: MakeLease) -> None:
    first, second = make_lease(), make_lease()
    assert await first.acquire()
    await _run_out(connection)
    assert await second.acquire()
    with pytest.raises(LeaseLost):
        await first.take_budget(30)


async def test_a_budget_that_the_database_does_not_give_in_time_is_not_waited_for(
    connection: Connection, make_lease: MakeLease
) -> None:
    lease = make_lease()
    assert await lease.acquire()
    async with connection.transaction():
        await connection.execute("LOCK TABLE budget, lease")
        async with asyncio.timeout(2):
            with pytest.raises(RowsLocked):
                await lease.take_budget(300)


async def test_a_claim_outlives_a_lost_connection_and_ends_with_the_lease(
    make_lease: MakeLease, connection: Connection
) -> None:
    lease = make_lease()
    await lease.acquire()
    async with _cut_off(connection, lease):
        await lease.claim(1, 0.01)
    lease._url = "postgresql://nobody@127.0.0.1:1/none"
    async with _cut_off(connection, lease):
        with pytest.raises(LeaseLost):
            await lease.claim(1, 0.01)


async def test_a_slot_that_is_granted_too_late_to_be_used_is_told(
    make_lease: MakeLease, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = make_lease()
    await lease.acquire()
    with structlog.testing.capture_logs() as lines:
        await lease.claim(1, 0.01)
        assert not lines
        monkeypatch.setattr(lease_module, "PERMIT_SECONDS", 0.0)
        await lease.claim(1, 0.01)
    assert [line["event"] for line in lines] == ["claim_late"]


async def test_a_claim_that_is_cancelled_leaves_the_line_in_order(
    make_lease: MakeLease, connection: Connection
) -> None:
    lease = make_lease()
    await lease.acquire()
    async with connection.transaction():
        await connection.execute("LOCK TABLE budget")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await lease.claim(1, 0.01)
    await lease.renew()
    await lease.claim(1, 0.01)


@asynccontextmanager
async def _cut_off(connection: Connection, lease: Lease) -> AsyncIterator[None]:
    """The server ends the lease's session."""
    name = f"refreshd lease {lease.holder}"
    await connection.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()",
        name,
    )
    await asyncio.sleep(0.05)
    yield
