"""Every fault of the simulated Flinks at 10 % at once: runs end, each login is accounted for, and afterwards nothing is left."""

from datetime import timedelta

import pytest

from refreshd.core.model import VerdictName
from refreshd.simulator import FaultKind, SimulatorConfig
from tests.support.chart import everything_sent_was_announced
from tests.support.promises import HOLES
from tests.support.world import World, world

pytestmark = pytest.mark.slow

DETAIL = {FaultKind.CODE: "(RETRY_LATER)", FaultKind.SLOW: "(0.1)"}
ALL_FAULTS = [f"{kind.value}{DETAIL.get(kind, '')}@any:0.1" for kind in FaultKind]
NO_REFUSED_KEYS = [each for each in ALL_FAULTS if not each.startswith(FaultKind.DENY)]
"""Two refusals in a row stop a credential for the rest of a run, so this list reaches deeper."""

SHORT = {f"timeout_{name}": "0.3s" for name in ("token", "authorize", "authorize_live", "report", "schedule", "fetch")}
PATIENT = {"rate_per_minute": "100000", "concurrency": "16", "max_body_bytes": "65536", "fetch": "summary"}


async def _everything_is_accounted_for(here: World) -> None:
    verdicts = await here.verdicts()
    assert set(verdicts) == here.active | here.inactive
    assert set(verdicts.values()) <= set(VerdictName)
    for hole, query in HOLES.items():
        assert await here.sql.fetchval(query) == 0, hole
    await everything_sent_was_announced(here, here.sql)
    assert await here.traced() == here.flinks.audit.calls_by_operation
    assert not here.flinks.audit.breaches_by_rule
    assert here.active <= here.switched_on()
    for login_id, verdict in verdicts.items():
        assert verdict != "disabled" or login_id in here.inactive


async def _no_leak_is_left(here: World) -> None:
    """Once nothing goes wrong any more: what was put off is done, and a flag that came back is found by the report."""
    here.flinks.faults.clear()
    for span in (timedelta(hours=8), timedelta(days=8), timedelta(hours=1)):
        await _later(here, span)
        await here.once(**PATIENT)
        if await here.approve_all():
            await here.once(**PATIENT)
    assert here.switched_on() == here.active
    verdicts = await here.verdicts()
    assert {verdicts[each] for each in here.inactive} == {"disabled"}
    assert {verdicts[each] for each in here.active} <= {"fresh", "stale", "failed"}


async def _later(here: World, span: timedelta) -> None:
    """What a refused key rests, a quarter of an hour, is counted on the clock of the wall; by the test's dates it is over."""
    here.forward(span)
    await here.sql.execute("UPDATE credential_stop SET rests_until = now()")


@pytest.mark.usefixtures("quick_tries")
@pytest.mark.parametrize(
    ("faults", "seed"), [(ALL_FAULTS, 1), (NO_REFUSED_KEYS, 2)], ids=["all", "all but refused keys"]
)
async def test_every_fault_at_once_loses_no_login(database_url: str, faults: list[str], seed: int) -> None:
    config = SimulatorConfig(seed=seed, huge_body_bytes=100_000, pending_seconds=0.2)
    async with world(database_url, active=60, inactive=30, config=config) as here:
        await here.once(flinks_secret_key="not-the-key", rate_per_minute="100000")
        await here.approve_all()
        here.flinks.add_faults(faults)
        for _ in range(4):
            await here.once(**SHORT, **PATIENT)
            await _everything_is_accounted_for(here)
            await _later(here, timedelta(minutes=50))
        assert len(here.flinks.audit.faults) > 10, "that was no trouble"
        await _no_leak_is_left(here)
