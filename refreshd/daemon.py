"""Lifetime: the page and the probes are up from the first moment to the last, a candidate stands by and leads, and orders are followed.

Only a stop, settings that cannot work, and a schema that is not ours end it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from refreshd import __version__, policies, web
from refreshd.access import SESSIONS_FOR_PAGES, check_schema, open_ledger, reached
from refreshd.candidate import Candidate
from refreshd.core.errors import SettingsError
from refreshd.engine import Drained
from refreshd.errorgroups import plain_errors
from refreshd.flinks import AiohttpTransport
from refreshd.inquiry import PageLedger, Reach
from refreshd.lag import watch_lag
from refreshd.lease import Lease
from refreshd.ledger import Ledger
from refreshd.listener import Listener
from refreshd.logs import counted
from refreshd.migrate import MigrationStatus
from refreshd.orders import Orders
from refreshd.ports import Clock
from refreshd.postgres import Observer
from refreshd.settings import Settings, changed, require_reloadable
from refreshd.tracing import collected
from refreshd.watching import Watch
from refreshd.web import DecidingLedger

_log = structlog.get_logger(__name__)

_DECISION_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RealMeans:
    """`candidate.Means`: a lease in Postgres, Flinks over HTTP."""

    url: str
    clock: Clock
    lease: Lease
    transport: AiohttpTransport

    async def check_schema(self, settings: Settings) -> MigrationStatus:
        return await check_schema(self.url, settings)

    @asynccontextmanager
    async def open_ledger(self, settings: Settings, *, size: int, observer: Observer) -> AsyncIterator[Ledger]:
        async with open_ledger(self.url, settings, size=size, observer=observer) as database:
            yield Ledger(database)


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
                open_ledger(url, self._settings, size=SESSIONS_FOR_PAGES, name="refreshd page") as pages,
                AiohttpTransport.opened() as transport,
            ):
                self._reach.attach(Ledger(pages))
                self._deciding.attach(Ledger(pages))
                self._address.set_result(address)
                _log.info("serving", address=address)
                lease = Lease(
                    url,
                    schema=self._settings.database_schema,
                    skew=policies.skew(self._settings, self._clock, on_measured=self._watch.on_skew),
                    on_look=lambda: self._watch.beat("lease"),
                )
                means = RealMeans(url=url, clock=self._clock, lease=lease, transport=transport)
                return await self._live(means, orders)

    async def _live(self, means: RealMeans, orders: Orders) -> Drained | None:
        settings = self._settings
        candidate = Candidate(settings, means, self._watch)
        listener = Listener(
            means.url,
            schema=settings.database_schema,
            writers=lambda: open_ledger(means.url, settings, size=1, name="refreshd ping"),
            signal=candidate.notify,
            on_path=self._watch.on_notify_path,
        )
        self._watch.begin()
        async with asyncio.TaskGroup() as group:
            beside = [
                group.create_task(listener.run()),
                group.create_task(watch_lag(self._watch.on_lag)),
                group.create_task(self._reload_on_order(candidate, orders)),
                group.create_task(_hurry_on_order(candidate, orders)),
            ]
            await candidate.run(orders.stop)
            for each in beside:
                each.cancel()
        return candidate.drained

    async def _reload_on_order(self, candidate: Candidate, orders: Orders) -> None:
        while True:
            await orders.reload.wait()
            orders.reload.clear()
            await self._reload(candidate)

    async def _reload(self, candidate: Candidate) -> None:
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
        candidate.follow(settings)


async def _hurry_on_order(candidate: Candidate, orders: Orders) -> None:
    await orders.hurry.wait()
    candidate.hurry()
