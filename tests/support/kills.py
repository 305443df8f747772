"""A company whose refreshd is killed again and again: many lives against one ledger and one Flinks.

Each life begins a day after the last one, so there is a routine to lose; clients leave and return all the while, and an operator approves
what the guard holds. Whatever is killed is found dead at once: waiting for its lease to run out is another test's business.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from signal import SIGKILL
from tempfile import TemporaryDirectory

from refreshd.core.canary import WITHOUT_CANARY
from refreshd.crash import Point, Word, Write
from refreshd.ledger import Ledger
from refreshd.postgres import open_database
from refreshd.simulator import FaultKind, SimulatorConfig
from refreshd.simulator.login import Login
from tests.support.forked import forking
from tests.support.lateness import lateness
from tests.support.postgres import SCHEMA
from tests.support.process import Process
from tests.support.promises import Life, Promises
from tests.support.restless import IN_FLIGHT_SECONDS, Restless
from tests.support.spoken import Operator, word_at
from tests.support.world import World, world

RATE = 6000
"""High enough for a life to come to every point within seconds."""
DAY = timedelta(days=1)
LONGEST_LIFE_SECONDS = 60.0
_LARGE_PLANS = (Write.ADMIT, Write.HOLD_BACK)
_STILL = (*_LARGE_PLANS, Write.MERGE_SOURCE)
"""These need a company that stays as it is."""
LARGE = WITHOUT_CANARY + 2
"""Logins that leak at once where a plan is to begin with a canary: more than that, and less than half of all."""
ACTIVE, INACTIVE = 60, 6
HUGE_BYTES = 100_000
AT_RANDOM = "at random"
MANUAL_REFRESH = "REFRESHD_MANUAL_REFRESH"
_WAITS_FOR_THE_DATABASE = ("ledger_unavailable", "login_waits", "leadership_over")

OFTEN = frozenset({Point.CALL_LEAVES, Point.CALL_ANSWERED, Write.RECORD.committed, Write.RECORD.uncommitted})

_OFTEN_ENOUGH = {
    "REFRESHD_PASS_INTERVAL": "1s",
    "REFRESHD_REPORT_INTERVAL": "1s",
    "REFRESHD_FETCH": "summary",
    "REFRESHD_GRACE_SECONDS": "2",
    "REFRESHD_MAX_BODY_BYTES": "65536",
}
_UNCAPPED = {"max_disable_fraction": "1"}
_DETAIL = {FaultKind.CODE: "(AGGREGATION_ERROR)", FaultKind.SLOW: "(0.5)"}


@dataclass(frozen=True, kw_only=True)
class Fate:
    """How a life ends: at a named point, or so long after its start; and what it is like until then."""

    point: str | None = None
    time: int = 1
    after_seconds: float = 0.0
    leading: bool = False
    """Whether these seconds count from the moment at which it leads."""
    env: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[str, ...] = ()

    def __str__(self) -> str:
        end = (
            f"{self.point}:{self.time}"
            if self.point
            else f"after {self.after_seconds:.2f} s" + " of leading" * self.leading
        )
        return " amid ".join([end, ", ".join(self.faults)] if self.faults else [end])


def fate_at(point: str, chance: Random) -> Fate:
    """The kill is the process's own, so its death proves that the point was reached: the daemon's, or an operator's beside it."""
    if word_at(point) is not None:
        return Fate(point=point)
    env = {"REFRESHD_CRASH_AT": f"{point}:{(time := chance.randint(1, 4) if point in OFTEN else 1)}"}
    if point.startswith(Write.MARK_MANUAL):
        env[MANUAL_REFRESH] = "stale"
    if point.startswith(_LARGE_PLANS):
        env |= {f"REFRESHD_{name.upper()}": value for name, value in _UNCAPPED.items()}
    return Fate(point=point, time=time, env=env)


def random_fate(chance: Random, *, longest_seconds: float = 3.0) -> Fate:
    """At any moment, one time in four before it leads; every other time while Flinks is sick."""
    return Fate(
        after_seconds=chance.uniform(0.0, longest_seconds),
        leading=chance.random() < 0.75,
        faults=random_faults(chance) if chance.random() < 0.5 else (),
    )


def random_faults(chance: Random) -> tuple[str, ...]:
    """Four kinds out of the simulator's catalogue, all as often."""
    how_often = chance.choice((0.05, 0.2, 0.5))
    return tuple(f"{kind.value}{_DETAIL.get(kind, '')}@any:{how_often}" for kind in chance.sample([*FaultKind], k=4))


