"""Each way in which Flinks can misbehave, once, over real HTTP: what is made of it, and that the run ends as if it had not been."""

from collections import Counter
from datetime import timedelta

import pytest

from refreshd.simulator import FaultKind, SimulatorConfig
from tests.support.world import World, world

pytestmark = pytest.mark.slow

AUTHORIZE, SET, REPORT, DATA = "Authorize", "SetScheduledRefresh", "GetNightlyRefreshStatus", "GetAccountsSummary"

MADE_OF_IT: dict[FaultKind, list[tuple[str, str | None]]] = {
    FaultKind.HANG: [(AUTHORIZE, "timeout"), (SET, "timeout"), (REPORT, "timeout")],
    FaultKind.RESET: [(AUTHORIZE, "connect"), (SET, "connect")],
    FaultKind.SLOW: [(AUTHORIZE, None)],
    FaultKind.DRIP: [(AUTHORIZE, "timeout"), (SET, "timeout"), (REPORT, "timeout"), (DATA, "timeout")],
    FaultKind.TRUNCATED: [(AUTHORIZE, "malformed"), (SET, "malformed"), (REPORT, "malformed"), (DATA, "malformed")],
    FaultKind.GARBAGE: [(AUTHORIZE, "malformed"), (SET, "malformed"), (REPORT, "malformed"), (DATA, "malformed")],
    FaultKind.EMPTY_BODY: [(AUTHORIZE, "malformed"), (SET, "malformed"), (REPORT, "malformed")],
    FaultKind.HUGE_BODY: [(AUTHORIZE, "malformed"), (SET, "malformed"), (REPORT, "malformed"), (DATA, "malformed")],
    FaultKind.GZIP_BOMB: [(AUTHORIZE, "malformed"), (SET, "malformed"), (REPORT, "malformed"), (DATA, "malformed")],
    FaultKind.NESTED: [(AUTHORIZE, "malformed"), (SET, "malformed"), (REPORT, "malformed"), (DATA, "malformed")],
    FaultKind.WRONG_CONTENT_TYPE: [(AUTHORIZE, None), (SET, None), (REPORT, None)],
    FaultKind.HTML_502: [(AUTHORIZE, "server"), (SET, "server"), (REPORT, "server")],
    FaultKind.REDIRECT: [(AUTHORIZE, "malformed"), (REPORT, "malformed")],
    FaultKind.DENY: [(AUTHORIZE, "auth")],
    FaultKind.THROTTLE: [(AUTHORIZE, "throttled"), (SET, "throttled"), (REPORT, "throttled")],
    FaultKind.CODE: [(AUTHORIZE, None), (SET, None)],
    FaultKind.ERROR_TEXT_AT_200: [(AUTHORIZE, "malformed"), (SET, "malformed")],
    FaultKind.WRONG_LOGIN: [(AUTHORIZE, "malformed"), (SET, "malformed")],
    FaultKind.CONTRARY: [(SET, "malformed")],
    FaultKind.FLAG_COMES_BACK: [(SET, None)],
    FaultKind.PENDING_202: [(DATA, None)],
    FaultKind.STATUS_LIST_EMPTY: [(REPORT, None)],
    FaultKind.STATUS_LIST_HALF: [(REPORT, None)],
    FaultKind.STATUS_LIST_MISSING: [(REPORT, "malformed")],
    FaultKind.STATUS_LIST_MIXED: [(REPORT, "client")],
    FaultKind.STATUS_LIST_NULL: [(REPORT, "malformed")],
}
"""By kind: the call that it strikes, and the failure that the trace names; None: an answer like any other."""

DETAIL = {FaultKind.CODE: "(RETRY_LATER)", FaultKind.SLOW: "(0.05)"}
SHORT = {f"timeout_{name}": "0.5s" for name in ("token", "authorize", "authorize_live", "report", "schedule", "fetch")}
SETTINGS = {**SHORT, "rate_per_minute": "100000", "concurrency": "8", "max_body_bytes": "65536", "fetch": "summary"}
CONFIG = SimulatorConfig(huge_body_bytes=4_000_000, pending_ratio=0.0, pending_seconds=0.1)
STRIKES = [(kind, operation, failure) for kind, strikes in MADE_OF_IT.items() for operation, failure in strikes]
ABOUT_LOGINS = [each for each in STRIKES if each[1] != REPORT]
ABOUT_THE_REPORT = [each for each in STRIKES if each[1] == REPORT]
HEALED = timedelta(hours=7)
"""What was put off is due again, and the vendor's night is still to come."""

