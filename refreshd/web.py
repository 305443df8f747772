"""The HTTP door: `/metrics`, the two probes, and the page for people. It reads and never changes anything.

Every answer forbids scripts, frames and anything loaded from elsewhere, and no answer names a login, a client or a secret.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from importlib import resources

import aiohttp_jinja2
import jinja2
from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CollectorRegistry
from prometheus_client.aiohttp import make_aiohttp_handler

from refreshd import overview as overviews
from refreshd import phrases
from refreshd.core.errors import SettingsError
from refreshd.health import Health, Readiness, Role
from refreshd.overview import Overview

_SHUTDOWN_SECONDS = 1.0
_TEMPLATES = "templates"
_PATHS = "/ (the page for people), /metrics, /livez, /readyz"

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Server": "refreshd",
    "X-Content-Type-Options": "nosniff",
}

_ROLES = {
    Role.LEADER: "this daemon leads its ledger",
    Role.STANDBY: "standby: another daemon leads this ledger, and this one takes over when it goes",
    Role.STARTING: "still starting",
}


class _Site:
    """The handlers."""

    def __init__(self, health: Health, overview: Callable[[], Overview]) -> None:
        self._health = health
        self._overview = overview

    async def livez(self, _request: web.Request) -> web.Response:
        late = self._late()
        if late:
            return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE, text=_lines("late", *late))
        return web.Response(text=_lines("alive"))

    async def readyz(self, _request: web.Request) -> web.Response:
        readiness = self._health.readiness()
        if readiness.ready:
            return web.Response(text=_lines("ready", _ROLES[readiness.role], *readiness.remarks))
        text = _lines("not ready", *_reasons(readiness), *readiness.remarks)
        return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE, text=text)

    async def page(self, request: web.Request) -> web.Response:
        overview, readiness = self._overview(), self._health.readiness()
        known = overview.totals
        context = {
            "overview": overview,
            "readiness": readiness,
            "reasons": () if readiness.ready else _reasons(readiness),
            "late": self._late(),
            "attention": None if known is None else overviews.attention(known),
            "fleet": None if known is None else overviews.fleet(known),
            "logins": None if known is None else sum(known.by_verdict.values()),
        }
        return aiohttp_jinja2.render_template("page.html", request, context)

    def _late(self) -> tuple[str, ...]:
        return self._health.late(asyncio.get_running_loop().time())


def _lines(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


def _reasons(readiness: Readiness) -> tuple[str, ...]:
    starting = (_ROLES[Role.STARTING],) if readiness.role is Role.STARTING else ()
    return (*starting, *(f"{condition}: {why}" for condition, why in readiness.faults.items()))


def make_app(registry: CollectorRegistry, health: Health, overview: Callable[[], Overview]) -> web.Application:
    """An application that shows what the registry, the health and the overview say at the moment of the request."""
    app = web.Application(middlewares=[_in_plain_words])
    app.on_response_prepare.append(_add_headers)
    aiohttp_jinja2.setup(
        app,
        loader=jinja2.PackageLoader("refreshd", _TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        filters=(("stamp", phrases.stamp), ("ago", phrases.age)),
    )
    site = _Site(health, overview)
    app.router.add_get("/", site.page)
    app.router.add_get("/metrics", make_aiohttp_handler(registry))
    app.router.add_get("/livez", site.livez)
    app.router.add_get("/readyz", site.readyz)
    app.router.add_get("/style.css", _file("style.css", "text/css"))
    app.router.add_get("/icon.svg", _file("icon.svg", "image/svg+xml"))
    return app


def _file(name: str, content_type: str) -> Handler:
    content = resources.files("refreshd").joinpath(_TEMPLATES, name).read_text("utf-8")

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(text=content, content_type=content_type)

    return answer


@web.middleware
async def _in_plain_words(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPNotFound:
        return web.Response(status=HTTPStatus.NOT_FOUND, text=f"There is nothing here. Try {_PATHS}.\n")
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        text = f"This only answers {allowed}: nothing can be changed over HTTP.\n"
        return web.Response(status=error.status, text=text, headers={"Allow": allowed})


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)


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
