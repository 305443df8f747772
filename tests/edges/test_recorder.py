"""Nothing that a conversation left behind is lost, doubled or reordered, and nobody goes on before it is durable."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from uuid import UUID

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from refreshd.core.effects import AccountData, Confirmed, Effect
from refreshd.core.errors import LeaseLost, LedgerUnavailable, RowsLocked, Unstorable
from refreshd.core.model import CallTrace, Change, FetchDepth, LoginId, Operation
from refreshd.recorder import GATHER_SECONDS, LAST_WORD_SECONDS, LONGEST_PAUSE_SECONDS, Recorder, Waits
from tests.support.virtual_loop import VirtualClock, run_virtual

NOW = datetime(2026, 6, 18, 15, 0, tzinfo=UTC)


def trace(number: int) -> CallTrace:
    return CallTrace(
        called_at=NOW,
        operation=Operation.AUTHORIZE,
        method="POST",
        url="https://flinks.example/v3",
        body=None,
        login_id=None,
        http_status=200,
        flinks_code=None,
        message=None,
        request_id=None,
        latency_seconds=0.1,
        attempt=number,
        pass_id=None,
        failure=None,
    )


def effect(number: int) -> Effect:
    return Confirmed(login_id=LoginId(UUID(int=number)), change=Change.DISABLE, confirmed_at=NOW)


class Store:
    """What is durable; each write takes a while, and fails as often as the test says."""

    def __init__(self, *outcomes: Exception | None, seconds: float = 0.01) -> None:
        self.outcomes = list(outcomes)
        self.seconds = seconds
        self.traces: list[CallTrace] = []
        self.effects: list[Effect] = []
        self.groups: list[tuple[int, int]] = []
        self.tries_seconds: list[float] = []

    async def write(self, traces: Sequence[CallTrace], effects: Sequence[Effect]) -> None:
        self.tries_seconds.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.seconds)
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if outcome is not None:
            raise outcome
        self.traces += traces
        self.effects += effects
        self.groups.append((len(traces), len(effects)))


def recording(
    store: Store,
    story: Callable[[Recorder], Coroutine[object, object, None]],
    on_written: Callable[[Waits | None], None] = lambda _: None,
) -> None:
    """Tell the story beside a running recorder, in virtual time; then stop it."""

    async def main(_clock: VirtualClock) -> None:
        recorder = Recorder(store.write, on_written=on_written)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(recorder.run())
            await story(recorder)
            running.cancel()

    run_virtual(main, NOW)


DOWN = LedgerUnavailable("the database does not answer")


@settings(max_examples=80, deadline=None)
@given(
    workers=st.lists(
        st.lists(st.tuples(st.floats(0, 2), st.integers(0, 2), st.integers(0, 3)), max_size=6), max_size=5
    ),
    outcomes=st.lists(st.sampled_from([None, DOWN]), max_size=12),
)
def test_nothing_is_lost_doubled_or_reordered(
    workers: list[list[tuple[float, int, int]]], outcomes: list[Exception | None]
) -> None:
    """Each worker: pause, so many calls, then so many effects to record (at times none, and nobody waits)."""
    store = Store(*outcomes)
    heard: list[CallTrace] = []
    wanted: list[Effect] = []

    async def story(recorder: Recorder) -> None:
        async def work(turns: list[tuple[float, int, int]]) -> None:
            for pause, calls, effects in turns:
                await asyncio.sleep(pause)
                for _ in range(calls):
                    heard.append(trace(len(heard)))
                    recorder(heard[-1])
                if effects:
                    mine = [effect(len(wanted) + number) for number in range(effects)]
                    wanted.extend(mine)
                    known = len(heard)
                    await recorder.record(mine)
                    assert set(mine) <= set(store.effects)
                    assert store.traces[:known] == heard[:known]

        async with asyncio.TaskGroup() as group:
            for turns in workers:
                group.create_task(work(turns))
        store.outcomes.clear()

    recording(store, story)
    assert store.traces == heard
    assert store.effects == wanted


def test_what_gathers_while_a_group_is_written_is_the_next_group() -> None:
    store = Store()

    async def story(recorder: Recorder) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(50):
                recorder(trace(number))
                group.create_task(recorder.record([effect(number)]))
                if number == 0:
                    await asyncio.sleep(0.005)

    recording(store, story)
    assert store.groups == [(1, 1), (49, 49)]


def test_effects_do_not_wait_for_more() -> None:
    store = Store()

    async def story(recorder: Recorder) -> None:
        await recorder.record([effect(1)])
        assert asyncio.get_running_loop().time() < 0.02

    recording(store, story)


def test_traces_that_nobody_waits_for_are_written_too() -> None:
    store = Store()

    async def story(recorder: Recorder) -> None:
        recorder(trace(1))
        await asyncio.sleep(GATHER_SECONDS / 2)
        recorder(trace(2))
        assert store.groups == []
        await asyncio.sleep(GATHER_SECONDS)
        assert store.groups == [(2, 0)]

    recording(store, story)


def test_waiting_for_no_effects_waits_for_the_traces() -> None:
    store = Store()

    async def story(recorder: Recorder) -> None:
        recorder(trace(1))
        await recorder.record([])
        assert store.groups == [(1, 0)]

    recording(store, story)


def test_while_the_ledger_is_away_it_is_tried_ever_more_seldom() -> None:
    store = Store(*[DOWN] * 10, seconds=0.0)

    async def story(recorder: Recorder) -> None:
        with structlog.testing.capture_logs() as lines:
            await recorder.record([effect(1)])
        assert [line["event"] for line in lines] == ["ledger_unavailable"] * 10

    recording(store, story)
    pauses = [later - earlier for earlier, later in zip(store.tries_seconds, store.tries_seconds[1:], strict=False)]
    assert pauses[:3] == pytest.approx([0.5, 1.0, 2.0], abs=1e-3)
    assert max(pauses) == pytest.approx(LONGEST_PAUSE_SECONDS, abs=1e-3)
    assert store.effects == [effect(1)]


@pytest.mark.parametrize("error", [LeaseLost("somebody else leads"), KeyError("a bug")])
def test_a_lost_lease_or_a_bug_ends_the_recorder_and_all_who_wait(error: Exception) -> None:
    store = Store(DOWN, error)
    failed: list[Exception] = []

    async def main(_clock: VirtualClock) -> None:
        recorder = Recorder(store.write)

        async def wait(number: int) -> None:
            try:
                await recorder.record([effect(number)])
            except type(error) as raised:
                failed.append(raised)

        async def run() -> None:
            with pytest.raises(type(error)):
                await recorder.run()

        async with asyncio.TaskGroup() as group:
            group.create_task(run())
            for number in range(3):
                group.create_task(wait(number))
            gone = group.create_task(wait(3))
            await asyncio.sleep(0.1)
            gone.cancel()

    run_virtual(main, NOW)
    assert failed == [error] * 3
    assert store.effects == []


def test_a_worker_that_was_cut_off_does_not_disturb_the_group() -> None:
    store = Store()

    async def story(recorder: Recorder) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await recorder.record([effect(1)])
        await recorder.record([effect(2)])

    recording(store, story)
    assert store.effects == [effect(1), effect(2)]


def test_a_stop_writes_what_is_left() -> None:
    store = Store()

    async def story(recorder: Recorder) -> None:
        recorder(trace(1))
        await asyncio.sleep(0)

    recording(store, story)
    assert store.traces == [trace(1)]


def test_who_records_after_the_end_is_told_and_does_not_wait_for_ever() -> None:
    async def story(recorder: Recorder) -> None:
        running.append(recorder)
        await asyncio.sleep(1)

    async def late() -> None:
        with pytest.raises(LeaseLost, match="has ended"):
            await running[0].record([effect(1)])

    running: list[Recorder] = []
    recording(Store(), story)
    asyncio.run(late())


def test_a_stop_with_nothing_left_writes_nothing() -> None:
    store = Store()

    async def story(_recorder: Recorder) -> None:
        await asyncio.sleep(1)

    recording(store, story)
    assert store.groups == []


@pytest.mark.parametrize("store", [Store(DOWN), Store(seconds=2 * LAST_WORD_SECONDS)], ids=["away", "slow"])
def test_a_stop_without_a_ledger_says_what_is_lost(store: Store) -> None:
    async def story(recorder: Recorder) -> None:
        recorder(trace(1))
        await asyncio.sleep(0)

    with structlog.testing.capture_logs() as lines:
        recording(store, story)
    assert lines[-1]["event"] == "traces_lost"
    assert lines[-1]["traces"] == 1


def test_a_value_that_cannot_be_stored_is_told_without_its_body_and_takes_nothing_along() -> None:
    body = b"somebody's account"
    poison = AccountData(
        login_id=LoginId(UUID(int=2)), refreshed_at=NOW, fetched_at=NOW, depth=FetchDepth.SUMMARY, body=body
    )
    store = Picky(poison)

    async def story(recorder: Recorder) -> None:
        async with asyncio.TaskGroup() as group:
            for number in (1, 2, 3):
                recorder(trace(number))
                mine = [poison, effect(2)] if number == 2 else [effect(number)]
                group.create_task(recorder.record(mine))

    with structlog.testing.capture_logs() as lines:
        recording(store, story)
    assert store.traces == [trace(1), trace(2), trace(3)]
    assert store.effects == [effect(1), effect(2), effect(3)]
    assert [(line["event"], line["kind"]) for line in lines] == [("not_storable", "AccountData")]
    assert "account" not in str(lines[0]["error"])


def test_a_login_that_was_set_aside_and_then_meets_a_full_disk_is_told_all_the_while() -> None:
    """Its row is locked; then the disk is full for it alone, while groups of others are stored; then it is stored."""
    full = LedgerUnavailable("the disk is full")
    store = OneRow(effect(1))
    heard: list[str] = []

    async def story(recorder: Recorder) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(recorder.record([effect(1)]))
            await asyncio.sleep(0.1)
            assert set(heard) == {""}, "a locked row is nobody's trouble but its own"
            store.trouble = full
            await asyncio.sleep(1)
            assert heard[-1] == full.message
            heard.clear()
            for number in range(2, 20):
                await recorder.record([effect(number)])
                await asyncio.sleep(0.1)
            assert set(heard) == {full.message}, "the others' success is not this one's"
            store.trouble = None
        assert heard[-1] == "", "it is told at once, whether or not anybody else has something to store"

    recording(store, story, lambda error: heard.append("" if error is None else error.message))


class OneRow(Store):
    """Takes everything but one effect: a lock on its row at first, then whatever the test says."""

    def __init__(self, row: Effect) -> None:
        super().__init__()
        self.row = row
        self.trouble: Exception | None = RowsLocked("somebody holds it")

    async def write(self, traces: Sequence[CallTrace], effects: Sequence[Effect]) -> None:
        if self.row in effects and self.trouble is not None:
            raise self.trouble
        await super().write(traces, effects)


class Picky(Store):
    """Takes everything but one effect."""

    def __init__(self, poison: Effect) -> None:
        super().__init__()
        self.poison = poison

    async def write(self, traces: Sequence[CallTrace], effects: Sequence[Effect]) -> None:
        if self.poison in effects:
            raise Unstorable("the database takes no such value")
        await super().write(traces, effects)


@pytest.mark.parametrize("trouble", [RowsLocked("somebody holds it"), DOWN])
def test_who_has_a_limited_patience_is_told_what_it_waited_for_in_vain(trouble: Exception) -> None:
    """A locked row is its own worker's trouble; a ledger that takes nothing is everybody's."""
    store = Store()
    told: list[Exception] = []

    async def write(traces: Sequence[CallTrace], effects: Sequence[Effect]) -> None:
        if trouble is DOWN or effect(1) in effects:
            raise trouble
        await store.write(traces, effects)

    async def main(_clock: VirtualClock) -> None:
        recorder = Recorder(write, patience_seconds=60.0)
        loop = asyncio.get_running_loop()

        async def tell(number: int) -> None:
            try:
                await recorder.record([effect(number)])
            except (RowsLocked, LedgerUnavailable) as error:
                told.append(error)
                assert 60.0 < loop.time() - began < 60.0 + 2 * LONGEST_PAUSE_SECONDS

        began = loop.time()
        try:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(recorder.run())
                await asyncio.wait([group.create_task(tell(number)) for number in (1, 2)])
                running.cancel()
        except* LedgerUnavailable:
            assert trouble is DOWN

    run_virtual(main, NOW)
    assert told == [trouble] * (1 if isinstance(trouble, RowsLocked) else 2)
    assert store.effects == ([effect(2)] if isinstance(trouble, RowsLocked) else [])
