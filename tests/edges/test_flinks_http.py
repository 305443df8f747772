"""The transport against a real HTTP server that misbehaves, and the rule that nothing of aiohttp comes out of it."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from unittest.mock import Mock

import aiohttp
import pytest
from aiohttp import http_exceptions, web

from refreshd import __version__
from refreshd.core.errors import FlinksError, FlinksUnreachable, FlinksUnreadable, LeaseLost
from refreshd.flinks import AiohttpTransport, Leave, RawResponse
from tests.support.aioresponses_314 import FlinksResponses

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Departures:
    """Counts how often leave was asked for."""

    def __init__(self) -> None:
        self.count = 0
        self.refusal: Exception | None = None

    async def leave(self) -> None:
        self.count += 1
        if self.refusal is not None:
            raise self.refusal


class Sender:
    def __init__(self, transport: AiohttpTransport) -> None:
        self.transport = transport
        self.departures = Departures()

    async def get(self, url: str, *, leave: Leave | None = None, timeout_seconds: float = 5.0) -> RawResponse:
        return await self.send("GET", url, None, leave=leave, timeout_seconds=timeout_seconds)

    async def send(
        self, method: str, url: str, body: bytes | None, *, leave: Leave | None = None, timeout_seconds: float = 5.0
    ) -> RawResponse:
        return await self.transport.send(
            method,
            url,
            {"x-api-key": "the-key"},
            body,
            leave=leave or self.departures.leave,
            timeout_seconds=timeout_seconds,
            max_body=10_000,
        )


@pytest.fixture
async def sender() -> AsyncIterator[Sender]:
    async with AiohttpTransport.opened() as transport:
        yield Sender(transport)


@asynccontextmanager
async def site(handle: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def talker(talk: Talk) -> AsyncIterator[str]:
    """A server that speaks raw bytes."""
    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


def saying(answer: bytes) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    return talk


async def test_a_request_arrives_as_it_was_meant(sender: Sender) -> None:
    seen: list[tuple[str, str, str, bytes]] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        assert "Cookie" not in request.headers
        assert request.headers["User-Agent"] == f"refreshd/{__version__}"
        seen.append((request.method, request.path, request.headers["x-api-key"], await request.read()))
        answer = web.Response(status=203, body=b"answer", headers={"Retry-After": "3"})
        answer.set_cookie("session", "1")
        return answer

    async with site(handle) as base:
        raw = await sender.send("POST", f"{base}/v3/x", b"{}")
        await sender.send("PATCH", f"{base}/v3/y", None)
    assert seen == [("POST", "/v3/x", "the-key", b"{}"), ("PATCH", "/v3/y", "the-key", b"")]
    assert (raw.status, raw.body, raw.headers["Retry-After"]) == (203, b"answer", "3")
    assert sender.departures.count == 2


async def test_a_redirect_is_not_followed(sender: Sender) -> None:
    seen: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.append(request.path)
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    async with site(handle) as base:
        assert (await sender.get(f"{base}/v3")).status == 302
    assert seen == ["/v3"]


async def test_gzip_is_welcome(sender: Sender) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        assert "gzip" in request.headers["Accept-Encoding"]
        return web.Response(body=gzip.compress(b"[]" * 100), headers={"Content-Encoding": "gzip"})

    async with site(handle) as base:
        assert (await sender.get(base)).body == b"[]" * 100


@pytest.mark.parametrize("compressed", [False, True])
async def test_a_body_beyond_the_cap_is_cut_off(sender: Sender, *, compressed: bool) -> None:
    body = b" " * 1_000_000

    async def handle(_request: web.Request) -> web.StreamResponse:
        if compressed:
            return web.Response(body=gzip.compress(body), headers={"Content-Encoding": "gzip"})
        return web.Response(body=body)

    async with site(handle) as base:
        with pytest.raises(FlinksUnreadable, match="10000 bytes"):
            await sender.get(base)


async def test_a_body_of_just_the_cap_is_read(sender: Sender) -> None:
    async def handle(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=b" " * 10_000)

    async with site(handle) as base:
        assert len((await sender.get(base)).body) == 10_000


@pytest.mark.parametrize("begins", [False, True], ids=["no word", "half a body"])
async def test_a_call_ends_with_its_time_limit(sender: Sender, *, begins: bool) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        if begins:
            await answer.prepare(request)
            await answer.write(b"half")
        await asyncio.Event().wait()
        return answer

    async with site(handle) as base:
        with pytest.raises(FlinksUnreachable) as caught:
            await sender.get(base, timeout_seconds=0.1)
    assert caught.value.reason == "timeout"
    assert "0.1 s" in str(caught.value)


async def test_nobody_there_is_a_failure_to_connect(sender: Sender) -> None:
    async with talker(saying(b"")) as address:
        pass
    with pytest.raises(FlinksUnreachable) as caught:
        await sender.get(f"http://{address}/v3")
    assert caught.value.reason == "connect"
    assert sender.departures.count == 0


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", FlinksUnreachable),
        (b"SSH-2.0-OpenSSH_9.2\r\n", FlinksUnreadable),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", FlinksUnreadable),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", FlinksUnreadable),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", FlinksUnreadable),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nhalf", FlinksUnreadable),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", FlinksUnreadable),
    ],
    ids=["nothing", "not HTTP", "truncated", "bad chunk", "bad length", "bad gzip", "endless header"],
)
async def test_rubbish_is_told_from_silence(sender: Sender, answer: bytes, error: type[FlinksError]) -> None:
    async with talker(saying(answer)) as address:
        with pytest.raises(error) as caught:
            await sender.get(f"http://{address}/v3")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


async def test_a_server_without_tls_is_a_failure_of_tls(sender: Sender) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(5)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with talker(talk) as address:
        with pytest.raises(FlinksUnreachable) as caught:
            await sender.get(f"https://{address}/v3")
    assert caught.value.reason == "tls"


async def test_a_connection_that_breaks_is_not_tried_again_without_leave(sender: Sender) -> None:
    """Aiohttp repeats a GET on a kept connection by itself: the second sending asks for leave too, and the choke point refuses it."""
    served = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        await reader.readuntil(b"\r\n\r\n")
        served += 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()
        await reader.readuntil(b"\r\n\r\n")
        served += 1
        writer.close()

    left: list[str] = []

    async def once() -> None:
        left.append("asked")
        if len(left) > 1:
            raise FlinksUnreachable("the connection broke", reason="connect")

    async with talker(talk) as address:
        await sender.get(f"http://{address}/v3")
        with pytest.raises(FlinksUnreachable):
            await sender.get(f"http://{address}/v3", leave=once)
    assert served == 2
    assert left == ["asked", "asked"]


async def test_what_leave_raises_comes_out_and_nothing_was_sent(sender: Sender) -> None:
    seen: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.append(request.path)
        return web.Response()

    sender.departures.refusal = LeaseLost("somebody else leads")
    async with site(handle) as base:
        with pytest.raises(LeaseLost):
            await sender.get(base)
        sender.departures.refusal = None
        assert (await sender.get(f"{base}/later")).status == 200
    assert seen == ["/later"]


def every_error_of_aiohttp() -> list[Exception]:
    """One of each, however its constructor looks."""
    request = Mock(real_url="https://example.com", headers={"flinks-auth-key": "the-secret"})
    key = Mock(host="example.com", port=443, ssl=True, is_ssl=True)
    return [
        http_exceptions.BadHttpMessage("x"),
        http_exceptions.BadStatusLine("x"),
        http_exceptions.ContentEncodingError("x"),
        http_exceptions.InvalidHeader("x"),
        http_exceptions.LineTooLong("x"),
        http_exceptions.TransferEncodingError("x"),
        aiohttp.ClientError("x"),
        aiohttp.ClientResponseError(request, ()),
        aiohttp.ContentTypeError(request, ()),
        aiohttp.WSServerHandshakeError(request, ()),
        aiohttp.TooManyRedirects(request, ()),
        aiohttp.ClientConnectionError("x"),
        aiohttp.ClientConnectionResetError("x"),
        aiohttp.ClientOSError(111, "x"),
        aiohttp.ClientConnectorError(key, OSError(111, "x")),
        aiohttp.ClientConnectorDNSError(key, OSError(-2, "x")),
        aiohttp.ClientProxyConnectionError(key, OSError(111, "x")),
        aiohttp.ClientSSLError(key, OSError(1, "x")),
        aiohttp.ClientConnectorSSLError(key, OSError(1, "x")),
        aiohttp.ClientConnectorCertificateError(key, Exception("x")),
        aiohttp.ServerConnectionError("x"),
        aiohttp.ServerDisconnectedError("x"),
        aiohttp.ServerTimeoutError("x"),
        aiohttp.ConnectionTimeoutError("x"),
        aiohttp.SocketTimeoutError("x"),
        aiohttp.ServerFingerprintMismatch(b"a", b"b", "example.com", 443),
        aiohttp.ClientPayloadError("x"),
        aiohttp.InvalidURL("x"),
        aiohttp.NonHttpUrlClientError("x"),
        OSError(104, "x"),
        ConnectionResetError("x"),
        ssl.SSLError(1, "x"),
        TimeoutError(),
    ]


@pytest.mark.parametrize("error", every_error_of_aiohttp(), ids=lambda error: type(error).__name__)
async def test_no_error_of_aiohttp_comes_out(sender: Sender, error: Exception) -> None:
    with FlinksResponses() as flinks:
        flinks.get("https://example.com/v3", exception=error)
        with pytest.raises(FlinksError) as caught:
            await sender.get("https://example.com/v3")
    assert caught.value.reason in {"timeout", "connect", "tls", "malformed"}
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert "the-secret" not in str(caught.value)
