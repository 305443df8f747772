"""In any 60 seconds at most as many calls leave as the rate allows, whatever the load, the jitter and the restarts."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count, islice, pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from refreshd.core.errors import CallAbandoned, LeaseLost
from refreshd.pacing import PERMIT_SECONDS, WINDOW_SECONDS, Budget, Claim, Permit, PermitMisusedError
from tests.support.budget_row import BudgetRow, RowLease
from tests.support.virtual_loop import VirtualClock, run_virtual

START = datetime(2026, 3, 1, 11, 0, tzinfo=UTC)


def most_in_a_minute(sent: list[float]) -> int:
    """The most calls in any window of 60 s, closed at its beginning and open at its end."""
    most = first = 0
    for last, moment in enumerate(sent):
        while moment - sent[first] >= 60:
            first += 1
        most = max(most, last - first + 1)
    return most


def loop_time() -> float:
    return asyncio.get_running_loop().time()


async def send(permit: Permit) -> float:
    permit = await permit.fresh()
    permit.spend()
    return loop_time()


DELAYS = st.lists(st.floats(0, 3), min_size=1, max_size=20)


@settings(max_examples=60, deadline=None)
@given(
    rate=st.integers(1, 6000),
    pauses=st.lists(st.floats(0, 90), min_size=1, max_size=8),
    delays=DELAYS,
    restarts=st.lists(st.integers(1, 60), max_size=4),
    workers=st.integers(1, 4),
)
@example(rate=30, pauses=[0.0], delays=[0.99, *([0.0] * 40)], restarts=[29], workers=1)
@example(rate=30, pauses=[0.0], delays=[0.99, *([0.0] * 40)], restarts=[14, 14], workers=1)
@example(rate=6000, pauses=[0.0], delays=[0.99, 0.0], restarts=[1, 1, 1], workers=4)
@example(rate=2, pauses=[0.0], delays=[0.875, 0.0], restarts=[3], workers=3)
def test_no_minute_sees_more_calls_than_the_rate(
    rate: int, pauses: list[float], delays: list[float], restarts: list[int], workers: int
) -> None:
    """`restarts` gives the calls of each life; `delays` pass between permit and bytes, `pauses` between arrivals."""
    numbers = count()

    async def life(calls: int) -> list[float]:
        budget, sent = Budget(rate), list[float]()

        async def work(share: int) -> None:
            for number in islice(numbers, share):
                permit = await budget.permit()
                await asyncio.sleep(delays[number % len(delays)])
                sent.append(await send(permit))
                if number % 7 == 6:
                    await asyncio.sleep(pauses[number % len(pauses)])

        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(work(calls // workers + 1))
        return sent

    async def main(_clock: VirtualClock) -> list[float]:
        return [moment for calls in [*restarts, 70] for moment in await life(calls)]

    assert most_in_a_minute(sorted(run_virtual(main, START))) <= rate


@pytest.mark.parametrize("rate", [1, 2, 7, 30, 300, 1800, 6000])
def test_steady_work_uses_the_budget_well(rate: int) -> None:
    async def main(_clock: VirtualClock) -> list[float]:
        budget = Budget(rate)
        return [await send(await budget.permit()) for _ in range(3 * rate)]

    sent = run_virtual(main, START)
    assert most_in_a_minute(sent) <= rate
    assert len(sent) / (sent[-1] - sent[0] + 60 / rate) * 60 > 0.98 * rate
    slot = WINDOW_SECONDS / rate
    assert all(later - earlier == pytest.approx(slot, abs=1e-4) for earlier, later in pairwise(sent))


def test_the_first_permit_waits_out_a_slot_and_the_second_that_a_permit_lives() -> None:
    async def main(_clock: VirtualClock) -> float:
        return (await Budget(30).permit()).taken_at_seconds

    assert run_virtual(main, START) == pytest.approx(WINDOW_SECONDS / 30 + PERMIT_SECONDS, abs=1e-3)


def test_those_who_ask_together_at_the_start_are_spaced_too() -> None:
    async def main(_clock: VirtualClock) -> list[float]:
        budget, taken = Budget(30), list[float]()

        async def ask() -> None:
            taken.append((await budget.permit()).taken_at_seconds)

        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(ask())
        return taken

    taken = run_virtual(main, START)
    assert all(later - earlier >= 2 for earlier, later in pairwise(taken))


def test_after_a_rest_the_next_permit_comes_at_once() -> None:
    async def main(_clock: VirtualClock) -> float:
        budget = Budget(30)
        await send(await budget.permit())
        await asyncio.sleep(600)
        asked = loop_time()
        return (await budget.permit()).taken_at_seconds - asked

    assert run_virtual(main, START) < 1e-3


def in_virtual_time(check: Callable[[Budget, RowLease, list[float]], object]) -> None:
    async def main(_clock: VirtualClock) -> None:
        leader, waits = BudgetRow().take(60), list[float]()
        outcome = check(Budget(60, leader, on_wait=waits.append), leader, waits)
        if asyncio.iscoroutine(outcome):
            await outcome

    run_virtual(main, START)


def test_a_permit_is_good_for_one_call() -> None:
    async def check(budget: Budget, _leader: RowLease, _waits: list[float]) -> None:
        permit = await budget.permit()
        permit.spend()
        assert not permit.is_fresh
        with pytest.raises(PermitMisusedError):
            permit.spend()
        assert budget.used_in_last_minute(loop_time()) == 1

    in_virtual_time(check)


def test_a_permit_older_than_a_second_is_void_and_replaced() -> None:
    async def check(budget: Budget, _leader: RowLease, _waits: list[float]) -> None:
        permit = await budget.permit()
        assert await permit.fresh() is permit
        await asyncio.sleep(1.01)
        with pytest.raises(PermitMisusedError):
            permit.spend()
        began = permit.taken_at_seconds
        assert await permit.fresh() is permit
        assert permit.taken_at_seconds > began
        permit.spend()
        assert budget.used_in_last_minute(loop_time()) == 1
        with pytest.raises(PermitMisusedError):
            await permit.fresh()

    in_virtual_time(check)


def test_no_call_leaves_when_the_lease_is_lost() -> None:
    async def check(budget: Budget, leader: RowLease, _waits: list[float]) -> None:
        permit = await budget.permit()
        leader.believes = False
        with pytest.raises(LeaseLost):
            permit.spend()
        assert budget.used_in_last_minute(loop_time()) == 0

    in_virtual_time(check)


def test_the_budget_says_what_was_used_and_how_long_permits_were_waited_for() -> None:
    async def check(budget: Budget, _leader: RowLease, waits: list[float]) -> None:
        for _ in range(10):
            (await budget.permit()).spend()
        assert budget.used_in_last_minute(loop_time()) == 10
        assert budget.used_in_last_minute(loop_time() + 55) == 5
        assert budget.used_in_last_minute(loop_time() + 60) == 0
        assert len(waits) == 10
        assert all(wait == pytest.approx(WINDOW_SECONDS / 60, abs=0.01) for wait in waits[1:])

    in_virtual_time(check)


def test_a_wait_that_is_cancelled_costs_nobody_a_permit() -> None:
    async def check(budget: Budget, _leader: RowLease, _waits: list[float]) -> None:
        await budget.permit()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await budget.permit()
        asked = loop_time()
        await budget.permit()
        assert loop_time() - asked < WINDOW_SECONDS / 60

    in_virtual_time(check)


def test_a_budget_that_rests_hands_out_nothing_until_the_faster_calls_are_over() -> None:
    async def main(_clock: VirtualClock) -> float:
        budget = Budget(30)
        await send(await budget.permit())
        began = loop_time()
        budget.rest(60)
        return await send(await budget.permit()) - began

    assert run_virtual(main, START) >= 60


def test_what_was_decided_is_looked_at_again_only_where_a_new_permit_had_to_be_waited_for() -> None:
    async def main(_clock: VirtualClock) -> list[str]:
        looks: list[str] = []

        async def look() -> None:
            looks.append("again")

        budget = Budget(30)
        quick = await budget.permit()
        quick.but_look_again(look)
        await send(quick)
        assert not looks
        slow = await budget.permit()
        slow.but_look_again(look)
        await asyncio.sleep(PERMIT_SECONDS + 1)
        await send(slow)
        return looks

    assert run_virtual(main, START) == ["again"]


def test_a_login_that_changed_sides_while_a_permit_was_waited_for_is_not_called() -> None:
    async def main(_clock: VirtualClock) -> int:
        async def look() -> None:
            raise CallAbandoned("changed sides")

        budget = Budget(30)
        permit = await budget.permit()
        permit.but_look_again(look)
        await asyncio.sleep(PERMIT_SECONDS + 1)
        with pytest.raises(CallAbandoned):
            await send(permit)
        return budget.used_in_last_minute(loop_time())

    assert run_virtual(main, START) == 0


@pytest.mark.parametrize(
    ("wish", "rest"), [(timedelta(seconds=40), 40), (None, 5 * WINDOW_SECONDS / 15), (timedelta(days=3), 3_600)]
)
def test_a_throttled_call_has_everybody_rest(wish: timedelta | None, rest: float) -> None:
    async def main(_clock: VirtualClock) -> float:
        budget = Budget(30)
        permit = await budget.permit()
        await send(permit)
        began = loop_time()
        permit.throttled(wish)
        return await send(await budget.permit()) - began

    assert rest <= run_virtual(main, START) < rest + 10


def test_a_throttled_budget_halves_its_rate_and_climbs_back_while_calls_are_taken() -> None:
    async def main(_clock: VirtualClock) -> tuple[list[int], list[float]]:
        rates, sent = list[int](), list[float]()
        budget = Budget(30, on_rate=rates.append)
        for _ in range(30):
            sent.append(await send(await budget.permit()))
        permit = await budget.permit()
        sent.append(await send(permit))
        permit.throttled(None)
        while budget.throttle.lowered:
            permit = await budget.permit()
            sent.append(await send(permit))
            permit.answered()
        return rates, sent

    rates, sent = run_virtual(main, START)
    assert rates == list(range(15, 31))
    assert most_in_a_minute(sent[31:]) <= 30
    assert most_in_a_minute(sent[31 : 31 + 15]) <= 15
    assert 14 * 60 <= sent[-1] - sent[30] <= 17 * 60


@settings(max_examples=60, deadline=None)
@given(rate=st.integers(1, 600), refusals=st.lists(st.integers(0, 9), min_size=1, max_size=200), delays=DELAYS)
def test_no_call_leaves_into_a_minute_that_holds_the_rate_in_force_already(
    rate: int, refusals: list[int], delays: list[float]
) -> None:
    """One call in ten is refused, at random; `delays` pass between permit and bytes."""

    async def main(_clock: VirtualClock) -> list[tuple[float, int]]:
        budget, sent = Budget(rate), list[tuple[float, int]]()
        for number, draw in enumerate(refusals):
            permit = await budget.permit()
            await asyncio.sleep(delays[number % len(delays)])
            sent.append((await send(permit), budget.throttle.rate))
            if draw:
                permit.answered()
            else:
                permit.throttled(timedelta())
        return sent

    sent = run_virtual(main, START)
    for moment, in_force in sent:
        assert sum(moment - 60 < each <= moment for each, _ in sent) <= in_force


def test_a_successor_calls_at_the_rate_that_was_in_force() -> None:
    async def main(_clock: VirtualClock) -> list[float]:
        budget = Budget(30)
        budget.resume(6)
        return [await send(await budget.permit()) for _ in range(6)]

    sent = run_virtual(main, START)
    assert sent[0] >= WINDOW_SECONDS / 6
    assert all(later - earlier >= WINDOW_SECONDS / 6 - 1e-6 for earlier, later in pairwise(sent))


@given(moment=st.floats(0, 1e9, allow_nan=False))
def test_there_is_room_at_the_very_moment_that_is_slept_until(moment: float) -> None:
    """Whatever the rounding: otherwise the budget would wait for a moment that is already there, and spin."""
    budget = Budget(1)
    budget._sent.append(moment)  # a call that left at that moment
    assert budget.has_room(moment + WINDOW_SECONDS)


# Over processes: whoever is killed, frozen, replaced, or wrong about leading ----------------------------------------------------------


@dataclass(frozen=True)
class Life:
    """One process: how long it lives from its predecessor's beginning on, and how it ends."""

    starts_after: float
    lasts: float
    frozen_at: float | None
    frozen_for: float
    believes: bool
    rate: int


