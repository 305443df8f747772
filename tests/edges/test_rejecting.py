"""`refreshd reject`, and what is told of a plan: by the ledger, and by the commands over a small company."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from refreshd.core.caps import HoldReason
from refreshd.core.effects import Confirmed, Refused
from refreshd.core.errors import PlanUnknown
from refreshd.core.fate import Fate
from refreshd.core.guard import AdmittedPlan, Withdrawn
from refreshd.core.judge import judge
from refreshd.core.model import Change, LoginId, PassId, PlanId, PlanState, Term, VerdictName
from refreshd.ledger import Ledger
from refreshd.postgres import Connection
from tests.support.builders import JUDGE
from tests.support.commands import refreshd
from tests.support.company import Company, company
from tests.support.ledger import DAY, NOW, guarded, hold_all, judge_all, link, login_id, plan_of, set_active
from tests.support.observed import WEIGHED, withheld

A, B, C, D = (login_id(number) for number in range(1, 5))
PLAN = plan_of(A, B, C, D)


@pytest.fixture
async def held(ledger: Ledger, connection: Connection, term: Term) -> Ledger:
    """A plan of four disables is held."""
    for client, member in zip("abcd", (A, B, C, D), strict=True):
        await link(connection, client, member, active=False)
    await link(connection, "stays", login_id(9))
    await judge_all(ledger, term)
    await hold_all(ledger, term)
    await judge_by_the_rules(ledger, term)
    return ledger


async def judge_by_the_rules(ledger: Ledger, term: Term) -> None:
    due = await ledger.evidence_due(now=NOW, limit=100)
    await ledger.store_verdicts([judge(each, JUDGE, NOW) for each in due], now=NOW, term=term)


async def reject(ledger: Ledger, term: Term) -> int:
    count = await ledger.reject_plan(PLAN, by="ann@desk", reason="half an export", now=NOW)
    await judge_by_the_rules(ledger, term)
    return count


async def test_the_logins_of_a_rejected_plan_stay_held_and_no_other_plan_takes_them_up(
    held: Ledger, connection: Connection, term: Term
) -> None:
    assert await reject(held, term) == 4
    await held.close_empty_plans(now=NOW + 2 * DAY, term=term)
    (plan,) = await held.plans()
    assert (plan.state, plan.remaining, plan.rejection_reason) == (PlanState.REJECTED, 4, "half an export")
    verdicts = await connection.fetch("SELECT verdict, reason FROM login WHERE NOT active")
    assert [tuple(row) for row in verdicts] == [("held", "rejected")] * 4
    assert not await held.candidates(Change.DISABLE, now=NOW, after=None, limit=10)
    assert not await held.approved_candidates(Change.DISABLE, now=NOW, limit=10)
    events = await connection.fetch("SELECT event, reason FROM schedule_change WHERE event = 'rejected'")
    assert [tuple(row) for row in events] == [("rejected", "half an export")] * 4


async def test_a_login_leaves_a_rejected_plan_when_its_client_returns_and_may_then_be_planned_anew(
    held: Ledger, connection: Connection, term: Term
) -> None:
    await reject(held, term)
    await set_active(connection, "a", active=True)
    await judge_by_the_rules(held, term)
    (plan,) = await held.plans()
    assert plan.remaining == 3
    await set_active(connection, "a", active=False)
    await judge_by_the_rules(held, term)
    (waiting,) = await held.candidates(Change.DISABLE, now=NOW, after=None, limit=10)
    assert waiting.login_id == A


async def test_a_rejected_plan_goes_after_all_on_an_explicit_word(held: Ledger, term: Term) -> None:
    await reject(held, term)
    await held.approve_plan(PLAN, by="bob@desk", reason="it was the truth", now=NOW, until=NOW + DAY)
    await judge_by_the_rules(held, term)
    assert len(await held.approved_candidates(Change.DISABLE, now=NOW, limit=10)) == 4
    said = await held.plan_decisions(PLAN)
    assert [(each.decided_by, each.decision, each.reason) for each in said] == [
        ("ann@desk", "reject", "half an export"),
        ("bob@desk", "approve", "it was the truth"),
    ]


async def test_a_plan_that_was_half_done_is_stopped_by_a_rejection(held: Ledger, term: Term) -> None:
    await held.approve_plan(PLAN, by="bob@desk", reason="fine", now=NOW, until=NOW + DAY)
    await judge_by_the_rules(held, term)
    approved = await held.approved_candidates(Change.DISABLE, now=NOW, limit=2)
    await held.intend(guarded(approved, outside_caps=True), now=NOW, pass_id=PassId(2), term=term)
    await reject(held, term)
    assert not await held.approved_candidates(Change.DISABLE, now=NOW, limit=10)
    due = await held.due_changes(now=NOW, reassert=False, busy=[], limit=10)
    assert {each.evidence.hold and each.evidence.hold.state for each in due} == {PlanState.REJECTED}


async def test_a_rejection_reaches_the_member_that_flinks_refused_and_whose_weekly_try_is_still_to_come(
    held: Ledger, connection: Connection, term: Term
) -> None:
    """The refusal ended the plan's hold on it, and its intent stays open."""
    await held.approve_plan(PLAN, by="bob@desk", reason="fine", now=NOW, until=NOW + DAY)
    await judge_by_the_rules(held, term)
    first = await held.approved_candidates(Change.DISABLE, now=NOW, limit=1)
    await held.intend(guarded(first, outside_caps=True), now=NOW, pass_id=PassId(2), term=term)
    refused = first[0].login_id
    week = NOW + 7 * DAY
    await held.record([], [Refused(login_id=refused, refused_at=NOW, code="INVALID_LOGIN", not_before=week)], term=term)

    assert await reject(held, term) == 4
    assert await held.mark_sent(refused, Change.DISABLE, now=week, pass_id=None, term=term) == Withdrawn(
        reason="the plan was rejected"
    )
    await held.withdraw(refused, reason="the plan was rejected", now=week, term=term)
    await judge_by_the_rules(held, term)
    assert not await held.candidates(Change.DISABLE, now=week, after=None, limit=10)


