"""In observe mode nothing is sent, whatever waits: open disables, old ones to repeat, returned clients, an undoing. Enforcing, all is."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from refreshd.settings import Mode
from refreshd.simulator.calls import Operation
from tests.support.virtual_world import Cast, VirtualWorld, play, until

pytestmark = pytest.mark.slow

NOON = datetime(2026, 1, 5, 16, tzinfo=UTC)


def _sent(world: VirtualWorld) -> int:
    return world.calls(Operation.SET_SCHEDULED_REFRESH)


async def _a_plan_waits(world: VirtualWorld) -> bool:
    return await world.count("SELECT count(*) FROM plan WHERE state = 'held'") == 1


async def _something_of_everything_waits(world: VirtualWorld) -> None:
    """Disables that Flinks has not answered, disabled logins whose client returned, and an undoing."""
    async with world.leading() as leading:
        await until(lambda: _a_plan_waits(world))
        await world.approve_all()
        leading.engine.trigger()
        await until(lambda: world.switched_on() == world.active)
        world.flinks.add_faults(["html_502@SetScheduledRefresh"])
        before = _sent(world)
        await world.leave(*world.company.sole_clients(2))
        leading.engine.trigger()
        await until(lambda: _sent(world) > before)
    world.flinks.faults.clear()
    gone = sorted({link.client_id for link in world.company.links if not link.active})
    await world.come_back(gone[0])
    (plan,) = [each for each in await world.ledger.plans(closed=9) if each.reason == "first_plan"]
    await world.ledger.ask_undo(plan.plan_id, by="test", reason="test", now=world.clock.now())


def test_from_enforce_to_observe_and_back_nothing_is_sent_in_between(database_url: str) -> None:
    async def story(world: VirtualWorld) -> None:
        await _something_of_everything_waits(world)
        enforces, sent = world.settings, _sent(world)
        world.settings = enforces.model_copy(update={"mode": Mode.OBSERVE})
        seen = world.calls(Operation.AUTHORIZE)
        await world.lead_for(timedelta(days=4))
        assert _sent(world) == sent
        assert world.calls(Operation.AUTHORIZE) > seen, "the routine went on"
        old = "SELECT count(*) FROM login WHERE verdict = 'disabled' AND confirmed_off_at < $1::timestamptz"
        assert await world.count(old.replace("$1", f"'{world.clock.now() - timedelta(days=2)}'")), "to be repeated"

        world.settings = enforces
        async with world.leading():
            await until(lambda: world.switched_on() == world.active)
            await asyncio.sleep(timedelta(hours=2).total_seconds())
        assert await world.count("SELECT count(*) FROM undoing WHERE planned_at IS NULL") == 0
        world.rules_were_kept()

    settings: dict[str, object] = {"pass_interval": timedelta(hours=2), "reassert_after": timedelta(days=2)}
    play(database_url, Cast(start=NOON, active=12, inactive=4, settings=settings), story)
