"""A bank has a bad night: its users are not blamed for it, it is asked by one login at a time, and all others are served."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from refreshd.core.institution import MASS
from refreshd.core.standing import InstitutionState
from refreshd.simulator.calls import Operation
from tests.support.virtual_loop import busy
from tests.support.virtual_world import DAY, Cast, VirtualWorld, play
from tests.support.world import BOREAL

pytestmark = [pytest.mark.slow, pytest.mark.first]

NOON = datetime(2026, 1, 5, 16, tzinfo=UTC)
LOGINS = 30
RARELY: dict[str, object] = {"pass_interval": timedelta(hours=1), "rate_per_minute": 30}


async def _reasons(world: VirtualWorld) -> Counter[tuple[str, str]]:
    with busy():
        rows = await world.sql.fetch("SELECT verdict, reason FROM login")
    return Counter((row["verdict"], row["reason"]) for row in rows)


async def _must_reconnect(world: VirtualWorld) -> int:
    return await world.count("SELECT count(*) FROM login_status WHERE must_reconnect")


async def _states(world: VirtualWorld) -> dict[str, InstitutionState]:
    return {each.institution: each.state for each in await world.ledger.standings()}


async def _state(world: VirtualWorld) -> InstitutionState:
    (state,) = (await _states(world)).values()
    return state


def test_a_night_in_which_every_password_is_wrong_asks_nobody_to_reconnect_until_two_nights_have_passed(
    database_url: str,
) -> None:
    async def story(world: VirtualWorld) -> None:
        await world.lead_for(timedelta(hours=2))
        assert await _state(world) is InstitutionState.UP
        world.flinks.institution_down("Boreal Bank", world.clock.now() + DAY, code="INVALID_PASSWORD")
        for hours in (11, 1, 1, 1, 1, 1):
            await world.lead_for(timedelta(hours=hours))
            assert await _must_reconnect(world) < MASS, "fewer than ten in the small hours may be chance"
        await world.lead_for(timedelta(hours=6))
        assert await _must_reconnect(world) == 0
        assert await _state(world) is InstitutionState.SUSPECT
        assert await _reasons(world) == {("failed", "institution"): LOGINS}

        await world.lead_for(timedelta(hours=24))
        assert await _must_reconnect(world) == 0
        await world.lead_for(timedelta(hours=36))
        assert await _reasons(world) == {("reconnect", "needs_user"): LOGINS}
        world.rules_were_kept()

    play(database_url, Cast(start=NOON, active=LOGINS, settings=RARELY), story)


def test_users_who_fail_one_by_one_are_asked_at_once(database_url: str) -> None:
    async def story(world: VirtualWorld) -> None:
        await world.lead_for(timedelta(hours=2))
        few = sorted(world.active)[:5]
        for each in few:
            world.flinks.afflict(each, "INVALID_PASSWORD")
        await world.lead_for(timedelta(hours=3))
        assert await _must_reconnect(world) == len(few), "as soon as the report names them"
        await world.lead_for(timedelta(hours=19))
        assert await _must_reconnect(world) == len(few)
        assert await _state(world) is InstitutionState.UP

    play(database_url, Cast(start=NOON, active=LOGINS, settings=RARELY), story)


def test_a_bank_that_is_down_is_held_kept_alive_and_found_well_again(database_url: str) -> None:
    async def story(world: VirtualWorld) -> None:
        await world.lead_for(timedelta(hours=2))
        world.flinks.institution_down("Boreal Bank", NOON + timedelta(days=2))
        await world.lead_for(timedelta(hours=24))
        assert await _state(world) is InstitutionState.DOWN
        assert await _reasons(world) == {("failed", "institution"): LOGINS}
        assert await world.count("SELECT count(*) FROM login WHERE lane = 'savable'") <= 2, "the probes"

        world.flinks.audit.reset()
        await world.lead_for(timedelta(hours=24))
        calls = world.calls_by_login(Operation.AUTHORIZE)
        assert calls == dict.fromkeys(world.active, 1), "the daily keep-alive goes on, once each"
        assert await _must_reconnect(world) == 0

        await world.lead_for(timedelta(hours=24))
        assert await _state(world) is InstitutionState.UP
        assert await _reasons(world) == {("fresh", "refreshed"): LOGINS}
        world.rules_were_kept()

    play(database_url, Cast(start=NOON, active=LOGINS, settings=RARELY), story)


DOWN, WELL, FEW = (replace(BOREAL, institution_id=number, name=name) for number, name in enumerate("ABC", 901))


def test_of_three_banks_the_one_that_is_down_is_held_and_the_others_have_their_morning(database_url: str) -> None:
    """A is down, B is well, and of C's few logins no night says anything; at A and at C a password turns wrong meanwhile, too."""

    async def story(world: VirtualWorld) -> None:
        await world.lead_for(timedelta(hours=2))
        down, few = world.customers_of(DOWN.name), world.customers_of(FEW.name)
        others = world.active - down
        assert len(few) < MASS < min(len(down), len(others - few))
        world.flinks.institution_down(DOWN.name, NOON + 3 * DAY)
        await world.lead_for(timedelta(hours=24))
        assert await _states(world) == {
            DOWN.name: InstitutionState.DOWN,
            WELL.name: InstitutionState.UP,
            FEW.name: InstitutionState.NOT_ENOUGH_EVIDENCE,
        }
        assert await _reasons(world) == {("failed", "institution"): len(down), ("fresh", "refreshed"): len(others)}

        await world.lead_for(timedelta(hours=18))
        wrong = {min(down), min(few)}
        for each in wrong:
            world.flinks.afflict(each, "INVALID_PASSWORD")
        world.flinks.audit.reset()
        await world.lead_for(timedelta(hours=5))
        asked = [call.login_id for call in world.flinks.audit.calls if call.operation == Operation.AUTHORIZE]
        assert Counter(asked) == dict.fromkeys(world.active, 1)
        before_the_others_end = asked[: max(map(asked.index, others - wrong))]
        assert len(down.intersection(before_the_others_end)) == 1, (
            "the probe; the rest of its bank comes after all others"
        )
        assert await _seen_fresh_since(world, world.clock.now() - timedelta(hours=13)) == others - wrong
        assert await _to_reconnect(world) == wrong & few, "each login of a bank that may be well is judged alone"
        world.rules_were_kept()

    banks = [DOWN] * 8 + [WELL] * 8 + [FEW]
    play(database_url, Cast(start=NOON, active=70, settings=RARELY, banks=banks), story)


async def _seen_fresh_since(world: VirtualWorld, morning: datetime) -> set[str]:
    with busy():
        rows = await world.sql.fetch(
            "SELECT login_id::text FROM login WHERE verdict = 'fresh' AND refreshed_at >= $1", morning
        )
    return {row["login_id"] for row in rows}


async def _to_reconnect(world: VirtualWorld) -> set[str]:
    with busy():
        rows = await world.sql.fetch("SELECT login_id::text FROM login_status WHERE must_reconnect")
    return {row["login_id"] for row in rows}
