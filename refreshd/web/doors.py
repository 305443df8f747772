"""The doors for operators: sign in, look at what a decision means, confirm it with a reason. They exist only where there is a desk.

A decision needs a session, the session's own token in the form, and a form of this very site; it is asked for on a page and sent from it.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hmac import compare_digest
from http import HTTPStatus
from urllib.parse import urlsplit

import structlog
from aiohttp import web

from refreshd.core.caps import WINDOW
from refreshd.core.errors import PlanUnknown
from refreshd.core.model import LoginId, PlanId, PlanState
from refreshd.core.plan import HeldPlan
from refreshd.core.undo import UNDOING_WORDS, Undoing
from refreshd.health import Condition
from refreshd.inquiry import PageLedger
from refreshd.phrases import counted
from refreshd.web.desk import DecidingLedger, Desk, Session
from refreshd.web.site import COOKIE, Refused, Site, Unknown, loop_seconds, render, session_of

_log = structlog.get_logger(__name__)

_LONGEST_REASON = 500
_LONGEST_PASSWORD = 1024
_NAMED = 5
_BEHIND_DOORS = re.compile(r"/(plans/[0-9a-f]+/(approve|reject|undo)|writes/(pause|resume))")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Named:
    """One of the logins that a question is about, and what becomes of it. Not `is_known`: the ledger has no page of it any more."""

    login_id: LoginId
    words: str
    is_known: bool


@dataclass(frozen=True, slots=True)
class _Question:
    """What the page asks before it lets a decision go: its heading, what follows from it, and the words on the button."""

    title: str
    consequences: tuple[str, ...]
    button: str
    is_grave: bool = False
    logins: tuple[_Named, ...] = ()
    """The first of those that it is about."""


class Doors:
    """The handlers."""

    def __init__(self, site: Site, desk: Desk) -> None:
        self._site = site
        self._desk = desk
        self._one_at_a_time = asyncio.Lock()

    def add_to(self, router: web.UrlDispatcher) -> None:
        router.add_get("/sign-in", self.ask_who)
        router.add_post("/sign-in", self.sign_in)
        router.add_post("/sign-out", self.sign_out)
        for path in ("/plans/{plan_id}/{decision:approve|reject|undo}", "/writes/{decision:pause|resume}"):
            router.add_get(path, self.ask)
            router.add_post(path, self.decide)

    # Who --------------------------------------------------------------------------------------------------------------------------------

    async def ask_who(self, request: web.Request) -> web.Response:
        return self._sign_in_page(request, _local(request.query.get("to", "")))

    async def sign_in(self, request: web.Request) -> web.Response:
        origin = _own_origin(request)
        form = await request.post()
        to, name, address = _local(str(form.get("to", ""))), str(form.get("name", "")), request.remote or ""
        async with self._one_at_a_time:
            if not self._desk.attempts.is_open(address, at=loop_seconds()):
                fault = "Too many attempts. Wait a minute."
                return self._sign_in_page(request, to, fault, HTTPStatus.TOO_MANY_REQUESTS)
            if not await self._is_known(name, str(form.get("password", ""))):
                self._desk.attempts.failed(address, at=loop_seconds())
                _log.warning("sign_in_refused", address=address)
                return self._sign_in_page(request, to, "This name and password do not match.", HTTPStatus.FORBIDDEN)
            self._desk.attempts.forgive(address)
        _log.info("signed_in", by=name)
        answer = _elsewhere(to)
        token = self._desk.sessions.begin(name, at=loop_seconds())
        is_secure = urlsplit(origin).scheme == "https"
        answer.set_cookie(COOKIE, token, path="/", httponly=True, samesite="Strict", secure=is_secure)
        return answer

    async def _is_known(self, name: str, password: str) -> bool:
        """Beside the event loop; the caller sees to it that guesses come one at a time, so that they cost memory once.

        Whoever was asked about while others became operators is not known.
        """
        if len(password) > _LONGEST_PASSWORD:
            return False
        operators = self._desk.operators
        known = await asyncio.to_thread(operators.knows, name, password)
        return known and operators is self._desk.operators

    async def sign_out(self, request: web.Request) -> web.Response:
        await self._form(request)
        self._desk.sessions.end(request.cookies.get(COOKIE, ""))
        answer = _elsewhere("/")
        answer.del_cookie(COOKIE, path="/", httponly=True, samesite="Strict")
        return answer

    # What -------------------------------------------------------------------------------------------------------------------------------

    async def ask(self, request: web.Request) -> web.Response:
        if session_of(self._site, request) is None:
            return _elsewhere(f"/sign-in?to={request.path}")
        async with self._site.reach.ledger() as ledger:
            question = await _question(ledger, request.match_info)
        return self._confirm_page(request, question)

    async def decide(self, request: web.Request) -> web.Response:
        session, form = await self._form(request)
        if (wrong := self._site.health.readiness().faults.get(Condition.CLOCK)) is not None:
            raise Refused(f"Nothing was changed, for it would be kept under a wrong date: {wrong}.")
        reason = " ".join(str(form.get("reason", "")).split())
        async with self._site.reach.ledger() as ledger:
            question = await _question(ledger, request.match_info)
        if not 0 < len(reason) <= _LONGEST_REASON:
            wanted = f"Say why, in at most {_LONGEST_REASON} letters."
            return self._confirm_page(request, question, wanted, HTTPStatus.UNPROCESSABLE_ENTITY)
        try:
            async with self._desk.reach.ledger() as ledger:
                target = await self._carry_out(ledger, request.match_info, session.name, reason)
        except PlanUnknown as error:
            raise Unknown(f"{error.message}.") from error
        decision = request.match_info["decision"]
        _log.info("decided", by=session.name, decision=decision, plan=request.match_info.get("plan_id"), reason=reason)
        return _elsewhere(target)

    async def _carry_out(self, ledger: DecidingLedger, asked: Mapping[str, str], by: str, reason: str) -> str:
        """Returns where to see what has become of it."""
        now, plan_id = self._site.overview().now, PlanId(asked.get("plan_id", ""))
        match asked["decision"]:
            case "approve":
                await ledger.approve_plan(plan_id, by=by, reason=reason, now=now, until=now + WINDOW)
            case "reject":
                await ledger.reject_plan(plan_id, by=by, reason=reason, now=now)
            case "undo":
                await ledger.ask_undo(plan_id, by=by, reason=reason, now=now)
            case "pause":
                await ledger.pause_writes(by=by, reason=reason, now=now)
            case _:
                await ledger.resume_writes(by=by, reason=reason, now=now)
        return f"/plans/{plan_id}" if plan_id else "/"

    # Forms ------------------------------------------------------------------------------------------------------------------------------

    async def _form(self, request: web.Request) -> tuple[Session, Mapping[str, object]]:
        """A form that an operator has sent from a page of ours. Raises Refused."""
        _own_origin(request)
        session = session_of(self._site, request)
        if session is None:
            raise Refused("You are not signed in, or not any more. Nothing was changed.")
        form = await request.post()
        if not compare_digest(str(form.get("csrf", "")).encode(), session.csrf.encode()):
            raise Refused("This form is not one of your session. Nothing was changed.")
        return session, form

    def _sign_in_page(
        self, request: web.Request, to: str, fault: str = "", status: HTTPStatus = HTTPStatus.OK
    ) -> web.Response:
        context: dict[str, object] = {"to": to, "fault": fault}
        return render("sign_in.html", self._site, request, context, has_form=True, status=status)

    def _confirm_page(
        self, request: web.Request, question: _Question, fault: str = "", status: HTTPStatus = HTTPStatus.OK
    ) -> web.Response:
        plan_id = request.match_info.get("plan_id")
        context: dict[str, object] = {
            "question": question,
            "back": f"/plans/{plan_id}" if plan_id else "/",
            "fault": fault,
            "longest": _LONGEST_REASON,
        }
        return render("confirm.html", self._site, request, context, has_form=True, status=status)


async def _question(ledger: PageLedger, asked: Mapping[str, str]) -> _Question:
    if asked["decision"] == "pause":
        return _Question(
            "Pause all vendor writes?",
            (
                "No disable and no enable is sent from that moment on, by any copy of this ledger.",
                "Reports, the routine, judging and planning go on; what waits stays due.",
                "A change that has already left may still take effect.",
            ),
            "Pause vendor writes",
        )
    if asked["decision"] == "resume":
        return _Question(
            "Resume vendor writes?", ("What has waited is sent, within the budget.",), "Resume vendor writes"
        )
    plan = await ledger.plan(PlanId(asked["plan_id"]))
    if plan is None:
        raise Unknown("There is no such plan.")
    if asked["decision"] == "undo":
        return await _undoing(ledger, plan.plan_id)
    if plan.state not in {PlanState.HELD, PlanState.REJECTED}:
        raise Unknown(f"This plan is {plan.state}: nothing is to be decided about it.")
    return _approval(plan) if asked["decision"] == "approve" else _rejection(plan)


def _approval(plan: HeldPlan) -> _Question:
    logins = counted(plan.remaining, "login")
    return _Question(
        f"{plan.change.capitalize()} {logins}?",
        (
            f"The guard held it: {plan.sentence}.",
            "The approval covers exactly the logins of this plan, for 24 hours.",
            "Each is judged again before anything is sent; clients who came back drop out.",
        ),
        f"Approve: {plan.change} {logins}",
        is_grave=True,
    )


async def _undoing(ledger: PageLedger, undone: PlanId) -> _Question:
    counts = await ledger.undo_outcomes(undone)
    if not counts:
        raise Unknown("This plan has disabled nothing: there is nothing to undo.")
    first = await ledger.disabled_by(undone, after=None, limit=_NAMED)
    return _Question(
        "Undo this plan?",
        (
            *(f"{counted(count, 'login')}: {UNDOING_WORDS[outcome]}." for outcome, count in counts.items()),
            "The leader's next pass makes a plan of enables of it, within the caps; beyond them it waits for approval.",
            "What is left of this plan is rejected: nothing more of it is sent.",
        ),
        "Undo the plan",
        is_grave=True,
        logins=tuple(
            _Named(
                login_id=each.login_id,
                words=UNDOING_WORDS[each.outcome],
                is_known=each.outcome is not Undoing.FORGOTTEN,
            )
            for each in first
        ),
    )


def _rejection(plan: HeldPlan) -> _Question:
    return _Question(
        "Reject this plan?",
        (
            f"The guard held it: {plan.sentence}.",
            "Nothing of it is sent. Its logins stay under it and count as held, until a client of them is active again.",
            "It may be approved after all.",
        ),
        "Reject the plan",
    )


def _own_origin(request: web.Request) -> str:
    """The origin of a form, which must be this site. Raises Refused, also where the browser does not say."""
    origin = request.headers.get("Origin", "")
    if urlsplit(origin).netloc != request.host or request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        raise Refused("This form was not sent from a page of refreshd. A proxy before it must pass the Host header on.")
    return origin


def _local(path: str) -> str:
    """Where to go on after the sign-in: behind a door, and never to another site."""
    return path if _BEHIND_DOORS.fullmatch(path) else "/"


def _elsewhere(path: str) -> web.Response:
    return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": path})
