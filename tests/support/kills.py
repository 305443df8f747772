"""A company whose refreshd is killed again and again: many lives against one ledger and one Flinks, and what must hold after each.

Each life begins a day after the last one, so there is a routine to lose; clients leave and return all the while, and an operator approves
what the guard holds. Whatever is killed is found dead at once: waiting for its lease to run out is another test's business.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from signal import SIGKILL

from refreshd.core.guard import WINDOW
from refreshd.crash import Point, Write
from refreshd.ledger import Ledger
from refreshd.postgres import open_database
from refreshd.simulator import SimulatorConfig
from refreshd.simulator.audit import Breach, Rule
from refreshd.simulator.calls import Operation
from refreshd.simulator.login import Login
from tests.support.postgres import SCHEMA
from tests.support.process import Process
from tests.support.world import World, operation_at_flinks, world

RATE = 6000
DAY = timedelta(days=1)
LONGEST_LIFE_SECONDS = 30.0
BETWEEN_MOVES_SECONDS = 0.15
IN_FLIGHT_SECONDS = 2.0
"""What was decided before a client came or went may arrive this much later: a permit lives a second, and this machine is busy."""
COMMIT_GROUP = timedelta(seconds=1)

OFTEN = frozenset({Point.CALL_LEAVES, Point.CALL_ANSWERED, Write.RECORD.committed, Write.RECORD.uncommitted})

_OFTEN_ENOUGH = {
    "REFRESHD_RATE_PER_MINUTE": str(RATE),
    "REFRESHD_PASS_INTERVAL": "1s",
    "REFRESHD_REPORT_INTERVAL": "1s",
    "REFRESHD_FETCH": "summary",
    "REFRESHD_GRACE_SECONDS": "2",
}

_HOLES = {
    "sent, and neither answered nor open": """
        SELECT count(*) FROM schedule_change AS sent
        WHERE sent.event = 'sent'
            AND NOT EXISTS (
                SELECT FROM schedule_change AS later
                WHERE later.login_id = sent.login_id AND later.event_id > sent.event_id
                    AND later.event IN ('confirmed', 'failed', 'withdrawn')
            )
            AND NOT EXISTS (SELECT FROM login WHERE login.intent_id = sent.intent_id)
    """,
    "sent without an intent before": """
        SELECT count(*) FROM schedule_change AS sent
        WHERE sent.event = 'sent'
            AND NOT EXISTS (
                SELECT FROM schedule_change AS earlier
                WHERE earlier.intent_id = sent.intent_id AND earlier.event = 'intended' AND earlier.event_id < sent.event_id
            )
    """,
    "an active login that was judged disabled": """
        SELECT count(*) FROM login WHERE verdict = 'disabled' AND active AND verdict_until > '-infinity'
    """,
    "fetched, and the data are gone": """
        SELECT count(*) FROM login
        WHERE fetched_refresh_at IS NOT NULL
            AND NOT EXISTS (
                SELECT FROM account_data
                WHERE account_data.login_id = login.login_id AND account_data.refreshed_at = login.fetched_refresh_at
            )
    """,
}


@dataclass(frozen=True, kw_only=True)
class Fate:
    """How a life ends: at a named point, or so long after its start; and what it is like until then."""

    point: str | None = None
    time: int = 1
    after_seconds: float = 0.0
    env: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.point}:{self.time}" if self.point else f"after {self.after_seconds:.2f} s"


@dataclass(kw_only=True)
class Campaign:
    """Lives, one after the other."""

    here: World
    ledger: Ledger
    chance: Random
    deaths: Counter[str] = field(default_factory=Counter)
    returned: dict[str, float] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    untold: list[tuple[str, float, float]] = field(default_factory=list)
    missing: int = 0
    most_in_60s: int = 0
    _unknown: dict[str, Login] = field(default_factory=dict)
    """Logins that Flinks does not know in this life, as behind the wrong base URL."""

    # Fate ---------------------------------------------------------------------------------------------------------------------------

    def random_fate(self) -> Fate:
        return Fate(after_seconds=self.chance.uniform(0.5, 4.0))

    def fate_at(self, point: str) -> Fate:
        manual = {"REFRESHD_MANUAL_REFRESH": "stale"} if point.startswith(Write.MARK_MANUAL) else {}
        return Fate(point=point, time=self.chance.randint(1, 4) if point in OFTEN else 1, env=manual)

    async def one_life(self, fate: Fate) -> None:
        """A day passes, a process lives, meets its fate, and everything that must hold is looked at."""
        self.here.forward(DAY)
        await self._bury()
        await self._set_the_stage(fate)
        began = self.here.dates.now()
        env = {**_OFTEN_ENOUGH, **fate.env} | ({"REFRESHD_CRASH_AT": str(fate)} if fate.point else {})
        async with self.here.started("run", env=env) as process:
            await self._live(process, fate)
        self.here.flinks.faults.clear()
        self.here.flinks.world.logins.update(self._unknown)
        await self.what_must_hold(began)
        self.deaths[fate.point or "at random"] += 1

    async def _live(self, process: Process, fate: Fate) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._company(process))
            if fate.point is None:
                await asyncio.sleep(fate.after_seconds)
                process.kill()
            elif fate.point == Point.DRAINED:
                await process.logged("leading")
                await asyncio.sleep(self.chance.uniform(0.0, 2.0))
                process.terminate()
            ran = await process.ended(LONGEST_LIFE_SECONDS)
        assert ran.code == -SIGKILL, f"{fate} was not reached; it ended with {ran.code}:\n{process.words}"

    async def _bury(self) -> None:
        """A day went by in dates; on the database's clock too, whatever was to rest has rested, and the lease has run out."""
        await self.here.sql.execute(
            "UPDATE lease SET expires_at = clock_timestamp() WHERE expires_at > clock_timestamp();"
            "UPDATE credential_stop SET rests_until = clock_timestamp();"
            "UPDATE budget SET rate_in_force = NULL, rests_until = '-infinity'"
        )

    async def _set_the_stage(self, fate: Fate) -> None:
        """What the point needs to be come to."""
        point = fate.point or ""
        if point.startswith(Write.RELEASE_REFUSED):
            self._unknown = dict(self.here.flinks.world.logins)
            self.here.flinks.world.logins.clear()
        if point.startswith(Write.HOLD):
            await self._leave(12)
        if point.startswith(Write.WITHDRAW):
            self.here.flinks.add_faults(
                ["html_502@SetScheduledRefresh"]
            )  # intents stay open until their clients return
        if point.startswith(Write.KEEP_RATE):
            self.here.flinks.add_faults(["throttle@any:x2"])
        if point.startswith(Write.STOP_CREDENTIAL):
            self.here.flinks.add_faults(["deny@GenerateAuthorizeToken"])
        if point.startswith(Write.RELEASE_CREDENTIAL):
            await self._have_a_credential_refused()
        await self._leave(2)
        await self._approve()

    async def _have_a_credential_refused(self) -> None:
        self.here.flinks.add_faults(["deny@GenerateAuthorizeToken"])
        async with self.here.started("run", env=_OFTEN_ENOUGH) as process:
            await process.logged("credential_refused")
            async with asyncio.timeout(LONGEST_LIFE_SECONDS):
                while not await self.here.sql.fetchval("SELECT count(*) FROM credential_stop"):  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.02)
        self.here.flinks.faults.clear()
        await self._bury()

    # The company --------------------------------------------------------------------------------------------------------------------

    async def _company(self, process: Process) -> None:
        """Ends by itself: cut off in the middle of a move, the company would not know what it has told the ledger."""
        while process.is_running:
            move = self.chance.choice((self._one_leaves, self._one_leaves, self._one_returns, self._approve))
            await move()
            await asyncio.sleep(BETWEEN_MOVES_SECONDS)

    async def _one_leaves(self) -> None:
        await self._leave(1)

    async def _one_returns(self) -> None:
        if len(self.gone) > 3:
            await self._return([self.gone[self.chance.randrange(len(self.gone))]])

    async def _leave(self, count: int) -> list[str]:
        """At most half of the clients are ever away."""
        clients = sorted({link.client_id for link in self.here.company.links} - set(self.gone))
        leaving = self.chance.sample(clients, k=min(count, max(0, len(clients) - len(self.gone) - 1)))
        self.gone += leaving
        with self._untold(leaving):
            await self.here.leave(*leaving)
        return leaving

    async def _return(self, clients: list[str]) -> None:
        self.gone = [each for each in self.gone if each not in clients]
        at = asyncio.get_running_loop().time() + IN_FLIGHT_SECONDS
        self.returned.update(dict.fromkeys(self.here.company.logins_of(clients), at))
        with self._untold(clients):
            await self.here.come_back(*clients)

    @contextmanager
    def _untold(self, clients: list[str]) -> Iterator[None]:
        """In this block the ledger may know already what Flinks' audit has not been told yet."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        yield
        self.untold += [(login_id, began, loop.time()) for login_id in self.here.company.logins_of(clients)]

    async def _approve(self) -> None:
        now = self.here.dates.now()
        for row in await self.here.sql.fetch("SELECT plan_id FROM plan WHERE state = 'held'"):
            await self.ledger.approve_plan(row["plan_id"], by="test", reason="test", now=now, until=now + WINDOW)

    # What must hold -----------------------------------------------------------------------------------------------------------------

    async def what_must_hold(self, since: datetime) -> None:
        """Now, with nobody alive."""
        audit = self.here.flinks.audit
        breaches = [each for each in audit.breaches if not self._may_be(each)]
        assert not breaches, self._told(breaches[0])
        for hole, query in _HOLES.items():
            assert await self.here.sql.fetchval(query) == 0, hole
        self.most_in_60s = max(self.most_in_60s, audit.most_calls_in(60))
        assert audit.most_calls_in(60) <= RATE
        assert audit.most_calls_in(5) <= (5 + 1 + 0.5) * RATE / 60 + 1, (
            "evenly spaced, but for the second that a permit lives"
        )
        await self._every_change_was_announced()
        await self._trace_is_complete(since)

    def _told(self, breach: Breach) -> str:
        """For who reads a failure: the breach, and when the company spoke of this login."""
        moves = [(round(began, 2), round(ended, 2)) for login, began, ended in self.untold if login == breach.login_id]
        return f"{breach}\nits clients came or went at {moves}\ncalls: {self._calls_about(breach.login_id)}"

    def _calls_about(self, login_id: str) -> list[tuple[str, float]]:
        seen = self.here.flinks.audit.calls
        return [(each.operation, round(each.seconds, 2)) for each in seen if each.login_id == login_id][-8:]

    def _may_be(self, breach: Breach) -> bool:
        """Live calls were allowed where they were made; a disable may have been on its way when its client returned.

        And what was done in the moment between the company's commit and its word to Flinks' audit was right by the ledger.
        """
        if any(
            login_id == breach.login_id and began <= breach.seconds <= ended for login_id, began, ended in self.untold
        ):
            return True
        if breach.rule is Rule.DISABLE_OF_ACTIVE:
            return breach.seconds <= self.returned.get(breach.login_id, 0.0)
        return breach.rule is Rule.LIVE_AUTHORIZE

    async def _every_change_was_announced(self) -> None:
        """Whatever was lost of the trace, no change reached Flinks of which the ledger did not know before."""
        rows = await self.here.sql.fetch(
            "SELECT login_id::text, count(*) AS sent FROM schedule_change WHERE event = 'sent' GROUP BY login_id"
        )
        announced = Counter({row["login_id"]: row["sent"] for row in rows})
        assert self.here.calls_by_login(Operation.SET_SCHEDULED_REFRESH) <= announced

    async def _trace_is_complete(self, since: datetime) -> None:
        """All that the vendor saw of this life stands in the trace, up to its last commit group; and nothing else does."""
        rows = await self.here.sql.fetch(
            "SELECT operation, login_id::text, called_at FROM call WHERE called_at >= $1", since
        )
        traced = Counter((operation_at_flinks(row["operation"]), row["login_id"] or "") for row in rows)
        seen = [each for each in self.here.flinks.audit.calls if each.date >= since]
        assert traced <= Counter((each.operation, each.login_id) for each in seen)
        last = max((row["called_at"] for row in rows), default=since) - COMMIT_GROUP
        assert Counter((each.operation, each.login_id) for each in seen if each.date <= last) <= traced
        self.missing += len(seen) - len(rows)

    async def _heals(self) -> None:
        """Nobody is killed any more: with no more than time and approvals, ledger and vendor agree."""
        for span in (DAY, 8 * DAY, DAY):
            self.here.forward(span)
            await self._bury()
            for _ in range(2):
                await self._approve()
                await self.here.once(rate_per_minute=str(RATE), fetch="summary")
        assert self.here.switched_on() == self.here.active, "a leak, or a client without refresh"
        verdicts = await self.here.verdicts()
        assert {verdicts[each] for each in self.here.inactive} <= {"disabled"}
        assert {verdicts[each] for each in self.here.active} <= {"fresh", "stale"}
        assert await self.here.sql.fetchval("SELECT count(*) FROM login WHERE intent IS NOT NULL") == 0
        assert await self.here.sql.fetchval(_UNFETCHED) == 0


_UNFETCHED = """
    SELECT count(*) FROM login
    WHERE active
        AND NOT EXISTS (
            SELECT FROM account_data
            WHERE account_data.login_id = login.login_id AND account_data.refreshed_at = login.refreshed_at
        )
"""


@asynccontextmanager
async def campaign(database_url: str, seed: int) -> AsyncIterator[Campaign]:
    """A campaign that has seen its first plan; when the block ends, everything must heal."""
    config = SimulatorConfig(
        seed=seed, inactive_grace_seconds=IN_FLIGHT_SECONDS, pending_seconds=0.1, pending_ratio=0.05
    )
    async with (
        world(database_url, active=30, inactive=6, config=config) as here,
        open_database(database_url, schema=SCHEMA, size=1, name="operator") as database,
    ):
        chance = Random(seed)  # noqa: S311 - repeatable chance is the point
        running = Campaign(here=here, ledger=Ledger(database), chance=chance)
        for login_id in chance.sample(sorted(here.active), k=10):
            here.flinks.set_stuck(login_id, stuck=True)
        await here.once(flinks_secret_key="not-the-key", rate_per_minute=str(RATE))
        await here.sql.execute("DELETE FROM credential_stop")  # it speaks of a key that nobody has any more
        await running._approve()
        yield running
        await running._heals()
