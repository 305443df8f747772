"""Undoings, passes, pauses and restarts in any order: without an approval no day sees more enables than the caps allow.

The seed is in the name of the test that fails. REFRESHD_TEST_SEEDS=100 plays that many.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from random import Random

import pytest

from refreshd.core.caps import WINDOW
from refreshd.core.errors import PlanUnknown
from refreshd.leading import Leading
from tests.support.virtual_world import Cast, VirtualWorld, play, until

pytestmark = pytest.mark.slow

SEEDS = range(int(os.environ.get("REFRESHD_TEST_SEEDS", "3")))
NOON = datetime(2026, 1, 5, 16, tzinfo=UTC)
CAP = 4
ACTIVE, INACTIVE = 20, 16

_MOST_ENABLED_IN_A_DAY = """
SELECT COALESCE(max(seen.enabled), 0)
FROM (
    SELECT (
        SELECT count(DISTINCT before.login_id)
        FROM schedule_change AS before
        WHERE before.change = 'enable' AND before.event = 'sent' AND before.at <= each.at AND before.at > each.at - interval '24 hours'
    ) AS enabled
    FROM schedule_change AS each
    WHERE each.change = 'enable' AND each.event = 'sent'
) AS seen
"""
_ENABLES_IN_HELD_PLANS = "SELECT count(*) FROM plan WHERE change = 'enable' AND state = 'held'"


class Fate:
    """What happens next, out of a seed."""

    def __init__(self, seed: int, world: VirtualWorld) -> None:
        self._chance = Random(seed)  # noqa: S311 - repeatable chance is the point
        self._world = world
        self._gone = sorted({link.client_id for link in world.company.links if not link.active})
        self._application = asyncio.Lock()  # the company's application has one session
        self.asked = 0

    async def one_leadership(self) -> None:
        async with self._world.leading() as leading:
            for _ in range(self._chance.randrange(3, 9)):
                await self._at_once(leading)
                await asyncio.sleep(self._chance.choice((0.0, 0.5, 30.0, 3_600.0, 40_000.0)))
                assert await self._world.count(_MOST_ENABLED_IN_A_DAY) <= CAP

    async def _at_once(self, leading: Leading) -> None:
        """Several things at the same moment, one of them a pass."""
        async with asyncio.TaskGroup() as group:
            for each in self._chance.sample(self._moves(), k=3):
                group.create_task(_done(each))
            leading.engine.trigger()

    def _moves(self) -> list[Callable[[], Awaitable[object]]]:
        return [self._returns, self._returns, self._leaves, self._undoes, self._undoes, self._pauses, self._resumes]

    async def _returns(self) -> None:
        back = [self._gone.pop() for _ in range(min(len(self._gone), self._chance.randrange(1, 5)))]
        async with self._application:
            await self._world.come_back(*back)

    async def _leaves(self) -> None:
        here = sorted({link.client_id for link in self._world.company.links} - set(self._gone))
        leaving = self._chance.sample(here, k=2)
        self._gone += leaving
        async with self._application:
            await self._world.leave(*leaving)
        await self._approve_disables()

    async def _undoes(self) -> None:
        ledger, now = self._world.ledger, self._world.clock.now()
        plans = [each for each in await ledger.plans(closed=20) if each.change == "disable"]
        if plans:
            await ledger.ask_undo(self._chance.choice(plans).plan_id, by="test", reason="test", now=now)
            self.asked += 1

    async def _pauses(self) -> None:
        await self._world.ledger.pause_writes(by="test", reason="test", now=self._world.clock.now())

    async def _resumes(self) -> None:
        await self._world.ledger.resume_writes(by="test", reason="test", now=self._world.clock.now())

    async def _approve_disables(self) -> None:
        now = self._world.clock.now()
        for each in await self._world.ledger.plans():
            if each.state == "held" and each.change == "disable":
                with suppress(PlanUnknown):  # the last of its clients has returned just now
                    await self._world.ledger.approve_plan(
                        each.plan_id, by="test", reason="test", now=now, until=now + WINDOW
                    )


async def _done(move: Callable[[], Awaitable[object]]) -> None:
    await move()


@pytest.mark.parametrize("seed", SEEDS)
def test_no_day_sees_more_enables_than_the_caps_allow_whoever_asks_for_what_and_when(
    database_url: str, seed: int
) -> None:
    async def story(world: VirtualWorld) -> None:
        async with world.leading() as leading:
            await until(lambda: _a_plan_waits(world))
            await world.approve_all()
            leading.engine.trigger()
            await until(lambda: world.switched_on() == world.active)
        fate = Fate(seed, world)
        for _ in range(5):
            await fate.one_leadership()
        assert fate.asked
        assert await world.count(_MOST_ENABLED_IN_A_DAY) == CAP, "the caps were come to, so the test has looked"
        assert await world.count("SELECT count(*) FROM undoing WHERE planned_at IS NOT NULL")
        world.rules_were_kept()

    settings: dict[str, object] = {"max_disable_count": CAP}
    play(database_url, Cast(start=NOON, active=ACTIVE, inactive=INACTIVE, settings=settings), story)


async def _a_plan_waits(world: VirtualWorld) -> bool:
    return await world.count("SELECT count(*) FROM plan WHERE state = 'held'") == 1
