"""Puts one leadership together: engine, passes, work queue, pool and vendor client around an open ledger and a held lease."""

import itertools
import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from refreshd import policies
from refreshd.core.breaker import Breaker
from refreshd.core.conversation import Conversation
from refreshd.core.errors import LedgerUnavailable, RefreshdError, RowsLocked
from refreshd.core.model import CallTrace, Pause
from refreshd.dispatch import Dispatcher, Settled
from refreshd.engine import Background, Counted, Engine, Hooks, Rhythm
from refreshd.feed import Feed
from refreshd.flinks import FlinksConnection, FlinksReader, ScheduleWriter, Transport
from refreshd.housekeeping import Housekeeping
from refreshd.ledger import Ledger
from refreshd.pacing import Budget, Permit
from refreshd.pool import Pool
from refreshd.ports import Clock, Leadership, PassRecord
from refreshd.reconcile import Reconciler
from refreshd.recorder import Recorder
from refreshd.restraint import Restraint
from refreshd.settings import Mode, Settings
from refreshd.waiting import Task
from refreshd.work import WorkQueue

TOTALS_SECONDS = 15.0

PATIENCE_OF_ONCE_SECONDS = 60.0
"""What `once` waits for somebody's lock on a login, or for a ledger that takes no results: it must end, whatever others do."""


