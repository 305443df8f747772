"""What the choke point asks of whatever carries its bytes: real HTTP, or in tests a simulated Flinks without a socket."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class RawResponse:
    """What came back, before anybody made sense of it."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


Leave = Callable[[], Awaitable[None]]
"""Awaited once, when nothing is left to wait for but the sending: looks at permit and lease, and may raise."""


class Transport(Protocol):
    """Sends one request. Raises FlinksUnreachable or FlinksUnreadable, and whatever `leave` raises."""

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
    ) -> RawResponse: ...
