"""A client list that cannot be true disables nobody, says why in one sentence, and keeps nothing else waiting."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from refreshd.simulator.calls import Operation
from tests.support.virtual_loop import busy
from tests.support.virtual_world import Cast, VirtualWorld, play, until

pytestmark = pytest.mark.slow

NOON = datetime(2026, 1, 5, 16, tzinfo=UTC)
ACTIVE = 40


async def _links_truncated(world: VirtualWorld) -> None:
    await world.sql.execute("TRUNCATE client_login")


async def _both_truncated(world: VirtualWorld) -> None:
    await world.sql.execute("TRUNCATE client, client_login")


async def _truncated_with_what_hangs_on_it(world: VirtualWorld) -> None:
    await world.sql.execute("TRUNCATE client CASCADE")


async def _deleted(world: VirtualWorld) -> None:
    await world.sql.execute("DELETE FROM client")


async def _a_third_is_gone(world: VirtualWorld) -> None:
    """Too many for a day, too few for a list that cannot be true; with one client a login."""
    await world.sql.execute("UPDATE client SET active = false WHERE abs(hashtext(client_id)) % 3 = 0")


async def _no_link_is_scheduled(world: VirtualWorld) -> None:
    await world.sql.execute("UPDATE client_login SET scheduled = false")


async def _emptied(world: VirtualWorld) -> None:
    await world.sql.execute("UPDATE client SET active = false")


async def _shrunk(world: VirtualWorld) -> None:
    """Two of three clients are gone; with one client a login."""
    await world.sql.execute("UPDATE client SET active = false WHERE abs(hashtext(client_id)) % 3 <> 0")


@pytest.mark.parametrize(
    ("happens", "reason", "sentence"),
    [
        pytest.param(_links_truncated, "empty_ledger", "not one of them is active", id="the links are truncated"),
        pytest.param(_both_truncated, "empty_ledger", "not one of them is active", id="both tables are truncated"),
        pytest.param(
            _truncated_with_what_hangs_on_it, "empty_ledger", "not one of them is active", id="TRUNCATE CASCADE"
        ),
        pytest.param(_deleted, "empty_ledger", "not one of them is active", id="every client is deleted"),
        pytest.param(_no_link_is_scheduled, "empty_ledger", "not one of them is active", id="no link is scheduled"),
        pytest.param(_a_third_is_gone, "fraction", "a day go without approval", id="a third is gone"),
        pytest.param(_emptied, "empty_ledger", "not one of them is active", id="every client is inactive"),
        pytest.param(_shrunk, "shrunk_ledger", "is the client list complete?", id="two of three are gone"),
    ],
)
def test_a_list_that_cannot_be_true_is_held_as_a_whole_and_the_routine_of_the_others_goes_on(
    database_url: str, happens: Callable[[VirtualWorld], Awaitable[None]], reason: str, sentence: str
) -> None:
    async def story(world: VirtualWorld) -> None:
        async with world.leading() as leading:
            await until(lambda: _a_plan_waits(world))
            await world.approve_all()
            leading.engine.trigger()
            await until(lambda: world.switched_on() == world.active)
            sent, seen = world.calls(Operation.SET_SCHEDULED_REFRESH), world.calls(Operation.AUTHORIZE)
            with busy():
                await happens(world)
            left = await world.count("SELECT count(*) FROM login WHERE active")
            leading.engine.trigger()
            await until(lambda: _a_plan_waits(world))
            await asyncio.sleep(timedelta(hours=25 if left else 3).total_seconds())

            assert world.calls(Operation.SET_SCHEDULED_REFRESH) == sent, "nobody was disabled"
            (plan,) = [each for each in await world.ledger.plans() if each.state == "held"]
            assert plan.reason == reason
            assert sentence in plan.sentence
            assert world.calls(Operation.AUTHORIZE) - seen >= left, "the others had their routine"

    play(
        database_url, Cast(start=NOON, active=ACTIVE, inactive=2, settings={"pass_interval": timedelta(hours=2)}), story
    )


async def _a_plan_waits(world: VirtualWorld) -> bool:
    return await world.count("SELECT count(*) FROM plan WHERE state = 'held'") == 1