@dataclass(kw_only=True)
class Campaign:
    """Lives, one after the other."""

    here: World
    company: Restless
    promises: Promises
    chance: Random
    deaths: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    """Points that a life did not come to in time; it was killed wherever it was, which is a death of no kind."""
    last_words: str = ""
    """What the process said that was killed last."""
    _unknown: dict[str, Login] = field(default_factory=dict)
    """Logins that Flinks does not know in this life, as behind the wrong base URL."""

    async def one_life(self, fate: Fate) -> None:
        """A day passes, a process lives, meets its fate, and everything that must hold is looked at."""
        self.here.forward(DAY)
        await self._bury()
        await self._set_the_stage(fate)
        self.here.flinks.add_faults(fate.faults)
        self.company.allow_live_calls(allowed=MANUAL_REFRESH in fate.env)
        began_at = self.here.dates.now()
        async with (
            self._fed(fate) as source,
            self.here.started("run", env={**_OFTEN_ENOUGH, **fate.env, **source}) as process,
            lateness() as late,
        ):
            try:
                died_at = await self._live(process, fate)
            finally:
                self.last_words = process.words
        self.here.flinks.faults.clear()
        self.here.flinks.world.logins.update(self._unknown)
        life = Life(
            began_at=began_at,
            died_at=died_at,
            lag_seconds=late.longest_seconds,
            had_its_database=not any(map(process.lines, _WAITS_FOR_THE_DATABASE)),
        )
        await self.promises.hold(life)
        self.company.allow_live_calls(allowed=False)

    async def _live(self, process: Process, fate: Fate) -> datetime:
        """Returns when it died."""
        word = word_at(fate.point)
        async with asyncio.TaskGroup() as group:
            if word is None and not (fate.point or "").startswith(_STILL):
                group.create_task(self.company.live_beside(process))
            if fate.leading or word is not None:
                await process.logged("leading")
            if word is not None:
                with TemporaryDirectory(prefix="refreshd-word-") as home:
                    operator = Operator(here=self.here, company=self.company, home=Path(home))
                    await operator.dies(word, fate.point or "")
                process.kill()
            elif fate.point is None:
                await asyncio.sleep(fate.after_seconds)
                process.kill()
            elif fate.point == Point.DRAINED:
                await process.logged("leading")
                await asyncio.sleep(self.chance.uniform(0.0, 2.0))
                process.terminate()
            was_met = await self._meets(process, fate)
            died_at = self.here.dates.now()
            ran = await process.ended()
        assert ran.code == -SIGKILL, f"{fate}: it ended with {ran.code}:\n{process.words}"
        if was_met:
            self.deaths[fate.point or AT_RANDOM] += 1
        return died_at

    async def _meets(self, process: Process, fate: Fate) -> bool:
        """Whether it has met its fate; killed here where it would never meet it, because the company or Flinks went another way."""
        try:
            async with asyncio.timeout(LONGEST_LIFE_SECONDS):
                await process.gone()
        except TimeoutError:
            process.kill()
            self.missed[fate.point or AT_RANDOM] += 1
            return False
        return True

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
        if point.startswith(Write.RELEASE_CREDENTIAL):
            await self._have_a_credential_refused()
        if point.startswith((*_LARGE_PLANS, *(f"{each}." for each in (Word.APPROVE, Word.REJECT)))):
            await self._many_leave()
        if point.startswith(f"{Word.ASK_UNDO}."):
            await self.here.once(**_UNCAPPED)
        if point.startswith(f"{Write.UNDO}."):
            await self._have_a_plan_undone()
        await self.company.leave(12 if point.startswith(f"{Write.HOLD}.") else 2)
        if word_at(point) not in {Word.APPROVE, Word.REJECT}:
            await self.company.approve()
        self.here.flinks.add_faults(faults for write, faults in _SICK.items() if point.startswith(f"{write}."))

    @asynccontextmanager
    async def _fed(self, fate: Fate) -> AsyncIterator[Mapping[str, str]]:
        """Where the point is in the merge of a source query: a list that lacks one client, of whom the company speaks after the kill."""
        if not (fate.point or "").startswith(f"{Write.MERGE_SOURCE}."):
            yield {}
            return
        client = await self.company.somebody()
        await self.here.sql.execute(_LIST)
        await self.here.sql.execute("UPDATE public.client_list SET active = false WHERE client_id = $1", client)
        with TemporaryDirectory(prefix="refreshd-source-") as home:
            file = Path(home) / "source.sql"
            file.write_text(_SOURCE, encoding="utf-8")
            yield {"REFRESHD_SOURCE_QUERY_FILE": str(file)}
        left = await self.here.sql.fetchval("SELECT NOT active FROM client WHERE client_id = $1", client)
        assert left is (fate.point == Write.MERGE_SOURCE.committed) or self.missed[fate.point or ""]
        await self.company.leave_these([client])

    async def _many_leave(self) -> None:
        """At once, and all of them refreshed until then; first everybody returns, and whatever is open comes to its end."""
        await self.company.come_back(list(self.company.gone))
        has_left = False
        while not has_left:
            for _ in range(2):
                await self.company.approve()
                await self.here.once(**_UNCAPPED)
            self.here.forward(8 * DAY)
            await self._bury()
            has_left = await self.company.many_leave(LARGE)

    async def _have_a_plan_undone(self) -> None:
        """In a company's first life the first plan is held still, and none is over."""
        for _ in range(3):
            if await self.company.undo():
                return
            await self.company.approve()
            await self.here.once(**_UNCAPPED)
        assert await self.company.undo()

    async def _have_a_credential_refused(self) -> None:
        self.here.flinks.add_faults(["deny@GenerateAuthorizeToken"])
        async with self.here.started("run", env=_OFTEN_ENOUGH) as process:
            await process.logged("credential_refused")
            async with asyncio.timeout(LONGEST_LIFE_SECONDS):
                while not await self.here.sql.fetchval("SELECT count(*) FROM credential_stop"):  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.02)
        self.here.flinks.faults.clear()
        await self._bury()

    async def heals(self) -> None:
        """Nobody is killed any more: with no more than time and approvals, every promise is kept."""
        for span in (DAY, 8 * DAY, DAY):
            self.here.forward(span)
            await self._bury()
            for _ in range(2):
                await self.company.approve("held", "rejected")  # what an undoing has rejected waits for a word, too
                await self.here.once(rate_per_minute=str(RATE), fetch="summary")
        await self.promises.are_kept_in_the_end()


