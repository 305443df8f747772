"""Slot, permit, work, in this order; told by events, not by time."""

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from refreshd.pacing import Budget, Permit
from refreshd.pool import Pool
from tests.support.virtual_loop import VirtualClock, run_virtual


class Ticket:
    """A permit whose age the test decides."""

    def __init__(self) -> None:
        self.is_fresh = True


class Office:
    """Hands out permits as the test allows, and counts them."""

    def __init__(self) -> None:
        self.allowed = asyncio.Semaphore(0)
        self.asked = 0
        self.handed: list[Ticket] = []

    async def permit(self) -> Ticket:
        self.asked += 1
        await self.allowed.acquire()
        self.handed.append(Ticket())
        return self.handed[-1]

    def allow(self, count: int = 1) -> None:
        for _ in range(count):
            self.allowed.release()


class Counter:
    """A source in which the test puts work; the next `disappoint` takes find nothing."""

    def __init__(self, *work: str) -> None:
        self.work = deque(work)
        self.takes = 0
        self.disappoint = 0
        self.on_take: Callable[[], None] = lambda: None
        self._more = asyncio.Event()

    async def ready(self) -> None:
        while not self.work:
            self._more.clear()
            await self._more.wait()

    async def take(self) -> str | None:
        self.takes += 1
        self.on_take()
        if self.disappoint:
            self.disappoint -= 1
            return None
        return self.work.popleft() if self.work else None

    def put(self, work: str, *, first: bool = False) -> None:
        if first:
            self.work.appendleft(work)
        else:
            self.work.append(work)
        self._more.set()


class Floor:
    """The whole pool with a handler that ends when the test says so."""

    def __init__(self, width: int, *work: str) -> None:
        self.office = Office()
        self.source = Counter(*work)
        self.begun: list[str] = []
        self.tickets: list[Ticket] = []
        self.most = 0
        self.ends: dict[str, asyncio.Future[None]] = {}
        self.pool: Pool[str, Ticket] = Pool(
            width=width, permits=self.office.permit, source=self.source, handle=self._handle
        )

    async def _handle(self, work: str, ticket: Ticket) -> None:
        self.begun.append(work)
        self.tickets.append(ticket)
        self.most = max(self.most, self.pool.in_flight)
        await self.ends.setdefault(work, asyncio.get_running_loop().create_future())

    def end(self, work: str, error: Exception | None = None) -> None:
        future = self.ends.setdefault(work, asyncio.get_running_loop().create_future())
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_no_permit_is_asked_for_without_a_chance_of_work() -> None:
    floor = Floor(2)
    async with asyncio.TaskGroup() as group:
        group.create_task(floor.pool.run())
        await settle()
        assert floor.office.asked == 0
        floor.source.put("a")
        await settle()
        assert floor.office.asked == 1
        floor.pool.drain()


async def test_the_order_is_decided_after_the_permit() -> None:
    floor = Floor(1, "routine")
    async with asyncio.TaskGroup() as group:
        group.create_task(floor.pool.run())
        await settle()
        assert floor.source.takes == 0
        floor.source.put("disable", first=True)
        floor.office.allow()
        await settle()
        assert floor.begun == ["disable"]
        floor.end("disable")
        floor.pool.drain()


async def test_permits_do_not_pile_up_while_all_workers_hang() -> None:
    floor = Floor(3, *"abcdefgh")
    floor.office.allow(8)
    async with asyncio.TaskGroup() as group:
        group.create_task(floor.pool.run())
        await settle()
        assert floor.begun == ["a", "b", "c"]
        assert len(floor.office.handed) == floor.office.asked == 3
        floor.end("b")
        await settle()
        assert floor.begun == ["a", "b", "c", "d"]
        assert floor.office.asked == 4
        floor.pool.drain()
        for work in "acd":
            floor.end(work)


async def test_one_piece_of_work_that_hangs_holds_up_nobody_else() -> None:
    floor = Floor(2, "hangs", *"abcdefgh")
    floor.office.allow(9)
    for work in "abcdefgh":
        floor.end(work)
    async with asyncio.TaskGroup() as group:
        group.create_task(floor.pool.run())
        await settle()
        assert floor.begun == ["hangs", *"abcdefgh"]
        assert floor.most == 2
        assert floor.pool.in_flight == 1
        floor.pool.drain()
        floor.end("hangs")
    assert floor.pool.in_flight == 0


