"""In observe mode, and in a pause, nothing is sent, whatever waits: open disables, old ones to repeat, returned clients, an undoing.
Afterwards, all is."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from refreshd.settings import Mode
from refreshd.simulator.calls import Operation
from tests.support.virtual_world import Cast, VirtualWorld, play, until

pytestmark = pytest.mark.slow

NOON = datetime(2026, 1, 5, 16, tzinfo=UTC)
REASSERTED_AFTER = timedelta(days=2)
SETTINGS: dict[str, object] = {"pass_interval": timedelta(hours=2), "reassert_after": REASSERTED_AFTER}
CAST = Cast(start=NOON, active=12, inactive=4, settings=SETTINGS)


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
        assert await _old_ones(world), "to be repeated"

        world.settings = enforces
        await _all_that_waited_is_sent(world)

    play(database_url, CAST, story)


def test_a_pause_binds_every_copy_that_leads_while_it_lasts_and_whoever_leads_after_it_sends_what_waited(
    database_url: str,
) -> None:
    async def story(world: VirtualWorld) -> None:
        await _something_of_everything_waits(world)
        await world.ledger.pause_writes(by="test", reason="test", now=world.clock.now())
        sent, seen = _sent(world), world.calls(Operation.AUTHORIZE)
        for copy in range(8):
            if copy == 4:
                await world.leave(*world.company.sole_clients(1))
            await world.lead_for(timedelta(hours=12))
            assert _sent(world) == sent
        assert world.calls(Operation.AUTHORIZE) > seen, "the routine went on"
        assert await _old_ones(world), "to be repeated"

        await world.ledger.resume_writes(by="test", reason="test", now=world.clock.now())
        await _all_that_waited_is_sent(world)

    play(database_url, CAST, story)


async def _old_ones(world: VirtualWorld) -> int:
    """Disables that are so old that they are due to be repeated."""
    old = f"confirmed_off_at < '{world.clock.now() - REASSERTED_AFTER}'"
    return await world.count(f"SELECT count(*) FROM login WHERE verdict = 'disabled' AND {old}")  # noqa: S608 - ours


async def _all_that_waited_is_sent(world: VirtualWorld) -> None:
    async with world.leading():
        await until(lambda: world.switched_on() == world.active)
        await asyncio.sleep(timedelta(hours=2).total_seconds())
    assert await world.count("SELECT count(*) FROM undoing WHERE planned_at IS NULL") == 0
    assert await _old_ones(world) == 0
    world.rules_were_kept()