LIVES = st.lists(
    st.builds(
        Life,
        starts_after=st.floats(0, 40),
        lasts=st.floats(1, 150),
        frozen_at=st.none() | st.floats(0, 100),
        frozen_for=st.floats(0, 30),
        believes=st.booleans(),
        rate=st.sampled_from([30, 30, 30, 20, 7]),
    ),
    min_size=2,
    max_size=8,
)


async def lives(life: Life, row: BudgetRow, delays: list[float], sent: list[float]) -> None:
    """Calls as fast as the budget lets it, until it dies or hears that somebody else leads. One that believes hears it from nobody else."""
    lease = row.take(life.rate)
    budget, born = Budget(life.rate, lease), loop_time()
    budget.begin()
    thaw = born + life.lasts if life.frozen_at is None else born + life.frozen_at
    with suppress(LeaseLost, TimeoutError):
        async with asyncio.timeout(life.lasts):
            for number in count():
                permit = await budget.permit()
                await asyncio.sleep(delays[number % len(delays)])
                if life.frozen_at is not None and loop_time() >= thaw:
                    await asyncio.sleep(life.frozen_for)
                    thaw = float("inf")
                lease.believes = life.believes or row.term == lease._term
                sent.append(await send(permit))


@settings(max_examples=150, deadline=None)
@given(
    fates=LIVES,
    delays=DELAYS,
    answer_seconds=st.sampled_from([0.0, 0.002, 0.3, 0.9]),
    steps=st.lists(st.tuples(st.floats(0, 60), st.sampled_from([-7200.0, -3.0, 5.0, 7200.0])), max_size=3),
)
def test_no_minute_sees_more_calls_than_the_highest_rate_whoever_believes_that_it_leads(
    fates: list[Life], delays: list[float], answer_seconds: float, steps: list[tuple[float, float]]
) -> None:
    """Takeovers while the predecessor lives on, freezes between permit and bytes, slow answers, a database whose clock is set."""

    async def main(_clock: VirtualClock) -> list[float]:
        row, sent = BudgetRow(), list[float]()
        row.answer_seconds = answer_seconds

        async def clockmaker() -> None:
            for after, step in steps:
                await asyncio.sleep(after)
                row.step(step)

        async with asyncio.TaskGroup() as group:
            group.create_task(clockmaker())
            for fate in fates:
                group.create_task(lives(fate, row, delays, sent))
                await asyncio.sleep(fate.starts_after)
        return sent

    assert most_in_a_minute(sorted(run_virtual(main, START))) <= max(fate.rate for fate in fates)