class Watcher(Protocol):
    """Hears what happens, in order to show or count it. Nothing here may block or raise."""

    def on_call(self, trace: CallTrace) -> None: ...

    def on_settled(self, settled: Settled) -> None: ...

    def on_breaker(self, breaker: Breaker) -> None: ...

    def on_pass_started(self) -> None: ...

    def on_pass(self, record: PassRecord) -> None: ...

    def on_pass_failed(self, error: RefreshdError) -> None: ...

    def on_totals(self, counted: Counted, again_in: float) -> None: ...

    def on_recorded(self, error: LedgerUnavailable | RowsLocked | None) -> None: ...

    def on_task_failed(self, task: str) -> None: ...

    def on_pause(self, pause: Pause | None) -> None: ...

    def on_feed(self, taken: bool) -> None: ...  # noqa: FBT001 # a hook with one thing to say

    def beat(self, loop: str) -> None: ...

    def working(self, name: str) -> AbstractContextManager[None]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a leadership works with; `lease` is held, `ledger` is open, `url` leads to its database, and `breaker` was recalled from it."""

    url: str
    ledger: Ledger
    lease: Leadership
    budget: Budget
    transport: Transport
    clock: Clock
    breaker: Breaker = field(default_factory=Breaker)


class Leading:
    """The parts of a leadership; `engine` drives them."""

    def __init__(
        self,
        settings: Settings,
        given: Given,
        watcher: Watcher,
        *,
        at_once: bool = False,
        begun: Sequence[Conversation] = (),
    ) -> None:
        """`begun`: conversations that parts with other settings have left to go on, which these do."""
        ledger, lease, clock = given.ledger, given.lease, given.clock
        self._settings = settings
        self._ledger = ledger
        self._lease = lease
        self._clock = clock
        self._watcher = watcher
        guarded = policies.guard_policy(settings)
        self.feed = Feed(settings, url=given.url, ledger=ledger, leadership=lease, clock=clock, policy=guarded)
        self.housekeeping = Housekeeping(ledger, lease, clock, policies.retention(settings))
        self._agenda = policies.agenda(settings, at_once=at_once)
        self.queue = WorkQueue(ledger, lease, clock, self._agenda, given.breaker)
        self.queue.adopt(begun)
        self._breaker = self.queue.breaker
        self._recorder = self._recording(patience_seconds=PATIENCE_OF_ONCE_SECONDS if at_once else math.inf)
        connection = self._connection(given.transport)
        restraint = Restraint(
            given.budget,
            given.breaker,
            ledger=ledger,
            leadership=lease,
            fingerprints=policies.fingerprints(settings),
        )
        self._dispatch = self._dispatcher(connection, restraint)
        watcher.on_breaker(given.breaker)
        self._calls = itertools.count(1)
        pool = Pool(width=settings.concurrency, permits=given.budget.permit, source=self.queue, handle=self._handle)
        self.engine = self._engine(pool)

    def _recording(self, *, patience_seconds: float) -> Recorder:
        ledger, lease = self._ledger, self._lease
        return Recorder(
            lambda traces, effects: ledger.record(traces, effects, term=lease.term),
            on_written=self._watcher.on_recorded,
            patience_seconds=patience_seconds,
        )

    def _connection(self, transport: Transport) -> FlinksConnection:
        settings = self._settings
        return FlinksConnection(
            transport,
            base_url=str(settings.flinks_base_url),
            customer_id=str(settings.flinks_customer_id),
            credentials={name: each.get_secret_value() for name, each in policies.credentials(settings).items()},
            timeouts=policies.timeouts(settings),
            max_body=settings.max_body_bytes,
            clock=self._clock,
            observers=(self._trace, self._watcher.on_call),
        )

    def _dispatcher(self, connection: FlinksConnection, restraint: Restraint) -> Dispatcher:
        """In observe mode nobody is handed the write gate."""
        credential = policies.terms(self._settings).schedule_credential
        writer = ScheduleWriter(connection, credential) if self._settings.mode is Mode.ENFORCE else None
        return Dispatcher(
            queue=self.queue,
            reader=FlinksReader(connection),
            writer=writer,
            ledger=self._ledger,
            record=self._recorder.record,
            restraint=restraint,
            leadership=self._lease,
            on_settled=self._on_settled,
        )

    async def _handle(self, task: Task, permit: Permit) -> None:
        """Each call in hand has a deadline of its own: others that end well do not speak for one that is stuck."""
        with self._watcher.working(f"call {next(self._calls)}"):
            await self._dispatch.handle(task, permit)

    def _trace(self, trace: CallTrace) -> None:
        """The trace holds what the vendor saw; a call that never left is only counted."""
        if trace.left:
            self._recorder(trace)

    def _on_settled(self, settled: Settled) -> None:
        self._watcher.on_settled(settled)
        if self.queue.breaker is not self._breaker:
            self._breaker = self.queue.breaker
            self._watcher.on_breaker(self._breaker)

    def _engine(self, pool: Pool[Task, Permit]) -> Engine:
        watcher, settings = self._watcher, self._settings
        return Engine(
            ledger=self._ledger,
            reconciler=Reconciler(self._ledger, self._lease, self._clock, policies.pass_policy(settings)),
            queue=self.queue,
            pool=pool,
            background={"recorder": self._recorder.run, "housekeeping": self.housekeeping.run, **self._feeding()},
            count=self._count,
            rhythm=Rhythm(
                pass_interval=settings.pass_interval.total_seconds(),
                totals_interval=min(TOTALS_SECONDS, settings.pass_interval.total_seconds()),
                grace=settings.grace_seconds,
                patience=PATIENCE_OF_ONCE_SECONDS,
            ),
            hooks=Hooks(
                on_pass_started=watcher.on_pass_started,
                on_pass=watcher.on_pass,
                on_pass_failed=watcher.on_pass_failed,
                on_totals=watcher.on_totals,
                on_task_failed=watcher.on_task_failed,
                on_pause=watcher.on_pause,
                beat=watcher.beat,
            ),
        )

    async def _count(self) -> Counted:
        ledger = self._ledger
        now = self._clock.now()
        routine_start = self._agenda.routine_start(now)
        return Counted(
            totals=await ledger.totals(now=now),
            deadlines=await ledger.deadlines(now=now, routine_start=routine_start, polling=self._agenda.polling),
            plans=await ledger.plans(),
        )

    def _feeding(self) -> Mapping[str, Background]:
        return {} if self._settings.source_query_file is None else {"feed": self._feed}

    async def _feed(self) -> None:
        await self.feed.run(self._watcher.on_feed)
