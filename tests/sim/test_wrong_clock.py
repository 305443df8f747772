"""The clock of refreshd's host is wrong for a while, and then mended."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from refreshd.core.errors import ClocksDisagree
from refreshd.errorgroups import plain_errors
from refreshd.simulator.calls import Operation
from tests.support.virtual_loop import busy
from tests.support.virtual_world import DAY, Cast, VirtualWorld, play, until

pytestmark = pytest.mark.slow

BEFORE_THE_ROUTINE = datetime(2026, 1, 5, 15, 30, tzinfo=UTC)
TEN_DAYS = timedelta(days=10)
WIDTH = 4

_LATEST_DATE = """
SELECT GREATEST(
    (SELECT max(GREATEST(routine_at, answered_at, flag_seen_at, cached_call_at, intended_at, not_before - interval '2 days')) FROM login),
    (SELECT max(at) FROM schedule_change),
    (SELECT reported_at FROM landmark),
    (SELECT max(called_at) FROM call)
)
"""


@pytest.mark.parametrize("ahead", [TEN_DAYS, -TEN_DAYS], ids=["ahead", "behind"])
def test_a_clock_that_was_wrong_sends_nothing_meanwhile_and_holds_nothing_back_afterwards(
    database_url: str, ahead: timedelta
) -> None:
    async def story(world: VirtualWorld) -> None:
        with pytest.raises(ClocksDisagree), plain_errors():
            await _lead_until_it_is_wrong(world, ahead)
        before = world.flinks.audit.total_calls
        await asyncio.sleep(timedelta(hours=3).total_seconds())
        with pytest.raises(ClocksDisagree):
            await world.lead_for(timedelta(minutes=5))
        assert world.flinks.audit.total_calls == before
        with busy():
            assert await world.sql.fetchval(_LATEST_DATE) <= world.clock.now()

        world.host.ahead = timedelta(0)
        world.flinks.audit.reset()
        await world.lead_for(DAY)

        calls = world.calls_by_login(Operation.AUTHORIZE)
        assert calls.keys() == world.active
        assert world.calls(Operation.NIGHTLY_REFRESH_STATUS) >= 20
        assert set((await world.verdicts()).values()) == {"fresh"}
        world.rules_were_kept()

    play(database_url, Cast(start=BEFORE_THE_ROUTINE, active=40), story)


async def _lead_until_it_is_wrong(world: VirtualWorld, ahead: timedelta) -> None:
    """In the middle of the routine; what had left by then is answered, and no more."""
    async with world.leading():
        await until(lambda: world.calls(Operation.AUTHORIZE) >= 10)
        world.host.ahead = ahead
        before = world.flinks.audit.total_calls
        try:
            await asyncio.sleep(DAY.total_seconds())
        finally:
            assert world.flinks.audit.total_calls <= before + WIDTH
