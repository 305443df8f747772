"""What is decided about a plan reaches every change of it that has not left: drawn, with its token in hand, or waiting for another try."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping

import pytest

from refreshd.core import wire
from refreshd.core.caps import HoldReason
from refreshd.core.conversation import Kind, Step
from refreshd.core.errors import FlinksUnreachable
from refreshd.core.guard import Withdrawn
from refreshd.core.judge import judge
from refreshd.core.model import Change, Credential, PassId, Term
from refreshd.core.turn import advance, fail
from refreshd.ledger import Ledger
from refreshd.postgres import Connection, Database, connect
from refreshd.sqlfiles import load_queries
from refreshd.work import WorkQueue
from tests.edges.test_work import agenda, queue_of
from tests.support.builders import JUDGE
from tests.support.ledger import DAY, NOW, guarded, hold_all, judge_all, link, login_id, plan_of
from tests.support.observed import withheld
from tests.support.postgres import SCHEMA

MEMBERS = tuple(login_id(number) for number in range(1, 5))
PLAN = plan_of(*MEMBERS)

Decide = Callable[[Ledger, Term], Coroutine[None, None, None]]


@pytest.fixture
async def approved(ledger: Ledger, connection: Connection, term: Term) -> Ledger:
    """A plan of four disables was approved; one of them is intended, and due."""
    for number, member in enumerate(MEMBERS):
        await link(connection, f"client {number}", member, active=False)
    await judge_all(ledger, term)
    await hold_all(ledger, term)
    await ledger.approve_plan(PLAN, by="bob@desk", reason="fine", now=NOW, until=NOW + DAY)
    due = await ledger.evidence_due(now=NOW, limit=100)
    await ledger.store_verdicts([judge(each, JUDGE, NOW) for each in due], now=NOW, term=term)
    first = await ledger.approved_candidates(Change.DISABLE, now=NOW, limit=1)
    assert await ledger.intend(guarded(first, outside_caps=True), now=NOW, pass_id=PassId(2), term=term) == 1
    return ledger


async def _reject(ledger: Ledger, _: Term) -> None:
    await ledger.reject_plan(PLAN, by="ann@desk", reason="half an export", now=NOW)


async def _undo(ledger: Ledger, _: Term) -> None:
    await ledger.ask_undo(PLAN, by="ann@desk", reason="half an export", now=NOW)


async def _hold_back(ledger: Ledger, term: Term) -> None:
    await ledger.hold_back(PLAN, withheld(HoldReason.CANARY), now=NOW, pass_id=PassId(3), term=term)


DECISIONS: Mapping[str, tuple[Decide, str]] = {
    "reject": (_reject, "the plan was rejected"),
    "undo": (_undo, "the plan was rejected"),
    "held by its canary": (_hold_back, "the plan is held"),
}
decided = pytest.mark.parametrize(("decide", "why"), DECISIONS.values(), ids=DECISIONS)


async def nothing_more_is_sent(queue: WorkQueue, connection: Connection, why: str, *, sent_before: int = 0) -> None:
    assert await queue.take() is None
    events = await connection.fetch("SELECT event, detail FROM schedule_change WHERE event IN ('sent', 'withdrawn')")
    assert [row["event"] for row in events] == ["sent"] * sent_before + ["withdrawn"]
    assert events[-1]["detail"] == why


@decided
async def test_a_change_that_waits_for_another_try_is_not_sent_again(
    approved: Ledger, connection: Connection, term: Term, decide: Decide, why: str
) -> None:
    queue = queue_of(approved, term, agenda())
    task = await queue.take()
    assert task is not None
    assert task.conversation.step is Step.SET
    following = fail(task.conversation, FlinksUnreachable("no answer within 60 s", reason="timeout"), NOW).following
    assert following is not None
    queue.go_on(following, 0.0)

    await decide(approved, term)
    await nothing_more_is_sent(queue, connection, why, sent_before=1)


@decided
async def test_a_change_that_has_its_token_is_not_sent(
    approved: Ledger, connection: Connection, term: Term, decide: Decide, why: str
) -> None:
    queue = queue_of(approved, term, agenda(credential=Credential.AUTHORIZE_TOKEN))
    task = await queue.take()
    assert task is not None
    assert (task.conversation.kind, task.conversation.step) == (Kind.CHANGE, Step.MINT)
    minted = wire.TokenMinted(token=wire.AuthorizeToken("a-token"))
    following = advance(task.conversation, minted, NOW, 0.0).following
    assert following is not None
    queue.go_on(following, 0.0)

    await decide(approved, term)
    await nothing_more_is_sent(queue, connection, why)


class _DecidedInBetween(Ledger):
    """Somebody decides after the worker has drawn its change and before it marks it."""

    def __init__(self, database: Database, decide: Callable[[], Awaitable[None]]) -> None:
        super().__init__(database)
        self._decide = decide

    async def mark_sent(self, *args: object, **kwargs: object) -> Withdrawn | None:
        await self._decide()
        return await super().mark_sent(*args, **kwargs)  # type: ignore[arg-type]


@decided
async def test_a_change_that_was_drawn_is_not_sent(
    approved: Ledger, database: Database, connection: Connection, term: Term, decide: Decide, why: str
) -> None:
    slow = _DecidedInBetween(database, lambda: decide(approved, term))
    await nothing_more_is_sent(queue_of(slow, term, agenda()), connection, why)


@decided
async def test_a_decision_returns_only_when_no_change_of_the_plan_is_being_marked_any_more(
    approved: Ledger, database_url: str, connection: Connection, term: Term, decide: Decide, why: str
) -> None:
    """There is no window: what was being marked is marked by then, and nothing is marked after it."""
    work = load_queries("work")
    (due,) = await approved.due_changes(now=NOW, reassert=False, busy=[], limit=9)
    login = due.evidence.login_id
    marking = await connect(database_url, schema=SCHEMA, name="a worker")
    try:
        async with asyncio.TaskGroup() as group, marking.transaction():
            assert await marking.fetchval(*work["lock_to_send"](login_id=login)) is False
            await marking.execute(*work["mark_sent"](login_id=login, now=NOW, pass_id=None, term=term))
            deciding = group.create_task(decide(approved, term))
            await _waits_for_a_lock(marking)
            assert not deciding.done()
    finally:
        await marking.close()
    assert await approved.mark_sent(login, Change.DISABLE, now=NOW, pass_id=None, term=term) == Withdrawn(reason=why)


async def _waits_for_a_lock(session: Connection) -> None:
    async with asyncio.timeout(20):
        while not await session.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.01)
