"""A database that goes away is a pause for the daemon, never an exit; `once` says so and leaves with 4."""

from collections.abc import Callable

import pytest

from refreshd.simulator.calls import Operation
from tests.e2e.test_two_daemons import asked
from tests.support.cut_line import Line, line_to
from tests.support.process import Process
from tests.support.world import World, until, world

pytestmark = pytest.mark.slow


async def _metric(daemon: Process, name: str) -> float:
    _, text = await asked(daemon, "/metrics")
    return next(float(each.split()[-1]) for each in text.splitlines() if each.startswith(f"{name} "))


@pytest.mark.parametrize("harm", [Line.cut, Line.freeze], ids=["thrown out", "silence"])
async def test_the_daemon_waits_for_a_lost_database_and_goes_on(
    database_url: str, harm: Callable[[Line], None]
) -> None:
    async with (
        world(database_url, active=400) as here,
        line_to(database_url) as (line, url),
        here.started("run", env={"REFRESHD_DATABASE_URL": url}) as daemon,
    ):
        await until("the routine to be under way", lambda: here.calls(Operation.AUTHORIZE) >= 20)
        assert await _metric(daemon, "refreshd_database_up") == 1
        harm(line)
        await daemon.logged("leadership_over", count=2)

        assert (await asked(daemon, "/livez"))[0] == 200
        assert (await asked(daemon, "/readyz"))[0] == 503
        assert await _metric(daemon, "refreshd_database_up") == 0
        assert here.calls(Operation.AUTHORIZE) < 400
        line.mend()
        await _goes_on(here, daemon)


async def _goes_on(here: World, daemon: Process) -> None:
    await daemon.logged("leading", count=2)
    await until("the routine to end", lambda: len(here.calls_by_login(Operation.AUTHORIZE)) == 400)
    assert (await asked(daemon, "/readyz"))[0] == 200
    assert await _metric(daemon, "refreshd_database_up") == 1
    daemon.terminate()
    assert (await daemon.ended()).code == 0
    again = [each for each, calls in here.calls_by_login(Operation.AUTHORIZE).items() if calls > 1]
    assert len(again) <= 8, "only what was in flight is done again"
