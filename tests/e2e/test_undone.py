"""`refreshd undo` beside a daemon that leads: the command asks, the leader's pass plans, and the command says what came of it."""

import json

import pytest

from tests.support.process import Process
from tests.support.world import World, until, world

pytestmark = pytest.mark.slow

TIGHT = {"REFRESHD_MAX_DISABLE_COUNT": "2"}


async def _plan_that_disabled(here: World, daemon: Process) -> str:
    await daemon.logged("leading")
    await daemon.logged("pass_finished", count=1)
    assert await here.approve_all() == 1
    await until("every inactive login to be off", lambda: here.switched_on() == here.active)
    return str(await here.sql.fetchval("SELECT plan_id FROM plan WHERE change = 'disable'"))


async def test_beyond_the_caps_the_command_waits_for_the_pass_ends_with_3_and_approve_lets_it_go(
    database_url: str,
) -> None:
    async with world(database_url, active=30, inactive=6) as here, here.started("run", env=TIGHT) as daemon:
        undone = await _plan_that_disabled(here, daemon)
        back = {link.client_id for link in here.company.links if not link.active}
        await here.come_back(*back)
        ran = await here.command("undo", undone, "--reason", "all of them", "--json", "--wait", "30", env=TIGHT)
        said = json.loads(ran.out)
        assert (ran.code, said["state"], said["waits_because"]) == (3, "held", None), ran.words
        assert len(said["enabled"]) == 6
        (planned,) = daemon.lines("undo_planned")
        assert (planned["undoes"], planned["plan"], planned["held"]) == (undone, said["plan_id"], True)
        assert await here.approve_all() == 1
        await until("all of them to be on again", lambda: here.switched_on() == here.active)
        assert len(here.active) == 36
        assert not here.flinks.audit.breaches_by_rule


async def test_within_the_caps_it_is_the_leaders_plan_that_switches_on(database_url: str) -> None:
    """During a pause, or the daemon would have been quicker by itself."""
    async with world(database_url, active=30, inactive=6) as here, here.started("run") as daemon:
        undone = await _plan_that_disabled(here, daemon)
        assert (await here.command("pause", "--reason", "look first")).code == 0
        back = sorted({link.client_id for link in here.company.links if not link.active})[:2]
        asked = await here.command("undo", undone, "--reason", "x", "--wait", "0")
        assert asked.code == 0, asked.words  # a pass may have taken it up already, and found nobody
        await here.come_back(*back)
        ran = await here.command("undo", undone, "--reason", "two of them", "--wait", "30")
        assert ran.code == 0, ran.words
        assert (await here.command("resume", "--reason", "looked")).code == 0
        await until("the two to be on again", lambda: here.switched_on() == here.active)
        assert len(here.active) > 30
