# ruff: noqa: S608 - what is put into these statements stands in this file
"""Hot queries find their rows by index on a ledger of 200,000 logins, whether or not its statistics are fresh."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import asyncpg
import pytest

from refreshd.postgres import Connection
from refreshd.sqlfiles import load_queries
from tests.support.ledger import DAY, NOW, login_id
from tests.support.postgres import SCHEMA, LoopThread, PostgresServer

pytestmark = pytest.mark.slow

LOGINS = 200_000
BIG_TABLES = {"login", "schedule_change", "client", "client_login", "call_20260302"}

FILL = f"""
INSERT INTO client SELECT 'c' || n, n % 10 <> 0 FROM generate_series(1, {LOGINS}) AS n;
INSERT INTO client_login SELECT 'c' || n, md5(n::text)::uuid FROM generate_series(1, {LOGINS}) AS n;
INSERT INTO plan (
    plan_id, change, state, held_at, reason, sentence, logins, allowance, ledger_logins, ledger_active, not_confirmed_off,
    changed_in_window, max_fraction, max_count, approved_at, approved_until
)
SELECT 'p' || n, 'disable', 'approved', '2026-03-02', '', '', 1, 0, 0, 0, 0, 0, 0, 0, '2026-03-02', '2026-03-03'
FROM generate_series(1, 50) AS n;
UPDATE login SET
    verdict = CASE WHEN active THEN 'fresh' ELSE 'disabled' END,
    lane = CASE WHEN active THEN 'savable' END,
    confirmed_off_at = CASE WHEN NOT active THEN '2026-03-01'::timestamptz END,
    routine_at = '2026-03-02 15:00+00'::timestamptz - random() * interval '1 day',
    refreshed_at = '2026-03-02',
    verdict_until = CASE WHEN active THEN '2026-03-04'::timestamptz + random() * interval '1 day' ELSE 'infinity' END;
