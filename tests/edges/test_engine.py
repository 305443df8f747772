"""Passes follow each other no faster than the ledger can bear, however often somebody asks."""

import asyncio
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from refreshd.core.errors import LedgerUnavailable, RowsLocked
from refreshd.engine import Engine, Hooks, Rhythm
from refreshd.ports import PassRecord
from tests.support.virtual_loop import VirtualClock, run_virtual

NOW = datetime(2026, 6, 18, 15, 0, tzinfo=UTC)


class _Nothing:
    """Stands for whatever a pass needs beside its reconciler."""

    pass_id: object = None
    woken = 0

    def wake(self) -> None:
        self.woken += 1

    async def pause(self) -> None: ...


class _Passes:
    """A reconciler whose passes take so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.began: list[float] = []

    async def run(self) -> PassRecord:
        self.began.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.seconds)
        return PassRecord(pass_id=cast("Any", 1), started_at=NOW, finished_at=NOW, judged=0, intended=0, held=0)


def _engine(
    passes: _Passes, clock: VirtualClock, failed: list[str] | None = None, heard: list[str] | None = None
) -> Engine:
    """`heard`: beats, and the errors of passes."""
    anything = cast("Any", _Nothing())
    heard = [] if heard is None else heard
    hooks = Hooks(
        on_pass_started=lambda: None,
        on_pass=lambda _: None,
        on_pass_failed=lambda error: heard.append(type(error).__name__),
        on_totals=lambda *_: None,
        on_task_failed=(lambda _: None) if failed is None else failed.append,
        on_pause=lambda _: None,
        beat=heard.append,
    )
    return Engine(
        ledger=anything,
        reconciler=cast("Any", passes),
        queue=anything,
        pool=anything,
        background={},
        count=anything,
        rhythm=Rhythm(pass_interval=60.0, totals_interval=60.0, grace=1.0, patience=60.0),
        hooks=hooks,
    )


@pytest.mark.parametrize(("seconds", "most"), [(0.0, 51), (1.0, 6)])
def test_who_asks_without_end_gets_a_pass_at_a_time_with_a_pause_between(seconds: float, most: int) -> None:
    passes = _Passes(seconds)

    async def main(clock: VirtualClock) -> None:
        engine = _engine(passes, clock)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(engine._passes())
            for _ in range(1_000):
                engine.trigger()
                await asyncio.sleep(0.01)
            running.cancel()

    run_virtual(main, NOW)
    assert most - 3 <= len(passes.began) <= most


def _until_the_second_pass(passes: _Passes, *, asked_after: float) -> float:
    """Seconds from the beginning of the first pass, when somebody asks so long after it."""

    async def main(clock: VirtualClock) -> None:
        engine = _engine(passes, clock)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(engine._passes())
            await asyncio.sleep(asked_after)
            engine.trigger()
            await asyncio.sleep(200.0)
            running.cancel()

    run_virtual(main, NOW)
    return passes.began[1] - passes.began[0]


def test_one_change_does_not_wait_for_a_floor() -> None:
    assert _until_the_second_pass(_Passes(0.01), asked_after=20.0) == pytest.approx(20.0, abs=0.01)


def test_a_pass_that_somebody_elses_lock_cuts_short_has_failed_its_loop_is_alive_and_what_is_due_is_drawn() -> None:
    heard: list[str] = []
    engines: list[Engine] = []

    class Locked(_Passes):
        async def run(self) -> PassRecord:
            await super().run()
            raise RowsLocked("another transaction holds a row of the ledger")

    async def main(clock: VirtualClock) -> None:
        engines.append(_engine(Locked(0.01), clock, heard=heard))
        async with asyncio.TaskGroup() as group:
            running = group.create_task(engines[0]._passes())
            await asyncio.sleep(90.0)
            running.cancel()

    run_virtual(main, NOW)
    assert heard == ["RowsLocked", "passes"] * 2
    assert cast("Any", engines[0]._queue).woken == 2


def test_after_a_pass_over_the_whole_fleet_nobody_waits_longer_than_the_interval() -> None:
    assert _until_the_second_pass(_Passes(600.0), asked_after=500.0) == pytest.approx(660.0, abs=1.0)


def test_who_broke_off_is_told_and_those_that_end_with_it_are_not() -> None:
    failed: list[str] = []

    async def breaks() -> None:
        await asyncio.sleep(1)
        message = "the ledger is away"
        raise LedgerUnavailable(message)

    async def goes_on() -> None:
        await asyncio.Event().wait()

    async def main(clock: VirtualClock) -> None:
        engine = _engine(_Passes(0.0), clock, failed)
        async with asyncio.TaskGroup() as group:
            group.create_task(engine._told("totals", breaks()))
            group.create_task(engine._told("passes", goes_on()))

    with pytest.raises(ExceptionGroup):
        run_virtual(main, NOW)
    assert failed == ["totals"]
