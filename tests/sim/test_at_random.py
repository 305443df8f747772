"""Random weeks: clients come and go, everything fails, processes die, dates pass. What must hold at any time holds; in the end all agree.

The seed is in the name of the test that fails. REFRESHD_TEST_SEEDS=100 plays that many.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from refreshd.leading import Leading
from refreshd.simulator import FaultKind, SimulatorConfig
from tests.support.virtual_world import Cast, VirtualWorld, play

pytestmark = pytest.mark.slow

SEEDS = range(int(os.environ.get("REFRESHD_TEST_SEEDS", "4")))
DETAIL = {FaultKind.CODE: "(AGGREGATION_ERROR)", FaultKind.SLOW: "(20)"}
HOUR = timedelta(hours=1)

_UNANSWERED = """
SELECT count(*)
FROM schedule_change AS sent
WHERE sent.event = 'sent'
    AND NOT EXISTS (
        SELECT FROM schedule_change AS later
        WHERE later.login_id = sent.login_id AND later.event_id > sent.event_id AND later.event IN ('confirmed', 'failed')
    )
    AND NOT EXISTS (SELECT FROM login WHERE login.intent_id = sent.intent_id)
"""


class Fate:
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
                await self._what_must_hold(leading)

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
        self._world.flinks.add_faults([f"{kind.value}{DETAIL.get(kind, '')}@any:{how_often}" for kind in kinds])

    async def _heals(self) -> None:
        self._world.flinks.faults.clear()

    async def _turns(self) -> None:
        """A flag is switched on behind our back, or a user's password changes."""
        login_id = self._chance.choice(sorted(self._world.active | self._world.inactive))
        if self._chance.random() < 0.5:
            self._world.flinks.set_flag(login_id, scheduled=True)
        else:
            self._world.flinks.afflict(login_id, self._chance.choice(("INVALID_PASSWORD", "RETRY_LATER", "")))

    async def _what_must_hold(self, _: Leading) -> None:
        world = self._world
        world.rules_were_kept()
        assert set(await world.verdicts()) == world.active | world.inactive
        assert await world.count(_UNANSWERED) == 0
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


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_the_rules_hold_and_in_the_end_ledger_and_vendor_agree(database_url: str, seed: int) -> None:
    async def story(world: VirtualWorld) -> None:
        fate = Fate(seed, world)
        for _ in range(6):
            await fate.one_leadership()
        await _all_agree(world)

    start = datetime(2026, 3, 6, 14, tzinfo=UTC) + seed % 24 * HOUR
    settings: dict[str, object] = {"max_body_bytes": 65_536, "pass_interval": timedelta(minutes=40)}
    config = SimulatorConfig(seed=seed, huge_body_bytes=100_000)
    play(database_url, Cast(start=start, active=30, inactive=10, settings=settings, config=config), story)
