"""An installation to look at in a browser: a company in trouble, its ledger after some days' work, and the page on it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from refreshd.core.caps import WINDOW
from refreshd.core.model import PlanId, VerdictName
from refreshd.handle import handle_of
from refreshd.ledger import Ledger
from refreshd.overview import BudgetUse
from refreshd.postgres import open_database
from refreshd.web import Site, make_app, serve
from tests.support.postgres import SCHEMA
from tests.support.shown import leaders_site, on_a_thread, overview_at
from tests.support.world import World, world

ACTIVE, LEFT_LONG_AGO, LEAVING = 210, 24, 30
LONG_NAME = "Caisse populaire Desjardins des Grands-Boisés-de-Saint-Jean-sur-Richelieu, Services aux entreprises et aux particuliers"
LONG_WORD = "OBSERVED_UPSTREAM_INTERMEDIARY_AUTHENTICATION_CHALLENGE_FAILURE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """Where to look; `another_url` is a second copy of the page on the same ledger."""

    url: str
    another_url: str
    database_url: str
    held: PlanId
    done: PlanId
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
            "plan-done": f"/plans/{self.done}",
            "pass": f"/passes/{self.busy_pass}",
            "institutions": "/institutions",
            "config": "/config",
            "sign-in": "/sign-in",
        }


@contextmanager
def installation(database_url: str) -> Iterator[Installation]:
    """Built once, for as long as the block runs."""
    with on_a_thread(lambda: _installed(database_url)) as built:
        yield built


@asynccontextmanager
async def _installed(database_url: str) -> AsyncIterator[Installation]:
    async with (
        world(database_url, active=ACTIVE, inactive=LEFT_LONG_AGO, well=False) as here,
        open_database(database_url, schema=SCHEMA, size=3) as database,
    ):
        ledger = Ledger(database)
        await _live_through(here, ledger)
        await _say_at_length(here)
        settings = here.settings()
        overview = await overview_at(ledger, settings, here.dates.now() + timedelta(seconds=12))
        site = leaders_site(ledger, settings, replace(overview, budget=BudgetUse(used=21, rate_per_minute=30)))
        async with serve(make_app(site), "127.0.0.1:0") as url, serve(make_app(site), "127.0.0.1:0") as another_url:
            (held,) = [each for each in await ledger.plans() if each.state == "held"]
            done = await here.sql.fetchval("SELECT plan_id FROM plan WHERE state = 'closed' AND canary")
            (sick,) = await ledger.logins(VerdictName.RECONNECT, after=None, limit=1)
            busy = await here.sql.fetchval(
                "SELECT pass_id FROM schedule_change WHERE pass_id IS NOT NULL GROUP BY pass_id ORDER BY count(*) DESC LIMIT 1"
            )
            yield Installation(
                url=url,
                another_url=another_url,
                database_url=database_url,
                held=held.plan_id,
                done=PlanId(done),
                reconnect=handle_of(sick.evidence.login_id),
                busy_pass=busy,
                site=site,
            )


async def _say_at_length(here: World) -> None:
    """Names, codes and words as long as life makes them, where a page has to do with them."""
    name = await here.sql.fetchval(
        "SELECT institution FROM login WHERE verdict = 'reconnect' ORDER BY login_id LIMIT 1"
    )
    for statement in _RENAMED:
        await here.sql.execute(statement, name, LONG_NAME)
    for statement in _SAID:
        await here.sql.execute(statement, LONG_WORD)


_RENAMED = (
    "UPDATE institution SET name = $2, state = 'suspect', refreshed = 1234, failed = 567 WHERE name = $1",
    "UPDATE login SET institution = $2 WHERE institution = $1",
)
_SAID = (
    "UPDATE login SET error_code = $1 WHERE verdict = 'held'",
    "UPDATE call SET message = $1 || ' ' || message WHERE flinks_code IS NOT NULL",
    "UPDATE plan SET approval_reason = 'for ' || $1 || ', as billing says' WHERE state = 'closed'",
    "UPDATE reconcile_pass SET failure = $1 WHERE pass_id = 1",
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
