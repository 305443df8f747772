"""Between the weighing of a plan and the covering of its logins these may become others.

A plan that may go is then not stored at all; one that is held is stored as a plan of the others, under the id that these have.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import pytest

from refreshd.clock import ScaledClock
from refreshd.core.caps import GuardPolicy, Withheld
from refreshd.core.errors import PlanUnknown
from refreshd.core.guard import AdmittedPlan
from refreshd.core.model import Change, LoginId, PassId, PlanId, Term, VerdictName
from refreshd.core.plan import ChangeReason, HeldPlan, PlanTotals
from refreshd.core.undo import Undo
from refreshd.ledger import Ledger
from refreshd.postgres import Connection, Database
from refreshd.reconcile import PassPolicy, Reconciler
from refreshd.undoing import Undoings
from tests.support.builders import JUDGE
from tests.support.ledger import DAY, NOW, judge_all, link, login_id, plan_of, set_active, set_writer_clock
from tests.support.observed import WEIGHED
from tests.support.promises import UNDER_A_CLOSED_PLAN

A, B, C = login_id(1), login_id(2), login_id(3)
POLICY = GuardPolicy(max_fraction=1.0, max_count=500)


def weighed(change: Change, *logins: LoginId) -> AdmittedPlan:
    plan_id = plan_of(*logins, change=change)
    return AdmittedPlan(plan_id=plan_id, change=change, logins=len(logins), sentence="go", allowance=9, weighed=WEIGHED)


async def covered(connection: Connection) -> dict[LoginId, str | None]:
    rows = await connection.fetch("SELECT login_id, plan_id FROM login ORDER BY login_id")
    return {LoginId(row["login_id"]): row["plan_id"] for row in rows}


@pytest.mark.parametrize("change", Change)
async def test_a_plan_that_was_weighed_covers_no_other_logins_not_even_as_many(
    ledger: Ledger, connection: Connection, term: Term, change: Change
) -> None:
    """One of them changes sides, another one turns up: the number is the same."""
    wanted = change is Change.ENABLE
    for client, login in (("ann", A), ("bob", B)):
        await link(connection, client, login, active=wanted)
    await link(connection, "eve", C, active=not wanted)
    await set_active(connection, "bob", active=not wanted)
    await set_active(connection, "eve", active=wanted)
    await judge_all(ledger, term, active=VerdictName.DRIFTED, reason=ChangeReason.DISABLED_BY_REFRESHD)

    async def admit(plan: AdmittedPlan) -> bool:
        return await ledger.admit(plan, now=NOW, until=NOW + DAY, pass_id=PassId(1), term=term)

    assert not await admit(weighed(change, A, B))
    assert await covered(connection) == {A: None, B: None, C: None}
    assert await connection.fetchval("SELECT count(*) FROM plan") == 0
    assert await connection.fetchval("SELECT count(*) FROM schedule_change") == 0

    right = weighed(change, A, C)
    assert await admit(right)
    assert await covered(connection) == {A: right.plan_id, B: None, C: right.plan_id}


class Restless(Ledger):
    """A ledger in which somebody changes sides between the moment in which an undoing was read and that in which it is weighed."""

    def __init__(self, database: Database, moves: Sequence[tuple[str, bool]], connection: Connection) -> None:
        super().__init__(database)
        self._moves = list(moves)
        self._connection = connection

    async def plan_totals(self, *, now: datetime) -> PlanTotals:
        for client, active in self._moves:
            await set_active(self._connection, client, active=active)
        self._moves.clear()
        return await super().plan_totals(now=now)


@pytest.mark.parametrize(
    ("moves", "left"),
    [
        pytest.param([("ann", False)], {B}, id="one leaves again"),
        pytest.param([("eve", True)], {A, B, C}, id="one more returns"),
        pytest.param([("ann", False), ("eve", True)], {B, C}, id="one leaves and one returns"),
    ],
)
async def test_an_undoing_whose_logins_become_others_while_it_is_weighed_waits_whole_for_the_next_pass(
    database: Database, connection: Connection, term: Term, moves: list[tuple[str, bool]], left: set[LoginId]
) -> None:
    undone = PlanId("d" * 16)
    for client, login in (("ann", A), ("bob", B), ("eve", C)):
        await link(connection, client, login, active=False)
    await _was_disabled_by(connection, undone)
    for client in ("ann", "bob"):
        await set_active(connection, client, active=True)
    ledger = Restless(database, moves, connection)
    await ledger.ask_undo(undone, by="ann@desk", reason="the list was wrong", now=NOW)
    undoings = Undoings(ledger, POLICY)
    first, second = [await ledger.start_pass(now=NOW, term=term) for _ in range(2)]

    assert not await undoings.take_up(now=NOW, pass_id=first, term=term)
    assert await _asked(ledger) == [undone]
    assert set((await covered(connection)).values()) == {None}
    assert await connection.fetchval("SELECT count(*) FROM plan") == 0
    assert await connection.fetchval("SELECT count(*) FROM schedule_change WHERE event = 'undone'") == 0

    (taken,) = await undoings.take_up(now=NOW, pass_id=second, term=term)
    assert taken.enables == len(left)
    assert await _asked(ledger) == []
    expected = weighed(Change.ENABLE, *sorted(left)).plan_id
    assert await covered(connection) == {each: expected if each in left else None for each in (A, B, C)}


class Hasty(Ledger):
    """A ledger in which somebody changes sides, or turns up, between the weighing of a plan and its holding."""

    def __init__(self, database: Database, move: Callable[[], Awaitable[None]]) -> None:
        super().__init__(database)
        self.move = move

    async def hold(
        self, change: Change, why: Withheld, *, now: datetime, pass_id: PassId, term: Term
    ) -> HeldPlan | None:
        await self.move()
        return await super().hold(change, why, now=now, pass_id=pass_id, term=term)


@dataclass(frozen=True)
class Leader:
    term: Term


def reconciler(ledger: Ledger, term: Term, policy: GuardPolicy = POLICY) -> Reconciler:
    clock = ScaledClock(start=NOW, factor=1.0)
    return Reconciler(ledger, Leader(term), clock, PassPolicy(judge=JUDGE, guard=policy, observe=False))


NEW = login_id(77)


@pytest.mark.parametrize("left", [(A, B, NEW), (A, C, NEW), (A, B, C), (B,), ()])
async def test_a_plan_that_is_held_is_one_of_the_very_logins_that_it_covers_whoever_joined_or_left_since_it_was_weighed(
    database: Database, connection: Connection, term: Term, left: Sequence[LoginId]
) -> None:
    """`refreshd plan` has shown A, B and C, with the id of their plan: who approves that one has looked at nobody else."""
    await set_writer_clock(connection, NOW)
    for client, login in (("ann", A), ("bob", B), ("eve", C)):
        await link(connection, client, login, active=False)
    await link(connection, "stays", login_id(9))

    async def move() -> None:
        for client, login in (("ann", A), ("bob", B), ("eve", C)):
            await set_active(connection, client, active=login not in left)
        if NEW in left:
            await link(connection, "new", NEW, active=False)

    ledger = Hasty(database, move)
    record = await reconciler(ledger, term).run()

    plans = await ledger.plans()
    assert record.held == len(left)
    assert [(each.plan_id, each.logins, each.remaining) for each in plans] == [
        (plan_of(*left), len(left), len(left)) for _ in plans
    ]
    assert len(plans) == bool(left)
    assert {each for each, plan_id in (await covered(connection)).items() if plan_id} == set(left)
    assert await connection.fetchval("SELECT count(*) FROM login WHERE verdict = 'held'") == len(left)
    if set(left) != {A, B, C}:
        with pytest.raises(PlanUnknown):
            await ledger.approve_plan(plan_of(A, B, C), by="ann@desk", reason="", now=NOW, until=NOW + DAY)


async def test_nobody_is_left_under_a_plan_that_is_closed_when_those_it_was_weighed_for_return_and_leave_again(
    database: Database, connection: Connection, term: Term
) -> None:
    """The second time they go by themselves, under the id that was theirs the first time."""
    await set_writer_clock(connection, NOW)
    many, caps = [login_id(number) for number in range(1, 7)], GuardPolicy(max_fraction=0.01, max_count=6)
    await link(connection, "many", *many)
    await link(connection, "stay", *(login_id(number) for number in range(20, 40)))
    await connection.execute("UPDATE landmark SET accepted_at = $1, accepted_logins = 26, accepted_active = 26", NOW)
    await set_active(connection, "many", active=False)

    async def move() -> None:
        await link(connection, "new", NEW, active=False)

    await reconciler(Hasty(database, move), term, caps).run()
    ledger = Ledger(database)
    await set_active(connection, "many", active=True)
    await reconciler(ledger, term, caps).run()
    await set_active(connection, "many", active=False)
    await reconciler(ledger, term, GuardPolicy(max_fraction=1.0, max_count=500)).run()

    assert await connection.fetchval(UNDER_A_CLOSED_PLAN) == 0
    assert [each.plan_id for each in await ledger.plans()] == [plan_of(*many, NEW)]
    assert (await covered(connection))[NEW] == plan_of(*many, NEW)
    assert await connection.fetchval("SELECT state FROM plan WHERE plan_id = $1", plan_of(*many)) == "closed"


async def _asked(ledger: Ledger) -> list[PlanId]:
    waiting: Sequence[Undo] = await ledger.undos_asked()
    return [each.undone for each in waiting]


async def _was_disabled_by(connection: Connection, plan_id: PlanId) -> None:
    await connection.execute("UPDATE login SET confirmed_off_at = $1, flag = 'off', flag_seen_at = $1", NOW - DAY)
    await connection.execute(
        "INSERT INTO schedule_change (login_id, change, event, intent_id, at, reason, plan_id)"
        " SELECT login_id, 'disable', 'confirmed', 1, $1, 'test', $2 FROM login",
        NOW - DAY,
        plan_id,
    )
