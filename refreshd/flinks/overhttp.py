"""Real HTTP through aiohttp, and nothing of aiohttp comes out of here."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from types import SimpleNamespace
from typing import Self

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from refreshd import __version__
from refreshd.core.errors import FlinksUnreachable, FlinksUnreadable
from refreshd.flinks.transport import Leave, RawResponse


class AiohttpTransport:
    """The way out over real HTTP; open it in the loop that will use it.

    No cookies, no redirects, no proxies or passwords from the environment. Nothing of aiohttp comes out of it: an error of aiohttp's
    carries the request with its headers, so it is not even kept as a cause.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    @classmethod
    @asynccontextmanager
    async def opened(cls) -> AsyncIterator[Self]:
        """A transport with a session of its own. It has as many connections as there are calls: the pool bounds those."""
        tracing = aiohttp.TraceConfig()
        tracing.on_request_headers_sent.append(_leave)
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": f"refreshd/{__version__}"},
            timeout=aiohttp.ClientTimeout(total=None),
            trust_env=False,
            trace_configs=[tracing],
        ) as session:
            yield cls(session)

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        leave: Leave,
        timeout_seconds: float,
        max_body: int,
    ) -> RawResponse:
        """See `Transport`."""
        with _translated(timeout_seconds):
            async with (
                asyncio.timeout(timeout_seconds),
                self._session.request(
                    method,
                    url,
                    headers=headers,
                    data=body,
                    allow_redirects=False,
                    trace_request_ctx=leave,
                ) as response,
            ):
                content = await _capped(response.content.iter_any(), max_body)
                return RawResponse(status=response.status, headers=dict(response.headers), body=content)


async def _leave(
    _session: aiohttp.ClientSession, context: SimpleNamespace, _sent: aiohttp.TraceRequestHeadersSentParams
) -> None:
    """Called by aiohttp for each sending, when it has a connection in hand and has written nothing yet."""
    await context.trace_request_ctx()


async def _capped(parts: AsyncIterator[bytes], max_body: int) -> bytes:
    """The body as it was before compression; whatever is larger than allowed is not read to its end."""
    body = bytearray()
    async for part in parts:
        body += part
        if len(body) > max_body:
            raise FlinksUnreadable(f"an answer of more than {max_body} bytes was cut off")
    return bytes(body)


@contextmanager
def _translated(timeout_seconds: float) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise FlinksUnreachable(f"no answer within {timeout_seconds:g} s", reason="timeout") from None
    except (aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch, ssl.SSLError) as error:
        raise FlinksUnreachable(f"no secure connection: {error}", reason="tls") from None
    except (aiohttp.ClientPayloadError, aiohttp.ClientResponseError, HttpProcessingError) as error:
        raise FlinksUnreadable(f"the answer was no whole HTTP message: {type(error).__name__}") from None
    except (aiohttp.ClientError, OSError) as error:
        raise FlinksUnreachable(f"no connection: {_reason(error)}", reason="connect") from None


def _reason(error: Exception) -> str:
    """Only an error of the operating system is quoted; others of aiohttp's may carry the request."""
    return str(error) if isinstance(error, OSError) else type(error).__name__
