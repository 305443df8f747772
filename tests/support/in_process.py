"""A simulated Flinks as a transport without a socket: the whole client on virtual time."""

import asyncio
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import urlsplit

from refreshd.core.errors import FlinksUnreachable, FlinksUnreadable
from refreshd.flinks import Leave, RawResponse


class Door(Protocol):
    """A way to Flinks: `simulator.InProcessDoor`, or one that loses or delays what goes through it."""

    async def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> tuple[int, Mapping[str, str], bytes]: ...


class InProcessTransport:
    """What `AiohttpTransport` is over HTTP; fails as that does."""

    def __init__(self, door: Door) -> None:
        self._door = door

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
        await leave()
        try:
            async with asyncio.timeout(timeout_seconds):
                status, answered, content = await self._door.send(method, urlsplit(url).path, headers, body)
        except TimeoutError:
            raise FlinksUnreachable(f"no answer within {timeout_seconds:g} s", reason="timeout") from None
        except ConnectionResetError:
            raise FlinksUnreachable("the connection broke", reason="connect") from None
        except asyncio.IncompleteReadError:
            raise FlinksUnreadable("the answer broke off") from None
        if len(content) > max_body:
            raise FlinksUnreadable(f"an answer of more than {max_body} bytes was cut off")
        return RawResponse(status=status, headers=answered, body=content)
