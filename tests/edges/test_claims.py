"""Slots of the call budget, claimed in the ledger: one suite for the row in Postgres and for its stand-in on virtual time."""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

import pytest

from refreshd.core.errors import LeaseLost
from refreshd.lease import Lease
from refreshd.pacing import PERMIT_SECONDS
from refreshd.pacing import Lease as Leadership
from refreshd.postgres import Connection
from tests.support.budget_row import BudgetRow
from tests.support.postgres import SCHEMA


class Ledger(Protocol):
    """Where leaders follow each other."""

    async def next_leader(self, rate: int) -> Leadership: ...

    async def set_clock_back(self, seconds: float) -> None: ...


class InPostgres:
    def __init__(self, url: str, connection: Connection) -> None:
        self._url = url
        self._connection = connection
        self.leases: list[Lease] = []

    async def next_leader(self, rate: int) -> Leadership:
        await self._connection.execute("UPDATE lease SET expires_at = clock_timestamp()")
        lease = Lease(self._url, schema=SCHEMA)
        self.leases.append(lease)
        assert await lease.acquire()
        await lease.take_budget(rate)
        return lease

    async def set_clock_back(self, seconds: float) -> None:
        """The same as everything that was written with it lying ahead."""
        await self._connection.execute(
            "UPDATE budget SET opens_at = opens_at + $1 * interval '1 second'", float(seconds)
        )


class InMemory:
    def __init__(self) -> None:
        self._row = BudgetRow()

    async def next_leader(self, rate: int) -> Leadership:
        return self._row.take(rate)

    async def set_clock_back(self, seconds: float) -> None:
        self._row.step(-seconds)


@pytest.fixture(params=["postgres", "memory"])
async def ledger(request: pytest.FixtureRequest, database_url: str, connection: Connection) -> AsyncIterator[Ledger]:
    if request.param == "memory":
        yield InMemory()
        return
    real = InPostgres(database_url, connection)
    yield real
    for lease in real.leases:
        await lease.release()


async def wait_for(leader: Leadership, slots: int = 1, slot_seconds: float = 0.1) -> float:
    """Claim, once; returns how long it is until the slots begin."""
    claim = await leader.claim(slots, slot_seconds)
    assert claim.begins_at_seconds <= claim.opens_at_seconds
    return claim.begins_at_seconds - loop_time()


async def claimed(leader: Leadership, slots: int = 1, slot_seconds: float = 0.1) -> None:
    """Claim until it is granted."""
    while not (claim := await leader.claim(slots, slot_seconds)).granted:  # noqa: ASYNC110 - the clock sets no event
        await asyncio.sleep(max(0.0, claim.opens_at_seconds - loop_time()))


def loop_time() -> float:
    return asyncio.get_running_loop().time()


def about(seconds: float) -> object:
    return pytest.approx(seconds, abs=0.5)


async def test_claims_follow_each_other_and_never_overlap(ledger: Ledger) -> None:
    leader = await ledger.next_leader(6)
    await claimed(leader, 3, 10.0)
    assert await wait_for(leader) == about(30)


async def test_slots_that_begin_later_are_not_claimed_yet(ledger: Ledger) -> None:
    """Who is granted a slot has just been told, too, that it leads."""
    leader = await ledger.next_leader(6)
    await claimed(leader, 1, 10.0)
    assert not (await leader.claim(1, 10.0)).granted
    assert await wait_for(leader) == about(10)


async def test_only_the_newest_term_claims(ledger: Ledger) -> None:
    first = await ledger.next_leader(6)
    await claimed(first)
    second = await ledger.next_leader(6)
    with pytest.raises(LeaseLost, match="another refreshd leads"):
        await first.claim(1, 10.0)
    await claimed(second)


async def test_a_successor_begins_after_all_that_was_claimed_and_as_long_as_a_permit_lives(ledger: Ledger) -> None:
    first = await ledger.next_leader(6)
    await claimed(first, 1, 10.0)
    second = await ledger.next_leader(6)
    assert await wait_for(second) == about(10 + PERMIT_SECONDS)


async def test_a_lower_rate_waits_until_the_calls_of_the_faster_leader_are_out_of_the_window(ledger: Ledger) -> None:
    await claimed(await ledger.next_leader(300))
    quicker = await ledger.next_leader(600)
    assert await wait_for(quicker) == about(PERMIT_SECONDS)
    slower = await ledger.next_leader(30)
    assert await wait_for(slower) == about(61 + PERMIT_SECONDS)
    restarted = await ledger.next_leader(30)
    assert await wait_for(restarted) == about(62), "a restart forgets nothing"


async def test_a_clock_that_is_set_back_costs_a_minute_and_not_the_time_that_it_was_set_back_by(ledger: Ledger) -> None:
    leader = await ledger.next_leader(6)
    await claimed(leader)
    await ledger.set_clock_back(7_200)
    assert await wait_for(leader) == about(62)


async def test_slots_that_nobody_claimed_are_not_saved_up(ledger: Ledger) -> None:
    leader = await ledger.next_leader(6)
    await claimed(leader)
    await ledger.set_clock_back(-7_200)
    assert await wait_for(leader, 5, 10.0) == about(0)
    assert await wait_for(leader) == about(50)
