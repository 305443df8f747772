"""One copy of refreshd among others: it stands by until the lease is its own, leads until that or the database is lost, and begins anew.

A lost database is a pause, never an end. New settings make a new set of parts under the same lease, so nobody else leads in between.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import structlog

from refreshd import policies, tenure
from refreshd.access import sessions_for_work
from refreshd.core.conversation import Conversation
from refreshd.core.errors import ClocksDisagree, LeaseLost, LedgerUnavailable, RowsLocked
from refreshd.engine import Drained
from refreshd.errorgroups import plain_errors
from refreshd.flinks import Transport
from refreshd.leading import Given, Leading
from refreshd.ledger import Ledger
from refreshd.migrate import MigrationStatus
from refreshd.pacing import Budget
from refreshd.ports import Clock
from refreshd.postgres import Observer
from refreshd.restraint import recalled
from refreshd.settings import Settings
from refreshd.sleeping import first_of
from refreshd.tenure import held, take_budget
from refreshd.watching import Watch

_log = structlog.get_logger(__name__)

PAUSE_SECONDS = 2.0
"""After a leadership that ended in trouble."""


class Lease(tenure.Lease, Protocol):
    """The lease as a candidate sees it."""

    @property
    def holder(self) -> str:
        """Who we are, in the ledger's row."""
        ...

    async def wait_for_turn(self, stop: asyncio.Event, woken: asyncio.Event, on_taken: Callable[[], None]) -> bool:
        """True when it is ours, False on a stop; `woken` has it tried at once. `on_taken` hears of each try that found it taken.

        Raises LedgerUnavailable or RowsLocked.
        """
        ...


class Means(Protocol):
    """What a candidate works with, and cannot tell from the real things: `url` leads to the ledger, for sessions of a leadership's own."""

    @property
    def url(self) -> str: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def lease(self) -> Lease: ...

    @property
    def transport(self) -> Transport: ...

    async def check_schema(self, settings: Settings) -> MigrationStatus:
        """Raises SchemaMismatch for a schema that is not ours, and LedgerUnavailable."""
        ...

    def open_ledger(
        self, settings: Settings, *, size: int, observer: Observer
    ) -> AbstractAsyncContextManager[Ledger]: ...


class Candidate:
    """`run` may be called once."""

    def __init__(self, settings: Settings, means: Means, watch: Watch, *, pause_seconds: float = PAUSE_SECONDS) -> None:
        self._settings = settings
        self._means = means
        self._watch = watch
        self._pause_seconds = pause_seconds
        self._budget = Budget(
            settings.rate_per_minute, means.lease, on_wait=watch.metrics.waited, on_rate=watch.metrics.set_rate
        )
        watch.budget = self._budget
        self._notified = asyncio.Event()
        self._turn_over = asyncio.Event()
        self._leading: Leading | None = None
        self._kept_out = False  # by our clock, and said so
        self.drained: Drained | None = None
        """What the last leadership left behind, once it is over."""

    async def run(self, stop: asyncio.Event) -> None:
        """Until a stop. Raises SchemaMismatch for a ledger that `refreshd migrate` must see to first."""
        async with asyncio.TaskGroup() as group:
            ending = group.create_task(self._end_turn_at(stop))
            while not stop.is_set():
                await self._one_turn(stop)
            ending.cancel()

    def follow(self, settings: Settings) -> None:
        """Work by these from now on."""
        self._settings = settings
        self._turn_over.set()

    def notify(self) -> None:
        """Something in the ledger changed."""
        self._notified.set()
        if self._leading is not None:
            self._leading.engine.trigger()

    def hurry(self) -> None:
        """Grant nothing in flight its end any more, once a stop was asked for."""
        if self._leading is not None:
            self._leading.engine.hurry()

    async def _end_turn_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._turn_over.set()

    async def _one_turn(self, stop: asyncio.Event) -> None:
        """Stand by, lead, and survive the end of it."""
        self._watch.beat("lease")
        try:
            with plain_errors():
                self._watch.database_answers(await self._means.check_schema(self._settings))
                self._watch.follow()
                lease = self._means.lease
                if not self._kept_out:
                    _log.info("standing_by", holder=lease.holder)
                if await self._is_our_turn(lease, stop):
                    await self._lead(lease, stop)
        except (LeaseLost, LedgerUnavailable, RowsLocked) as error:
            self._watch.leadership_failed(error)
            if not self._kept_out:
                _log.warning("leadership_over", error=error.message, hint=error.hint)
            await first_of(stop, seconds=self._pause_seconds)
        finally:
            self._watch.follow()

    async def _is_our_turn(self, lease: Lease, stop: asyncio.Event) -> bool:
        """Stand by. Whose clock is wrong never led, and says once what keeps it from leading, not with each look at the lease."""
        try:
            is_ours = await lease.wait_for_turn(stop, self._notified, self._stands_by)
        except ClocksDisagree as error:
            if not self._kept_out:
                _log.info("standing_by", holder=lease.holder, reason=error.message, hint=error.hint)
            self._kept_out = True
            raise
        self._kept_out = False
        return is_ours

    def _stands_by(self) -> None:
        """The lease was asked for under a clock that agrees, and is somebody else's."""
        self._kept_out = False
        self._watch.stands_by()

    async def _lead(self, lease: Lease, stop: asyncio.Event) -> None:
        """Work under one set of settings after the other, until a stop; the lease is held all the while."""
        async with held(lease, self._budget, self._watch.leadership_failed):
            _log.info("leading", holder=lease.holder, term=lease.term)
            begun: Sequence[Conversation] = ()
            while not stop.is_set():
                self._turn_over.clear()
                if self._budget.rate_per_minute != self._settings.rate_per_minute:
                    self._budget.follow(self._settings.rate_per_minute)
                    await take_budget(lease, self._budget)
                begun = await self._work(lease, begun)

    async def _work(self, lease: Lease, begun: Sequence[Conversation]) -> Sequence[Conversation]:
        """Until the settings are others, or a stop: the conversations that wait for their next call then."""
        settings, means = self._settings, self._means
        size = sessions_for_work(settings)
        async with means.open_ledger(settings, size=size, observer=self._watch.metrics.database) as ledger:
            self._watch.lead(ledger.database)
            given = Given(
                url=means.url,
                ledger=ledger,
                lease=lease,
                budget=self._budget,
                transport=means.transport,
                clock=means.clock,
                breaker=await recalled(ledger, policies.fingerprints(settings)),
            )
            self._leading = Leading(settings, given, self._watch, begun=begun)
            try:
                await self._leading.engine.run(self._turn_over)
                self.drained = self._leading.engine.drained
                return self._leading.engine.left
            finally:
                self._leading = None
