"""A real Prometheus, a real Alertmanager and a receiver, on loopback, each stopped by the process that was started."""

import asyncio
import shutil
import socket
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession, web

PATIENCE_SECONDS = 120.0

Notice = dict[str, Any]


def _program(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} not found: apt-get install {package}")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def alertmanager(directory: Path, config: str) -> AsyncIterator[str]:
    """The address of an Alertmanager that works by this configuration."""
    program = _program("prometheus-alertmanager", "prometheus-alertmanager")
    path, port = directory / "alertmanager.yml", free_port()
    path.write_text(config, encoding="utf-8")
    argv = (
        f"--config.file={path}",
        f"--storage.path={directory / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    )
    async with _ready(program, *argv, address=f"http://127.0.0.1:{port}") as address:
        yield address


@asynccontextmanager
async def prometheus(directory: Path, config: str) -> AsyncIterator[str]:
    """The address of a Prometheus that works by this configuration, whose files it finds in `directory`."""
    program = _program("prometheus", "prometheus")
    path, port = directory / "prometheus.yml", free_port()
    path.write_text(config, encoding="utf-8")
    argv = (
        f"--config.file={path}",
        f"--storage.tsdb.path={directory / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    async with _ready(program, *argv, address=f"http://127.0.0.1:{port}") as address:
        yield address


@asynccontextmanager
async def _ready(program: str, *argv: str, address: str) -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(program, *argv, stdout=PIPE, stderr=STDOUT)
    said: list[str] = []
    async with asyncio.TaskGroup() as group:
        group.create_task(_read(process, said))
        try:
            await _answers(f"{address}/-/ready", process, said)
            yield address
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _read(process: asyncio.subprocess.Process, said: list[str]) -> None:
    if process.stdout is not None:
        async for line in process.stdout:
            said += [line.decode()]


async def _answers(url: str, process: asyncio.subprocess.Process, said: list[str]) -> None:
    """Neither program says on its output when it is ready, so it is asked."""
    async with asyncio.timeout(PATIENCE_SECONDS), ClientSession() as http:
        while True:
            assert process.returncode is None, "".join(said)
            try:
                async with http.get(url) as answer:
                    if answer.status == web.HTTPOk.status_code:
                        return
            except ClientError:
                pass
            await asyncio.sleep(0.05)


class Receiver:
    """Gets what Alertmanager sends, by the name of its receiver, and wakes whoever waits for it."""

    def __init__(self) -> None:
        self._news = asyncio.Condition()
        self.notices: list[tuple[str, Notice]] = []

    async def take(self, request: web.Request) -> web.Response:
        message = await request.json()
        async with self._news:
            self.notices += [(request.match_info["name"], alert) for alert in message["alerts"]]
            self._news.notify_all()
        return web.Response()

    async def told(self, name: str, alert: str, status: str) -> Notice:
        """Wait until this receiver has heard that the alert is `firing` or `resolved`."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS), self._news:
                await self._news.wait_for(lambda: self._found(name, alert, status) is not None)
        except TimeoutError:
            heard = [(to, each["labels"]["alertname"], each["status"]) for to, each in self.notices]
            raise AssertionError(f"{name} was not told that {alert} is {status}; what was heard: {heard}") from None
        found = self._found(name, alert, status)
        assert found is not None
        return found

    def _found(self, name: str, alert: str, status: str) -> Notice | None:
        fitting = (
            each
            for to, each in self.notices
            if (to, each["labels"]["alertname"], each["status"]) == (name, alert, status)
        )
        return next(fitting, None)


@asynccontextmanager
async def receiver() -> AsyncIterator[tuple[Receiver, str]]:
    """A receiver and its address; Alertmanager posts to `address/NAME`."""
    taking = Receiver()
    app = web.Application()
    app.router.add_post("/{name}", taking.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield taking, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
