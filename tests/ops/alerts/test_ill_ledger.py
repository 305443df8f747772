# ruff: noqa: S608 - what is put into these statements stands in this file
"""The woken operator types a runbook's SQL while its alert is true, and finds the culprits; on a ledger that is well there are none."""

from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest

from refreshd.postgres import Connection
from tests.ops.alerts.test_runbooks import BOOKS, blocks
from tests.support.postgres import SCHEMA, PostgresServer

_CALL = "INSERT INTO call (called_at, operation, method, url, login_id, http_status, flinks_code, latency_seconds, attempt, term, failure) "


def _login(number: int, verdict: str, more: str = "", values: str = "") -> str:
    """An active login; `more` and `values`: further columns."""
    columns = "login_id, created_at, active, institution, verdict, reason, verdict_since"
    given = f"'{UUID(int=number)}', now() - interval '60 days', true, 'Polaris', '{verdict}', 'ill', now()"
    return f"INSERT INTO login ({columns}{more}) VALUES ({given}{values})"


_STALE = _login(1, "stale", ", refreshed_at", ", now() - interval '9 days'")
_LEAVER = (
    f"INSERT INTO login (login_id, created_at, active, inactive_since, verdict, reason, verdict_since, flag, flag_seen_at) VALUES"
    f" ('{UUID(int=2)}', now(), false, now() - interval '3 hours', 'leaking', 'flag_on', now(), 'on', now())"
)
_CHANGE = (
    "INSERT INTO schedule_change (login_id, change, event, intent_id, at, reason) SELECT login_id, 'disable', 'failed', 1, now(), ''"
    " FROM login"
)
_SICK = _CALL + "VALUES (now(), 'authorize', 'POST', '/', NULL, 502, NULL, 1, 1, 1, 'server')"
_FAILING = _login(3, "failed", ", error_code, disposition", ", 'DISABLED_INSTITUTION', 'vendor_retries'")
_UNKNOWN = _login(4, "failed", ", error_code, disposition", ", 'BRANCH_CLOSED', 'unknown'")
_PASS = "INSERT INTO reconcile_pass (term, started_at, finished_at, failure) VALUES (1, now(), now(), 'database')"

ILL: dict[str, tuple[str, ...]] = {
    "RefreshdDisableFailing": (
        _LEAVER,
        _CHANGE,
        _CALL + "VALUES (now(), 'set_scheduled_refresh', 'POST', '/', NULL, 500, NULL, 1, 1, 1, 'server')",
    ),
    "RefreshdDriftedLogins": (_login(5, "drifted"),),
    "RefreshdFailedLoginsJump": (_FAILING,),
    "RefreshdFlinksAuthRejected": (
        _CALL + "VALUES (now(), 'authorize', 'POST', '/', NULL, 401, 'UNAUTHORIZED', 1, 1, 1, 'auth')",
    ),
    "RefreshdFlinksDown": (_SICK,),
    "RefreshdFlinksErrorBudgetBurn": (_SICK,),
    "RefreshdFlinksThrottled": (
        _CALL + "VALUES (now(), 'authorize', 'POST', '/', NULL, 429, NULL, 1, 1, 1, 'throttled')",
    ),
    "RefreshdInactiveLoginsScheduled": (_LEAVER,),
    "RefreshdInstitutionsHeld": (_FAILING,),
    "RefreshdLedgerShrank": (_LEAVER, _STALE),
    "RefreshdLoginsLapsing": (_login(6, "reconnect", ", refreshed_at", ", now() - interval '156 hours'"),),
    "RefreshdObserveOnlyLeftOn": (_LEAVER,),
    "RefreshdReconcileFailing": (_PASS,),
    "RefreshdRoutineLate": (_SICK,),
    "RefreshdRoutineLosesLogins": (_STALE, _SICK),
    "RefreshdStaleLogins": (_STALE,),
    "RefreshdStaleLoginsHigh": (_STALE, _SICK),
    "RefreshdUnknownErrorCode": (
        _UNKNOWN,
        _CALL + "VALUES (now(), 'authorize', 'POST', '/', NULL, 401, 'BRANCH_CLOSED', 1, 1, 1, NULL)",
    ),
    "RefreshdUnknownLogins": (f"INSERT INTO orphan (login_id, first_reported_at) VALUES ('{UUID(int=7)}', now())",),
}
"""What makes each alert true, as far as the ledger shows it."""

NO_CULPRITS = {
    "RefreshdClockSkew": "asks for the time",
    "RefreshdDatabasePoolSaturated": "asks Postgres about sessions",
    "RefreshdErrorsLogged": "asks for two dates, which there always are",
    "RefreshdEventLoopBlocked": "lists passes, of which there always are some",
    "RefreshdGuardHolding": "asks about one login",
    "RefreshdMultipleLeaders": "shows the lease, which is always there",
    "RefreshdNoLeader": "shows the lease, which is always there",
    "RefreshdNotifyPathDeaf": "asks Postgres about sessions",
    "RefreshdPausedLeftOn": "shows the pause, which is always there",
    "RefreshdReconcileLate": "lists passes, and asks Postgres about sessions",
    "RefreshdReconcileOverdue": "lists passes, and asks Postgres about sessions",
    "RefreshdSchemaMismatch": "lists migrations",
    "RefreshdTotalsStandStill": "asks Postgres about sessions",
}
"""Runbooks whose SQL lists nobody who is to blame, and why."""

QUERIES = {
    book.path.stem: [text for text in blocks(book, "sql", "run") if text.startswith("SELECT")]
    for book in BOOKS
    if blocks(book, "sql", "run")
}


@pytest.fixture
async def session(postgres: PostgresServer) -> AsyncIterator[Connection]:
    """As an operator has it: the tables are named with their schema."""
    with postgres.database(migrated=True) as url:
        connection = await asyncpg.connect(url)
        yield connection
        await connection.close()


def test_every_runbook_with_sql_is_tried_or_says_why_not() -> None:
    assert QUERIES.keys() == ILL.keys() | NO_CULPRITS.keys()
    assert ILL.keys().isdisjoint(NO_CULPRITS)


@pytest.mark.parametrize("name", ILL)
async def test_the_sql_of_a_runbook_finds_the_culprits_while_its_alert_is_true(name: str, session: Connection) -> None:
    await session.execute(f"SET search_path TO {SCHEMA}")
    for statement in ILL[name]:
        await session.execute(statement)
    await session.execute("RESET search_path")
    for query in QUERIES[name]:
        assert await session.fetch(query), query


@pytest.mark.parametrize("name", ILL)
async def test_it_finds_nobody_on_a_ledger_that_is_well(name: str, session: Connection) -> None:
    """But for counts of everything, which are never without a row."""
    for query in QUERIES[name]:
        if "GROUP BY" in query or "count(*)" not in query:
            assert await session.fetch(query) == [], query
