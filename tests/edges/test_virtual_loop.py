"""The tests' own clock is worth a test: all that is said about pacing rests on it."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from aiolimiter import AsyncLimiter

from tests.support.virtual_loop import NothingCanWakeError, VirtualClock, busy, run_virtual, waiting_for_real

START = datetime(2026, 3, 1, 11, 0, tzinfo=UTC)


def test_a_day_passes_in_no_time_and_dates_follow() -> None:
    async def main(clock: VirtualClock) -> datetime:
        await asyncio.sleep(86_400)
        return clock.now()

    began = time.monotonic()
    ended = run_virtual(main, START)
    assert ended - (START + timedelta(days=1)) < timedelta(milliseconds=1)
    assert time.monotonic() - began < 1


def test_timers_fire_in_their_order() -> None:
    fired: list[float] = []

    async def nap(seconds: float) -> None:
        await asyncio.sleep(seconds)
        fired.append(seconds)

    async def main(_clock: VirtualClock) -> None:
        async with asyncio.TaskGroup() as group:
            for seconds in (30.0, 0.001, 10.0, 86_400.0, 0.0):
                group.create_task(nap(seconds))

    run_virtual(main, START)
    assert fired == sorted(fired)
    assert len(fired) == 5


def test_a_task_that_nothing_can_wake_is_an_error_and_no_hang() -> None:
    async def main(_clock: VirtualClock) -> None:
        await asyncio.Event().wait()

    with pytest.raises(NothingCanWakeError):
        run_virtual(main, START)


@pytest.mark.parametrize(("rate", "period"), [(1, 2.033), (10, 28.57), (1, 60.5 / 7), (1, 60.5 / 6000)])
def test_the_limiter_does_not_spin(rate: float, period: float) -> None:
    async def main(_clock: VirtualClock) -> float:
        limiter = AsyncLimiter(rate, period)
        for _ in range(200):
            await limiter.acquire()
        return asyncio.get_running_loop().time()

    assert run_virtual(main, START) == pytest.approx((200 - rate) * period / rate, rel=0.01)


def test_a_thread_is_waited_for_and_the_clock_stands_still() -> None:
    async def main(_clock: VirtualClock) -> tuple[float, list[str]]:
        heard: list[str] = []
        loop = asyncio.get_running_loop()
        loop.call_later(3600, heard.append, "an hour later")
        await asyncio.to_thread(time.sleep, 0.05)
        return loop.time(), heard

    elapsed, heard = run_virtual(main, START)
    assert elapsed < 1
    assert heard == []


def test_a_busy_block_in_an_ordinary_loop_is_nothing() -> None:
    async def main() -> int:
        with busy():
            return 7

    assert asyncio.run(main()) == 7


class _Real:
    name = "real"

    async def slow(self, result: int) -> int:
        await asyncio.to_thread(time.sleep, 0.01)
        return result

    async def items(self) -> AsyncIterator[int]:
        for number in range(3):
            await asyncio.to_thread(time.sleep, 0.001)
            yield number


def test_the_calls_of_an_object_hold_the_clock() -> None:
    async def main(_clock: VirtualClock) -> tuple[int, list[int], float]:
        real = waiting_for_real(_Real())
        assert real.name == "real"
        answer = await real.slow(7)
        return answer, [item async for item in real.items()], asyncio.get_running_loop().time()

    answer, items, elapsed = run_virtual(main, START)
    assert (answer, items) == (7, [0, 1, 2])
    assert elapsed < 1


class _Counter:
    """What a ledger looks like to the loop: each method is some statements on a pooled connection."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool

    async def count(self) -> int:
        async with self._pool.acquire() as connection, connection.transaction():
            return int(await connection.fetchval("SELECT count(*) FROM pg_class"))


def test_a_routine_of_hours_talks_to_a_real_postgres(empty_database_url: str) -> None:
    async def main(clock: VirtualClock) -> tuple[list[int], datetime]:
        with busy():
            pool = await asyncpg.create_pool(
                empty_database_url,
                min_size=1,
                max_size=4,
                max_inactive_connection_lifetime=0,
                max_cached_statement_lifetime=0,
            )
        counter = waiting_for_real(_Counter(pool))
        counts: list[int] = []

        async def worker() -> None:
            for _ in range(25):
                await asyncio.sleep(600)
                counts.append(await counter.count())

        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(worker())
        with busy():
            await pool.close()
        return counts, clock.now()

    began = time.monotonic()
    counts, ended = run_virtual(main, START)
    assert len(counts) == 200
    assert len(set(counts)) == 1
    assert timedelta() <= ended - (START + timedelta(seconds=25 * 600)) < timedelta(seconds=1)
    assert time.monotonic() - began < 20