async def test_a_permit_that_found_no_work_is_kept_while_it_is_fresh() -> None:
    floor = Floor(1, "a")
    floor.source.disappoint = 1
    floor.office.allow()
    async with asyncio.TaskGroup() as group:
        group.create_task(floor.pool.run())
        await settle()
        assert floor.begun == ["a"]
        assert floor.source.takes == 2
        assert floor.office.asked == 1
        floor.end("a")
        floor.pool.drain()


async def test_a_permit_that_grew_old_without_work_is_dropped() -> None:
    floor = Floor(1, "gone")

    def vanish() -> None:
        floor.source.work.clear()

    floor.source.on_take = vanish
    floor.office.allow(2)
    async with asyncio.TaskGroup() as group:
        group.create_task(floor.pool.run())
        await settle()
        assert floor.begun == []
        floor.office.handed[0].is_fresh = False
        floor.source.on_take = lambda: None
        floor.source.put("a")
        await settle()
        assert floor.begun == ["a"]
        assert floor.tickets == [floor.office.handed[1]]
        floor.end("a")
        floor.pool.drain()


async def test_work_whose_permit_grew_old_while_it_was_drawn_is_handed_on_at_once_for_the_handler_to_renew_it() -> None:
    floor = Floor(1, "a")

    def dawdle() -> None:
        floor.office.handed[-1].is_fresh = False

    floor.source.on_take = dawdle
    floor.office.allow()
    async with asyncio.TaskGroup() as group:
        group.create_task(floor.pool.run())
        await settle()
        assert floor.begun == ["a"]
        assert floor.tickets == floor.office.handed
        floor.end("a")
        floor.pool.drain()


async def test_draining_takes_nothing_new_and_finishes_what_is_in_flight() -> None:
    floor = Floor(2, "a", "b", "c")
    floor.office.allow(3)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(floor.pool.run())
        await settle()
        floor.pool.drain()
        floor.pool.drain()
        floor.end("a")
        await settle()
        assert not running.done()
        assert floor.begun == ["a", "b"]
        floor.end("b")
    assert list(floor.source.work) == ["c"]


@pytest.mark.parametrize("work", [[], ["waits for a permit"]])
async def test_draining_ends_every_kind_of_wait(work: list[str]) -> None:
    floor = Floor(1, *work)
    async with asyncio.TaskGroup() as group:
        group.create_task(floor.pool.run())
        await settle()
        floor.pool.drain()
    assert floor.begun == []


async def test_a_pool_that_was_drained_before_it_began_takes_nothing() -> None:
    floor = Floor(1, "a")
    floor.office.allow()
    floor.pool.drain()
    await floor.pool.run()
    assert floor.source.takes == 0


async def test_work_that_was_taken_when_the_drain_came_is_still_done() -> None:
    floor = Floor(1, "a")
    floor.source.on_take = floor.pool.drain
    floor.office.allow()
    floor.end("a")
    await floor.pool.run()
    assert floor.begun == ["a"]


async def test_what_a_handler_raises_ends_the_pool_and_cancels_the_rest() -> None:
    floor = Floor(2, "a", "b")
    floor.office.allow(2)
    floor.end("a", KeyError("a bug"))
    with pytest.raises(ExceptionGroup) as caught:
        await floor.pool.run()
    assert caught.group_contains(KeyError)
    assert floor.ends["b"].cancelled()
    assert floor.pool.in_flight == 0


async def test_a_timeout_of_the_source_is_no_drain() -> None:
    floor = Floor(1)

    async def ready() -> None:
        raise TimeoutError

    floor.source.ready = ready  # type: ignore[method-assign]
    with pytest.raises(ExceptionGroup) as caught:
        await floor.pool.run()
    assert caught.group_contains(TimeoutError)


def test_calls_do_not_go_out_together_after_the_other_side_hung() -> None:
    """Taking permits before slots lets 54 calls into the worst minute of this story; see `pacing` for the budget itself."""

    async def main(_clock: VirtualClock) -> list[float]:
        loop, budget, sent = asyncio.get_running_loop(), Budget(30), list[float]()

        async def handle(_work: str, permit: Permit) -> None:
            permit.spend()
            sent.append(loop.time())
            hangs_until = 900.0 if 780 < loop.time() < 900 else loop.time()
            await asyncio.sleep(hangs_until - loop.time() + 0.2)

        source = Counter(*(["work"] * 2000))
        pool: Pool[str, Permit] = Pool(width=8, permits=budget.permit, source=source, handle=handle)
        loop.call_later(1800, pool.drain)
        await pool.run()
        return sent

    sent = run_virtual(main, datetime(2026, 3, 1, 11, 0, tzinfo=UTC))
    assert max(sum(1 for moment in sent if first <= moment < first + 60) for first in sent) == 30
    assert len(sent) > 800
