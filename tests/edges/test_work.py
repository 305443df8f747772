"""What a free worker gets, drawn late from a real ledger."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from refreshd.core import breaker as breakers
from refreshd.core import wire
from refreshd.core.agenda import Agenda
from refreshd.core.conversation import Conversation, Kind, Step, Terms
from refreshd.core.model import Credential, FetchDepth, LoginId, Term, VerdictName
from refreshd.core.turn import advance
from refreshd.ledger import Ledger
from refreshd.ports import DueChange
from refreshd.postgres import Connection, Database, connect
from refreshd.waiting import Task
from refreshd.work import WorkQueue
from tests.support.ledger import NOW, intend_all, judge_all, link, login_id
from tests.support.postgres import SCHEMA

EACH = 12
"""Logins that wait on each side."""


class _Noon:
    def now(self) -> datetime:
        return NOW


class _Day:
    """Goes on by hand."""

    def __init__(self) -> None:
        self.date = NOW

    def now(self) -> datetime:
        return self.date


class _Leader:
    def __init__(self, term: Term) -> None:
        self.term = term


def agenda(*, credential: Credential = Credential.API_KEY, fetch: FetchDepth = FetchDepth.OFF) -> Agenda:
    return Agenda(
        terms=Terms(mints_tokens=True, fetch=fetch, schedule_credential=credential),
        writes=True,
        reads_report=False,
        report_interval=timedelta(minutes=15),
        routine_at=time(11),
        routine_zone=ZoneInfo("America/Toronto"),
        manual_refresh=False,
        at_once=True,
    )


@pytest.fixture
async def waiting(ledger: Ledger, connection: Connection, term: Term) -> Ledger:
    """Twelve disables and twelve savable logins wait."""
    await link(connection, "gone", *(login_id(number) for number in range(1, EACH + 1)), active=False)
    await link(connection, "here", *(login_id(100 + number) for number in range(EACH)))
    await judge_all(ledger, term)
    assert await intend_all(ledger, term) == EACH
    return ledger


def queue_of(ledger: Ledger, term: Term, what: Agenda) -> WorkQueue:
    return WorkQueue(ledger, _Leader(term), _Noon(), what)


def go_on(queue: WorkQueue, task: Task) -> None:
    """Flinks answers a mint with a token, and every other call in a way that ends the conversation."""
    conversation = task.conversation
    if conversation.step is not Step.MINT:
        queue.over(conversation)
        return
    turn = advance(conversation, wire.TokenMinted(token=wire.AuthorizeToken("a-token")), NOW, 0.0)
    assert turn.following is not None
    queue.go_on(turn.following, turn.wait_seconds)


async def take_calls(queue: WorkQueue, count: int) -> list[Conversation]:
    calls = []
    for _ in range(count):
        task = await queue.take()
        assert task is not None
        calls.append(task.conversation)
        go_on(queue, task)
    return calls


@pytest.mark.parametrize("credential", [Credential.API_KEY, Credential.AUTHORIZE_TOKEN])
async def test_disables_leave_the_savable_logins_half_of_the_budget(
    waiting: Ledger, term: Term, credential: Credential
) -> None:
    """Also where each disable takes two calls, because it needs a token."""
    queue = queue_of(waiting, term, agenda(credential=credential))
    calls = await take_calls(queue, EACH)
    changes = [each.kind is Kind.CHANGE for each in calls]
    assert changes[0], "a disable goes out next"
    assert sum(changes) == EACH // 2


async def test_a_refused_data_key_stops_the_fetch_and_not_the_routine(waiting: Ledger, term: Term) -> None:
    queue = queue_of(waiting, term, replace(agenda(fetch=FetchDepth.DETAIL), writes=False))
    queue.breaker = breakers.refused(queue.breaker, Credential.API_KEY, asyncio.get_running_loop().time())
    (call,) = await take_calls(queue, 1)
    assert call.kind is Kind.ROUTINE
    assert call.terms.fetch is FetchDepth.OFF


class _SlowLedger(Ledger):
    """Lets the test do something while a draw is under way."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.asked = asyncio.Event()
        self.go = asyncio.Event()

    async def due_changes(
        self, *, now: datetime, reassert: bool, busy: Collection[LoginId], limit: int
    ) -> Sequence[DueChange]:
        due = await super().due_changes(now=now, reassert=reassert, busy=busy, limit=limit)
        self.asked.set()
        await self.go.wait()
        return due


