import hashlib
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refreshd.core.judge import JudgePolicy, judge
from refreshd.core.model import Answer, Change, Evidence, Flag, Listing, VerdictName
from refreshd.core.plan import ChangeReason, PlannedChange
from refreshd.core.planner import PlanDigest, plan, wanted
from tests.support.builders import ACTIVE, INACTIVE, JUDGE, NOW, PLAN_ID, ago, hold, listed, login, planned, refused
from tests.support.strategies import answers, evidences, judge_policies, listings, moments, planned_changes

HOUR = timedelta(hours=1)
OFF = replace(INACTIVE, confirmed_off_at=ago(days=1))
REFUSED = replace(INACTIVE, refusal=refused())


def wanted_now(evidence: Evidence, policy: JudgePolicy = JUDGE, now: datetime = NOW) -> PlannedChange | None:
    return wanted(evidence, judge(evidence, policy, now), now, policy.reassert_after)


def applied(change: PlannedChange, evidence: Evidence, now: datetime) -> Evidence:
    """The evidence after Flinks has confirmed the change."""
    if change.change is Change.ENABLE:
        return replace(evidence, flag=Flag.ON, flag_seen_at=now, confirmed_off_at=None, maybe_off_since=None, hold=None)
    off = replace(evidence, flag=Flag.OFF, flag_seen_at=now, confirmed_off_at=now)
    return replace(off, maybe_off_since=None, hold=None, refusal=None)


CASES: dict[str, tuple[Evidence, PlannedChange | None]] = {
    "a leak is disabled": (INACTIVE, planned(reason="not_confirmed_off")),
    "a flag that came back is disabled": (replace(OFF, listing=listed()), planned(reason="flag_came_back")),
    "a held leak waits": (replace(INACTIVE, hold=hold()), None),
    "an approved leak is disabled in the name of its plan": (
        replace(INACTIVE, hold=hold(approved_for=HOUR)),
        planned(reason="approved", approved_by=PLAN_ID),
    ),
    "a leak whose approval ran out waits": (replace(INACTIVE, hold=hold(approved_for=-HOUR)), None),
    "a refused inactive login rests for its week": (replace(REFUSED, not_before=NOW + HOUR), None),
    "a refused inactive login is tried when its week is over": (
        replace(REFUSED, not_before=NOW),
        planned(reason="refused"),
    ),
    "a refused inactive login without a week is tried": (REFUSED, planned(reason="refused")),
    "a refused inactive login that is held waits": (replace(REFUSED, hold=hold()), None),
    "a refused inactive login that is approved is tried in the name of its plan": (
        replace(REFUSED, hold=hold(approved_for=HOUR)),
        planned(reason="refused", approved_by=PLAN_ID),
    ),
    "a disabled login is left alone": (OFF, None),
    "an old disable is sent again": (
        replace(INACTIVE, confirmed_off_at=ago(days=30)),
        planned(reason=ChangeReason.REASSERT),
    ),
    "an old disable is sent again, whatever plan once held it": (
        replace(INACTIVE, confirmed_off_at=ago(days=30), hold=hold()),
        planned(reason=ChangeReason.REASSERT),
    ),
    "a fresh login is left alone": (ACTIVE, None),
    "a login that refreshd disabled is enabled for its client": (
        replace(ACTIVE, confirmed_off_at=ago(hours=1)),
        planned(1, Change.ENABLE, ChangeReason.DISABLED_BY_REFRESHD),
    ),
    "an enable that the guard holds waits": (replace(ACTIVE, confirmed_off_at=ago(hours=1), hold=hold()), None),
    "an approved enable goes in the name of its plan": (
        replace(ACTIVE, confirmed_off_at=ago(hours=1), hold=hold(approved_for=HOUR)),
        planned(1, Change.ENABLE, ChangeReason.DISABLED_BY_REFRESHD, approved_by=PLAN_ID),
    ),
    "what somebody else switched off is only reported": (replace(ACTIVE, flag=Flag.OFF), None),
    "a refused active login is left alone": (replace(ACTIVE, refusal=refused()), None),
}


@pytest.mark.parametrize(("evidence", "change"), CASES.values(), ids=CASES.keys())
def test_of_its_verdict_follows_that(evidence: Evidence, change: PlannedChange | None) -> None:
    assert wanted_now(evidence) == change


def test_an_empty_plan_has_an_id_too() -> None:
    assert plan([]).changes == ()
    assert len(plan([]).plan_id) == 16


def test_a_login_stands_in_a_plan_once_for_each_change() -> None:
    twice = plan([planned(1, reason="b"), planned(1, reason="a"), planned(1, reason="a", approved_by=PLAN_ID)])
    assert twice.changes == (planned(1, reason="a"),)
    assert twice.plan_id == plan([planned(1)]).plan_id


