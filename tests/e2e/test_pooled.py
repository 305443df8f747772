"""Everything that refreshd does, with the real PgBouncer between it and its ledger."""

from pathlib import Path

import pytest

from refreshd.simulator.calls import Operation
from tests.e2e.test_two_daemons import asked
from tests.support.pgbouncer import pooled
from tests.support.process import launched_with
from tests.support.world import until, world

pytestmark = pytest.mark.slow

_PATIENT = """
from refreshd import listener
listener.PATIENCE_SECONDS = 60.0
"""
"""A machine that is busy for seconds makes nobody deaf."""
BY_NEWS_ALONE = {"REFRESHD_PASS_INTERVAL": "1h"}
"""After the first pass there is none but for a notification; only a deaf daemon would make one by itself, and it says so."""


async def test_a_daemon_works_through_a_pooler_and_hears_past_it(database_url: str, open_path: Path) -> None:
    with pooled(database_url, open_path) as url:
        ways = {"REFRESHD_DATABASE_URL": url, "REFRESHD_DATABASE_DIRECT_URL": database_url}
        async with world(database_url, active=60, inactive=3) as here:
            here.launch = launched_with(_PATIENT)
            here.env.update(ways | BY_NEWS_ALONE)
            async with here.started("run") as daemon:
                await daemon.logged("hearing")
                await until("the routine to end", lambda: len(here.calls_by_login(Operation.AUTHORIZE)) == 60)
                assert await here.approve_all() == 1
                await until("the leaks to be off", lambda: here.calls(Operation.SET_SCHEDULED_REFRESH) == 3)
                await here.leave(next(each.client_id for each in here.company.links if each.login_id in here.active))
                await until("the notification", lambda: here.calls(Operation.SET_SCHEDULED_REFRESH) > 3)
                _, text = await asked(daemon, "/metrics")
                assert "refreshd_notify_path_up 1.0" in text.splitlines()
                assert len(daemon.lines("hearing")) == 1
                assert not daemon.lines("deaf")
                assert not daemon.lines("leadership_over")
                daemon.terminate()
                assert (await daemon.ended()).code == 0
            assert here.switched_on() == here.active
            assert sum((await here.traced()).values()) == len(here.flinks.audit.calls)
