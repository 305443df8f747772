"""Lifetime: a daemon waits as a standby until the lease is its own, leads until the lease or the database is lost, and begins again.

A lost database is a pause, never an exit: the page and the probes stay up all the while. Only a stop, settings that cannot work, and a
schema that is not ours end it. New settings make a new set of parts under the same lease, so nobody else leads in between.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import structlog

from refreshd import __version__, policies, web
from refreshd.access import check_schema, open_ledger, reached
from refreshd.core.conversation import Conversation
from refreshd.core.errors import LeaseLost, LedgerUnavailable, RefreshdError, SettingsError
from refreshd.engine import Drained
from refreshd.flinks import AiohttpTransport
from refreshd.inquiry import PageLedger, Reach
from refreshd.lag import watch_lag
from refreshd.leading import Given, Leading
from refreshd.lease import Lease
from refreshd.ledger import Ledger
from refreshd.listener import Listener
from refreshd.logs import counted
from refreshd.orders import Orders
from refreshd.pacing import Budget
from refreshd.ports import Clock
from refreshd.restraint import recalled
from refreshd.settings import Settings, changed, require_reloadable
from refreshd.tracing import collected
from refreshd.watching import Watch
from refreshd.web import DecidingLedger

_log = structlog.get_logger(__name__)

_PAUSE_SECONDS = 2.0
_DECISION_SECONDS = 30.0
_SESSIONS_FOR_PAGES = 2
"""Connections for readers: they wait for each other and never keep the work waiting."""
_SESSIONS_BESIDE_CALLS = 3
"""Connections for the pass, the totals and the recorder, beside one for each call in flight."""


class Daemon:
    """One process of refreshd. `run` may be called once; `read_settings` reads them anew when a reload is asked for."""

    def __init__(
        self, settings: Settings, *, clock: Clock | None = None, read_settings: Callable[[], Settings] | None = None
    ) -> None:
        self._settings = settings
        self._read_settings = read_settings or (lambda: settings)
        self._clock = clock or policies.clock(settings)
        self._watch = Watch(settings, self._clock)
        self._reach: Reach[PageLedger] = Reach()
        self._deciding: Reach[DecidingLedger] = Reach(_DECISION_SECONDS)
        self._notified = asyncio.Event()
        self._leading: Leading | None = None
        self._turn_over = asyncio.Event()
        self._drained: Drained | None = None
        self._address: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def address(self) -> str:
        """Where the page is, once it is served."""
        return await asyncio.shield(self._address)

    async def run(self, orders: Orders) -> Drained | None:
        """Serve, stand by and lead until a stop is ordered; what the last leadership left behind, None where there was none.

        Raises SchemaMismatch for a ledger that `refreshd migrate` must see to first, and SettingsError for an address that cannot be had.
        """
        app = web.make_app(self._watch.site(self._reach, self._deciding))
        with counted(self._watch.metrics.on_log), plain_errors():
            async with (
                collected(version=__version__) as self._watch.spans,
                web.serve(app, str(self._settings.listen)) as address,
                reached(self._settings) as url,
                open_ledger(url, self._settings, size=_SESSIONS_FOR_PAGES, name="refreshd page") as pages,
                AiohttpTransport.opened() as transport,
            ):
                self._reach.attach(Ledger(pages))
                self._deciding.attach(Ledger(pages))
                self._address.set_result(address)
                _log.info("serving", address=address)
                await self._live(url, transport, orders)
        return self._drained

    async def _live(self, url: str, transport: AiohttpTransport, orders: Orders) -> None:
        lease = Lease(url, schema=self._settings.database_schema)
        metrics = self._watch.metrics
        rate = self._settings.rate_per_minute
        self._watch.budget = Budget(rate, lease, on_wait=metrics.waited, on_rate=metrics.set_rate)
        settings = self._settings
        listener = Listener(
            url,
            schema=settings.database_schema,
            writers=lambda: open_ledger(url, settings, size=1, name="refreshd ping"),
            signal=self._on_notification,
            on_path=metrics.on_notify_path,
        )
        self._watch.begin()
        async with asyncio.TaskGroup() as group:
            beside = [
                group.create_task(listener.run()),
                group.create_task(watch_lag(self._watch.on_lag)),
                group.create_task(self._follow(orders)),
            ]
            while not orders.stop.is_set():
                await self._one_turn(url, lease, transport, orders)
            for each in beside:
                each.cancel()

    async def _follow(self, orders: Orders) -> None:
        """Carry out what is ordered while we lead; the rest of the daemon looks for a stop by itself."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hurry(orders))
            while True:
                await orders.reload.wait()
                orders.reload.clear()
                await self._reload()

    async def _hurry(self, orders: Orders) -> None:
        await orders.stop.wait()
        self._turn_over.set()
        await orders.hurry.wait()
        if self._leading is not None:
            self._leading.engine.hurry()

    async def _reload(self) -> None:
        """All of the new settings, or none of them."""
        try:
            settings = await asyncio.to_thread(self._read_settings)
            require_reloadable(self._settings, settings)
        except SettingsError as error:
            self._watch.settings_refused(error)
            _log.error("settings_refused", error=error.message, hint=error.hint)
            return
        others = changed(self._settings, settings)
        self._settings = settings
        self._watch.follow_settings(settings)
        _log.info("settings_reloaded", changed=others)
        self._turn_over.set()

    def _on_notification(self) -> None:
        self._notified.set()
        if self._leading is not None:
            self._leading.engine.trigger()

    async def _one_turn(self, url: str, lease: Lease, transport: AiohttpTransport, orders: Orders) -> None:
        """Stand by, lead, and survive the end of it."""
        try:
            with plain_errors():
                self._watch.database_answers(await check_schema(url, self._settings))
                self._watch.follow()
                _log.info("standing_by", holder=lease.holder)
                if await lease.wait_for_turn(orders.stop, self._notified):
                    await self._lead(url, lease, transport, orders)
        except (LeaseLost, LedgerUnavailable) as error:
            self._watch.leadership_failed(error)
            _log.warning("leadership_over", error=error.message, hint=error.hint)
            await _pause(orders.stop)
        finally:
            self._watch.follow()

    async def _lead(self, url: str, lease: Lease, transport: AiohttpTransport, orders: Orders) -> None:
        """Work under one set of settings after the other, until a stop; the lease is held all the while."""
        budget = self._watch.budget
        if budget is None:
            message = "a leadership needs a budget"
            raise AssertionError(message)
        _log.info("leading", holder=lease.holder, term=lease.term)
        async with held(lease, budget):
            begun: Sequence[Conversation] = ()
            while not orders.stop.is_set():
                self._turn_over.clear()
                if budget.rate_per_minute != self._settings.rate_per_minute:
                    budget.follow(self._settings.rate_per_minute)
                    await take_budget(lease, budget)
                begun = await self._work(url, lease, budget, transport, begun)

    async def _work(
        self, url: str, lease: Lease, budget: Budget, transport: AiohttpTransport, begun: Sequence[Conversation]
    ) -> Sequence[Conversation]:
        """Until the settings are others, or a stop: the conversations that wait for their next call then."""
        settings = self._settings
        sessions = settings.concurrency + _SESSIONS_BESIDE_CALLS
        observer = self._watch.metrics.database
        async with open_ledger(url, settings, size=sessions, observer=observer) as database:
            self._watch.lead(database)
            ledger = Ledger(database)
            given = Given(
                url=url,
                ledger=ledger,
                lease=lease,
                budget=budget,
                transport=transport,
                clock=self._clock,
                breaker=await recalled(ledger, policies.fingerprints(settings)),
            )
            self._leading = Leading(settings, given, self._watch, begun=begun)
            try:
                await self._leading.engine.run(self._turn_over)
                self._drained = self._leading.engine.drained
                return self._leading.engine.left
            finally:
                self._leading = None


