"""A source query or a file that cannot be true, over a whole run: nobody is disabled, one sentence says why, all else goes on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from refreshd.simulator.calls import Operation
from tests.support.world import World, world

pytestmark = pytest.mark.slow

ACTIVE = 60
WHOLE = "SELECT client_id, login_id, active FROM company.customer"


@asynccontextmanager
async def _a_settled_company(database_url: str) -> AsyncIterator[World]:
    """Its first plan was approved and is done; its own table says what the ledger says; a day has passed."""
    async with world(database_url, active=ACTIVE, inactive=3) as here:
        await here.sql.execute(
            "CREATE SCHEMA company; CREATE TABLE company.customer AS"
            " SELECT client_id, login_id, active FROM client JOIN client_login USING (client_id)"
        )
        await here.once()
        await here.approve_all()
        await here.once()
        assert here.switched_on() == here.active
        here.forward(timedelta(days=1))
        yield here


async def _only_the_routine_was_done(here: World, *, days: int, before: int) -> None:
    assert here.calls(Operation.SET_SCHEDULED_REFRESH) == before, "nobody was disabled or enabled"
    assert here.switched_on() == here.active
    assert await here.sql.fetchval("SELECT count(*) FROM login WHERE active") == ACTIVE
    assert {here.calls(Operation.AUTHORIZE, each) for each in here.active} == {days}, (
        "every login had the day's routine"
    )
    assert not here.flinks.audit.breaches_by_rule


REFUSED = {
    f"{WHOLE} ORDER BY login_id LIMIT 30": "active logins inactive, at most 6 may go; nothing was changed",
    f"{WHOLE} LIMIT 0": "the client list has no row",
    "SELECT client_id, NULL AS login_id, active FROM company.customer": "bad rows; nothing was changed",
    "SELECT client_id, login_id, 'perhaps' AS active FROM company.customer": "bad rows; nothing was changed",
    "SELECT client_id, login_id, 1 / 0 = 1 AS active FROM company.customer": "the source query does not run",
}


async def test_a_source_query_that_cannot_be_true_is_refused_whole_and_the_run_goes_on(
    database_url: str, tmp_path: Path
) -> None:
    """Half of it, nothing, NULLs, a wrong type, an error: on five days, one after the other."""
    file = tmp_path / "source.sql"
    async with _a_settled_company(database_url) as here:
        before = here.calls(Operation.SET_SCHEDULED_REFRESH)
        for days, (query, says) in enumerate(REFUSED.items(), start=2):
            file.write_text(query, encoding="utf-8")
            ran = await here.command("once", env={"REFRESHD_SOURCE_QUERY_FILE": str(file)})
            assert (ran.code, "source_refused" in ran.err, says in ran.err) == (1, True, True), ran.words
            await _only_the_routine_was_done(here, days=days, before=before)
            here.forward(timedelta(days=1))


async def test_a_file_that_was_cut_off_is_refused_whole_and_the_run_goes_on(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "clients.csv"
    async with _a_settled_company(database_url) as here:
        before = here.calls(Operation.SET_SCHEDULED_REFRESH)
        rows = [f"{each.client_id},{each.login_id},{each.active}" for each in here.company.links]
        half = "\n".join(["client_id,login_id,active", *rows[: len(rows) // 2]])
        for text, code, says in (
            (half, 3, "active logins inactive, at most 6 may go; nothing was changed"),
            (half[:-20], 2, "1 bad row; nothing was changed"),
        ):
            file.write_text(text, encoding="utf-8")
            ran = await here.command("import", str(file), "--full")
            assert (ran.code, says in ran.words) == (code, True), ran.words
        await here.once()
        await _only_the_routine_was_done(here, days=2, before=before)
