"""A ledger on a database of the test's own, and short ways to fill it as its owners would: by plain SQL, by verdicts, by effects."""

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from refreshd.core.caps import HoldReason, Withheld
from refreshd.core.guard import GuardedPlan
from refreshd.core.model import Change, Evidence, Lane, LoginId, PassId, PlanId, Term, Verdict, VerdictName
from refreshd.core.plan import HeldPlan, PlannedChange
from refreshd.core.planner import PlanDigest, plan
from refreshd.ledger import Ledger
from refreshd.postgres import Connection, Database, open_database
from tests.support.observed import WEIGHED
from tests.support.postgres import SCHEMA

NOW = datetime(2026, 3, 2, 16, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def login_id(number: int) -> LoginId:
    return LoginId(UUID(int=number))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url, schema=SCHEMA, size=4) as opened:
        yield opened


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database)


@pytest.fixture
async def term(connection: Connection) -> Term:
    return await take_lease(connection)


async def take_lease(connection: Connection) -> Term:
    """Lead for ever, whoever led before."""
    take = "UPDATE lease SET term = term + 1, holder = 'test', expires_at = 'infinity' RETURNING term"
    return Term(await connection.fetchval(take))


async def set_writer_clock(connection: Connection, now: datetime) -> None:
    await connection.execute("SELECT set_config('refreshd.now', $1, false)", now.isoformat())


async def link(connection: Connection, client_id: str, *login_ids: LoginId, active: bool = True) -> None:
    """A client with links, written as an application writes it."""
    insert = "INSERT INTO client (client_id, active) VALUES ($1, $2) ON CONFLICT (client_id) DO NOTHING"
    await connection.execute(insert, client_id, active)
    await connection.executemany(
        "INSERT INTO client_login (client_id, login_id) VALUES ($1, $2)", [(client_id, each) for each in login_ids]
    )


async def set_active(connection: Connection, client_id: str, *, active: bool) -> None:
    await connection.execute("UPDATE client SET active = $2 WHERE client_id = $1", client_id, active)


async def active_logins(connection: Connection) -> dict[LoginId, bool]:
    rows = await connection.fetch("SELECT login_id, active FROM login")
    return {LoginId(row["login_id"]): row["active"] for row in rows}


def verdict(evidence: Evidence, name: VerdictName, *, reason: str = "test", until: datetime | None = None) -> Verdict:
    return Verdict(
        login_id=evidence.login_id,
        name=name,
        reason=reason,
        sentence="because the test says so",
        until=until,
        lane=Lane.SAVABLE if evidence.active else None,
        version=evidence.version,
    )


async def judge_all(
    ledger: Ledger,
    term: Term,
    *,
    active: VerdictName = VerdictName.FRESH,
    inactive: VerdictName = VerdictName.LEAKING,
    reason: str = "test",
    now: datetime = NOW,
) -> None:
    """Give every due login one of two verdicts."""
    due = await ledger.evidence_due(now=now, limit=1_000_000)
    names = {True: active, False: inactive}
    await ledger.store_verdicts([verdict(each, names[each.active], reason=reason) for each in due], now=now, term=term)


def guarded(
    changes: Iterable[PlannedChange], *, change: Change = Change.DISABLE, outside_caps: bool = False
) -> GuardedPlan:
    return GuardedPlan(plan=plan(changes), change=change, outside_caps=outside_caps)


async def intend_all(
    ledger: Ledger, term: Term, *, change: Change = Change.DISABLE, now: datetime = NOW, pass_id: PassId | None = None
) -> int:
    """Store an intent for every candidate."""
    found = await ledger.candidates(change, now=now, after=None, limit=1_000_000)
    number = pass_id or await ledger.start_pass(now=now, term=term)
    return await ledger.intend(guarded(found, change=change), now=now, pass_id=number, term=term)


def plan_of(*login_ids: LoginId, change: Change = Change.DISABLE) -> PlanId:
    """The id of a plan of exactly these."""
    digest = PlanDigest()
    for each in sorted(login_ids):
        digest.add(each, change)
    return digest.plan_id()


async def hold_all(
    ledger: Ledger, term: Term, change: Change = Change.DISABLE, *, pass_id: PassId | None = None
) -> HeldPlan:
    """All candidates, as a first plan."""
    why = Withheld(reason=HoldReason.FIRST_PLAN, sentence="look at it first", allowance=5, weighed=WEIGHED)
    held = await ledger.hold(change, why, now=NOW, pass_id=pass_id or PassId(1), term=term)
    assert held is not None
    return held
