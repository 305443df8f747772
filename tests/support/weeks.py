"""Random weeks in virtual time: clients come and go, everything fails, processes die, dates pass.

What must hold at any time is looked at all the while; in the end faults stop, and ledger and vendor must agree.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from random import Random

from refreshd.simulator import FaultKind, SimulatorConfig
from refreshd.simulator.audit import Audit
from tests.support.announcements import ANNOUNCED, unannounced
from tests.support.promises import HOLES
from tests.support.virtual_loop import busy
from tests.support.virtual_world import Cast, VirtualWorld, play

HOUR = timedelta(hours=1)
LEADERSHIPS = 6
_DETAIL = {FaultKind.CODE: "(AGGREGATION_ERROR)", FaultKind.SLOW: "(20)"}


def live_through(database_url: str, seed: int) -> Audit:
    """The weeks of this seed, and Flinks' books at their end."""
    books: list[Audit] = []

    async def story(world: VirtualWorld) -> None:
        fate = _Fate(seed, world)
        for _ in range(LEADERSHIPS):
            await fate.one_leadership()
        await _all_agree(world)
        books.append(world.flinks.audit)

    start = datetime(2026, 3, 6, 14, tzinfo=UTC) + seed % 24 * HOUR
    settings: dict[str, object] = {"max_body_bytes": 65_536, "pass_interval": timedelta(minutes=40)}
    config = SimulatorConfig(seed=seed, huge_body_bytes=100_000)
    play(database_url, Cast(start=start, active=30, inactive=10, settings=settings, config=config), story)
    return books[0]


class _Fate:
    """What happens next, out of a seed."""

    def __init__(self, seed: int, world: VirtualWorld) -> None:
        self._chance = Random(seed)  # noqa: S311 - repeatable chance is the point
        self._world = world
        self._gone: list[str] = []
        self._clients = sorted({link.client_id for link in world.company.links if link.active})

    async def one_leadership(self) -> None:
        """A process that lives for some hours, and what happens meanwhile."""
        async with self._world.leading() as leading:
            for _ in range(self._chance.randrange(1, 6)):
                await self._event()()
                leading.engine.trigger()
                await asyncio.sleep(self._chance.choice((0.5, 20.0, 600.0, 7_200.0)))
                await _what_must_hold(self._world)

    def _event(self) -> Callable[[], Awaitable[object]]:
        return self._chance.choice(
            (self._leaves, self._leaves, self._returns, self._world.approve_all, self._breaks, self._heals, self._turns)
        )

    async def _leaves(self) -> None:
        leaving = self._chance.sample(self._clients, k=self._chance.randrange(1, 4))
        self._gone += leaving
        await self._world.leave(*leaving)

    async def _returns(self) -> None:
        if self._gone:
            await self._world.come_back(self._gone.pop(self._chance.randrange(len(self._gone))))

    async def _breaks(self) -> None:
        kinds = self._chance.sample([*FaultKind], k=4)
        how_often = self._chance.choice((0.1, 0.5, 1.0))
        self._world.flinks.add_faults([f"{kind.value}{_DETAIL.get(kind, '')}@any:{how_often}" for kind in kinds])

    async def _heals(self) -> None:
        self._world.flinks.faults.clear()

    async def _turns(self) -> None:
        """A flag is switched on behind our back, or a user's password changes."""
        login_id = self._chance.choice(sorted(self._world.active | self._world.inactive))
        if self._chance.random() < 0.5:
            self._world.flinks.set_flag(login_id, scheduled=True)
        else:
            self._world.flinks.afflict(login_id, self._chance.choice(("INVALID_PASSWORD", "RETRY_LATER", "")))


async def _what_must_hold(world: VirtualWorld) -> None:
    world.rules_were_kept()
    assert set(await world.verdicts()) == world.active | world.inactive
    for hole, query in HOLES.items():
        assert await world.count(query) == 0, hole
    with busy():
        announced = [(row["login_id"], row["at"]) for row in await world.sql.fetch(ANNOUNCED)]
    assert not unannounced(world.flinks.audit.calls, announced)
    assert await world.count("SELECT count(*) FROM login WHERE verdict = 'disabled' AND active") == 0


async def _all_agree(world: VirtualWorld) -> None:
    """Faults have stopped and somebody approves: within nine days the last flag that came back is listed, hence found."""
    world.flinks.faults.clear()
    async with world.leading() as leading:
        for _ in range(9 * 4):
            await asyncio.sleep((6 * HOUR).total_seconds())
            if await world.approve_all():
                leading.engine.trigger()
    verdicts = await world.verdicts()
    assert {verdicts[each] for each in world.inactive} <= {"disabled"}
    assert not {verdicts[each] for each in world.active} & {"disabled", "drifted", "unseen", "quarantined"}
    assert world.switched_on() == world.active
    assert await world.count("SELECT count(*) FROM login WHERE intent IS NOT NULL") == 0
    assert await world.count("SELECT count(*) FROM call") == world.flinks.audit.calls_counted
    world.rules_were_kept()