async def test_a_rejection_stands_for_a_member_in_flight_that_flinks_then_refuses(held: Ledger, term: Term) -> None:
    sent = await one_is_sent(held, term)
    await reject(held, term)
    await refused_by_flinks(held, sent, term)
    await nobody_tries(held, sent, term)


async def test_a_refusal_that_comes_in_the_moment_of_the_rejection_does_not_undo_it(
    held: Ledger, connection: Connection, term: Term
) -> None:
    sent = await one_is_sent(held, term)
    async with asyncio.TaskGroup() as group, connection.transaction():
        await connection.execute(
            "UPDATE plan SET state = 'rejected', rejected_at = $1, rejection_reason = 'no',"
            " approved_at = NULL, approved_until = NULL, approval_reason = NULL",
            NOW,
        )
        answered = group.create_task(refused_by_flinks(held, sent, term))
        await asyncio.wait({answered}, timeout=0.5)
        assert not answered.done(), "it waits for whoever rejects"
    await nobody_tries(held, sent, term)


async def one_is_sent(held: Ledger, term: Term) -> LoginId:
    """The first member of the plan, approved and on its way to Flinks."""
    await held.approve_plan(PLAN, by="bob@desk", reason="fine", now=NOW, until=NOW + DAY)
    await judge_by_the_rules(held, term)
    first = await held.approved_candidates(Change.DISABLE, now=NOW, limit=1)
    await held.intend(guarded(first, outside_caps=True), now=NOW, pass_id=PassId(2), term=term)
    assert await held.mark_sent(first[0].login_id, Change.DISABLE, now=NOW, pass_id=None, term=term) is None
    return first[0].login_id


async def refused_by_flinks(held: Ledger, login: LoginId, term: Term) -> None:
    refusal = Refused(login_id=login, refused_at=NOW, code="INVALID_LOGIN", not_before=NOW + 7 * DAY)
    await held.record([], [refusal], term=term)


async def nobody_tries(held: Ledger, login: LoginId, term: Term) -> None:
    """Not a week later, and not as a member of another plan."""
    week = NOW + 7 * DAY
    no = Withdrawn(reason="the plan was rejected")
    assert await held.mark_sent(login, Change.DISABLE, now=week, pass_id=None, term=term) == no
    await held.withdraw(login, reason=no.reason, now=week, term=term)
    await judge_by_the_rules(held, term)
    assert not await held.candidates(Change.DISABLE, now=week, after=None, limit=10)


async def test_a_small_plan_that_went_at_once_can_be_rejected_until_it_is_over(
    ledger: Ledger, connection: Connection, term: Term
) -> None:
    """It was closed from the start, and undoing it takes a first confirmed disable."""
    plan_id = await one_goes_at_once(ledger, connection, term)
    with pytest.raises(PlanUnknown, match="closed"):
        await ledger.find_plan(plan_id)

    assert await ledger.find_to_reject(plan_id[:4]) == plan_id
    assert await ledger.reject_plan(plan_id, by="ann@desk", reason="not him", now=NOW) == 1
    assert await ledger.mark_sent(A, Change.DISABLE, now=NOW, pass_id=None, term=term) == Withdrawn(
        reason="the plan was rejected"
    )
    await set_active(connection, "a", active=True)
    await ledger.withdraw(A, reason="a client of this login is active again", now=NOW, term=term)
    await judge_all(ledger, term)
    await ledger.close_empty_plans(now=NOW, term=term)
    with pytest.raises(PlanUnknown, match="closed"):
        await ledger.find_to_reject(plan_id)
    with pytest.raises(PlanUnknown, match="closed"):
        await ledger.reject_plan(plan_id, by="ann@desk", reason="again", now=NOW)


