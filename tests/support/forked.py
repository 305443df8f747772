"""refreshd in processes of its own, forked from one that has imported it already: a life costs what it does, not what its imports cost.

`python -m tests.support.forked ADDRESS` is that one. It listens on a Unix socket and ends when its standard input does. Each connection
has one process started: it brings arguments, environment and the two streams, and takes back the process's number and its end.
"""

import asyncio
import gc
import json
import os
import select
import signal
import socket
import sys
import tempfile
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from refreshd.cli import main
from tests.support.commands import environment
from tests.support.process import Launch, Process, followed

_LARGEST_ORDER = 1 << 16
_END = b"\n"


# The starter's side -----------------------------------------------------------------------------------------------------------------


class Forked:
    """One such process, to be handled as one that asyncio has started."""

    def __init__(self, line: asyncio.StreamReader, pid: int, streams: tuple[asyncio.StreamReader, ...]) -> None:
        self._line = line
        self._pid = pid
        self.stdout, self.stderr = streams
        self.returncode: int | None = None

    def send_signal(self, sign: int) -> None:
        with suppress(ProcessLookupError):  # it ended, and we have not heard of it yet
            os.kill(self._pid, sign)

    async def wait(self) -> int:
        if self.returncode is None:
            self.returncode = int(await self._line.readline())
        return self.returncode


@asynccontextmanager
async def forking() -> AsyncIterator[Launch]:
    """What starts refreshd quickly for as long as the block runs."""
    with tempfile.TemporaryDirectory(prefix="refreshd-fork-") as directory:
        address = str(Path(directory) / "line")
        server = await asyncio.create_subprocess_exec(
            sys.executable, "-m", __name__, address, stdin=PIPE, stdout=PIPE, env=environment(None)
        )
        assert server.stdin is not None
        assert server.stdout is not None
        await server.stdout.readline()  # it listens

        @asynccontextmanager
        async def launched(*argv: str, env: Mapping[str, str]) -> AsyncIterator[Process]:
            async with _forked(address, argv, env) as started, followed(started) as process:
                yield process

        try:
            yield launched
        finally:
            server.stdin.close()
            await server.wait()


@asynccontextmanager
async def _forked(address: str, argv: tuple[str, ...], env: Mapping[str, str]) -> AsyncIterator[Forked]:
    order = json.dumps({"argv": argv, "env": environment(env)}).encode() + _END
    ours, theirs = zip(os.pipe(), os.pipe(), strict=True)
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(address)
        socket.send_fds(line, [order], list(theirs))
        for each in theirs:
            os.close(each)
        streams = tuple([await _reader(each) for each in ours])
        answers, writer = await asyncio.open_unix_connection(sock=line)
        try:
            yield Forked(answers, int(await answers.readline()), streams)
        finally:
            writer.close()


async def _reader(pipe: int) -> asyncio.StreamReader:
    """Closes the pipe at its end."""
    reader = asyncio.StreamReader(limit=1 << 24)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb", buffering=0)
    )
    return reader


# The side of the one that is forked ---------------------------------------------------------------------------------------------------


def serve(address: str) -> None:
    """Fork a keeper for each order, until whoever started us is gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a keeper
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while sys.stdin not in select.select([listening, sys.stdin], [], [])[0]:
            line, _ = listening.accept()
            with line:
                if os.fork() == 0:
                    listening.close()
                    keep(line)
                    return


def keep(line: socket.socket) -> None:
    """Start what is ordered, and tell its number and how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    order, streams, _, _ = socket.recv_fds(line, _LARGEST_ORDER, 2)
    while not order.endswith(_END):
        order += line.recv(_LARGEST_ORDER)
    pid = os.fork()
    if pid == 0:
        line.close()
        live(json.loads(order), streams)
    for each in streams:
        os.close(each)
    line.sendall(b"%d\n" % pid)
    _, status = os.waitpid(pid, 0)
    line.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def live(order: dict[str, object], streams: list[int]) -> None:
    """Be refreshd; leaves by SystemExit."""
    for number, stream in enumerate(streams, start=1):
        os.dup2(stream, number)
        os.close(stream)
    argv, env = order["argv"], order["env"]
    assert isinstance(argv, list)
    assert isinstance(env, dict)
    os.environ.clear()
    os.environ.update(env)
    main(argv)


def _import_all() -> None:
    """What `main` imports only when it is needed."""
    import refreshd.cli.app  # noqa: PLC0415
    import refreshd.daemon  # noqa: F401, PLC0415


if __name__ == "__main__":
    _import_all()
    gc.freeze()  # a collection in a child would copy every page of what was imported
    serve(sys.argv[1])
