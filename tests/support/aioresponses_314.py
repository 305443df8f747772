"""The one place where aioresponses 0.7.9 is made to work with aiohttp 3.14: ask for `FlinksResponses` in place of `aioresponses`.

aiohttp 3.14 wants a `stream_writer` for each response, which aioresponses does not give. And as aioresponses replaces the whole of
`ClientSession._request`, no trace hook ever fires, through which our transport asks for leave right before the bytes go out: so leave is
asked for here.
"""

from typing import Any
from unittest.mock import Mock

from aiohttp import ClientResponse, ClientSession
from aiohttp.abc import AbstractStreamWriter
from aioresponses import aioresponses
from yarl import URL


class WrittenResponse(ClientResponse):
    """A response to a request that has been written."""

    def __init__(self, method: str, url: URL, **kwargs: Any) -> None:
        super().__init__(method, url, stream_writer=Mock(spec=AbstractStreamWriter, output_size=0), **kwargs)


class FlinksResponses(aioresponses):
    """aioresponses for the HTTP client's unit tests."""

    def add(self, url: Any, method: str = "GET", **kwargs: Any) -> None:  # type: ignore[override] # passes all others on
        super().add(url, method, **{"response_class": WrittenResponse, **kwargs})

    async def _request_mock(self, orig_self: ClientSession, method: str, url: Any, *args: Any, **kwargs: Any) -> Any:
        leave = kwargs.pop("trace_request_ctx", None)
        if leave is not None:
            await leave()
        return await super()._request_mock(orig_self, method, url, *args, **kwargs)
