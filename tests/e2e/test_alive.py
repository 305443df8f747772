"""Alive is who makes progress: a vendor that takes longer for each answer than our loops may keep silent makes nobody late.

The daemon is a process of its own, with deadlines so short that a test can outlast them.
"""

import pytest

from refreshd.simulator.calls import Operation
from tests.support.chart import charted
from tests.support.process import launched_with
from tests.support.world import world

pytestmark = pytest.mark.slow

DEADLINE_SECONDS = 5.0
ANSWER_SECONDS = 2 * DEADLINE_SECONDS

_IMPATIENT = f"""
from refreshd import pulse
pulse.EVENT_LOOP_SECONDS = pulse.LEASE_SECONDS = {DEADLINE_SECONDS}
pulse.PASS_GRACE_SECONDS = pulse.CALL_GRACE_SECONDS = {DEADLINE_SECONDS} - 1.0
"""
_SILENT = """
beat = pulse.Pulse.beat
pulse.Pulse.beat = lambda self, loop: None if loop == "passes" else beat(self, loop)
"""
OFTEN = {"REFRESHD_PASS_INTERVAL": "1s", "REFRESHD_REPORT_INTERVAL": "1s", "REFRESHD_GRACE_SECONDS": "0.1"}


async def test_a_vendor_that_takes_longer_than_any_loop_may_keep_silent_leaves_the_daemon_alive(
    database_url: str,
) -> None:
    async with world(database_url, active=20) as here:
        here.flinks.add_faults([f"slow({ANSWER_SECONDS})@any"])
        here.launch = launched_with(_IMPATIENT)
        async with here.started("run", env=OFTEN) as daemon, charted(daemon) as chart:
            await daemon.logged("leading")
            passes, looks = len(daemon.lines("pass_finished")), len(chart.looks)
            await daemon.logged("flinks_call")
            assert not here.calls(Operation.AUTHORIZE), "not even one token has come before"
            assert all(look.alive for look in chart.looks), chart.looks[-1]
            assert len(chart.looks) > looks + 10
            assert len(daemon.lines("pass_finished")) >= passes + 3, "passes wait for no answer"


async def test_a_loop_that_has_stopped_without_a_word_fails_the_probe_by_these_deadlines(database_url: str) -> None:
    async with world(database_url, active=1) as here:
        here.launch = launched_with(_IMPATIENT + _SILENT)
        async with here.started("run", env=OFTEN) as daemon, charted(daemon) as chart:
            await daemon.logged("leading")
            await chart.seen("late", lambda look: not look.alive)
