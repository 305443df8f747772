"""What the site shows, and the frame around every page of it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

import aiohttp_jinja2
from aiohttp import web
from prometheus_client import CollectorRegistry

from refreshd.core.model import LoginId
from refreshd.handle import masked, masked_in
from refreshd.health import Health, Readiness, Role
from refreshd.inquiry import PageLedger, Reach
from refreshd.overview import Overview
from refreshd.story import StoryTerms
from refreshd.web.desk import Desk, Session

COOKIE = "refreshd_session"

ROLES = {
    Role.LEADER: "this daemon leads its ledger",
    Role.STANDBY: "standby: another daemon leads this ledger, and this one takes over when it goes",
    Role.STARTING: "still starting",
}

HAS_FORM = web.RequestKey("has_form", bool)
"""Set by who renders a page with a form in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What the site shows, asked for at the moment of each request."""

    registry: CollectorRegistry
    health: Health
    overview: Callable[[], Overview]
    reach: Reach[PageLedger]
    story_terms: Callable[[], StoryTerms]
    settings: Callable[[], Sequence[object]]
    whole_ids: Callable[[], bool] = lambda: False
    desk: Desk | None = None

    def late(self) -> tuple[str, ...]:
        return self.health.late(loop_seconds())

    def shown(self, login_id: LoginId) -> str:
        """A LoginId as far as readers may see it."""
        return str(login_id) if self.whole_ids() else masked(login_id)

    def said(self, words: str) -> str:
        """The words of others, which may name logins, as far as readers may see them."""
        return words if self.whole_ids() else masked_in(words)


class Unknown(Exception):
    """There is no such login, plan or pass; the words are for the reader."""


def reasons(readiness: Readiness) -> tuple[str, ...]:
    """Why the daemon is not ready; empty when it is."""
    if readiness.ready:
        return ()
    starting = (ROLES[Role.STARTING],) if readiness.role is Role.STARTING else ()
    return (*starting, *(f"{condition}: {why}" for condition, why in readiness.faults.items()))


class Refused(Exception):
    """A form that may not be taken; the words are for the reader."""


def loop_seconds() -> float:
    return asyncio.get_running_loop().time()


def session_of(site: Site, request: web.Request) -> Session | None:
    """The session of who asks, where there is one."""
    token = request.cookies.get(COOKIE)
    return None if site.desk is None or token is None else site.desk.sessions.of(token, at=loop_seconds())


def render(
    name: str,
    site: Site,
    request: web.Request,
    context: Mapping[str, object],
    *,
    has_form: bool = False,
    status: HTTPStatus = HTTPStatus.OK,
) -> web.Response:
    """A page in its frame: who this is, how it is, and, for who has signed in, the way out."""
    session = session_of(site, request)
    request[HAS_FORM] = has_form or session is not None
    frame = {
        "overview": site.overview(),
        "readiness": site.health.readiness(),
        "path": request.path,
        "desk": site.desk is not None,
        "session": session,
    }
    return aiohttp_jinja2.render_template(name, request, frame | dict(context), status=status)
