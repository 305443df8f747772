"""The ledger as a pass sees it, on a real Postgres."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

import asyncpg
import pytest

from refreshd.core import guard
from refreshd.core.effects import ChangeFailed, Confirmed, Deferral, Refused, Sighting
from refreshd.core.errors import LedgerUnavailable, PlanUnknown, SchemaMismatch
from refreshd.core.guard import Withdrawn
from refreshd.core.judge import judge
from refreshd.core.model import (
    Change,
    Flag,
    Lane,
    LoginId,
    PassId,
    PlanId,
    PlanState,
    Report,
    ReportCard,
    Term,
    VerdictName,
)
from refreshd.core.plan import ChangeReason, PlannedChange
from refreshd.ledger import Ledger
from refreshd.ports import DueLogin, PassRecord
from refreshd.postgres import Connection, Database, open_database
from tests.support.builders import JUDGE
from tests.support.ledger import (
    DAY,
    HOUR,
    NOW,
    guarded,
    hold_all,
    intend_all,
    judge_all,
    link,
    login_id,
    plan_of,
    set_active,
    take_lease,
    verdict,
)

A, B, C = login_id(1), login_id(2), login_id(3)


async def _candidates(ledger: Ledger, change: Change = Change.DISABLE) -> list[PlannedChange]:
    return list(await ledger.candidates(change, now=NOW, after=None, limit=100))


async def _authorizes(ledger: Ledger, *, now: datetime = NOW) -> Sequence[DueLogin]:
    return await ledger.due_authorizes(Lane.SAVABLE, now=now, routine_start=NOW, busy=[], limit=10)


def _failed(login: LoginId, change: Change, not_before: datetime) -> ChangeFailed:
    return ChangeFailed(
        login_id=login, change=change, failed_at=NOW, error="", code=None, attempts=3, not_before=not_before
    )


async def _events(connection: Connection) -> list[tuple[str, str]]:
    rows = await connection.fetch("SELECT change, event FROM schedule_change ORDER BY event_id")
    return [(row["change"], row["event"]) for row in rows]


# Evidence and verdicts --------------------------------------------------------------------------------------------------------------


async def test_what_was_never_judged_is_due(ledger: Ledger, connection: Connection) -> None:
    await link(connection, "ann", A)

    (found,) = await ledger.evidence_due(now=NOW, limit=10)

    assert (found.login_id, found.active, found.version, found.answer, found.listing) == (A, True, 0, None, None)


async def test_a_verdict_is_due_again_only_when_it_runs_out(ledger: Ledger, connection: Connection, term: Term) -> None:
    await link(connection, "ann", A, B)
    first, second = await ledger.evidence_due(now=NOW, limit=10)
    verdicts = [verdict(first, VerdictName.FRESH, until=NOW + DAY), verdict(second, VerdictName.FRESH)]

    await ledger.store_verdicts(verdicts, now=NOW, term=term)

    assert not await ledger.evidence_due(now=NOW, limit=10)
    (due,) = await ledger.evidence_due(now=NOW + DAY, limit=10)
    assert due.login_id == first.login_id


async def test_a_verdict_dates_from_when_its_name_changed(ledger: Ledger, connection: Connection, term: Term) -> None:
    await link(connection, "ann", A)
    for hours, name in enumerate([VerdictName.FRESH, VerdictName.FRESH, VerdictName.STALE]):
        stored = await ledger.login(A)
        assert stored is not None
        await ledger.store_verdicts([verdict(stored.evidence, name)], now=NOW + hours * HOUR, term=term)
        found = await ledger.login(A)
        assert found is not None
        assert found.verdict_since == NOW + (2 * HOUR if name is VerdictName.STALE else 0 * HOUR)


async def test_a_verdict_on_evidence_that_has_changed_is_not_stored(
    ledger: Ledger, connection: Connection, term: Term
) -> None:
    await link(connection, "ann", A)
    (before,) = await ledger.evidence_due(now=NOW, limit=10)
    await set_active(connection, "ann", active=False)

    await ledger.store_verdicts([verdict(before, VerdictName.FRESH)], now=NOW, term=term)

    (due,) = await ledger.evidence_due(now=NOW, limit=10)
    assert (due.active, due.version) == (False, 1)


# Plans ------------------------------------------------------------------------------------------------------------------------------


async def test_candidates_are_those_whose_verdict_stands(ledger: Ledger, connection: Connection, term: Term) -> None:
    await link(connection, "ann", A, active=False)
    assert not await _candidates(ledger)

    await judge_all(ledger, term)

    assert await _candidates(ledger) == [PlannedChange(login_id=A, change=Change.DISABLE, reason="test")]


async def test_candidates_come_in_pages_by_login_id(ledger: Ledger, connection: Connection, term: Term) -> None:
    await link(connection, "ann", C, A, B, active=False)
    await judge_all(ledger, term)

    first = await ledger.candidates(Change.DISABLE, now=NOW, after=None, limit=2)
    rest = await ledger.candidates(Change.DISABLE, now=NOW, after=first[-1].login_id, limit=2)

    assert [each.login_id for each in (*first, *rest)] == [A, B, C]


async def test_a_refused_login_is_a_candidate_once_its_week_is_over(
    ledger: Ledger, connection: Connection, term: Term
) -> None:
    await link(connection, "ann", A, active=False)
    refused = Refused(login_id=A, refused_at=NOW, code="LOGIN_ID_NOT_FOUND", not_before=NOW + 7 * DAY)
    await ledger.record([], [refused], term=term)
    await connection.execute("UPDATE login SET change_not_before = $1", NOW + 7 * DAY)
    await judge_all(ledger, term, inactive=VerdictName.QUARANTINED)

    assert not await _candidates(ledger)
    week_later = await ledger.candidates(Change.DISABLE, now=NOW + 7 * DAY, after=None, limit=10)
    totals = await ledger.plan_totals(now=NOW + 7 * DAY)

    assert [each.login_id for each in week_later] == [A]
    assert totals.disables_waiting == 1


@pytest.mark.parametrize("late", ["deferral", "refusal"])
async def test_an_authorize_in_flight_when_its_client_leaves_keeps_no_disable_waiting(
    ledger: Ledger, connection: Connection, term: Term, late: str
) -> None:
    await link(connection, "ann", A)
    await judge_all(ledger, term)
    await set_active(connection, "ann", active=False)
    effect = (
        Deferral(login_id=A, attempts=6, not_before=NOW + 6 * HOUR, error="")
        if late == "deferral"
        else Refused(login_id=A, refused_at=NOW, code="INVALID_LOGIN", not_before=NOW + 7 * DAY)
    )
    await ledger.record([], [effect], term=term)
    await judge_all(ledger, term, inactive=VerdictName.LEAKING if late == "deferral" else VerdictName.QUARANTINED)

    assert [each.login_id for each in await _candidates(ledger)] == [A]
    await set_active(connection, "ann", active=True)
    await judge_all(ledger, term)
    assert [each.evidence.login_id for each in await _authorizes(ledger)] == [A]


@pytest.mark.parametrize("put_off", ["change", "authorize"])
async def test_a_change_and_the_daily_authorize_do_not_wait_for_each_other(
    ledger: Ledger, connection: Connection, term: Term, put_off: str
) -> None:
    await link(connection, "ann", A)
    await judge_all(ledger, term, active=VerdictName.DRIFTED, reason=ChangeReason.DISABLED_BY_REFRESHD)
    await intend_all(ledger, term, change=Change.ENABLE)
    later = NOW + HOUR
    put = (
        _failed(A, Change.ENABLE, later)
        if put_off == "change"
        else Deferral(login_id=A, attempts=3, not_before=later, error="")
    )
    await ledger.record([], [put], term=term)

    changes = await ledger.due_changes(now=NOW, reassert=False, busy=[], limit=10)
    authorizes = await _authorizes(ledger)
    assert (len(changes), len(authorizes)) == ((0, 1) if put_off == "change" else (1, 0))

    (change,) = await ledger.due_changes(now=later, reassert=False, busy=[], limit=10)
    (authorize,) = await _authorizes(ledger, now=later)
    tried = (change.evidence.attempts, authorize.evidence.attempts)
    assert tried == ((3, 0) if put_off == "change" else (0, 3))


async def test_one_that_flinks_knows_again_need_not_wait_for_its_week_to_be_enabled(
    ledger: Ledger, connection: Connection, term: Term
) -> None:
    await link(connection, "ann", A)
    await judge_all(ledger, term, active=VerdictName.DRIFTED, reason=ChangeReason.DISABLED_BY_REFRESHD)
    await intend_all(ledger, term, change=Change.ENABLE)
    refused = Refused(login_id=A, refused_at=NOW, code="INVALID_LOGIN", not_before=NOW + 7 * DAY)
    await ledger.record([], [_failed(A, Change.ENABLE, NOW + 7 * DAY), refused], term=term)
    assert not await ledger.due_changes(now=NOW, reassert=False, busy=[], limit=10)

    known = Sighting(login_id=A, seen_at=NOW, flag=Flag.OFF, refreshed_at=None, institution=None, code=None)
    await ledger.record([], [known], term=term)

    assert await ledger.due_changes(now=NOW, reassert=False, busy=[], limit=10)


async def test_totals_are_what_the_guard_weighs(ledger: Ledger, connection: Connection, term: Term) -> None:
    await link(connection, "ann", A, active=False)
    await link(connection, "bob", B, C)
    await judge_all(ledger, term)
    before = await ledger.plan_totals(now=NOW)
    await intend_all(ledger, term)
    after = await ledger.plan_totals(now=NOW)
    open_still = await ledger.plan_totals(now=NOW + 3 * DAY)
    await ledger.record([], [Confirmed(login_id=A, change=Change.DISABLE, confirmed_at=NOW + 3 * DAY)], term=term)
    confirmed = await ledger.plan_totals(now=NOW + 3 * DAY)
    day_later = await ledger.plan_totals(now=NOW + 4 * DAY)

    assert (before.logins, before.active, before.not_confirmed_off, before.accepted_active) == (3, 2, 3, None)
    assert (before.disables_waiting, before.disables_in_window) == (1, 0)
    assert (after.disables_waiting, after.disables_in_window) == (0, 1)
    assert (open_still.disables_in_window, confirmed.disables_in_window) == (1, 1)
    assert day_later.disables_in_window == 0


async def test_the_weekly_try_of_one_that_flinks_refuses_has_its_place_in_the_caps_from_a_day_before(
    ledger: Ledger, connection: Connection, term: Term
) -> None:
    await link(connection, "ann", A, active=False)
    await judge_all(ledger, term)
    await intend_all(ledger, term)
    refused = Refused(login_id=A, refused_at=NOW, code="INVALID_LOGIN", not_before=NOW + 7 * DAY)
    await ledger.record([], [_failed(A, Change.DISABLE, NOW + 7 * DAY), refused], term=term)

    for days, counted in ((1, 0), (5, 0), (6, 1), (7, 1), (8, 1)):
        assert (await ledger.plan_totals(now=NOW + days * DAY)).disables_in_window == counted
    await ledger.record([], [Confirmed(login_id=A, change=Change.DISABLE, confirmed_at=NOW + 7 * DAY)], term=term)
    assert (await ledger.plan_totals(now=NOW + 7 * DAY)).disables_in_window == 1


async def test_what_goes_outside_the_caps_does_not_count_in_them(
    ledger: Ledger, connection: Connection, term: Term
) -> None:
    await link(connection, "ann", A, active=False)
    await judge_all(ledger, term)
    plan = guarded(await _candidates(ledger), outside_caps=True)

    assert await ledger.intend(plan, now=NOW, pass_id=PassId(1), term=term) == 1
    assert (await ledger.plan_totals(now=NOW)).disables_in_window == 0
    await ledger.record([], [Confirmed(login_id=A, change=Change.DISABLE, confirmed_at=NOW)], term=term)
    assert (await ledger.plan_totals(now=NOW)).disables_in_window == 0


async def test_an_intent_is_stored_once_and_only_where_it_still_fits(
    ledger: Ledger, connection: Connection, term: Term
) -> None:
    await link(connection, "ann", A, active=False)
    await link(connection, "bob", B, active=False)
    await judge_all(ledger, term)
    plan = guarded(await _candidates(ledger))
    await set_active(connection, "bob", active=True)

    assert await ledger.intend(plan, now=NOW, pass_id=PassId(1), term=term) == 1
    assert await ledger.intend(plan, now=NOW, pass_id=PassId(1), term=term) == 0
    assert await _events(connection) == [("disable", "intended")]


async def test_a_held_plan_covers_all_that_wait_until_it_is_approved(
    ledger: Ledger, connection: Connection, term: Term
) -> None:
    await link(connection, "ann", A, B, active=False)
    await judge_all(ledger, term)
    await hold_all(ledger, term)
    await judge_all(ledger, term, inactive=VerdictName.HELD)
    assert not await _candidates(ledger)
    assert not await ledger.approved_candidates(Change.DISABLE, now=NOW, limit=10)
    (held,) = await ledger.plans()
    assert (held.state, held.remaining) == (PlanState.HELD, 2)

    members = await ledger.approve_plan(
        await ledger.find_plan(plan_of(A, B)[:4]), by="ann@desk", reason="looked at it", now=NOW, until=NOW + DAY
    )
    due = await ledger.evidence_due(now=NOW, limit=10)
    assert [each.hold and each.hold.approved_until for each in due] == [NOW + DAY] * 2
    await judge_all(ledger, term, reason=ChangeReason.APPROVED)
    approved = await ledger.approved_candidates(Change.DISABLE, now=NOW, limit=10)

    assert members == 2
    assert [each.approved_by for each in approved] == [held.plan_id] * 2
    assert not await _candidates(ledger)
    assert (await ledger.plan_totals(now=NOW)).accepted_active == 0
    assert await ledger.intend(guarded(approved, outside_caps=True), now=NOW, pass_id=PassId(1), term=term) == 2
    assert [event for _, event in await _events(connection)] == ["held"] * 2 + ["approved"] * 2 + ["intended"] * 2


async def test_what_was_heard_of_a_login_while_its_plan_was_weighed_does_not_take_it_out_of_the_hold(
    ledger: Ledger, connection: Connection, term: Term
) -> None:
    await link(connection, "ann", A, B, active=False)
    await judge_all(ledger, term)
    await connection.execute("UPDATE login SET verdict_until = '-infinity' WHERE login_id = $1", B)
    await hold_all(ledger, term)
    await judge_all(ledger, term, inactive=VerdictName.HELD)
    assert not await _candidates(ledger)
    assert [each.remaining for each in await ledger.plans()] == [2]


async def test_a_leak_that_came_back_and_was_seen_again_while_its_plan_was_weighed_stays_in_the_hold(
    ledger: Ledger, connection: Connection, term: Term
) -> None:
    await link(connection, "ann", A, active=False)
    off = Confirmed(login_id=A, change=Change.DISABLE, confirmed_at=NOW - DAY)
    seen = Sighting(login_id=A, seen_at=NOW, flag=Flag.ON, refreshed_at=NOW, institution=None, code=None)
    await ledger.record([], [off], term=term)
    await judge_all(ledger, term)
    await ledger.record([], [seen], term=term)

    assert (await hold_all(ledger, term)).plan_id == plan_of(A)


@pytest.mark.parametrize("change", Change)
async def test_one_that_flinks_has_confirmed_a_moment_ago_is_not_held_with_the_others(
    ledger: Ledger, connection: Connection, term: Term, change: Change
) -> None:
    await link(connection, "ann", A, B, active=change is Change.ENABLE)
    for login in (A, B) if change is Change.ENABLE else ():
        off = Confirmed(login_id=login, change=Change.DISABLE, confirmed_at=NOW - DAY)
        await ledger.record([], [off], term=term)
    await judge_all(ledger, term, active=VerdictName.DRIFTED, reason=ChangeReason.DISABLED_BY_REFRESHD)
    first, _ = await _candidates(ledger, change)
    await ledger.intend(guarded([first], change=change), now=NOW, pass_id=PassId(1), term=term)
    await ledger.record([], [Confirmed(login_id=A, change=change, confirmed_at=NOW)], term=term)

    held = await hold_all(ledger, term, change)

    assert (held.plan_id, held.logins) == (plan_of(B, change=change), 1)


async def test_one_that_is_disabled_after_all_leaves_its_plan_and_an_empty_plan_closes(
    ledger: Ledger, connection: Connection, term: Term
) -> None:
    await link(connection, "ann", A, active=False)
    await judge_all(ledger, term)
    await hold_all(ledger, term)
    await connection.execute("UPDATE login SET confirmed_off_at = $1, flag = 'off', flag_seen_at = $1", NOW)

    await judge_all(ledger, term, inactive=VerdictName.DISABLED)
    await ledger.close_empty_plans(now=NOW, term=term)

    assert not await ledger.plans()


async def test_an_approval_that_ran_out_is_a_hold_again(ledger: Ledger, connection: Connection, term: Term) -> None:
    await link(connection, "ann", A, active=False)
    await judge_all(ledger, term)
    await hold_all(ledger, term)
    await ledger.approve_plan(plan_of(A), by="ann@desk", reason="", now=NOW, until=NOW + DAY)
    await judge_all(ledger, term)

    await ledger.close_empty_plans(now=NOW + DAY, term=term)

    assert not await ledger.approved_candidates(Change.DISABLE, now=NOW + DAY, limit=10)
    assert [each.state for each in await ledger.plans()] == [PlanState.HELD]


async def test_a_plan_closes_when_its_last_member_comes_back(
    ledger: Ledger, connection: Connection, term: Term
) -> None:
    await link(connection, "ann", A, active=False)
    await judge_all(ledger, term)
    await hold_all(ledger, term)
    await set_active(connection, "ann", active=True)

    await ledger.close_empty_plans(now=NOW, term=term)

    assert not await ledger.plans()
    assert [each.state for each in await ledger.plans(closed=9)] == [PlanState.CLOSED]
    with pytest.raises(PlanUnknown, match="closed"):
        await ledger.find_plan(plan_of(A)[:4])


async def _drawn(ledger: Ledger, term: Term, now: datetime) -> str | None:
    """Who takes up the one login of the ledger: as passes and the pool would, until one of them does."""
    for _ in range(2):
        due = await ledger.evidence_due(now=now, limit=10)
        await ledger.store_verdicts([judge(each, JUDGE, now) for each in due], now=now, term=term)
        await ledger.close_empty_plans(now=now, term=term)
        for each in await ledger.due_changes(now=now, reassert=False, busy=[], limit=10):
            if not isinstance(guard.second_look(each.intent, each.evidence, now), Withdrawn):
                return "intent"
            await ledger.withdraw(each.evidence.login_id, reason="", now=now, term=term)
    if await ledger.approved_candidates(Change.DISABLE, now=now, limit=10):
        return "approved plan"
    if await ledger.candidates(Change.DISABLE, now=now, after=None, limit=10):
        return "next plan"
    waiting = [each for each in await ledger.plans() if each.state is PlanState.HELD and each.remaining]
    return "operator" if waiting else None


@pytest.mark.parametrize("refused", [None, "before", "after"])
@pytest.mark.parametrize("intent", [None, "flag_on", "approved", "refused"])
@pytest.mark.parametrize("approved", [None, NOW, NOW + DAY, NOW + 30 * DAY])
@pytest.mark.parametrize("planned", [True, False])
async def test_whatever_state_a_leak_is_in_somebody_takes_it_up_within_a_week(
    ledger: Ledger, connection: Connection, term: Term, *, planned: bool, approved: datetime | None,
    intent: str | None, refused: str | None,
) -> None:  # fmt: skip
    await link(connection, "ann", A, active=False)
    refusal = Refused(login_id=A, refused_at=NOW, code="INVALID_LOGIN", not_before=NOW + 7 * DAY)
    if refused == "before":
        await ledger.record([], [refusal], term=term)
    await judge_all(ledger, term)
    if planned:
        await hold_all(ledger, term)
        if approved:
            await ledger.approve_plan(plan_of(A), by="ann@desk", reason="", now=NOW, until=approved)
    if intent:
        given = PlannedChange(
            login_id=A, change=Change.DISABLE, reason=intent, approved_by=plan_of(A) if planned else None
        )
        assert await ledger.intend(guarded([given]), now=NOW, pass_id=PassId(1), term=term) == 1
    if refused == "after":
        await ledger.record([], [_failed(A, Change.DISABLE, NOW + 7 * DAY), refusal], term=term)

    assert await _drawn(ledger, term, NOW + 8 * DAY) is not None
    if intent and refused == "after":
        assert await _drawn(ledger, term, NOW + 8 * DAY) == "intent"


@pytest.mark.parametrize("closed", [True, False])
async def test_who_approves_a_plan_whose_clients_have_just_returned_is_told_so_and_accepts_no_totals(
    ledger: Ledger, connection: Connection, term: Term, database: Database, *, closed: bool
) -> None:
    """Between the look and the word; a pass may or may not have closed it meanwhile."""

    class Late(Ledger):
        async def find_plan(self, prefix: str, *, closed_too: bool = False) -> PlanId:
            found = await super().find_plan(prefix, closed_too=closed_too)
            await set_active(connection, "ann", active=True)
            if closed:
                await ledger.close_empty_plans(now=NOW, term=term)
            return found

    await link(connection, "ann", A, active=False)
    await judge_all(ledger, term)
    held = await hold_all(ledger, term)

    with pytest.raises(PlanUnknown, match="covers no login any more"):
        await Late(database).approve_plan(held.plan_id, by="ann@desk", reason="", now=NOW, until=NOW + DAY)

    assert (await ledger.plan_totals(now=NOW)).accepted_active is None
    assert await connection.fetchval("SELECT count(*) FROM decision") == 0
    assert await connection.fetchval("SELECT count(*) FROM plan WHERE state = 'approved'") == 0


async def test_the_same_members_held_again_need_a_new_approval(
    ledger: Ledger, connection: Connection, term: Term
) -> None:
    await link(connection, "ann", A, active=False)
    for _ in range(2):
        await judge_all(ledger, term)
        await hold_all(ledger, term)
        assert [(each.state, each.approved_until) for each in await ledger.plans()] == [(PlanState.HELD, None)]
        await ledger.approve_plan(plan_of(A), by="ann@desk", reason="", now=NOW, until=NOW + DAY)
        await connection.execute("UPDATE login SET plan_id = NULL, verdict_until = '-infinity'")


async def test_a_plan_is_found_by_a_beginning_that_only_it_has(
    ledger: Ledger, connection: Connection, term: Term
) -> None:
    await link(connection, "ann", A, active=False)
    await judge_all(ledger, term)
    held = await hold_all(ledger, term)
    for plan_id in ("abc1", "abc", "abd"):
        named = "jsonb_populate_record(plan, jsonb_build_object('plan_id', $1::text))"
        copied = f"INSERT INTO plan SELECT ({named}).* FROM plan WHERE plan_id = $2"  # noqa: S608 # our own text
        await connection.execute(copied, plan_id, held.plan_id)

    assert await ledger.find_plan("abd") == "abd"
    assert await ledger.find_plan("abc") == "abc"
    for wrong in ("ab", "x", "", "%"):
        with pytest.raises(PlanUnknown):
            await ledger.find_plan(wrong)


async def test_totals_are_accepted_again_but_first_by_a_person(
    ledger: Ledger, connection: Connection, term: Term
) -> None:
    await link(connection, "ann", A)
    await ledger.accept_totals(now=NOW, if_before=NOW + DAY, term=term)
    assert (await ledger.plan_totals(now=NOW)).accepted_active is None
    await connection.execute("UPDATE landmark SET accepted_at = $1, accepted_active = 9, accepted_logins = 9", NOW)

    await ledger.accept_totals(now=NOW, if_before=NOW, term=term)
    assert (await ledger.plan_totals(now=NOW)).accepted_active == 9
    await ledger.accept_totals(now=NOW, if_before=NOW + HOUR, term=term)
    assert (await ledger.plan_totals(now=NOW)).accepted_active == 1


async def test_whoever_approves_enables_has_not_looked_at_the_totals(
    ledger: Ledger, connection: Connection, term: Term
) -> None:
    await link(connection, "ann", A)
    await judge_all(ledger, term, active=VerdictName.DRIFTED, reason=ChangeReason.DISABLED_BY_REFRESHD)
    held = await hold_all(ledger, term, Change.ENABLE)

    assert await ledger.approve_plan(held.plan_id, by="ann@desk", reason="", now=NOW, until=NOW + DAY) == 1

    assert (await ledger.plan_totals(now=NOW)).accepted_active is None


async def test_old_disables_are_sent_again(ledger: Ledger, connection: Connection, term: Term) -> None:
    await link(connection, "ann", A, B, active=False)
    for login, days in ((A, 31), (B, 1)):
        confirmed = Confirmed(login_id=login, change=Change.DISABLE, confirmed_at=NOW - days * DAY)
        await ledger.record([], [confirmed], term=term)
    await judge_all(ledger, term, inactive=VerdictName.DISABLED)

    old = await ledger.reassertions(now=NOW, confirmed_before=NOW - 30 * DAY, limit=10)
    assert old == [PlannedChange(login_id=A, change=Change.DISABLE, reason=ChangeReason.REASSERT)]
    assert await ledger.intend(guarded(old, outside_caps=True), now=NOW, pass_id=PassId(1), term=term) == 1
    assert not await ledger.reassertions(now=NOW, confirmed_before=NOW - 30 * DAY, limit=10)
    (again,) = await ledger.due_changes(now=NOW, reassert=True, busy=[], limit=10)
    assert again.evidence.login_id == A
    assert not await ledger.due_changes(now=NOW, reassert=False, busy=[], limit=10)


async def test_a_disabled_login_that_leaks_anew_is_no_repetition_any_more_but_a_matter_of_the_caps(
    ledger: Ledger, connection: Connection, term: Term
) -> None:
    await link(connection, "ann", A, active=False)
    off = Confirmed(login_id=A, change=Change.DISABLE, confirmed_at=NOW - 31 * DAY)
    await ledger.record([], [off], term=term)
    await judge_all(ledger, term, inactive=VerdictName.DISABLED)
    old = await ledger.reassertions(now=NOW, confirmed_before=NOW - 30 * DAY, limit=10)
    await ledger.intend(guarded(old, outside_caps=True), now=NOW, pass_id=PassId(1), term=term)
    await ledger.record([], [_failed(A, Change.DISABLE, NOW + 6 * HOUR)], term=term)

    card = ReportCard(login_id=A, attempted_at=None, state=None, code="RETRY_LATER")
    await ledger.record_report(Report(read_at=NOW, cards=(card,)), term=term)
    await judge_all(ledger, term)

    assert not await ledger.due_changes(now=NOW + DAY, reassert=True, busy=[], limit=10)
    assert [each.login_id for each in await _candidates(ledger)] == [A]
    assert (await ledger.plan_totals(now=NOW)).disables_waiting == 1
    assert (await _events(connection))[-1] == ("disable", "withdrawn")


@pytest.mark.parametrize("active", [True, False])
async def test_an_active_login_that_needs_no_enable_leaves_its_plan_and_an_empty_plan_closes(
    ledger: Ledger, connection: Connection, term: Term, *, active: bool
) -> None:
    await link(connection, "ann", A, active=active)
    await judge_all(ledger, term, active=VerdictName.DRIFTED, reason=ChangeReason.DISABLED_BY_REFRESHD)
    await hold_all(ledger, term, Change.ENABLE if active else Change.DISABLE)
    await judge_all(
        ledger, term, active=VerdictName.DRIFTED, inactive=VerdictName.HELD, reason=ChangeReason.DISABLED_BY_REFRESHD
    )
    await ledger.close_empty_plans(now=NOW, term=term)
    assert [each.remaining for each in await ledger.plans()] == [1]

    seen = Sighting(login_id=A, seen_at=NOW, flag=Flag.ON, refreshed_at=NOW, institution=None, code=None)
    await ledger.record([], [seen], term=term)
    await judge_all(ledger, term, inactive=VerdictName.HELD)
    await ledger.close_empty_plans(now=NOW, term=term)

    assert [each.remaining for each in await ledger.plans()] == ([] if active else [1])


async def test_a_login_that_refreshd_disabled_may_be_enabled(
    ledger: Ledger, connection: Connection, term: Term
) -> None:
    await link(connection, "ann", A)
    await judge_all(ledger, term, active=VerdictName.DRIFTED, reason=ChangeReason.DISABLED_BY_REFRESHD)

    assert await intend_all(ledger, term, change=Change.ENABLE) == 1
    assert (await ledger.plan_totals(now=NOW)).enables_in_window == 1


# The whole ------------------------------------------------------------------------------------------------------------------------


async def test_a_pass_is_accounted_for(ledger: Ledger, term: Term) -> None:
    number = await ledger.start_pass(now=NOW, term=term)
    record = PassRecord(
        pass_id=number, started_at=NOW, finished_at=NOW + HOUR, judged=3, intended=2, held=1, failure="x\x00y"
    )

    await ledger.finish_pass(record, term=term)

    (stored,) = await ledger.passes(limit=5)
    assert (stored.pass_id, stored.finished_at, stored.judged, stored.failure) == (number, NOW + HOUR, 3, "xy")


async def test_a_stray_login_is_set_right(ledger: Ledger, connection: Connection, term: Term) -> None:
    await link(connection, "ann", A)
    await connection.execute(
        "ALTER TABLE client DISABLE TRIGGER USER; UPDATE client SET active = false; ALTER TABLE client ENABLE TRIGGER USER"
    )

    assert await ledger.settle_strays(now=NOW, limit=10, term=term) == 1
    assert await ledger.settle_strays(now=NOW, limit=10, term=term) == 0
    (found,) = await ledger.evidence_due(now=NOW, limit=10)
    assert (found.active, found.inactive_since) == (False, NOW)


async def test_strays_that_the_ledger_never_knew_are_counted_like_those_that_changed_sides(
    ledger: Ledger, connection: Connection, term: Term
) -> None:
    await connection.execute("SET session_replication_role = replica")
    await link(connection, "ann", A, B, C)
    await connection.execute("SET session_replication_role = origin")

    assert [await ledger.settle_strays(now=NOW, limit=2, term=term) for _ in range(3)] == [2, 1, 0]
    assert await connection.fetchval("SELECT count(*) FROM login") == 3


async def test_a_takeover_waits_for_a_write_and_a_renewal_does_not(
    ledger: Ledger, connection: Connection, term: Term, database_url: str
) -> None:
    writer = await asyncpg.connect(database_url, server_settings={"search_path": "refreshd"})
    async with writer.transaction():
        await writer.execute("SELECT FROM lease WHERE term = $1 FOR KEY SHARE", term)
        await connection.execute("UPDATE lease SET expires_at = clock_timestamp() WHERE term = $1", term)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await take_lease(connection)
    await writer.close()
    assert await take_lease(connection) > term


async def test_a_database_that_goes_away_is_said_in_our_words(database_url: str) -> None:
    async with open_database(database_url, schema="refreshd", size=1) as database:
        with pytest.raises(LedgerUnavailable):
            await database.value(("SELECT pg_terminate_backend(pg_backend_pid())",))
        assert (await Ledger(database).plan_totals(now=NOW)).logins == 0  # and it comes back by itself


@pytest.mark.parametrize("where", ["nobody listens", "no such database", "no such role", "read-only"])
async def test_a_database_that_does_not_serve_is_said_in_our_words(database_url: str, where: str) -> None:
    url = {
        "nobody listens": "postgresql://nobody@127.0.0.1:1/none",
        "no such database": database_url.replace("/test_", "/absent_"),
        "no such role": database_url.replace("postgres@", "stranger@"),
        "read-only": f"{database_url}&default_transaction_read_only=on",
    }[where]
    with pytest.raises(LedgerUnavailable) as error:
        async with open_database(url, schema="refreshd", size=1) as database:
            await Ledger(database).accept_totals(now=NOW, if_before=NOW, term=Term(0))
    assert error.value.hint


async def test_a_schema_that_is_not_migrated_names_the_command(empty_database_url: str) -> None:
    async with open_database(empty_database_url, schema="refreshd", size=1) as database:
        with pytest.raises(SchemaMismatch) as error:
            await Ledger(database).evidence_due(now=NOW, limit=1)
    assert "refreshd migrate" in error.value.hint