async def one_goes_at_once(ledger: Ledger, connection: Connection, term: Term) -> PlanId:
    await link(connection, "a", A, active=False)
    await judge_all(ledger, term)
    small = guarded(await ledger.candidates(Change.DISABLE, now=NOW, after=None, limit=9))
    at_once = AdmittedPlan(
        plan_id=small.plan.plan_id,
        change=Change.DISABLE,
        logins=1,
        sentence="sent at once",
        allowance=5,
        weighed=WEIGHED,
    )
    await ledger.intend(replace(small, admitted=at_once), now=NOW, pass_id=PassId(1), term=term)
    return at_once.plan_id


async def it_cannot_be_rejected(ledger: Ledger, plan_id: PlanId) -> None:
    with pytest.raises(PlanUnknown, match="closed"):
        await ledger.find_to_reject(plan_id)
    with pytest.raises(PlanUnknown, match="closed"):
        await ledger.reject_plan(plan_id, by="ann@desk", reason="no", now=NOW)
    assert not await ledger.plan_decisions(plan_id)


async def test_the_repetition_of_a_plan_that_is_over_is_not_that_plan_and_cannot_be_rejected(
    ledger: Ledger, connection: Connection, term: Term
) -> None:
    """It is of the very same logins, so it has the same id."""
    plan_id = await one_goes_at_once(ledger, connection, term)
    off = Confirmed(login_id=A, change=Change.DISABLE, confirmed_at=NOW - 31 * DAY)
    await ledger.record([], [off], term=term)
    await judge_all(ledger, term, inactive=VerdictName.DISABLED)
    old = await ledger.reassertions(now=NOW, confirmed_before=NOW - 30 * DAY, limit=9)
    assert guarded(old).plan.plan_id == plan_id
    assert await ledger.intend(guarded(old, outside_caps=True), now=NOW, pass_id=PassId(2), term=term) == 1

    await it_cannot_be_rejected(ledger, plan_id)


async def test_a_plan_of_which_nothing_is_on_its_way_but_what_will_be_withdrawn_cannot_be_rejected(
    ledger: Ledger, connection: Connection, term: Term
) -> None:
    plan_id = await one_goes_at_once(ledger, connection, term)
    await set_active(connection, "a", active=True)

    await it_cannot_be_rejected(ledger, plan_id)


async def test_while_a_rejected_plan_stands_no_totals_are_accepted(
    held: Ledger, connection: Connection, term: Term
) -> None:
    """The client list is not to be believed: a shrunk one must not become the measure of the next."""
    await connection.execute(
        "UPDATE landmark SET accepted_at = $1, accepted_logins = 100, accepted_active = 100", NOW - 3 * DAY
    )
    await reject(held, term)
    await held.accept_totals(now=NOW, if_before=NOW - DAY, term=term)
    assert (await held.plan_totals(now=NOW)).accepted_active == 100


async def test_the_ledger_tells_what_became_of_every_login_of_a_plan(
    held: Ledger, connection: Connection, term: Term
) -> None:
    """A is confirmed off, B is under way, C came back, D still waits."""
    await held.approve_plan(PLAN, by="bob@desk", reason="fine", now=NOW, until=NOW + DAY)
    await judge_by_the_rules(held, term)
    two = await held.approved_candidates(Change.DISABLE, now=NOW, limit=2)
    await held.intend(guarded(two, outside_caps=True), now=NOW, pass_id=PassId(2), term=term)
    off = Confirmed(login_id=A, change=Change.DISABLE, confirmed_at=NOW + timedelta(minutes=1))
    await held.record([], [off], term=term)
    await set_active(connection, "c", active=True)

    assert await held.plan_fates(PLAN) == {
        Fate.DONE: 1,
        Fate.UNDER_WAY: 1,
        Fate.CHANGED_SIDES: 1,
        Fate.WAITING: 1,
    }
    members = await held.plan_story(PLAN, after=None, limit=10)
    assert [(each.login.evidence.login_id, each.fate) for each in members] == [
        (A, Fate.DONE),
        (B, Fate.UNDER_WAY),
        (C, Fate.CHANGED_SIDES),
        (D, Fate.WAITING),
    ]
    rest = await held.plan_story(PLAN, after=B, limit=1)
    assert [each.login.evidence.login_id for each in rest] == [C]


