"""The pages that are read: each takes what the daemon knows, asks the ledger for the rest, and says so where it cannot."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import NamedTuple

from aiohttp import web

from refreshd import overview as overviews
from refreshd import story
from refreshd.core.canary import said_of
from refreshd.core.errors import DependencyDown
from refreshd.core.fate import DECIDED, Fate, fate_words, since_then
from refreshd.core.model import Change, LoginId, PassId, PlanId, VerdictName
from refreshd.core.plan import HeldPlan
from refreshd.core.standing import STANDING_WORDS
from refreshd.core.totals import LedgerTotals
from refreshd.core.undo import said_of_undo
from refreshd.handle import EVERY, handle_of, read_beginning, read_handle
from refreshd.health import PAUSE, Role
from refreshd.inquiry import InstitutionRow, Kept, PageLedger, Search, look_up
from refreshd.reading import Leader, StoredPass
from refreshd.web.site import Site, Unknown, reasons, render

PASSES = 20
MEMBERS = 50
_PASS_DETAILS = 50
_INSTITUTIONS = 200
_CLOSED_PLANS = 50
_COUNTED_SECONDS = 15.0
_LARGEST_PASS = 2**63 - 1

Context = dict[str, object]


class _Place(NamedTuple):
    verdict: VerdictName
    login_id: LoginId


@dataclass(frozen=True, slots=True, kw_only=True)
class _Beside:
    """What the ledger adds to what the daemon knows."""

    leader: Leader | None
    passes: Sequence[StoredPass]
    plans: Sequence[HeldPlan]


class Pages:
    """The handlers."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._totals: Kept[LedgerTotals] = Kept(_COUNTED_SECONDS)
        self._institutions: Kept[Sequence[InstitutionRow]] = Kept(_COUNTED_SECONDS)

    def add_to(self, router: web.UrlDispatcher) -> None:
        router.add_get("/", self.overview)
        router.add_get("/logins", self.logins)
        router.add_post("/logins/find", self.find)
        router.add_get("/logins/{handle}", self.login)
        router.add_get("/plans", self.plans)
        router.add_get("/plans/{plan_id}", self.plan)
        router.add_get("/passes/{pass_id:[0-9]{1,19}}", self.reconcile_pass)
        router.add_get("/institutions", self.institutions)
        router.add_get("/config", self.config)

    async def overview(self, request: web.Request) -> web.Response:
        beside, totals, away = None, self._site.overview().totals, ""
        try:
            async with self._site.reach.ledger() as ledger:
                beside = await _beside(ledger)
                totals = totals or await self._counted(ledger)
        except DependencyDown as error:
            away = error.message
        seen, readiness = self._site.overview(), self._site.health.readiness()
        context: Context = {
            "overview": seen,
            "reasons": reasons(readiness),
            "remarks": [words for about, words in readiness.remarks.items() if about != PAUSE],
            "late": self._site.late(),
            "beside": beside,
            "plans": beside.plans if beside else seen.held,
            "away": away,
            "totals": totals,
            "attention": None if totals is None else overviews.attention(totals),
            "fleet": None if totals is None else overviews.fleet(totals),
        }
        return self._render("overview.html", request, context)

    async def _counted(self, ledger: PageLedger) -> LedgerTotals | None:
        """Counted for a standby's readers; who leads counts by itself, and shortly after its start has not yet."""
        if self._site.health.readiness().role is not Role.STANDBY:
            return None
        return await self._totals.get(lambda: ledger.totals(now=self._site.overview().now))

    async def logins(self, request: web.Request) -> web.Response:
        search = _search(request)
        async with self._site.reach.ledger() as ledger:
            page = await look_up(ledger, search, await _place(ledger, request.query.get("after", "")))
        seen = self._site.overview()
        context: Context = {
            "overview": seen,
            "page": page,
            "wanted": {name: request.query.get(name, "") for name in ("verdict", "institution", "code", "begins")},
            "advice": overviews.advice(page.rows),
            "fleet": None if seen.totals is None else overviews.fleet(seen.totals),
        }
        return self._render("logins.html", request, context, has_form=True)

    async def find(self, request: web.Request) -> web.Response:
        """From a LoginId, or how one begins, to a page whose address does not hold it."""
        text = str((await request.post()).get("login", ""))
        beginning = read_beginning(text)
        if beginning is None:
            raise Unknown("That is no LoginId, and no beginning of one with four digits or more.")
        async with self._site.reach.ledger() as ledger:
            search = Search(verdicts=overviews.WORST_FIRST, begins=beginning)
            rows = (await look_up(ledger, search, None, limit=2)).rows
        if not rows:
            raise Unknown("The ledger knows no login that begins so.")
        begins = beginning.first.hex[:8]
        target = f"/logins/{handle_of(rows[0].login_id)}" if len(rows) == 1 else f"/logins?verdict=all&begins={begins}"
        return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": target})

    async def login(self, request: web.Request) -> web.Response:
        handle = read_handle(request.match_info["handle"])
        now = self._site.overview().now
        async with self._site.reach.ledger() as ledger:
            login_id = None if handle is None else await ledger.by_handle(handle)
            told = None if login_id is None else await story.read_story(ledger, login_id, self._site.story_terms(), now)
        if told is None:
            raise Unknown("The ledger knows no such login.")
        context: Context = {
            "story": told,
            "sentence": story.sentence(told),
            "verdict_facts": tuple(story.verdict_facts(told)),
            "evidence_facts": tuple(story.evidence_facts(told)),
            "whole_ids": self._site.whole_ids(),
        }
        return self._render("login.html", request, context)

    async def plans(self, request: web.Request) -> web.Response:
        async with self._site.reach.ledger() as ledger:
            found = await ledger.plans(closed=_CLOSED_PLANS)
        return self._render("plans.html", request, {"plans": found[:MEMBERS]})

    async def plan(self, request: web.Request) -> web.Response:
        plan_id = PlanId(request.match_info["plan_id"])
        async with self._site.reach.ledger() as ledger:
            plan = await ledger.plan(plan_id)
            if plan is None:
                raise Unknown("There is no such plan.")
            fates = await ledger.plan_fates(plan_id)
            canary, undo = await ledger.canary_of(plan_id), await ledger.undo_of(plan_id)
            context: Context = {
                "plan": plan,
                "canary": None if canary is None else said_of(canary),
                "undo": undo,
                "undo_said": None if undo is None else said_of_undo(undo),
                "is_undoable": plan.change is Change.DISABLE and bool(fates.get(Fate.DONE)),
                "since": [(count, fate_words(fate, plan.change)) for fate, count in since_then(fates)],
                "decided": DECIDED,
                "decisions": await ledger.plan_decisions(plan_id),
                "members": await ledger.plan_story(plan_id, after=None, limit=MEMBERS),
                "known": sum(fates.values()),
                "fate_words": fate_words,
            }
        return self._render("plan.html", request, context)

    async def reconcile_pass(self, request: web.Request) -> web.Response:
        pass_id = min(int(request.match_info["pass_id"]), _LARGEST_PASS)
        async with self._site.reach.ledger() as ledger:
            told = await ledger.pass_story(PassId(pass_id), limit=_PASS_DETAILS)
        if told is None:
            raise Unknown("There is no such pass, or it is older than the trace.")
        return self._render("pass.html", request, {"told": told, "limit": _PASS_DETAILS})

    async def institutions(self, request: web.Request) -> web.Response:
        async with self._site.reach.ledger() as ledger:
            found = await self._institutions.get(lambda: ledger.institutions(limit=_INSTITUTIONS))
            standings = {each.institution: each for each in await ledger.standings()}
        context: Context = {"institutions": found, "standings": standings, "standing_words": STANDING_WORDS}
        return self._render("institutions.html", request, context)

    async def config(self, request: web.Request) -> web.Response:
        return self._render("config.html", request, {"settings": self._site.settings()})

    def _render(self, name: str, request: web.Request, context: Context, *, has_form: bool = False) -> web.Response:
        return render(name, self._site, request, context, has_form=has_form)


async def _beside(ledger: PageLedger) -> _Beside:
    return _Beside(leader=await ledger.leader(), passes=await ledger.passes(limit=PASSES), plans=await ledger.plans())


def _search(request: web.Request) -> Search:
    """What the address asks for; what it says wrongly counts as not said."""
    asked = request.query
    verdict = asked.get("verdict", "")
    verdicts = overviews.WORST_FIRST if verdict == "all" else overviews.NEEDING
    if verdict in overviews.WORST_FIRST:
        verdicts = (VerdictName(verdict),)
    return Search(
        verdicts=verdicts,
        institution=_storable(asked.get("institution", "")),
        code=_storable(asked.get("code", "")),
        begins=read_beginning(asked.get("begins", "")) or EVERY,
    )


def _storable(text: str) -> str | None:
    return text.replace("\0", "").strip() or None


async def _place(ledger: PageLedger, text: str) -> _Place | None:
    verdict, _, tail = text.partition(".")
    handle = read_handle(tail)
    if handle is None or verdict not in overviews.WORST_FIRST:
        return None
    login_id = await ledger.by_handle(handle)
    return None if login_id is None else _Place(VerdictName(verdict), login_id)
