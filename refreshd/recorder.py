"""Group commit: what finished conversations leave behind is gathered and made durable together, in the order in which it came.

While one group is being written the next one gathers, so at any load there is one commit at a time, and a commit for each login at worst.
The buffer is bounded by those who wait: whoever has effects waits until they are durable, and there are no more of them than workers.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from refreshd.core.effects import Effect
from refreshd.core.errors import LeaseLost, LedgerUnavailable, RowsLocked, Unstorable
from refreshd.core.model import CallTrace

_log = structlog.get_logger(__name__)

GATHER_SECONDS = 0.5
"""How long traces that nobody waits for (of a minted token, say) are gathered before they are written for their own sake."""

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
LAST_WORD_SECONDS = 5.0
"""What a stop grants to the traces that are left."""

Waits = LedgerUnavailable | RowsLocked
"""What a write is tried again after."""

Write = Callable[[Sequence[CallTrace], Sequence[Effect]], Awaitable[None]]
"""Makes one group durable, all or nothing. Raises RowsLocked or Unstorable (each is written by itself), LedgerUnavailable
(it is tried again) or LeaseLost (it is over)."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    effects: Sequence[Effect]
    durable: asyncio.Future[None]
    since_seconds: float


class Recorder:
    """Hears of calls as a `CallObserver`, and records effects. `record` returns while `run` is running, and raises once it has ended."""

    def __init__(
        self,
        write: Write,
        *,
        on_written: Callable[[Waits | None], None] = lambda _: None,
        patience_seconds: float = math.inf,
    ) -> None:
        """`on_written` hears after each try how it went; it must not block and must not raise.

        It hears None only when neither the group nor a login that was set aside waits for more than a lock on its row.
        After `patience_seconds` a login that was set aside is given up, and its `record` raises what it waits for; a group ends `run`.
        """
        self._write = write
        self._patience_seconds = patience_seconds
        self._on_written = on_written
        self._traces: list[CallTrace] = []
        self._waiting: list[_Waiting] = []
        self._aside: list[_Waiting] = []
        self._put_aside = asyncio.Event()
        self._group_waits_for: Waits | None = None
        self._aside_waits_for: Waits | None = None
        self._traced = asyncio.Event()
        self._wanted = asyncio.Event()
        self._ended: Exception | None = None

    def __call__(self, trace: CallTrace) -> None:
        self._traces.append(trace)
        self._traced.set()

    async def record(self, effects: Sequence[Effect]) -> None:
        """Return once these effects, and all traces heard so far, are durable. Raises what ended `run`, LeaseLost above all."""
        if self._ended is not None:
            raise self._ended
        loop = asyncio.get_running_loop()
        waiting = _Waiting(effects, loop.create_future(), loop.time())
        self._waiting.append(waiting)
        self._wanted.set()
        self._traced.set()
        await waiting.durable

    async def run(self) -> None:
        """Write until cancelled; on the way out, once more what is left. Anything but `Waits` ends it, and all who wait."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._serve_aside())
                while True:
                    await self._gather()
                    await self._flush()
        except asyncio.CancelledError:
            await self._say_last_word()
            self._give_up(LeaseLost("this leadership has ended, and nothing is recorded for it any more"))
            raise
        except ExceptionGroup as errors:
            error = errors.exceptions[0]
            self._give_up(error)
            raise error from None

    async def _gather(self) -> None:
        await self._traced.wait()
        try:
            async with asyncio.timeout(GATHER_SECONDS):
                await self._wanted.wait()
        except TimeoutError:
            pass

    async def _flush(self) -> None:
        """Write what has gathered, again and again until the ledger has it; what comes meanwhile is the next group."""
        pause, began = FIRST_PAUSE_SECONDS, _seconds()
        while not await self._has_written():
            if self._group_waits_for is not None and _seconds() - began > self._patience_seconds:
                raise self._group_waits_for
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _has_written(self) -> bool:
        traces, waiting = tuple(self._traces), tuple(self._waiting)
        self._traced.clear()
        self._wanted.clear()
        try:
            await self._write_group(traces, waiting)
        except (LedgerUnavailable, RowsLocked) as error:
            _log.warning(
                "ledger_unavailable", waiting=len(self._waiting), traces=len(self._traces), error=error.message
            )
            self._group_waits_for = error
            self._tell()
            return False
        self._group_waits_for = None
        self._tell()
        return True

    def _tell(self) -> None:
        self._on_written(self._group_waits_for or self._aside_waits_for)

    async def _write_group(self, traces: Sequence[CallTrace], waiting: Sequence[_Waiting]) -> None:
        """All at once; where one value cannot be stored, each by itself; where one row is locked, none waits for it but its own worker."""
        try:
            await self._write(traces, [effect for each in waiting for effect in each.effects])
        except Unstorable:
            await self._write_traces_apart(traces)
            self._set_aside(waiting)
            return
        except RowsLocked:
            if not waiting:
                raise
            await self._write_group(traces, ())
            self._set_aside(waiting)
            return
        del self._traces[: len(traces)]
        del self._waiting[: len(waiting)]
        for each in waiting:
            _tell_durable(each)

    def _set_aside(self, waiting: Sequence[_Waiting]) -> None:
        del self._waiting[: len(waiting)]
        self._aside += waiting
        self._put_aside.set()

    async def _serve_aside(self) -> None:
        """Write each that was set aside by itself, beside the groups, until none is left."""
        while True:
            await self._put_aside.wait()
            await self._try_aside()
            if self._aside:
                await asyncio.sleep(FIRST_PAUSE_SECONDS)
            else:
                self._put_aside.clear()

    async def _try_aside(self) -> bool:
        waits_for: Waits | None = None
        for each in tuple(self._aside):
            try:
                await self._write_login(each)
            except (LedgerUnavailable, RowsLocked) as error:
                _log.warning("login_waits", logins=len(self._aside), error=error.message)
                if _seconds() - each.since_seconds > self._patience_seconds:
                    self._aside.remove(each)
                    _tell_lost(each, error)
                elif not isinstance(error, RowsLocked):
                    waits_for = error
                continue
            self._aside.remove(each)
            _tell_durable(each)
        self._aside_waits_for = waits_for
        self._tell()
        return not self._aside

    async def _write_traces_apart(self, traces: Sequence[CallTrace]) -> None:
        for trace in traces:
            await self._write_or_drop([trace], ())
            self._traces.remove(trace)

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

    async def _say_last_word(self) -> None:
        if not self._traces and not self._waiting and not self._aside:
            return
        try:
            async with asyncio.timeout(LAST_WORD_SECONDS):
                is_written = await self._has_written() and await self._try_aside()
        except TimeoutError:
            is_written = False
        if not is_written:
            _log.warning("traces_lost", traces=len(self._traces), effects=len(self._waiting) + len(self._aside))

    def _give_up(self, error: Exception) -> None:
        """Nobody may wait for us any more, now or later."""
        self._ended = error
        for each in (*self._waiting, *self._aside):
            _tell_lost(each, error)


def _tell_durable(waiting: _Waiting) -> None:
    if not waiting.durable.done():
        waiting.durable.set_result(None)


def _tell_lost(waiting: _Waiting, error: Exception) -> None:
    if not waiting.durable.done():
        waiting.durable.set_exception(error)


def _seconds() -> float:
    return asyncio.get_running_loop().time()
