"""Group commit: what finished conversations leave behind is gathered and made durable together, in the order in which it came.

While one group is being written the next one gathers, so at any load there is one commit at a time, and a commit for each login at worst.
The buffer is bounded by those who wait: whoever has effects waits until they are durable, and there are no more of them than workers.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from refreshd.core.errors import LedgerUnavailable, Unstorable
from refreshd.core.model import CallTrace, Effect

_log = structlog.get_logger(__name__)

GATHER_SECONDS = 0.5
"""How long traces that nobody waits for (of a minted token, say) are gathered before they are written for their own sake."""

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
LAST_WORD_SECONDS = 5.0
"""What a stop grants to the traces that are left."""

Write = Callable[[Sequence[CallTrace], Sequence[Effect]], Awaitable[None]]
"""Makes one group durable, all or nothing. Raises LedgerUnavailable (it is tried again), Unstorable (it is written apart) or
LeaseLost (it is over)."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    effects: Sequence[Effect]
    durable: asyncio.Future[None]


class Recorder:
    """Hears of calls as a `CallObserver`, and records effects. `run` must be running for `record` to return."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._traces: list[CallTrace] = []
        self._waiting: list[_Waiting] = []
        self._traced = asyncio.Event()
        self._wanted = asyncio.Event()

    def __call__(self, trace: CallTrace) -> None:
        self._traces.append(trace)
        self._traced.set()

    async def record(self, effects: Sequence[Effect]) -> None:
        """Return once these effects, and all traces heard so far, are durable. Raises what ended `run`, LeaseLost above all."""
        waiting = _Waiting(effects, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._wanted.set()
        self._traced.set()
        await waiting.durable

    async def run(self) -> None:
        """Write until cancelled; on the way out, once more what is left. Anything but LedgerUnavailable ends it, and all who wait."""
        try:
            while True:
                await self._gather()
                await self._flush()
        except asyncio.CancelledError:
            await self._say_last_word()
            raise
        except Exception as error:
            self._give_up(error)
            raise

    async def _gather(self) -> None:
        await self._traced.wait()
        try:
            async with asyncio.timeout(GATHER_SECONDS):
                await self._wanted.wait()
        except TimeoutError:
            pass

    async def _flush(self) -> None:
        """Write what has gathered, again and again until the ledger has it; what comes meanwhile is the next group."""
        pause = FIRST_PAUSE_SECONDS
        while not await self._has_written():
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _has_written(self) -> bool:
        traces, waiting = tuple(self._traces), tuple(self._waiting)
        self._traced.clear()
        self._wanted.clear()
        try:
            await self._write_group(traces, waiting)
        except LedgerUnavailable as error:
            _log.warning(
                "ledger_unavailable", waiting=len(self._waiting), traces=len(self._traces), error=error.message
            )
            return False
        return True

    async def _write_group(self, traces: Sequence[CallTrace], waiting: Sequence[_Waiting]) -> None:
        """All at once; where one value among them cannot be stored, each by itself."""
        try:
            await self._write(traces, [effect for each in waiting for effect in each.effects])
        except Unstorable:
            await self._write_apart(traces, waiting)
            return
        del self._traces[: len(traces)]
        for each in waiting:
            self._is_durable(each)

    async def _write_apart(self, traces: Sequence[CallTrace], waiting: Sequence[_Waiting]) -> None:
        for trace in traces:
            await self._write_or_drop([trace], ())
            self._traces.remove(trace)
        for each in waiting:
            await self._write_login(each)
            self._is_durable(each)

    async def _write_login(self, waiting: _Waiting) -> None:
        """Without its account data where the ledger does not take them: the rest says that today's routine is over."""
        try:
            await self._write((), waiting.effects)
        except Unstorable:
            for effect in waiting.effects:
                await self._write_or_drop((), [effect])

    async def _write_or_drop(self, traces: Sequence[CallTrace], effects: Sequence[Effect]) -> None:
        try:
            await self._write(traces, effects)
        except Unstorable as error:
            subject = (*traces, *effects)[0]
            kind, login_id = type(subject).__name__, subject.login_id
            _log.error("not_storable", kind=kind, login_id=str(login_id), error=error.message)

    def _is_durable(self, waiting: _Waiting) -> None:
        self._waiting.remove(waiting)
        if not waiting.durable.done():
            waiting.durable.set_result(None)

    async def _say_last_word(self) -> None:
        if not self._traces and not self._waiting:
            return
        try:
            async with asyncio.timeout(LAST_WORD_SECONDS):
                is_written = await self._has_written()
        except TimeoutError:
            is_written = False
        if not is_written:
            _log.warning("traces_lost", traces=len(self._traces), effects=len(self._waiting))

    def _give_up(self, error: Exception) -> None:
        for each in self._waiting:
            if not each.durable.done():
                each.durable.set_exception(error)