async def test_a_wake_up_during_a_draw_is_not_lost(
    database: Database, ledger: Ledger, connection: Connection, term: Term
) -> None:
    """A pass stores an intent just after the queue has looked: the disable must not wait for the next pass."""
    slow = _SlowLedger(database)
    queue = queue_of(slow, term, agenda())
    async with asyncio.TaskGroup() as group:
        taking = group.create_task(queue.take())
        await slow.asked.wait()
        await link(connection, "gone", login_id(1), active=False)
        await judge_all(ledger, term)
        assert await intend_all(ledger, term) == 1
        queue.wake()
        slow.go.set()
    assert taking.result() is None
    await queue.ready()
    task = await queue.take()
    assert task is not None
    assert task.conversation.kind is Kind.CHANGE


async def test_unknown_logins_stop_disables_whatever_their_credential(waiting: Ledger, term: Term) -> None:
    """Suspect settings stop every call about a login, also where SetScheduledRefresh proves itself as the report does."""
    queue = queue_of(waiting, term, agenda(credential=Credential.API_SECRET))
    for _ in range(breakers.SUSPECT_AFTER):
        queue.breaker = breakers.unknown_login(queue.breaker, asyncio.get_running_loop().time())
    assert await queue.take() is None


async def test_a_disable_that_had_begun_goes_no_further_once_refreshd_observes_and_again_when_it_enforces(
    waiting: Ledger, term: Term, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings are read anew between its token and the call."""
    monkeypatch.setattr("refreshd.core.conversation.POLL_SECONDS", 0.0)
    enforces = agenda(credential=Credential.AUTHORIZE_TOKEN)
    before = queue_of(waiting, term, enforces)
    (minted,) = await take_calls(before, 1)
    assert (minted.kind, minted.step) == (Kind.CHANGE, Step.MINT)
    begun = before.drop_waiting()
    assert [each.step for each in begun] == [Step.SET]

    observes = queue_of(waiting, term, replace(enforces, writes=False))
    observes.adopt(begun)
    assert {each.kind for each in await take_calls(observes, EACH)} == {Kind.ROUTINE}
    assert await connection.fetchval("SELECT count(*) FROM schedule_change WHERE event = 'sent'") == 0

    again = queue_of(waiting, term, enforces)
    assert (await take_calls(again, 1))[0].kind is Kind.CHANGE


async def test_a_login_whose_row_somebody_else_holds_keeps_no_other_disable_waiting(
    waiting: Ledger, database_url: str, term: Term
) -> None:
    """An application's open transaction: that one waits for the next wake-up."""
    queue = queue_of(waiting, term, replace(agenda(), terms=replace(agenda().terms, mints_tokens=False)))
    holder = await connect(database_url, schema=SCHEMA, name="application")
    try:
        async with holder.transaction():
            await holder.execute("SELECT FROM login WHERE login_id = $1 FOR UPDATE", login_id(1))
            task = await queue.take()
    finally:
        await holder.close()
    assert task is not None
    assert task.conversation.kind is Kind.CHANGE
    assert task.conversation.login_id != login_id(1)


@pytest.mark.parametrize("locked", [False, True])
async def test_a_live_authorize_whose_token_the_night_overtakes_is_to_be_had_again(
    ledger: Ledger, connection: Connection, term: Term, *, locked: bool
) -> None:
    """Unless somebody has locked its login, which keeps nobody waiting."""
    await link(connection, "ann", login_id(1))
    await judge_all(ledger, term, active=VerdictName.STALE)
    await connection.execute("UPDATE login SET routine_at = $1", NOW)
    day = _Day()
    queue = WorkQueue(ledger, _Leader(term), day, replace(agenda(), manual_refresh=True))
    assert [each.kind for each in await take_calls(queue, 1)] == [Kind.MANUAL]
    assert not await ledger.due_manual(now=NOW, busy=[], limit=10)

    day.date = NOW.replace(hour=5)
    async with connection.transaction():
        if locked:
            await connection.execute("SELECT FROM login FOR UPDATE")
        assert await queue.take() is None

    assert len(await ledger.due_manual(now=NOW, busy=[], limit=10)) == (0 if locked else 1)
    assert not queue.busy
