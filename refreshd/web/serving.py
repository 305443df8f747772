"""Listening: an address becomes a server, and trouble with it one clear sentence."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from refreshd.core.errors import SettingsError

_SHUTDOWN_SECONDS = 1.0


@asynccontextmanager
async def serve(app: web.Application, listen: str) -> AsyncIterator[str]:
    """Serve while the block runs; yields the base URL, with the actual port where 0 was asked for.

    Raises SettingsError for an address that is none, or that cannot be had.
    """
    host, port = parse_listen(listen)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await _bind(web.TCPSite(runner, host, port), listen)
        yield base_url(host, runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def _bind(site: web.TCPSite, listen: str) -> None:
    try:
        await site.start()
    except OSError as error:
        reason = error.strerror or str(error)
        raise SettingsError(
            f"cannot listen on {listen}: {reason}",
            hint="set REFRESHD_LISTEN to a free address of this machine, or stop what listens there",
        ) from error


def base_url(host: str, port: int) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}"


def parse_listen(listen: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:9877`, `[::1]:9877` or `localhost:0`. Raises SettingsError for anything else."""
    host, colon, port = listen.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    is_bracketed = host == f"[{bare}]"
    is_port = port.isascii() and port.isdigit() and int(port) <= 65535  # noqa: PLR2004 # the largest port there is
    if not (colon and bare and is_port) or is_bracketed is not (":" in bare):
        raise SettingsError(
            f"{listen!r} is no address to listen on", hint="write host:port, or [address]:port for IPv6"
        )
    return bare, int(port)
