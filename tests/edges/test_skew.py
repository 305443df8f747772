"""Nobody leads by a clock that disagrees with the database's: neither from the start, nor a moment longer once it was set."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from refreshd import lease as lease_module
from refreshd.clock import SystemClock
from refreshd.core.errors import ClocksDisagree
from refreshd.errorgroups import plain_errors
from refreshd.lease import Lease
from refreshd.pacing import Budget
from refreshd.postgres import Connection
from refreshd.skew import LIMIT, Skew
from refreshd.tenure import held
from tests.support.postgres import SCHEMA
from tests.support.set_clock import SetClock

TEN_DAYS = timedelta(days=10)
WRONG = pytest.mark.parametrize("ahead", [TEN_DAYS, -TEN_DAYS, timedelta(seconds=75)], ids=str)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class _Still:
    """The true time, and the seconds since boot, which both go on by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)


def _compared(true: _Still, clock: SetClock) -> Skew:
    skew = Skew(clock, seconds=lambda: true.seconds)
    skew.compare(skew.date(), true.now())
    return skew


@WRONG
def test_a_clock_that_is_set_is_found_out_before_anybody_is_asked_again(ahead: timedelta) -> None:
    true = _Still()
    clock = SetClock(true)
    skew = _compared(true, clock)
    true.seconds += 3_600
    skew.require_agreement()

    clock.ahead = ahead

    with pytest.raises(ClocksDisagree, match="ahead of" if ahead > timedelta(0) else "behind"):
        skew.require_agreement()
    clock.ahead = timedelta(0)
    skew.require_agreement()


def test_a_host_that_slept_and_woke_is_where_the_seconds_since_boot_say() -> None:
    true = _Still()
    skew = _compared(true, SetClock(true))
    true.seconds += TEN_DAYS.total_seconds()
    skew.require_agreement()


def test_an_answer_that_took_its_time_counts_for_the_middle_of_it() -> None:
    true, told = _Still(), list[timedelta]()
    skew = Skew(SetClock(true), on_measured=told.append, seconds=lambda: true.seconds)
    asked = skew.date()
    true.seconds += 1
    theirs = true.now()
    true.seconds += 1

    skew.compare(asked, theirs)

    assert told == [timedelta(0)]


def test_clocks_may_differ_by_a_minute() -> None:
    true = _Still()
    _compared(true, SetClock(true, ahead=LIMIT))
    with pytest.raises(ClocksDisagree):
        _compared(true, SetClock(true, ahead=LIMIT + timedelta(seconds=1)))


def test_scaled_dates_are_held_against_nobody() -> None:
    skew = Skew(None)
    skew.compare(skew.date(), NOON)
    skew.require_agreement()


MakeLease = Callable[[SetClock], Lease]


@asynccontextmanager
async def _leases(url: str) -> AsyncIterator[MakeLease]:
    made: list[Lease] = []

    def make(clock: SetClock) -> Lease:
        made.append(Lease(url, schema=SCHEMA, skew=Skew(clock)))
        return made[-1]

    yield make
    for each in made:
        await each.release()


@WRONG
async def test_whose_clock_is_wrong_takes_no_lease_and_one_whose_is_right_does(
    database_url: str, connection: Connection, ahead: timedelta
) -> None:
    wrong = SetClock(SystemClock(), ahead)
    async with _leases(database_url) as make:
        lease = make(wrong)
        with pytest.raises(ClocksDisagree, match="mend the time of this host"):
            await lease.acquire()
        assert await connection.fetchval("SELECT term FROM lease") == 0
        assert await make(SetClock(SystemClock())).acquire()


@WRONG
async def test_a_leader_whose_clock_is_set_leads_no_more_and_a_standby_takes_over(
    database_url: str, ahead: timedelta
) -> None:
    clock = SetClock(SystemClock())
    async with _leases(database_url) as make:
        lease, standby = make(clock), make(SetClock(SystemClock()))
        assert await lease.acquire()
        async with asyncio.TaskGroup() as group:
            taken = group.create_task(standby.wait_for_turn(asyncio.Event()))
            with pytest.raises(ClocksDisagree), plain_errors():
                await _lead_while_it_is_set(lease, clock, ahead)
        assert taken.result()
        assert standby.term


async def _lead_while_it_is_set(lease: Lease, clock: SetClock, ahead: timedelta) -> None:
    async with held(lease, Budget(30, lease)):
        assert lease.term
        clock.ahead = ahead
        with pytest.raises(ClocksDisagree):
            _ = lease.term
        await asyncio.Event().wait()


async def test_one_whose_clock_was_mended_leads_again(database_url: str) -> None:
    clock = SetClock(SystemClock(), TEN_DAYS)
    async with _leases(database_url) as make:
        lease = make(clock)
        with pytest.raises(ClocksDisagree):
            await lease.acquire()

        clock.ahead = timedelta(0)

        assert await lease.acquire()
        assert lease.term


async def test_a_lease_that_the_server_gives_and_our_clock_refuses_is_given_back_at_once(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Just at the limit the two may differ in what they find."""
    monkeypatch.setattr(lease_module, "LIMIT", 2 * TEN_DAYS)
    async with _leases(database_url) as make:
        with pytest.raises(ClocksDisagree):
            await make(SetClock(SystemClock(), TEN_DAYS)).acquire()
        assert await make(SetClock(SystemClock())).acquire()


async def test_a_lease_that_only_the_server_refuses_is_not_asked_for_without_a_rest(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "LIMIT", timedelta(0))
    looks, stop = list[None](), asyncio.Event()
    lease = Lease(database_url, schema=SCHEMA, skew=Skew(SystemClock()), on_look=lambda: looks.append(None))
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(lease.wait_for_turn(stop))
        await asyncio.sleep(1)
        stop.set()
    await lease.release()
    assert not waiting.result()
    assert 1 <= len(looks) <= 6


async def test_a_clock_that_is_set_before_the_budget_is_taken_gives_the_lease_back(database_url: str) -> None:
    clock = SetClock(SystemClock())
    async with _leases(database_url) as make:
        lease = make(clock)
        assert await lease.acquire()
        clock.ahead = TEN_DAYS
        with pytest.raises(ClocksDisagree):
            async with held(lease, Budget(30, lease)):
                pass
        assert await make(SetClock(SystemClock())).acquire()