_STRUCK = "SELECT failure FROM call WHERE login_id = $1 AND url LIKE '%/' || $2 ORDER BY call_id LIMIT 1"
_NEXT = "SELECT failure FROM call WHERE call_id > $1 AND url LIKE '%/' || $2 ORDER BY call_id LIMIT 1"


def test_no_fault_is_left_out() -> None:
    assert set(MADE_OF_IT) == set(FaultKind)


@pytest.mark.usefixtures("quick_tries")
async def test_each_fault_of_a_call_about_a_login_is_named_for_what_it_is_and_outlived(database_url: str) -> None:
    """Each strikes a login of its own, once, all in one run."""
    to_disable = [each for each in ABOUT_LOGINS if each[1] == SET]
    to_refresh = [each for each in ABOUT_LOGINS if each[1] != SET]
    async with world(database_url, active=len(to_refresh), inactive=len(to_disable), config=CONFIG) as here:
        await here.once(flinks_secret_key="not-the-key", rate_per_minute="100000")
        await here.approve_all()
        struck = [
            *zip(sorted(here.inactive), to_disable, strict=True),
            *zip(sorted(here.active), to_refresh, strict=True),
        ]
        lines = [f"{kind}{DETAIL.get(kind, '')}@{operation}/{each}:x1" for each, (kind, operation, _) in struck]
        here.flinks.add_faults(lines)
        await here.once(**SETTINGS)

        named = {
            (kind, operation): await here.sql.fetchval(_STRUCK, each, operation)
            for each, (kind, operation, _) in struck
        }
        assert named == {(kind, operation): failure for kind, operation, failure in ABOUT_LOGINS}
        assert here.flinks.audit.faults == Counter(kind.value for kind, *_ in ABOUT_LOGINS)
        assert await here.traced() == here.flinks.audit.calls_by_operation
        await _ends_as_if_it_had_not_been(here, struck)


async def _ends_as_if_it_had_not_been(here: World, struck: list[tuple[str, tuple[FaultKind, str, str | None]]]) -> None:
    here.forward(HEALED)
    await here.once(**SETTINGS)
    verdicts, bodies = await here.verdicts(), await here.sql.fetchval("SELECT count(*) FROM account_data")
    assert {verdicts[each] for each in here.inactive} == {"disabled"}
    failed = {each for each, (kind, operation, _) in struck if (kind, operation) == (FaultKind.CODE, AUTHORIZE)}
    assert {each for each in here.active if verdicts[each] != "fresh"} == failed
    assert bodies == len(here.active - failed), "fetched data is neither lost nor double"
    assert here.switched_on() == here.active
    assert not here.flinks.audit.breaches_by_rule


@pytest.mark.usefixtures("quick_tries")
async def test_each_fault_of_the_report_is_named_for_what_it_is_and_disables_nobody(database_url: str) -> None:
    async with world(database_url, active=6, config=CONFIG) as here:
        ailing = sorted(here.active)[:4]
        for each in ailing:
            here.flinks.afflict(each, "INVALID_PASSWORD")
        await here.once(**SETTINGS)
        for kind, _, failure in ABOUT_THE_REPORT:
            here.forward(timedelta(minutes=16))
            here.flinks.add_faults([f"{kind}@{REPORT}:x1"])
            before = await here.sql.fetchval("SELECT max(call_id) FROM call")
            await here.once(**SETTINGS)
            assert await here.sql.fetchval(_NEXT, before, REPORT) == failure, kind
            assert here.flinks.audit.faults[kind] == 1
            assert here.switched_on() == here.active
            verdicts = await here.verdicts()
            assert {each for each, verdict in verdicts.items() if verdict == "reconnect"} == set(ailing), kind