# The commands ---------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def acme(database_url: str, tmp_path: Path) -> Iterator[Company]:
    with company(database_url, tmp_path, logins=20, inactive=6) as built:
        assert refreshd("import", str(built.clients), env=built.env).code == 0
        assert refreshd("once", env=built.env).code == 3
        yield built


def _only_plan(acme: Company) -> dict[str, object]:
    (plan,) = json.loads(refreshd("plans", "--json", env=acme.env).out)
    assert isinstance(plan, dict)
    return plan


def test_a_plan_is_told_from_what_the_guard_weighed_to_what_became_of_it(acme: Company) -> None:
    plan = _only_plan(acme)
    assert plan["weighed"] == {
        "logins": 20,
        "active": 14,
        "not_confirmed_off": 20,
        "changed_in_window": 0,
        "accepted_active": None,
        "max_fraction": 0.1,
        "max_count": 500,
    }
    assert plan["fates"] == {"waiting": 6}
    acme.sql(
        "UPDATE client SET active = true WHERE client_id = (SELECT client_id FROM client_login WHERE login_id = $1)",
        min(acme.inactive),
    )
    shown = refreshd("plan", "--show", str(plan["plan_id"])[:5], env=acme.env)
    assert shown.code == 0
    assert "with an active client again" in shown.words
    assert "active 14 15" in shown.words
    told = json.loads(refreshd("plan", "--show", str(plan["plan_id"]), "--json", env=acme.env).out)
    assert {each["login_id"] for each in told["members"]} == acme.inactive
    assert "1 with an active client again" in refreshd("plans", env=acme.env).words


def test_a_rejected_plan_disables_nobody_and_says_who_rejected_it_and_why(acme: Company) -> None:
    plan_id = str(_only_plan(acme)["plan_id"])
    rejected = refreshd("reject", plan_id[:6], "--reason", "half an export", env=acme.env)
    assert rejected.code == 0
    assert "nothing is sent for its 6 logins" in rejected.words
    assert refreshd("once", env=acme.env).code == 0, "nothing waits for a person any more"
    assert acme.flinks.audit.calls_by_operation["SetScheduledRefresh"] == 0
    assert _only_plan(acme)["state"] == "rejected"
    assert "rejected by" in refreshd("plan", "--show", plan_id, env=acme.env).words
    verdict = json.loads(refreshd("explain", min(acme.inactive), "--json", env=acme.env).out)
    assert (verdict["verdict"], verdict["reason"]) == (VerdictName.HELD, "rejected")


@pytest.mark.parametrize("command", ["approve", "reject"])
def test_a_decision_without_a_reason_is_refused(acme: Company, command: str) -> None:
    plan_id = str(_only_plan(acme)["plan_id"])
    assert refreshd(command, plan_id, env=acme.env).code == 2
    assert refreshd(command, plan_id, "--reason", "", env=acme.env).code == 2
    assert _only_plan(acme)["state"] == "held"


def test_a_plan_that_is_not_there_is_one_sentence(acme: Company) -> None:
    for argv in (["plan", "--show", "ffff"], ["reject", "ffff", "--reason", "x"]):
        ran = refreshd(*argv, env=acme.env)
        assert (ran.code, "there is no plan 'ffff'" in ran.err) == (2, True)


async def test_a_rejected_plan_whose_last_login_is_wanted_again_is_closed(
    held: Ledger, connection: Connection, term: Term
) -> None:
    await reject(held, term)
    for client in "abcd":
        await set_active(connection, client, active=True)
    await held.close_empty_plans(now=NOW, term=term)
    assert not await held.plans()


async def test_a_plan_rejected_while_a_pass_looks_at_its_canary_stays_rejected(held: Ledger, term: Term) -> None:
    await reject(held, term)
    why = withheld(HoldReason.CANARY)
    assert await held.hold_back(PLAN, why, now=NOW, pass_id=PassId(2), term=term) == 0
    (stored,) = await held.plans()
    assert stored.state is PlanState.REJECTED


async def test_a_plan_rejected_in_the_moment_its_day_is_over_keeps_its_logins(
    held: Ledger, connection: Connection, term: Term
) -> None:
    await connection.execute("UPDATE plan SET state = 'admitted', approved_at = $1, approved_until = $1", NOW)
    async with asyncio.TaskGroup() as group, connection.transaction():
        await connection.execute(
            "UPDATE plan SET state = 'rejected', rejected_at = $1, rejection_reason = 'no',"
            " approved_at = NULL, approved_until = NULL",
            NOW,
        )
        closing = group.create_task(held.close_empty_plans(now=NOW, term=term))
        await asyncio.wait({closing}, timeout=0.5)
        assert not closing.done(), "it waits for whoever rejects"
    (stored,) = await held.plans()
    assert (stored.state, stored.remaining) == (PlanState.REJECTED, 4)