_LIST = """
    DROP TABLE IF EXISTS public.client_list;
    CREATE TABLE public.client_list AS
    SELECT client_login.client_id, client_login.login_id, client.active, client_login.scheduled
    FROM client_login JOIN client USING (client_id)
"""
_SOURCE = "SELECT client_id, login_id, active, scheduled FROM public.client_list"

_SICK = {
    Write.WITHDRAW: "html_502@SetScheduledRefresh",  # intents stay open until their clients return
    Write.KEEP_RATE: "throttle@any:x2",
    Write.STOP_CREDENTIAL: "deny@GenerateAuthorizeToken",
    Write.HOLD_BACK: "contrary@SetScheduledRefresh",
}
"""What Flinks does where a point needs it to be sick."""


@asynccontextmanager
async def campaign(database_url: str, seed: int, *, rate_per_minute: int = RATE) -> AsyncIterator[Campaign]:
    """A campaign that has seen its first plan; when the block ends, everything must heal."""
    config = SimulatorConfig(
        seed=seed,
        inactive_grace_seconds=IN_FLIGHT_SECONDS,
        pending_seconds=0.1,
        pending_ratio=0.05,
        huge_body_bytes=HUGE_BYTES,
    )
    async with (
        forking() as launch,
        world(database_url, active=ACTIVE, inactive=INACTIVE, config=config) as here,
        open_database(database_url, schema=SCHEMA, size=1, name="operator") as database,
    ):
        here.launch = launch
        here.env["REFRESHD_RATE_PER_MINUTE"] = str(rate_per_minute)
        chance = Random(seed)  # noqa: S311 - repeatable chance is the point
        company = Restless(here=here, ledger=Ledger(database), chance=chance)
        promises = Promises(here=here, company=company, rate_per_minute=rate_per_minute)
        running = Campaign(here=here, company=company, promises=promises, chance=chance)
        for login_id in chance.sample(sorted(here.active), k=10):
            here.flinks.set_stuck(login_id, stuck=True)
        await here.once(flinks_secret_key="not-the-key")
        await here.sql.execute("DELETE FROM credential_stop")  # it speaks of a key that nobody has any more
        await company.approve()
        yield running
        await running.heals()
