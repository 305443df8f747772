"""The HTTP door: a simulator on a real socket. The only module here that knows aiohttp.

Everything under `/_simulator/` is the control API; everything else is Flinks.
"""

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import datetime
from email.utils import format_datetime

from aiohttp import web

from refreshd.simulator.control import PREFIX, Control
from refreshd.simulator.door import DRIP_SECONDS, HANG_SECONDS
from refreshd.simulator.messages import DeliveryKind, Moment, Request, Response
from refreshd.simulator.simulator import Simulator

_LARGEST_REQUEST_BYTES = 64 * 1024 * 1024
"""A list of a million inactive logins fits in."""
_SHUTDOWN_SECONDS = 0.5


class HttpDoor:
    """Turns HTTP requests into calls of a simulator, and its responses into bytes, whole or not."""

    def __init__(self, simulator: Simulator, clock: Callable[[], datetime], monotonic: Callable[[], float]) -> None:
        """Take the date from `clock` and real seconds from `monotonic`."""
        self._simulator = simulator
        self._clock = clock
        self._monotonic = monotonic
        self._control = Control(simulator, clock, monotonic)
        self._closing = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        body = await request.read()
        if request.path.startswith(PREFIX):
            return _whole(request, self._control.answer(request.method, request.path, request.query, body))
        headers = {name.lower(): value for name, value in request.headers.items()}
        now = Moment(self._clock(), self._monotonic())
        response = self._simulator.respond(Request(request.method, request.path, headers, body), now)
        dated = {**response.headers, "Date": format_datetime(now.date, usegmt=True)}
        return await self._deliver(request, replace(response, headers=dated))

    async def close(self, _app: web.Application) -> None:
        """Let go of the calls that hang."""
        self._closing.set()

    async def _deliver(self, request: web.Request, response: Response) -> web.StreamResponse:
        await self._wait(response.delivery.delay_seconds)
        match response.delivery.kind:
            case DeliveryKind.WHOLE:
                return _whole(request, response)
            case DeliveryKind.DRIP:
                return await self._drip(request, response)
            case DeliveryKind.TRUNCATED:
                return await _truncated(request, response)
            case DeliveryKind.HANG:
                await self._wait(HANG_SECONDS)
                return _reset(request)
            case DeliveryKind.RESET:
                return _reset(request)

    async def _drip(self, request: web.Request, response: Response) -> web.StreamResponse:
        headers = {**response.headers, "Content-Length": str(len(response.body))}
        answer = web.StreamResponse(status=response.status, headers=headers)
        await answer.prepare(request)
        for byte in response.body:
            await self._wait(DRIP_SECONDS)
            await answer.write(bytes([byte]))
        return answer

    async def _wait(self, seconds: float) -> None:
        if seconds:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._closing.wait()


def _whole(request: web.Request, response: Response) -> web.StreamResponse:
    answer = web.Response(status=response.status, body=response.body, headers=response.headers)
    if (
        response.body
        and "Content-Encoding" not in response.headers
        and "gzip" in request.headers.get("Accept-Encoding", "")
    ):
        answer.enable_compression(web.ContentCoding.gzip)
    return answer


async def _truncated(request: web.Request, response: Response) -> web.StreamResponse:
    headers = {**response.headers, "Content-Length": str(len(response.body) + 1)}
    answer = web.StreamResponse(status=response.status, headers=headers)
    await answer.prepare(request)
    await answer.write(response.body[: len(response.body) // 2])
    if request.transport is not None:
        request.transport.close()
    return answer


def _reset(request: web.Request) -> web.StreamResponse:
    """Drop the connection with a TCP reset; the response returned goes nowhere."""
    if request.transport is not None:
        sock = request.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return web.Response()


def make_app(
    simulator: Simulator,
    clock: Callable[[], datetime],
    monotonic: Callable[[], float] = time.monotonic,
) -> web.Application:
    """Return an application that serves Flinks under `/v3/` and the control API under `/_simulator/`."""
    door = HttpDoor(simulator, clock, monotonic)
    app = web.Application(client_max_size=_LARGEST_REQUEST_BYTES)
    app.router.add_route("*", "/{path:.*}", door.handle)
    app.on_shutdown.append(door.close)
    return app


@contextlib.asynccontextmanager
async def running(
    simulator: Simulator,
    clock: Callable[[], datetime],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
) -> AsyncIterator[str]:
    """Serve while the block runs; yield the address, without `/v3`. Port 0 takes a free one."""
    runner = web.AppRunner(
        make_app(simulator, clock),
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=_SHUTDOWN_SECONDS,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def serve(
    simulator: Simulator,
    clock: Callable[[], datetime],
    *,
    host: str = "127.0.0.1",
    port: int = 9878,
    stop: asyncio.Event,
    started: Callable[[str], None] = lambda _address: None,
) -> None:
    """Serve until `stop` is set; `started` hears the address, without `/v3`, once it answers. OSError if the port is taken."""
    async with running(simulator, clock, host=host, port=port) as address:
        started(address)
        await stop.wait()
