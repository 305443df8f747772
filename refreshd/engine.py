"""One leadership: passes, pool, recorder and totals under one roof, for as long as the lease holds.

Crash-only: a lost lease or a lost database ends the leadership as an exception, and the daemon begins another one. Nothing is lost by
that, because all state is in the tables. A stop is graceful instead: no new work, what is in flight ends within the grace period.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import structlog

from refreshd import crash
from refreshd.core.conversation import Conversation
from refreshd.core.errors import RowsLocked
from refreshd.core.model import Pause
from refreshd.core.plan import HeldPlan
from refreshd.core.totals import Deadlines, LedgerTotals
from refreshd.crash import Point
from refreshd.ports import PassLedger, PassRecord
from refreshd.reconcile import Reconciler
from refreshd.work import WorkQueue

_log = structlog.get_logger(__name__)

LEAST_PAUSE_SECONDS = 0.2
"""Between two passes, however often somebody asks for one; a pass that takes longer rests for as long as it took, and at most for the
interval: one that has judged a whole fleet anew must not keep the next client who leaves waiting for minutes."""


COUNTING_RESTS = 10
"""The ledger is counted again after so many times what a count takes: whatever its size, that costs the database a tenth of a core."""


class Runs(Protocol):
    """A pool: serves its source until drained."""

    @property
    def in_flight(self) -> int: ...

    async def run(self) -> None: ...

    def drain(self) -> None: ...


class Background(Protocol):
    """A loop that runs for as long as the leadership does; one that returns by itself is a bug."""

    def __call__(self) -> Awaitable[None]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The ledger counted, and the plans that wait."""

    totals: LedgerTotals
    deadlines: Deadlines
    plans: Sequence[HeldPlan]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """Who hears what; each must not block and must not raise. `on_totals` also hears in how many seconds all is counted again."""

    on_pass_started: Callable[[], None]
    on_pass: Callable[[PassRecord], None]
    on_pass_failed: Callable[[RowsLocked], None]
    on_totals: Callable[[Counted, float], None]
    on_task_failed: Callable[[str], None]
    on_pause: Callable[[Pause | None], None]
    beat: Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """What a stop left behind; the tables still say of each that it is due.

    `waiting`: conversations that were to go on later. `cut_off`: those of the calls in flight that were not granted their end.
    """

    waiting: int
    in_flight: int
    cut_off: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """Durations, in seconds of loop time.

    `totals_interval` is the least that lies between two counts of the ledger. `patience` is for how long `run_until_idle` begins passes
    anew that somebody's lock cuts short.
    """

    pass_interval: float
    totals_interval: float
    grace: float
    patience: float


