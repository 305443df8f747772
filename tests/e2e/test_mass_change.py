"""The application changes 100,000 clients in one transaction, while refreshd works."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from refreshd.postgres import Connection, connect
from refreshd.simulator.calls import Operation
from tests.support.chart import PACE, accept_first_plan
from tests.support.postgres import SCHEMA
from tests.support.process import Process
from tests.support.world import PATIENCE_SECONDS, World, until, world

pytestmark = [pytest.mark.slow, pytest.mark.first]

MASS = 100_000

_MASS_OF_CLIENTS = """
WITH given AS (
    INSERT INTO client (client_id) SELECT 'mass ' || number FROM generate_series(1, $1::integer) AS each (number)
    RETURNING client_id
)
SELECT count(*) FROM given
"""
_THEIR_LOGINS = """
WITH given AS (
    INSERT INTO client_login (client_id, login_id) SELECT client_id, gen_random_uuid() FROM client WHERE client_id LIKE 'mass %'
    RETURNING login_id
)
SELECT count(*) FROM given
"""
_ALL_WELL = """
UPDATE login
SET verdict = 'fresh', reason = 'refreshed', verdict_until = $1::timestamptz + interval '1 day', lane = 'savable',
    flag = 'on', flag_seen_at = $1, refreshed_at = $1, answered_at = $1, cached_call_at = $1, routine_at = $1
FROM client_login
WHERE client_login.login_id = login.login_id AND client_login.client_id LIKE 'mass %'
"""


async def grow(here: World) -> None:
    """A mass of clients whose logins are well, and whose routine is done."""
    await here.sql.fetchval(_MASS_OF_CLIENTS, MASS)
    await here.sql.fetchval(_THEIR_LOGINS)
    await here.sql.execute(_ALL_WELL, here.dates.now())
    await here.sql.execute("ANALYZE")


async def becomes(what: str, ask: Callable[[], Awaitable[object]]) -> None:
    try:
        async with asyncio.timeout(3 * PATIENCE_SECONDS):
            while not await ask():  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"waited in vain for {what}") from None


async def passes_go_on(daemon: Process, application: Connection) -> None:
    """Although the application has written, and does not commit."""
    passes = len(daemon.lines("pass_finished"))
    await daemon.logged("pass_finished", count=passes + 3)
    assert not daemon.lines("pass_cut_short")
    assert application.is_in_transaction()


async def one_who_leaves_meanwhile_is_off_at_once(here: World) -> None:
    (leaver,) = here.company.sole_clients(1)
    (login_id,) = here.company.logins_of([leaver])
    await here.leave(leaver)
    await until("the one who left to be off", lambda: login_id not in here.switched_on())


async def test_a_mass_that_leaves_in_one_transaction_is_held_and_one_that_returns_is_as_before_and_work_goes_on(
    database_url: str,
) -> None:
    async with world(database_url, active=30) as here:
        await grow(here)
        await accept_first_plan(here)
        await here.sql.execute("UPDATE landmark SET accepted_logins = $1, accepted_active = $1", MASS + 30)
        application = await connect(database_url, schema=SCHEMA, name="application", command_seconds=None)
        async with here.started("run", env=PACE) as daemon:
            await until("the routine to end", lambda: here.calls_by_login(Operation.AUTHORIZE).keys() == here.active)

            await application.execute("BEGIN; UPDATE client SET active = false WHERE client_id LIKE 'mass %'")
            await passes_go_on(daemon, application)
            await one_who_leaves_meanwhile_is_off_at_once(here)
            await application.execute("COMMIT")
            await becomes("all to be held", lambda: verdict_of_all(here, "held"))

            await application.execute("BEGIN; UPDATE client SET active = true WHERE client_id LIKE 'mass %'")
            await passes_go_on(daemon, application)
            await application.execute("COMMIT")
            await becomes("all to be fresh again", lambda: verdict_of_all(here, "fresh"))
            await becomes("the plan to be closed", lambda: here.sql.fetchval(_NO_PLAN))

            assert not daemon.lines("leadership_over")
        await application.close()
        assert here.calls(Operation.SET_SCHEDULED_REFRESH) == 1, "the one who left meanwhile, and nobody else"
        assert here.calls_by_login(Operation.AUTHORIZE).total() == 30


_NO_PLAN = "SELECT NOT EXISTS (SELECT FROM plan WHERE state <> 'closed' AND logins > 100)"


async def verdict_of_all(here: World, verdict: str) -> bool:
    query = (
        "SELECT count(*) FROM login JOIN client_login USING (login_id) WHERE client_id LIKE 'mass %' AND verdict = $1"
    )
    return bool(await here.sql.fetchval(query, verdict) == MASS)
