"""Hears the ledger's notifications, and whether it would hear them. Each is only a hint that something changed; the tables are the truth.

Every so often a ping goes the way of the ledger's writes, and must come back by the way of its notifications: a session that died without
a word, a pooler in between or a server that is no longer the primary would otherwise look like a quiet day. While nothing is heard, the
listener signals by itself, so that passes poll; every new connection signals once, for what was said while there was none.
"""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from functools import cache

import structlog

from refreshd.core.errors import DependencyDown, LedgerUnavailable
from refreshd.postgres import Database, connect, database_trouble
from refreshd.sqlfiles import Queries, load_queries

_log = structlog.get_logger(__name__)

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0
"""Between two tries to connect, and so between two signals while nothing is heard."""
PING_SECONDS = 15.0
PATIENCE_SECONDS = 5.0
"""A session and a ping take milliseconds; what takes longer than this is not coming."""

_PING = "ping "


@cache
def _queries() -> Queries:
    return load_queries("lease")


class Listener:
    """Calls `signal` at once for every notification of the schema, after every (re)connection, and now and then while it is deaf.

    `writers` opens the way that the ledger's writes take. `on_path` hears after each ping how many seconds it took, or None: deaf.
    Neither hook may block.
    """

    def __init__(
        self,
        url: str,
        *,
        schema: str,
        writers: Callable[[], AbstractAsyncContextManager[Database]],
        signal: Callable[[], None],
        on_path: Callable[[float | None], None] = lambda _: None,
    ) -> None:
        self._url = url
        self._schema = schema
        self._writers = writers
        self._signal = signal
        self._on_path = on_path
        self._awaited: dict[str, asyncio.Event] = {}
        self._hears: bool | None = None
        self.is_listening = False

    async def run(self) -> None:
        """Listen until cancelled; a database that is away is waited for, longer each time."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            reason = "the listening session ended"
            try:
                await self._listen()
            except DependencyDown as error:
                reason = error.message
            pause = FIRST_PAUSE_SECONDS if self.is_listening else min(pause * 2, LONGEST_PAUSE_SECONDS)
            self.is_listening = False
            self._tell(None, reason)
            self._signal()
            await asyncio.sleep(pause)

    async def _listen(self) -> None:
        """Returns, or raises, when nothing is heard any more."""
        with database_trouble():
            async with asyncio.timeout(PATIENCE_SECONDS):
                session = await connect(self._url, schema=self._schema, name="refreshd listener")
        lost = asyncio.Event()
        session.add_termination_listener(lambda _: lost.set())
        try:
            with database_trouble():
                async with asyncio.timeout(PATIENCE_SECONDS):
                    channel = await session.fetchval(*_queries()["channel"]())
                    await session.add_listener(channel, lambda *said: self._on_notification(str(said[-1])))
            self._signal()
            async with self._writers() as writers:
                await self._prove_until(lost, writers)
        finally:
            session.terminate()

    def _on_notification(self, text: str) -> None:
        """Pings, our own and those of other daemons, say nothing of the ledger."""
        if not text.startswith(_PING):
            self._signal()
        elif text in self._awaited:
            self._awaited[text].set()

    async def _prove_until(self, lost: asyncio.Event, writers: Database) -> None:
        while not lost.is_set():
            delay = await self._ping(writers)
            self.is_listening = True
            self._tell(delay)
            with suppress(TimeoutError):
                async with asyncio.timeout(PING_SECONDS):
                    await lost.wait()

    async def _ping(self, writers: Database) -> float:
        """Seconds from a write to its notification. Raises LedgerUnavailable where it does not come."""
        loop = asyncio.get_running_loop()
        text, began = _PING + secrets.token_hex(8), loop.time()
        heard = self._awaited[text] = asyncio.Event()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await writers.value(_queries()["ping"](said=text))
                await heard.wait()
        except TimeoutError:
            raise LedgerUnavailable("a notification was sent and not heard") from None
        finally:
            del self._awaited[text]
        return loop.time() - began

    def _tell(self, delay: float | None, reason: str = "") -> None:
        """Every ping to the hook; to the log only what changed."""
        hears = delay is not None
        if hears is not self._hears:
            if hears:
                _log.info("hearing", delay_seconds=delay)
            else:
                _log.warning(
                    "deaf", error=reason, hint="passes poll meanwhile; see docs/operating.md, When something is away"
                )
        self._hears = hears
        self._on_path(delay)