UPDATE login SET verdict = 'leaking', confirmed_off_at = NULL WHERE NOT active AND left(login_id::text, 2) = '00';
UPDATE login SET verdict = 'leaking', confirmed_off_at = NULL, plan_id = 'p1' WHERE NOT active AND left(login_id::text, 2) = '01';
UPDATE login SET verdict = 'stale' WHERE active AND left(login_id::text, 2) = '02';
UPDATE login SET verdict = 'drifted', reason = 'disabled_by_refreshd' WHERE active AND left(login_id::text, 2) = '03';
UPDATE login SET not_before = '2026-03-02 12:00+00' WHERE active AND left(login_id::text, 2) = '04';
UPDATE login SET intent = 'disable', intent_id = 1, intent_reason = 'flag_on', intent_plan_id = 'x', intended_at = '2026-03-02'
WHERE NOT active AND left(login_id::text, 2) = '05';
UPDATE login SET listed_since = '2026-03-02', refused_at = '2026-03-01', refused_code = 'X'
WHERE active AND left(login_id::text, 2) = '06';
INSERT INTO schedule_change (login_id, change, event, intent_id, at, reason)
SELECT md5(n::text)::uuid, 'disable', 'intended', n, '2026-03-02'::timestamptz - n * interval '1 minute', ''
FROM generate_series(1, {LOGINS}) AS n;
SELECT add_call_day('2026-03-02', 1);
SELECT add_call_day('2026-03-02', 1);
SELECT add_call_day('2026-03-02', 1);
INSERT INTO call (called_at, operation, method, url, login_id, latency_seconds, attempt, term)
SELECT '2026-03-02'::timestamptz + n * interval '0.4 seconds', 'authorize', 'POST', '/', md5(n::text)::uuid, 0, 1, 1
FROM generate_series(1, {LOGINS}) AS n;
"""

SOME = {"now": NOW, "limit": 100, "busy": [login_id(1)], "after": login_id(0)}
HOT: dict[str, dict[str, object]] = {
    "verdict.due": {},
    "verdict.due_and_free": {},
    "work.changes": {"reasserts": False},
    "work.authorizes": {"lane": "savable", "routine_start": NOW - DAY / 24},
    "work.manual": {},
    "work.is_active": {"login_id": login_id(1)},
    "work.mark_sent": {"login_id": login_id(1), "change": "disable", "pass_id": 1, "term": 1},
    "work.mark_manual": {"login_id": login_id(1)},
    "work.unmark_manual": {"login_id": login_id(1)},
    "work.withdraw": {"login_id": login_id(1), "detail": "", "term": 1},
    "plan.disables": {},
    "plan.enables": {},
    "plan.disables_waiting": {},
    "plan.enables_waiting": {},
    "plan.approved_disables": {"plan_id": "p1"},
    "plan.approved_enables": {"plan_id": "p1"},
    "plan.reassertions": {"confirmed_before": NOW - 30 * DAY},
    "plan.settle": {},
    "plan.carried_out": {"change": "disable"},
    "canary.of_plans": {"plan_ids": ["p1"]},
    "undo.disabled": {"plan_id": "p1", "clients": 3},
    "plan.run_out": {},
    "plan.release": {"plan_id": "p1"},
    "plan.cover_disables": {"plan_id": "p1", "event": "held", "pass_id": 1, "term": 1, "reason": ""},
    "plan.fates": {"plan_id": "p1"},
    "login.of_plan_ever": {"plan_id": "p1"},
    "login.one": {"login_id": login_id(1)},
    "login.all": {},
    "login.of_verdict": {"verdict": "stale"},
    "login.of_plan": {"plan_id": "p1"},
    "login.changes": {"login_id": login_id(1)},
    "page.listed": {
        "verdict": "stale",
        "institution": None,
        "code": "INVALID_PASSWORD",
        "first": login_id(0),
        "last": login_id(2**128 - 1),
    },
    "page.by_handle": {"first": login_id(0), "last": login_id(2**96), "check": "0123456789"},
    "page.calls_of_pass": {"pass_id": 1, "since": NOW - DAY / 2, "until": NOW},
    "page.changes_of_pass": {"pass_id": 1},
    "trace.of_login": {"login_id": login_id(1)},
    "trace.count_since": {"since": NOW + DAY},
}
MANY = [login_id(number) for number in range(100)]
HOT |= {
    "verdict.store": {
        "login_ids": MANY, "versions": [0] * 100, "names": ["fresh"] * 100, "reasons": [""] * 100, "untils": [NOW] * 100,
        "lanes": ["rest"] * 100, "stales": [False] * 100, "error_codes": [None] * 100, "dispositions": [None] * 100, "term": 1,
    },
    "effect.sightings": {
        "login_ids": MANY, "seen_ats": [NOW] * 100, "flags": ["on"] * 100, "refreshed_ats": [NOW] * 100,
        "institutions": [None] * 100, "codes": [None] * 100, "lives": [False] * 100, "routine_dones": [True] * 100,
    },
    "canary.answered": {
        "login_ids": MANY, "changes": ["disable"] * 100, "answers": ["expected"] * 100, "codes": [None] * 100,
        "details": [None] * 100, "answered_ats": [NOW] * 100,
    },
    "effect.confirmed_off": {"login_ids": MANY, "confirmed_ats": [NOW] * 100, "term": 1},
}  # fmt: skip

# These few are asked for seldom; on a new ledger they may read a table once, until its first statistics are there.
SELDOM: dict[str, dict[str, object]] = {
    "work.release_refused": {"since": NOW, "until": NOW},
    "login.clients": {"login_id": login_id(1)},
    "report.unlist": {"login_ids": MANY, "first": MANY[0], "last": MANY[-1]},
}


@pytest.fixture(scope="module")
def big_ledger(postgres: PostgresServer) -> Iterator[str]:
    """One database for all of this module: filled, and never analyzed."""
    with postgres.database(migrated=True) as url:
        loop = LoopThread()
        loop.run(_fill(url))
        yield url
        loop.close()


async def _fill(url: str) -> None:
    connection = await asyncpg.connect(url, server_settings={"search_path": SCHEMA})
    for table in ("login", "client", "client_login", "schedule_change"):
        await connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
    await connection.execute(FILL)
    await connection.close()


@pytest.fixture
async def big(big_ledger: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(big_ledger, server_settings={"search_path": SCHEMA, "jit": "off"})
    yield connection
    await connection.close()


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from _nodes(child)


async def _scanned(connection: Connection, name: str, *, generic: bool) -> set[str]:
    """The big tables that the plan of a query reads from end to end."""
    noun, _, query_name = name.partition(".")
    query = load_queries(noun)[query_name]
    values = {parameter: (SOME | (HOT | SELDOM)[name])[parameter] for parameter in query.parameters}
    sql, *arguments = query(**values)
    await connection.execute(f"SET plan_cache_mode = force_{'generic' if generic else 'custom'}_plan")
    plan = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {sql}", *arguments)
    await connection.execute("RESET plan_cache_mode")
    nodes = _nodes(json.loads(plan)[0]["Plan"])
    return {node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"} & BIG_TABLES


@pytest.mark.parametrize("generic", [False, True], ids=["custom", "generic"])
@pytest.mark.parametrize("name", HOT)
async def test_a_hot_query_reads_no_table_from_end_to_end(big: Connection, name: str, *, generic: bool) -> None:
    assert not await _scanned(big, name, generic=generic)


WRITES = {
    "a client leaves": "UPDATE client SET active = NOT active WHERE client_id = 'c77'",
    "a login is linked": "INSERT INTO client_login SELECT 'c77', gen_random_uuid()",
    "a login is unlinked": "DELETE FROM client_login WHERE client_id = 'c77'",
    "a client is deleted": "DELETE FROM client WHERE client_id = 'c77'",
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_the_application_s_small_writes_read_few_rows(big: Connection, write: str) -> None:
    """Also by the plans that a session has kept: Postgres may choose a generic one from the sixth time on."""
    for _ in range(7):
        transaction = big.transaction()
        await transaction.start()
        await big.execute(write)
        read = "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables WHERE relname = ANY ($1)"
        assert await big.fetchval(read, list(BIG_TABLES)) < 100
        await transaction.rollback()


@pytest.mark.parametrize("name", HOT | SELDOM)
async def test_nor_does_it_with_fresh_statistics(big: Connection, name: str) -> None:
    if not await big.fetchval("SELECT reltuples > 0 FROM pg_class WHERE oid = 'orphan'::regclass"):
        await big.execute("INSERT INTO orphan (login_id, first_reported_at) VALUES (gen_random_uuid(), now()); ANALYZE")

    assert not await _scanned(big, name, generic=False)
    assert not await _scanned(big, name, generic=True)
