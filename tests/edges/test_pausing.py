"""`refreshd pause`: no schedule change is sent from the moment it returns, by any copy; all else goes on."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from refreshd.core.errors import WritesPaused
from refreshd.core.guard import Withdrawn
from refreshd.core.model import Change, Pause, Term
from refreshd.ledger import Ledger
from refreshd.postgres import Connection, Database, connect
from refreshd.sqlfiles import load_queries
from refreshd.work import WorkQueue
from tests.edges.test_work import _Leader, _Noon, agenda
from tests.support.commands import refreshd
from tests.support.company import Company, company
from tests.support.ledger import NOW, intend_all, judge_all, link, login_id
from tests.support.postgres import SCHEMA

A = login_id(1)


@pytest.fixture
async def leaking(ledger: Ledger, connection: Connection, term: Term) -> Ledger:
    """One disable is intended, and due."""
    await link(connection, "bob", A, active=False)
    await judge_all(ledger, term)
    assert await intend_all(ledger, term) == 1
    return ledger


async def pause(ledger: Ledger, *, reason: str = "the bank is moving") -> bool:
    return await ledger.pause_writes(by="ann@desk", reason=reason, now=NOW)


async def mark(ledger: Ledger, term: Term) -> bool:
    return await ledger.mark_sent(A, Change.DISABLE, now=NOW, pass_id=None, term=term) is None


async def test_nothing_is_marked_as_sent_in_a_pause_and_what_waits_is_due_after_it(
    leaking: Ledger, connection: Connection, term: Term
) -> None:
    assert await pause(leaking)
    with pytest.raises(WritesPaused):
        await mark(leaking, term)
    assert await leaking.due_changes(now=NOW, reassert=False, busy=[], limit=10) == []

    assert await leaking.resume_writes(by="ann@desk", reason="it has moved", now=NOW)
    assert len(await leaking.due_changes(now=NOW, reassert=False, busy=[], limit=10)) == 1
    assert await mark(leaking, term)
    events = await connection.fetch("SELECT event FROM schedule_change ORDER BY event_id")
    assert [row["event"] for row in events] == ["intended", "sent"], "a pause is no failure"


async def test_a_pause_is_kept_with_who_when_and_why_and_a_second_one_changes_nothing(
    ledger: Ledger, connection: Connection
) -> None:
    assert await pause(ledger)
    assert not await pause(ledger, reason="another")
    assert await ledger.pause() == Pause(paused_at=NOW, paused_by="ann@desk", reason="the bank is moving")
    assert await ledger.resume_writes(by="bob@desk", reason="moved", now=NOW)
    assert not await ledger.resume_writes(by="bob@desk", reason="moved", now=NOW)
    assert await ledger.pause() is None
    kept = await connection.fetch("SELECT decided_by, decision, reason FROM decision ORDER BY decision_id")
    assert [tuple(row) for row in kept] == [
        ("ann@desk", "pause", "the bank is moving"),
        ("bob@desk", "resume", "moved"),
    ]


async def test_a_pause_returns_only_when_no_change_is_being_marked_any_more(
    leaking: Ledger, database_url: str, term: Term
) -> None:
    """There is no window: what was being marked is marked by then, and nothing is marked after it."""
    marking = await connect(database_url, schema=SCHEMA, name="a worker")
    work = load_queries("work")
    try:
        async with asyncio.TaskGroup() as group, marking.transaction():
            assert await marking.fetchval(*work["lock_to_send"](login_id=A)) is False
            await marking.execute(*work["mark_sent"](login_id=A, now=NOW, pass_id=None, term=term))
            pausing = group.create_task(pause(leaking))
            await _waits_for_a_lock(marking)
            assert not pausing.done()
        assert pausing.result()
    finally:
        await marking.close()
    with pytest.raises(WritesPaused):
        await mark(leaking, term)


async def _waits_for_a_lock(session: Connection) -> None:
    async with asyncio.timeout(20):
        while not await session.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.01)


async def test_a_free_worker_finds_the_routine_in_a_pause_and_no_change(
    leaking: Ledger, connection: Connection, term: Term
) -> None:
    await link(connection, "ann", login_id(2))
    await judge_all(leaking, term)
    await pause(leaking)
    queue = WorkQueue(leaking, _Leader(term), _Noon(), agenda())
    task = await queue.take()
    assert task is not None
    assert task.conversation.login_id == login_id(2)


class _PausedInBetween(Ledger):
    """Somebody pauses after the worker has drawn its change and before it marks it."""

    async def mark_sent(self, *args: object, **kwargs: object) -> Withdrawn | None:
        await pause(self)
        return await super().mark_sent(*args, **kwargs)  # type: ignore[arg-type]


async def test_a_pause_between_draw_and_send_wins_and_the_intent_stays_open(
    leaking: Ledger, database: Database, connection: Connection, term: Term
) -> None:
    queue = WorkQueue(_PausedInBetween(database), _Leader(term), _Noon(), agenda())
    assert await queue.take() is None
    assert not queue.busy
    assert await connection.fetchval("SELECT intent FROM login WHERE change_attempts = 0") == "disable"


# The commands ---------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def acme(database_url: str, tmp_path: Path) -> Iterator[Company]:
    with company(database_url, tmp_path, logins=12, inactive=3) as built:
        assert refreshd("import", str(built.clients), env=built.env).code == 0
        assert refreshd("once", env=built.env).code == 3
        assert refreshd("approve", _plan(built), "--reason", "looked", env=built.env).code == 0
        yield built


def _plan(built: Company) -> str:
    return str(json.loads(refreshd("plans", "--json", env=built.env).out)[0]["plan_id"])


def test_a_paused_ledger_is_worked_on_but_for_its_changes_and_every_command_says_so(acme: Company) -> None:
    paused = refreshd("pause", "--reason", "the bank is moving", env=acme.env)
    assert paused.code == 0
    assert "Paused: vendor writes are paused since" in paused.words
    before = acme.flinks.audit.calls_by_operation["SetScheduledRefresh"]

    ran = refreshd("once", env=acme.env)
    assert ran.code == 3
    assert "the bank is moving" in ran.err
    assert 'hint: `refreshd resume --reason "..."` lets them go on' in ran.err
    assert acme.flinks.audit.calls_by_operation["SetScheduledRefresh"] == before
    assert "the bank is moving" in refreshd("status", env=acme.env).words
    assert "it stays due" in refreshd("explain", min(acme.inactive), env=acme.env).words
    assert json.loads(refreshd("status", "--json", env=acme.env).out)["pause"]["reason"] == "the bank is moving"

    assert "Resumed" in refreshd("resume", "--reason", "it has moved", env=acme.env).words
    assert refreshd("once", env=acme.env).code == 0
    assert {each.login_id for each in acme.flinks.world.logins.values() if not each.scheduled} >= set(acme.inactive)


@pytest.mark.parametrize(("command", "still"), [("pause", None), ("resume", "the bank is moving")])
def test_without_a_reason_nothing_is_paused_and_nothing_resumed(
    database_url: str, command: str, still: str | None
) -> None:
    env = {"REFRESHD_DATABASE_URL": database_url}
    if still is not None:
        assert refreshd("pause", "--reason", still, env=env).code == 0
    unsaid = refreshd(command, env=env)
    assert unsaid.code == 2
    assert "--reason" in unsaid.err
    empty = refreshd(command, "--reason", " ", env=env)
    assert empty.code == 2
    assert "--reason is empty" in empty.err
    stands = json.loads(refreshd("status", "--json", env=env).out)["pause"]
    assert (stands and stands["reason"]) == still


def test_a_resume_is_kept_with_its_reason_and_one_of_nothing_changes_nothing(database_url: str) -> None:
    env = {"REFRESHD_DATABASE_URL": database_url}
    assert refreshd("pause", "--reason", "the bank is moving", env=env).code == 0
    assert "Resumed" in refreshd("resume", "--reason", " it has moved ", env=env).words
    assert "were not paused" in refreshd("resume", "--reason", "again", env=env).words
    kept = asyncio.run(_decisions(database_url))
    assert kept == [("pause", "the bank is moving"), ("resume", "it has moved")]


async def _decisions(database_url: str) -> list[tuple[str, str]]:
    session = await connect(database_url, schema=SCHEMA, name="a test")
    try:
        return [tuple(row) for row in await session.fetch("SELECT decision, reason FROM decision ORDER BY decision_id")]
    finally:
        await session.close()
