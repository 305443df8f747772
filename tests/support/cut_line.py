"""A line to Postgres that a test can cut, freeze and mend: a TCP port in front of the server's Unix socket."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import parse_qs, urlsplit, urlunsplit

Rewrite = Callable[[bytes], bytes]


class Line:
    """Forwards bytes while it is whole."""

    def __init__(self, socket_path: str, rewrite: Rewrite) -> None:
        self._socket_path = socket_path
        self._rewrite = rewrite
        self._whole = asyncio.Event()
        self._whole.set()
        self._is_cut = False
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Everybody is thrown out, and nobody comes in."""
        self._is_cut = True
        for writer in list(self._writers):
            writer.transport.abort()

    def freeze(self) -> None:
        """Connections stay, and come about, but no byte passes any more."""
        self._whole.clear()

    def mend(self) -> None:
        self._is_cut = False
        self._whole.set()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        server_reader, server_writer = await asyncio.open_unix_connection(self._socket_path)
        ends = {writer, server_writer}
        self._writers |= ends
        try:
            with suppress(OSError):
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pump(reader, server_writer, lambda data: data))
                    group.create_task(self._pump(server_reader, writer, self._rewrite))
        except* OSError:
            pass
        finally:
            self._writers -= ends
            for end in ends:
                end.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, change: Rewrite) -> None:
        while data := await source.read(1 << 16):
            await self._whole.wait()
            sink.write(change(data))
            await sink.drain()
        sink.close()


@asynccontextmanager
async def line_to(database_url: str, rewrite: Rewrite = lambda data: data) -> AsyncIterator[tuple[Line, str]]:
    """The line, and the URL that leads through it; `rewrite` changes what the server says."""
    parts = urlsplit(database_url)
    line = Line(f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432", rewrite)
    server = await asyncio.start_server(line.handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield line, urlunsplit(parts._replace(netloc=f"postgres@127.0.0.1:{port}", query=""))
    finally:
        line.mend()
        server.close()
        line.cut()
        await server.wait_closed()