def test_a_copy_that_is_wrong_about_leading_sends_nothing_more() -> None:
    """Its own look at the lease is broken; the claim is refused all the same."""

    async def main(_clock: VirtualClock) -> int:
        row = BudgetRow()
        budget = Budget(30, row.take(30))
        await send(await budget.permit())
        row.take(30)
        with pytest.raises(LeaseLost):
            await budget.permit()
        return budget.used_in_last_minute(loop_time())

    assert run_virtual(main, START) == 1


def test_a_claim_that_was_answered_too_late_is_made_again() -> None:
    async def main(_clock: VirtualClock) -> bool:
        row = BudgetRow()
        budget = Budget(30, row.take(30))
        row.answer_seconds = 4.0
        asyncio.get_running_loop().call_later(6.0, setattr, row, "answer_seconds", 0.0)
        return (await budget.permit()).is_fresh

    assert run_virtual(main, START)


def test_short_slots_are_claimed_several_at_a_time() -> None:
    async def main(_clock: VirtualClock) -> tuple[int, int]:
        lease, claims = BudgetRow().take(6000), list[int]()
        claim = lease.claim

        async def counted(slots: int, slot_seconds: float) -> Claim:
            claims.append(slots)
            return await claim(slots, slot_seconds)

        lease.claim = counted  # type: ignore[method-assign]
        budget = Budget(6000, lease)
        for _ in range(480):
            await send(await budget.permit())
        return len(claims), max(claims)

    assert run_virtual(main, START) == (20, 24)
