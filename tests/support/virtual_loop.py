"""An event loop on virtual time: a day of passes and pacing in seconds, with a real database if need be.

Nothing ever sleeps. When nothing is ready the clock jumps to the next timer; when there is no timer either, nothing can ever wake and
the loop raises instead of hanging. Each turn adds a microsecond, because on a clock that stands still `AsyncLimiter` re-arms a timer
smaller than float resolution and spins for ever. Model: trio: `src/trio/_core/_mock_clock.py`.

A database does not know of virtual time. While a `busy` block is open the loop therefore waits on its sockets for real and the clock
stands still: `waiting_for_real(ledger)` puts each call of an object into such a block. For asyncpg itself, give the pool
`max_inactive_connection_lifetime=0` and `max_cached_statement_lifetime=0`: its own timers run on loop time and would throw connections
and statements away at each jump. A notification (LISTEN) may arrive later than the clock jumps; trigger what it would trigger by hand.
"""

import asyncio
import inspect
import selectors
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, TypeVar

T = TypeVar("T")

TURN_SECONDS = 1e-6
REAL_SECONDS = 30.0
"""Real time that a busy block may go without any event before the loop calls it hung."""


class NothingCanWakeError(RuntimeError):
    """No task is ready, no timer is set, nothing real is awaited: the test would hang."""


class _JumpingSelector(selectors.DefaultSelector):
    """The place where a loop sleeps: it moves the clock instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now_seconds = 0.0
        self.busy = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if not self.busy:  # else real packets, and how they happen to come, would move the clock
            self.now_seconds += TURN_SECONDS
        events = super().select(0)
        if events or timeout == 0:
            return events
        if self.busy:
            return self._wait_for_real()
        if timeout is None:
            message = "nothing is ready, no timer is set, and nothing real is awaited"
            raise NothingCanWakeError(message)
        self.now_seconds += timeout
        return []

    def _wait_for_real(self) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(REAL_SECONDS)
        if not events:
            message = f"a busy block saw no event for {REAL_SECONDS} real seconds; does it wait for a timer?"
            raise NothingCanWakeError(message)
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """`asyncio.Runner(loop_factory=VirtualLoop)`; loop time begins at zero."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_seconds

    @contextmanager
    def busy(self) -> Iterator[None]:
        """The clock stands still until the block is left."""
        self._jumping.busy += 1
        try:
            yield
        finally:
            self._jumping.busy -= 1

    def run_in_executor(self, executor: Executor | None, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        """A thread is real work."""
        self._jumping.busy += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._leave)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as newer Pythons call it
        with self.busy():
            await super().shutdown_default_executor()

    def _leave(self, _future: asyncio.Future[Any]) -> None:
        self._jumping.busy -= 1


class VirtualClock:
    """The Clock port on virtual time: dates that follow the running loop from `start` on."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._began_seconds = asyncio.get_running_loop().time()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=asyncio.get_running_loop().time() - self._began_seconds)


def run_virtual(main: Callable[[VirtualClock], Coroutine[Any, Any, T]], start: datetime) -> T:
    """Run `main` to its end in a loop of its own, with a clock that begins at `start`."""

    async def begin() -> T:
        return await main(VirtualClock(start))

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(begin())


@contextmanager
def busy() -> Iterator[None]:
    """Wait for real things in this block; in an ordinary loop it does nothing."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, VirtualLoop):
        with loop.busy():
            yield
    else:
        yield


class _Waiting:
    """Stands for an object whose coroutines wait for something real."""

    def __init__(self, real: object) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._real, name)
        if inspect.iscoroutinefunction(value):
            return _busy_call(value)
        if inspect.isasyncgenfunction(value):
            return _busy_iteration(value)
        return value


def _busy_call(method: Callable[..., Coroutine[Any, Any, T]]) -> Callable[..., Coroutine[Any, Any, T]]:
    @wraps(method)
    async def call(*args: Any, **kwargs: Any) -> T:
        with busy():
            return await method(*args, **kwargs)

    return call


def _busy_iteration(method: Callable[..., AsyncIterator[T]]) -> Callable[..., AsyncIterator[T]]:
    @wraps(method)
    async def iterate(*args: Any, **kwargs: Any) -> AsyncIterator[T]:
        items = method(*args, **kwargs)
        while True:
            with busy():
                try:
                    item = await anext(items)
                except StopAsyncIteration:
                    return
            yield item

    return iterate


def waiting_for_real(thing: T) -> T:
    """The same object, whose `async def` methods and async generators hold the clock while they wait.

    Not so what merely returns an awaitable or an async context manager (`pool.acquire()`): enter `busy()` around those.
    """
    proxy: Any = _Waiting(thing)
    return proxy  # type: ignore[no-any-return] # it answers to every name that the thing answers to
