"""The issue's own words: `refreshd once` at 300 calls a minute, 300 active and 100 inactive logins, from held to done."""

import json

import pytest

from refreshd.simulator.calls import Operation
from tests.support.world import World, world

RATE = 300
PACE = {"REFRESHD_RATE_PER_MINUTE": str(RATE), "REFRESHD_CONCURRENCY": "4"}


async def _first_run_holds_the_plan_and_authorizes(here: World) -> None:
    ran = await here.command("once", "--json", env=PACE)

    assert ran.code == 3, ran.words
    assert json.loads(ran.out)["held"] == 100
    assert here.calls(Operation.SET_SCHEDULED_REFRESH) == 0
    assert here.calls_by_login(Operation.AUTHORIZE) == dict.fromkeys(here.active, 1)


async def _approval_disables_every_inactive_one(here: World) -> None:
    assert await here.approve_all() == 1
    ran = await here.command("once", "--json", env=PACE)

    assert ran.code == 0, ran.words
    assert here.calls_by_login(Operation.SET_SCHEDULED_REFRESH) == dict.fromkeys(here.inactive, 1)
    assert here.switched_on() == here.active
    verdicts = await here.verdicts()
    assert {verdicts[each] for each in here.inactive} == {"disabled"}


async def _a_third_run_changes_nothing(here: World) -> None:
    before = dict(here.flinks.audit.calls_by_operation)
    ran = await here.command("once", env=PACE)

    assert ran.code == 0, ran.words
    assert dict(here.flinks.audit.calls_by_operation) == before


@pytest.mark.slow
@pytest.mark.first
async def test_held_at_first_then_approved_then_done_and_within_the_budget_all_the_while(database_url: str) -> None:
    async with world(database_url, active=300, inactive=100) as here:
        await _first_run_holds_the_plan_and_authorizes(here)
        await _approval_disables_every_inactive_one(here)
        await _a_third_run_changes_nothing(here)

        assert here.calls_by_login(Operation.AUTHORIZE) == dict.fromkeys(here.active, 1)
        assert await here.traced() == here.flinks.audit.calls_by_operation
        assert here.flinks.audit.most_calls_in(60) <= RATE
        assert not here.flinks.audit.breaches_by_rule
