"""refreshd in a process of its own, its log lines as they come. Stopped by the process that was started, and by nothing else."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from tests.support.commands import Ran, environment

PATIENCE_SECONDS = 60.0

LogLine = dict[str, object]


class Started(Protocol):
    """What runs a command: asyncio's own kind of process, or one that was forked."""

    @property
    def returncode(self) -> int | None: ...
    @property
    def stdout(self) -> asyncio.StreamReader | None: ...
    @property
    def stderr(self) -> asyncio.StreamReader | None: ...
    def send_signal(self, sign: int, /) -> None: ...
    async def wait(self) -> int: ...


class Process:
    """One running command; standard error is read as it comes."""

    def __init__(self, process: Started) -> None:
        self._process = process
        self._news = asyncio.Condition()
        self._over = False
        self.out = ""
        self.err: list[str] = []

    async def follow(self) -> None:
        """Read both streams to their end."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read_out())
            group.create_task(self._read_err())

    async def _read_out(self) -> None:
        if self._process.stdout is not None:
            self.out = (await self._process.stdout.read()).decode()

    async def _read_err(self) -> None:
        if self._process.stderr is not None:
            async for line in self._process.stderr:
                self.err.append(line.decode().rstrip("\n"))
                await self._tell()
        self._over = True
        await self._tell()

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    def lines(self, event: str) -> list[LogLine]:
        """Every log line of this event so far."""
        return [line for line in map(_log_line, self.err) if line.get("event") == event]

    async def logged(self, event: str, count: int = 1) -> LogLine:
        """Wait for the `count`-th line of this event."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS), self._news:
                await self._news.wait_for(lambda: self._over or len(self.lines(event)) >= count)
        except TimeoutError:
            raise AssertionError(f"{event} was not logged in time; the log:\n{self.words}") from None
        found = self.lines(event)
        assert len(found) >= count, f"it ended without logging {event}; the log:\n{self.words}"
        return found[count - 1]

    @property
    def words(self) -> str:
        """What it said of itself; the calls, which are many, only at the end."""
        calls = sum('"flinks_call"' in line for line in self.err)
        kept = [line for line in self.err if '"flinks_call"' not in line]
        return "\n".join([*kept, f"and {calls} calls to Flinks"])

    @property
    def is_running(self) -> bool:
        return self._process.returncode is None

    def interrupt(self) -> None:
        self._send(signal.SIGINT)

    def terminate(self) -> None:
        self._send(signal.SIGTERM)

    def hang_up(self) -> None:
        """SIGHUP: read the settings anew."""
        self._send(signal.SIGHUP)

    def freeze(self) -> None:
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        self._send(signal.SIGCONT)

    def kill(self) -> None:
        self._send(signal.SIGKILL)

    def _send(self, sign: signal.Signals) -> None:
        if self.is_running:
            self._process.send_signal(sign)

    async def gone(self) -> None:
        """Wait for its end, however it comes."""
        await self._process.wait()

    async def ended(self, within_seconds: float = 4 * PATIENCE_SECONDS) -> Ran:
        """How it ended, once it has."""
        try:
            async with asyncio.timeout(within_seconds):
                code = await self._process.wait()
                async with self._news:
                    await self._news.wait_for(lambda: self._over)
        except TimeoutError:
            raise AssertionError(f"it did not end; the log:\n{self.words}") from None
        return Ran(code=code, out=self.out, err="\n".join(self.err))


def _log_line(text: str) -> LogLine:
    try:
        line = json.loads(text)
    except ValueError:
        return {}
    return line if isinstance(line, dict) else {}


class Launch(Protocol):
    """Runs `refreshd argv`, and kills it if it still runs at the end of the block."""

    def __call__(self, *argv: str, env: Mapping[str, str]) -> AbstractAsyncContextManager[Process]: ...


def launched_with(patch: str) -> Launch:
    """A `Launch` of a refreshd of which these lines have replaced something, before it begins."""
    program = f"import sys\n{patch}\nfrom refreshd.cli import main\nmain(sys.argv[1:])"

    def launch(*argv: str, env: Mapping[str, str]) -> AbstractAsyncContextManager[Process]:
        return _run("-c", program, *argv, env=env)

    return launch


def launched(*argv: str, env: Mapping[str, str]) -> AbstractAsyncContextManager[Process]:
    """The usual `Launch`: by the interpreter that runs the tests."""
    return _run("-m", "refreshd", *argv, env=env)


@asynccontextmanager
async def _run(*words: str, env: Mapping[str, str]) -> AsyncIterator[Process]:
    started = await asyncio.create_subprocess_exec(
        sys.executable, *words, env=environment(env), stdout=PIPE, stderr=PIPE, limit=1 << 24
    )
    async with followed(started) as process:
        yield process


@asynccontextmanager
async def followed(started: Started) -> AsyncIterator[Process]:
    """What it says is heard as it comes; it is killed if it still runs at the end of the block."""
    process = Process(started)
    async with asyncio.TaskGroup() as group:
        following = group.create_task(process.follow())
        try:
            yield process
        finally:
            process.kill()
            await started.wait()
            await following
