"""An installation to look at in a browser: a company in trouble, its ledger after some days' work, and the page on it.

Everything lives on a thread with a loop of its own, so that tests may use the browser's plain (not async) door.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Thread

from refreshd import policies
from refreshd.core import forecast
from refreshd.core.guard import WINDOW
from refreshd.core.model import PlanId, VerdictName
from refreshd.core.timing import next_routine_start
from refreshd.handle import handle_of
from refreshd.health import Condition, Health, Role
from refreshd.inquiry import PageLedger, Reach
from refreshd.ledger import Ledger
from refreshd.operators import operator_line, read_operators
from refreshd.overview import BudgetUse, Overview
from refreshd.ports import PassRecord
from refreshd.postgres import open_database
from refreshd.settings import Settings, settings_in_force
from refreshd.web import DecidingLedger, Desk, Site, make_app, serve
from tests.support import observed
from tests.support.postgres import SCHEMA
from tests.support.world import World, world

PASSWORD = "correct horse battery"
ACTIVE, LEFT_LONG_AGO, LEAVING = 210, 24, 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """Where to look; `another_url` is a second copy of the page on the same ledger."""

    url: str
    another_url: str
    database_url: str
    held: PlanId
    reconnect: str
    busy_pass: int
    site: Site

    @property
    def pages(self) -> dict[str, str]:
        """One address of every kind of page that is only read."""
        return {
            "overview": "/",
            "logins": "/logins",
            "login": f"/logins/{self.reconnect}",
            "plans": "/plans",
            "plan": f"/plans/{self.held}",
            "pass": f"/passes/{self.busy_pass}",
            "institutions": "/institutions",
            "config": "/config",
            "sign-in": "/sign-in",
        }


@contextmanager
def installation(database_url: str) -> Iterator[Installation]:
    """Built once, on a loop of its own, for as long as the block runs."""
    opened: Future[Installation] = Future()
    loop = asyncio.new_event_loop()
    done = asyncio.Event()

    async def live() -> None:
        try:
            async with _installed(database_url) as built:
                opened.set_result(built)
                await done.wait()
        except BaseException as error:
            if not opened.done():
                opened.set_exception(error)
            raise

    thread = Thread(target=lambda: loop.run_until_complete(live()), name="installation")
    thread.start()
    try:
        yield opened.result()
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join()
        loop.close()


@asynccontextmanager
async def _installed(database_url: str) -> AsyncIterator[Installation]:
    async with (
        world(database_url, active=ACTIVE, inactive=LEFT_LONG_AGO, well=False) as here,
        open_database(database_url, schema=SCHEMA, size=3) as database,
    ):
        ledger = Ledger(database)
        await _live_through(here, ledger)
        settings = here.settings()
        overview = await _overview(ledger, settings, here.dates.now() + timedelta(seconds=12))
        site = _site(ledger, settings, overview)
        async with serve(make_app(site), "127.0.0.1:0") as url, serve(make_app(site), "127.0.0.1:0") as another_url:
            (held,) = [each for each in await ledger.plans() if each.state == "held"]
            (sick,) = await ledger.logins(VerdictName.RECONNECT, after=None, limit=1)
            busy = await here.sql.fetchval(
                "SELECT pass_id FROM schedule_change WHERE pass_id IS NOT NULL GROUP BY pass_id ORDER BY count(*) DESC LIMIT 1"
            )
            yield Installation(
                url=url,
                another_url=another_url,
                database_url=database_url,
                held=held.plan_id,
                reconnect=handle_of(sick.evidence.login_id),
                busy_pass=busy,
                site=site,
            )


async def _live_through(here: World, ledger: Ledger) -> None:
    """A first plan is approved, a routine done, a day later many leave at once."""
    await here.once()
    now = here.dates.now()
    for plan in await ledger.plans():
        await ledger.approve_plan(
            plan.plan_id, by="alice", reason="churned in October, checked with billing", now=now, until=now + WINDOW
        )
    await here.once()
    here.forward(timedelta(hours=30))
    await here.leave(*here.company.sole_clients(LEAVING))
    await here.once()


async def _overview(ledger: Ledger, settings: Settings, now: datetime) -> Overview:
    """What a leader knows, as its watch puts it together."""
    agenda, terms = policies.agenda(settings, at_once=False), policies.terms(settings)
    deadlines = await ledger.deadlines(now=now, routine_start=agenda.routine_start(now), polling=True)
    (last,) = await ledger.passes(limit=1)
    return Overview(
        now=now,
        version="0.1.0",
        mode=settings.mode.value,
        last_pass=PassRecord(
            pass_id=last.pass_id,
            started_at=last.started_at,
            finished_at=last.finished_at or now,
            judged=last.judged,
            intended=last.intended,
            held=last.held,
        ),
        totals=await ledger.totals(now=now),
        budget=BudgetUse(used=21, rate_per_minute=30),
        held=tuple(await ledger.plans()),
        next_routine_at=next_routine_start(now, settings.routine_at, settings.routine_timezone),
        routine=forecast.routine_outcome(deadlines.routine_due, terms, 30, now),
        lapsing=deadlines.lapsing,
    )


def _site(ledger: Ledger, settings: Settings, overview: Overview) -> Site:
    health = Health()
    health.become(Role.LEADER)
    for condition in Condition:
        health.holds(condition)
    reach: Reach[PageLedger] = Reach()
    deciding: Reach[DecidingLedger] = Reach()
    reach.attach(ledger)
    deciding.attach(ledger)
    site = Site(
        registry=observed.metrics().registry,
        health=health,
        overview=lambda: overview,
        reach=reach,
        story_terms=lambda: policies.story_terms(settings),
        settings=lambda: settings_in_force(settings),
    )
    operators = read_operators(operator_line("alice", PASSWORD))
    return replace(site, desk=Desk(operators=operators, reach=deciding))