@given(st.lists(planned_changes, max_size=30).flatmap(lambda each: st.tuples(st.just(each), st.permutations(each))))
def test_the_order_of_the_input_never_matters_to_a_plan(
    orders: tuple[list[PlannedChange], list[PlannedChange]],
) -> None:
    one, other = orders
    assert plan(one) == plan(other)
    assert plan(one) == plan(one + other)


@given(st.lists(planned_changes, max_size=30))
def test_a_plan_is_sorted_and_loses_no_login(changes: list[PlannedChange]) -> None:
    pairs = [(each.login_id, each.change) for each in plan(changes).changes]
    assert pairs == sorted({(each.login_id, each.change) for each in changes})


@given(st.lists(planned_changes, max_size=30))
def test_the_id_of_a_plan_is_the_hash_of_its_pairs(changes: list[PlannedChange]) -> None:
    pairs = sorted({(each.login_id, each.change) for each in changes})
    text = "".join(f"{login_id} {change}\n" for login_id, change in pairs)
    assert plan(changes).plan_id == hashlib.sha256(text.encode()).hexdigest()[:16]


@given(st.lists(planned_changes, max_size=10), st.lists(planned_changes, max_size=10))
def test_two_plans_have_one_id_only_if_they_have_the_same_pairs(
    one: list[PlannedChange], other: list[PlannedChange]
) -> None:
    pairs = [{(each.login_id, each.change) for each in changes} for changes in (one, other)]
    assert (plan(one).plan_id == plan(other).plan_id) is (pairs[0] == pairs[1])


@given(st.sets(st.integers(min_value=1, max_value=50)))
def test_a_plan_that_passes_by_in_order_gets_the_id_of_the_whole(numbers: set[int]) -> None:
    digest = PlanDigest()
    for number in sorted(numbers):
        digest.add(login(number), Change.DISABLE)
    assert digest.count == len(numbers)
    assert digest.plan_id() == plan(planned(number) for number in numbers).plan_id


@given(evidences(), judge_policies, moments)
def test_when_a_plan_is_applied_planning_again_gives_nothing(
    evidence: Evidence, policy: JudgePolicy, now: datetime
) -> None:
    change = wanted_now(evidence, policy, now)
    listing = evidence.listing if evidence.listing and evidence.listing.reported_at <= now else None
    if change is not None:
        after = applied(change, replace(evidence, listing=listing), now)
        assert wanted_now(after, policy, now) is None


@given(evidences(active=True), judge_policies, moments)
def test_an_active_login_is_never_in_a_disabling_plan(evidence: Evidence, policy: JudgePolicy, now: datetime) -> None:
    change = wanted_now(evidence, policy, now)
    assert change is None or change.change is Change.ENABLE


@given(evidences(active=True), evidences(active=False), judge_policies, moments)
def test_a_client_that_came_back_undoes_a_verdict_of_yesterday(
    evidence: Evidence, yesterday: Evidence, policy: JudgePolicy, now: datetime
) -> None:
    stored = judge(replace(yesterday, confirmed_off_at=None), policy, now)
    change = wanted(evidence, stored, now, policy.reassert_after)
    assert change is None or change.change is Change.ENABLE


@given(evidences(active=False), judge_policies, moments)
def test_an_inactive_login_is_never_in_an_enabling_plan(evidence: Evidence, policy: JudgePolicy, now: datetime) -> None:
    change = wanted_now(evidence, policy, now)
    assert change is None or change.change is Change.DISABLE


@given(evidences(), judge_policies, moments)
def test_nothing_is_enabled_that_refreshd_did_not_disable(
    evidence: Evidence, policy: JudgePolicy, now: datetime
) -> None:
    change = wanted_now(evidence, policy, now)
    if change is not None and change.change is Change.ENABLE:
        assert evidence.confirmed_off_at is not None or evidence.maybe_off_since is not None


@given(evidences(), st.none() | answers, st.none() | listings, judge_policies, moments)
def test_no_answer_and_no_report_is_ever_the_cause_of_a_first_disable(
    evidence: Evidence, answer: Answer | None, listing: Listing | None, policy: JudgePolicy, now: datetime
) -> None:
    """Empty, failed or odd, an observation changes whether a login is disabled only where Flinks had confirmed it off before."""
    unconfirmed = replace(evidence, confirmed_off_at=None, maybe_off_since=None)
    silent = replace(unconfirmed, answer=None, listing=None, flag=Flag.UNKNOWN, flag_seen_at=None)
    odd = replace(unconfirmed, answer=answer, listing=listing)
    changes = [wanted_now(each, policy, now) for each in (unconfirmed, silent, odd)]
    assert len({each.change if each else None for each in changes}) == 1


@given(evidences(active=False), judge_policies, moments)
def test_every_leak_that_nothing_holds_is_in_the_plan(evidence: Evidence, policy: JudgePolicy, now: datetime) -> None:
    verdict = judge(replace(evidence, hold=None), policy, now)
    change = wanted(replace(evidence, hold=None), verdict, now, policy.reassert_after)
    if verdict.name is VerdictName.LEAKING:
        assert change is not None
        assert change.change is Change.DISABLE
