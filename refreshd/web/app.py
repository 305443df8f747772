"""Puts the site together: which paths there are, and what every answer carries.

Every answer forbids frames, inline scripts and styles, and anything loaded from elsewhere; forms may go only where a page has one.
"""

from http import HTTPStatus
from importlib import resources

import aiohttp_jinja2
import jinja2
from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client.aiohttp import make_aiohttp_handler

from refreshd import overview as overviews
from refreshd import phrases, story
from refreshd.core.errors import DependencyDown, RowsLocked
from refreshd.handle import handle_of
from refreshd.web.doors import Doors
from refreshd.web.pages import Pages
from refreshd.web.site import HAS_FORM, ROLES, Refused, Site, Unknown, reasons

_TEMPLATES = "templates"
_LARGEST_FORM = 16 * 1024
_PATHS = "/ (the page for people), /metrics, /livez, /readyz"

_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # With no-referrer a browser would send no origin with a form either, and forms are refused without one.
    "Referrer-Policy": "same-origin",
    "Server": "refreshd",
    "X-Content-Type-Options": "nosniff",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none';"
    " frame-ancestors 'none'; form-action "
)


class Probes:
    """Plain text for machines; nothing here waits for anything."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def livez(self, _request: web.Request) -> web.Response:
        late = self._site.late()
        if late:
            return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE, text=_lines("late", *late))
        return web.Response(text=_lines("alive"))

    async def readyz(self, _request: web.Request) -> web.Response:
        readiness = self._site.health.readiness()
        if readiness.ready:
            return web.Response(text=_lines("ready", ROLES[readiness.role], *readiness.remarks.values()))
        text = _lines("not ready", *reasons(readiness), *readiness.remarks.values())
        return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE, text=text)


def _lines(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


def make_app(site: Site) -> web.Application:
    """The application. Without a desk no path of it changes anything."""
    app = web.Application(middlewares=[_in_plain_words], client_max_size=_LARGEST_FORM)
    app.on_response_prepare.append(_add_headers)
    _set_up_templates(app, site)
    probes = Probes(site)
    app.router.add_get("/metrics", make_aiohttp_handler(site.registry))
    app.router.add_get("/livez", probes.livez)
    app.router.add_get("/readyz", probes.readyz)
    for name, content_type in (
        ("style.css", "text/css"),
        ("page.js", "text/javascript"),
        ("icon.svg", "image/svg+xml"),
    ):
        app.router.add_get(f"/{name}", _file(name, content_type))
    Pages(site).add_to(app.router)
    if site.desk is not None:
        Doors(site, site.desk).add_to(app.router)
    return app


def _set_up_templates(app: web.Application, site: Site) -> None:
    environment = aiohttp_jinja2.setup(
        app,
        loader=jinja2.PackageLoader("refreshd", _TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "stamp": phrases.stamp,
        "age": phrases.age,
        "number": phrases.number,
        "span": phrases.span,
        "took": phrases.took,
        "sentence": phrases.sentence,
        "handle": handle_of,
        "answer": story.answer_of,
        "cause": story.cause_of,
        "shown": site.shown,
        "said": site.said,
        "tone": overviews.tone_of,
    }
    environment.globals["counted"] = phrases.counted


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
        text = f"This only answers {allowed}: nothing can be changed here.\n"
        return web.Response(status=error.status, text=text, headers={"Allow": allowed})
    except Refused as refused:
        return message(request, HTTPStatus.FORBIDDEN, "Refused", str(refused))
    except Unknown as unknown:
        return message(request, HTTPStatus.NOT_FOUND, "Not found", str(unknown))
    except DependencyDown as error:
        title = "The ledger is busy" if isinstance(error, RowsLocked) else "The ledger is away"
        return message(request, HTTPStatus.SERVICE_UNAVAILABLE, title, error.message, error.hint)


def message(request: web.Request, status: HTTPStatus, title: str, words: str, hint: str = "") -> web.Response:
    """A page that says one thing."""
    context = {"title": title, "words": words, "hint": hint}
    return aiohttp_jinja2.render_template("message.html", request, context, status=status)


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
    response.headers["Content-Security-Policy"] = _POLICY + ("'self'" if request.get(HAS_FORM) else "'none'")