@asynccontextmanager
async def held(lease: Lease, budget: Budget) -> AsyncIterator[None]:
    """Renew the lease while the block runs, and release it after; LeaseLost cancels the block.

    The budget begins anew: somebody else may have called until just now, and perhaps faster.
    """
    done = asyncio.Event()
    await take_budget(lease, budget)
    async with asyncio.TaskGroup() as group:
        group.create_task(lease.hold(done))
        try:
            yield
        finally:
            done.set()


async def take_budget(lease: Lease, budget: Budget) -> None:
    """Call under the rate of our setting from now on, as the ledger has it: how a predecessor was throttled, and when its calls end."""
    taken = await lease.take_budget(budget.rate_per_minute)
    budget.begin()
    budget.resume(taken.rate_in_force)
    budget.rest(taken.rest_seconds)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Structured tasks raise groups; where all that happened is of the expected kind, raise the one that came first instead."""
    try:
        yield
    except BaseExceptionGroup as group:
        leaves = list(_leaves(group))
        if not all(isinstance(each, RefreshdError) for each in leaves):
            raise
        raise leaves[0] from group


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for each in group.exceptions:
        if isinstance(each, BaseExceptionGroup):
            yield from _leaves(each)
        else:
            yield each


async def _pause(stop: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(_PAUSE_SECONDS):
            await stop.wait()
    except TimeoutError:
        pass