class Engine:
    """Drives one leadership. `trigger` asks for a pass now."""

    def __init__(
        self,
        *,
        ledger: PassLedger,
        reconciler: Reconciler,
        queue: WorkQueue,
        pool: Runs,
        background: Mapping[str, Background],
        count: Callable[[], Awaitable[Counted]],
        rhythm: Rhythm,
        hooks: Hooks,
    ) -> None:
        self._ledger = ledger
        self._reconciler = reconciler
        self._queue = queue
        self._pool = pool
        self._background = background
        self._count = count
        self._rhythm = rhythm
        self._hooks = hooks
        self._triggered = asyncio.Event()
        self._hurry = asyncio.Event()
        self.drained: Drained | None = None
        self.left: Sequence[Conversation] = ()
        """Conversations that a stop has kept from going on."""

    def trigger(self) -> None:
        """Something in the ledger changed: run a pass as soon as the present one is over."""
        self._triggered.set()

    def hurry(self) -> None:
        """Grant nothing in flight its end any more, once a stop was asked for."""
        self._hurry.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Lead until `stop` is set; `drained` says what it left. Raises LeaseLost or LedgerUnavailable when leading is over before that."""
        async with self._working({"passes": self._passes, "totals": self._totals}):
            await stop.wait()

    async def run_until_idle(self) -> None:
        """Passes and their work until a pass leaves nothing due, or somebody's lock has cut them short for too long."""
        loop = asyncio.get_running_loop()
        async with self._working({}):
            in_time = loop.time()
            while True:
                record = await self._pass_or_none()
                quiet = await self._settle()
                if record is not None:
                    in_time = loop.time()
                    if quiet and not record.more and not record.intended:
                        break
                elif loop.time() - in_time >= self._rhythm.patience:
                    break
                else:
                    await asyncio.sleep(LEAST_PAUSE_SECONDS)
            await self.publish()

    async def one_pass(self) -> PassRecord:
        """One pass; what it made due is drawn at once."""
        self._hooks.on_pass_started()
        self._hooks.on_pause(await self._ledger.pause())
        record = await self._reconciler.run()
        self._queue.pass_id = record.pass_id
        self._queue.wake()
        self._hooks.on_pass(record)
        self._hooks.beat("passes")
        return record

    async def _pass_or_none(self) -> PassRecord | None:
        """None where somebody's lock has cut it short; what is due beside that is drawn all the same."""
        try:
            return await self.one_pass()
        except RowsLocked as error:
            _log.warning("pass_cut_short", error=error.message, hint=error.hint)
            self._queue.wake()
            self._hooks.on_pass_failed(error)
            self._hooks.beat("passes")
            return None

    async def publish(self) -> float:
        """Count the ledger and hand it to whoever shows it. Returns the seconds after which to do it again."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        counted = await self._count()
        again_in = max(self._rhythm.totals_interval, COUNTING_RESTS * (loop.time() - began))
        self._hooks.on_totals(counted, again_in)
        self._hooks.beat("totals")
        return again_in

    async def _settle(self) -> bool:
        """Wait until nothing is due; True when nothing was due to begin with."""
        before = self._queue.taken
        await self._queue.idle()
        return self._queue.taken == before

    async def _passes(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._triggered.clear()
            began = loop.time()
            record = await self._pass_or_none()
            if record is not None and record.more:
                continue
            ended = loop.time()
            try:
                async with asyncio.timeout(self._rhythm.pass_interval):
                    await self._triggered.wait()
            except TimeoutError:
                pass
            rest = min(ended - began, self._rhythm.pass_interval)
            await asyncio.sleep(ended + max(LEAST_PAUSE_SECONDS, rest) - loop.time())

    async def _totals(self) -> None:
        while True:
            again_in = await self.publish()
            await asyncio.sleep(again_in)

    @asynccontextmanager
    async def _working(self, loops: Mapping[str, Background]) -> AsyncIterator[None]:
        """The pool and the loops; on the way out, drained in stages. What runs in the background records, so it ends last, always."""
        async with asyncio.TaskGroup() as outlasting:
            recording = [
                outlasting.create_task(self._told(name, _for_ever(each))) for name, each in self._background.items()
            ]
            async with asyncio.TaskGroup() as group:
                running = [group.create_task(self._told(name, _for_ever(each))) for name, each in loops.items()]
                pool = group.create_task(self._told("calls", self._pool.run()))
                yield
                await self._drain(pool)
                _cancel(running)
            _cancel(recording)

    async def _told(self, name: str, task: Awaitable[None]) -> None:
        """Tells who broke off: the others are then only cancelled."""
        try:
            await task
        except Exception:
            self._hooks.on_task_failed(name)
            raise

    async def _drain(self, pool: asyncio.Task[None]) -> None:
        """No new work; then what is in flight may end within the grace; then it is cut off. What was left is told."""
        self.left = self._queue.drop_waiting()
        waiting, in_flight = len(self.left), self._pool.in_flight
        self._pool.drain()
        if in_flight:
            _log.info("draining", in_flight=in_flight, grace_seconds=self._rhythm.grace)
        await self._end_within_grace(pool)
        cut_off = self._pool.in_flight
        if not pool.done():
            pool.cancel()
        self.left = (*self.left, *self._queue.drop_waiting())
        self.drained = Drained(waiting=waiting, in_flight=in_flight, cut_off=cut_off)
        crash.reach(Point.DRAINED)
        _log.info("drained", in_flight=in_flight, cut_off=cut_off, left_waiting=waiting)

    async def _end_within_grace(self, pool: asyncio.Task[None]) -> None:
        async with asyncio.TaskGroup() as group:
            hurried = group.create_task(self._hurry.wait())
            await asyncio.wait([pool, hurried], timeout=self._rhythm.grace, return_when=asyncio.FIRST_COMPLETED)
            hurried.cancel()


async def _for_ever(loop: Background) -> None:
    await loop()
    message = f"{loop!r} was meant to run for ever and returned"
    raise AssertionError(message)


def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    for each in tasks:
        each.cancel()
