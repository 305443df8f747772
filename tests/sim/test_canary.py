"""A large plan begins with five of its changes, and what Flinks says about these decides about the rest."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from refreshd.cli.plans import show_plan
from refreshd.cli.screen import Screen
from refreshd.core.model import PlanState
from refreshd.core.plan import HeldPlan
from refreshd.simulator.calls import Operation
from tests.support.virtual_world import DAY, Cast, VirtualWorld, play, until

pytestmark = pytest.mark.slow

NOON = datetime(2026, 1, 5, 16, tzinfo=UTC)
FIRST = 5
GONE = 40


def _sent(world: VirtualWorld) -> int:
    return world.calls(Operation.SET_SCHEDULED_REFRESH)


async def _approved(world: VirtualWorld, trigger: Callable[[], None]) -> None:
    await until(lambda: _held(world))
    assert await world.approve_all() == 1
    trigger()


async def _held(world: VirtualWorld) -> bool:
    return await world.count("SELECT count(*) FROM plan WHERE state = 'held'") == 1


def _read_aloud(plan: HeldPlan, now: datetime, capsys: pytest.CaptureFixture[str]) -> str:
    """What `refreshd plans` says of it, however it is broken into lines."""
    capsys.readouterr()
    show_plan(Screen(), plan, now)
    return " ".join(capsys.readouterr().out.split())


def test_an_approved_plan_of_many_sends_five_and_the_rest_once_these_are_confirmed(database_url: str) -> None:
    async def story(world: VirtualWorld) -> None:
        async with world.leading() as leading:
            await _approved(world, leading.engine.trigger)
            await until(lambda: _sent(world) >= FIRST)
            await asyncio.sleep(300)
            assert _sent(world) == FIRST, "no pass has looked at the answers yet"
            leading.engine.trigger()
            await until(lambda: world.switched_on() == world.active)
        assert _sent(world) == GONE
        assert await world.count("SELECT count(*) FROM canary WHERE answer = 'expected'") == FIRST
        world.rules_were_kept()

    play(database_url, Cast(start=NOON, active=60, inactive=GONE), story)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (
            "contrary",
            "SetScheduledRefresh answered 200, but it says that {login} is on, the contrary of what was asked",
        ),
        ("wrong_login", "SetScheduledRefresh answered 200, but it does not speak of {login}, and of it alone"),
        ("garbage", "SetScheduledRefresh answered 200, but it does not speak of {login}, and of it alone"),
        ("code(INVALID_REQUEST)", "INVALID_REQUEST: Flinks answered INVALID_REQUEST"),
    ],
)
def test_one_answer_that_nobody_expected_holds_the_rest_over_a_restart_until_somebody_approves_again(
    database_url: str, capsys: pytest.CaptureFixture[str], fault: str, said: str
) -> None:
    async def story(world: VirtualWorld) -> None:
        async with world.leading() as leading:
            await _approved(world, leading.engine.trigger)
            world.flinks.add_faults([f"{fault}@SetScheduledRefresh:x1"])
            await until(lambda: len(world.flinks.audit.faults) == 1)
            await asyncio.sleep(120)
        await world.lead_for(timedelta(hours=2))
        (plan,) = await world.ledger.plans()
        assert plan.reason == "canary"
        (odd,) = [call.login_id for call in world.flinks.audit.calls if call.fault]
        held = f"Flinks answered about 1 of the first 5 in a way that was not expected ({said.format(login=odd)}); the rest was not sent."
        assert held in _read_aloud(plan, world.clock.now(), capsys)
        assert len(world.switched_on() & world.inactive) >= GONE - FIRST, "the rest was not sent"

        async with world.leading() as leading:
            assert await world.approve_all() == 1
            leading.engine.trigger()
            await asyncio.sleep(120)
            leading.engine.trigger()
            await until(lambda: len(world.switched_on() & world.inactive) <= 1, within=timedelta(hours=2))

    play(database_url, Cast(start=NOON, active=60, inactive=GONE), story)


def test_a_canary_that_meets_trouble_of_the_moment_keeps_the_rest_waiting_and_holds_nothing(database_url: str) -> None:
    async def story(world: VirtualWorld) -> None:
        async with world.leading() as leading:
            await _approved(world, leading.engine.trigger)
            world.flinks.add_faults(["html_502@SetScheduledRefresh"])
            await asyncio.sleep(timedelta(hours=1).total_seconds())
            intended = "SELECT count(*) FROM schedule_change WHERE event = 'intended'"
            assert await world.count(intended) == FIRST
            assert (await world.ledger.plans())[0].state is PlanState.APPROVED
            world.flinks.faults.clear()
            await until(lambda: world.switched_on() == world.active)

    play(database_url, Cast(start=NOON, active=60, inactive=GONE), story)


def test_a_plan_within_the_caps_begins_with_a_canary_too_and_counts_against_them_from_its_start(
    database_url: str,
) -> None:
    async def story(world: VirtualWorld) -> None:
        async with world.leading() as leading:
            await _approved(world, leading.engine.trigger)
            await until(lambda: world.switched_on() == world.active)
            await world.leave(*world.company.sole_clients(30))
            before = _sent(world)
            leading.engine.trigger()
            await until(lambda: _sent(world) == before + FIRST)
            await asyncio.sleep(60)
            assert _sent(world) == before + FIRST
            totals = await world.ledger.plan_totals(now=world.clock.now())
            assert totals.disables_in_window == 30
            leading.engine.trigger()
            await until(lambda: world.switched_on() == world.active)
        states = "SELECT count(*) FROM plan WHERE state = 'closed' AND reason = 'within_caps' AND canary"
        await world.lead_for(timedelta(minutes=1))
        assert await world.count(states) == 1
        world.rules_were_kept()

    play(database_url, Cast(start=NOON, active=400, inactive=3), story)


def test_what_an_admitted_plan_did_not_get_to_in_its_day_is_weighed_anew(database_url: str) -> None:
    async def story(world: VirtualWorld) -> None:
        async with world.leading() as leading:
            await _approved(world, leading.engine.trigger)
            await until(lambda: world.switched_on() == world.active)
            world.flinks.add_faults(["html_502@SetScheduledRefresh"])
            await world.leave(*world.company.sole_clients(30))
            leading.engine.trigger()
            await asyncio.sleep((DAY + timedelta(hours=2)).total_seconds())
            assert await world.count("SELECT count(*) FROM plan WHERE reason = 'within_caps'") == 2
            world.flinks.faults.clear()
            await until(lambda: world.switched_on() == world.active, within=2 * DAY)

    play(database_url, Cast(start=NOON, active=400, inactive=3), story)
