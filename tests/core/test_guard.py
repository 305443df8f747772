from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refreshd.core import planner
from refreshd.core.canary import CanaryAnswers, PlanUnderWay
from refreshd.core.caps import ALWAYS_ALLOWED, WINDOW, GuardPolicy, HoldReason, Withheld, allowance, held, weigh
from refreshd.core.guard import (
    AdmittedPlan,
    GuardedChange,
    GuardedPlan,
    Withdrawn,
    admit,
    admit_reassertions,
    admit_under_way,
    admit_whole,
    hold_back,
    second_look,
)
from refreshd.core.model import Change, Evidence, PlanState
from refreshd.core.plan import ChangeReason, Intent, PlannedChange, PlanTotals
from tests.support.builders import (
    ACTIVE,
    CAPS,
    INACTIVE,
    NOW,
    PLAN_ID,
    REJECTED,
    TOTALS,
    hold,
    intent,
    login,
    plan_of,
    planned,
    refused,
)
from tests.support.strategies import evidences, guard_policies, intents, moments, plan_totals, planned_changes

HOUR = timedelta(hours=1)

ALLOWANCES = {
    "a tenth of the logins": (0.10, 500, 1_000, 100),
    "never more than the count": (0.10, 50, 1_000, 50),
    "five, where the fraction is less": (0.10, 500, 20, 5),
    "five, where there is nothing to take a fraction of": (0.10, 500, 0, 5),
    "fewer than five, where the count says so": (0.10, 3, 1_000, 3),
    "none, where the count is none": (0.10, 0, 1_000, 0),
    "five, where the fraction is none": (0.0, 500, 1_000, 5),
}


@pytest.mark.parametrize(("fraction", "count", "logins", "allowed"), ALLOWANCES.values(), ids=ALLOWANCES.keys())
def test_a_day_without_approval_allows(fraction: float, count: int, logins: int, allowed: int) -> None:
    assert allowance(GuardPolicy(max_fraction=fraction, max_count=count), logins) == allowed


HOLDS = {
    "first plan: totals were never accepted": (
        replace(TOTALS, accepted_active=None, disables_waiting=1),
        HoldReason.FIRST_PLAN,
    ),
    "empty ledger: nobody is active": (replace(TOTALS, active=0, disables_waiting=1), HoldReason.EMPTY_LEDGER),
    "shrunk ledger: more than half of the active are gone": (
        replace(TOTALS, active=449, disables_waiting=1),
        HoldReason.SHRUNK_LEDGER,
    ),
    "fraction: one more than a tenth": (replace(TOTALS, disables_waiting=101), HoldReason.FRACTION),
    "fraction: the day's share is used up": (
        replace(TOTALS, disables_waiting=1, disables_in_window=100),
        HoldReason.FRACTION,
    ),
    "count: one more than the count": (
        replace(TOTALS, logins=100_000, active=90_000, not_confirmed_off=100_000, disables_waiting=501),
        HoldReason.COUNT,
    ),
}


@pytest.mark.parametrize(("totals", "reason"), HOLDS.values(), ids=HOLDS.keys())
def test_disables_are_held_as_a_whole(totals: PlanTotals, reason: HoldReason) -> None:
    withheld = weigh(Change.DISABLE, totals, CAPS)
    assert withheld is not None
    assert withheld.reason is reason
    assert withheld.allowance == allowance(CAPS, totals.not_confirmed_off)
    assert withheld.sentence


PASSES = {
    "nothing waits, whatever the ledger": replace(TOTALS, accepted_active=None, active=0),
    "a tenth of the logins": replace(TOTALS, disables_waiting=100),
    "what is left of the day": replace(TOTALS, disables_waiting=40, disables_in_window=60),
    "exactly half of the active logins are left": replace(TOTALS, active=450, disables_waiting=1),
    "a first login became active": replace(TOTALS, active=1, accepted_active=0, disables_waiting=1),
    "five of a small ledger": replace(
        TOTALS, logins=6, active=6, not_confirmed_off=6, accepted_active=6, disables_waiting=5
    ),
}


@pytest.mark.parametrize("totals", PASSES.values(), ids=PASSES.keys())
def test_disables_within_the_caps_need_no_approval(totals: PlanTotals) -> None:
    assert weigh(Change.DISABLE, totals, CAPS) is None


def test_the_sentence_of_a_hold_names_what_was_done_already() -> None:
    fresh = weigh(Change.DISABLE, replace(TOTALS, disables_waiting=101), CAPS)
    later = weigh(Change.DISABLE, replace(TOTALS, disables_waiting=101, disables_in_window=3), CAPS)
    assert fresh is not None
    assert fresh.sentence == "would disable 101 of 1000 logins; at most 100 a day go without approval"
    assert later is not None
    assert (
        "logins, beside 3 that were disabled in the last 24 hours or are due for another try in the next; at"
        in later.sentence
    )


def test_the_caps_and_an_approval_run_for_a_day() -> None:
    assert timedelta(days=1) == WINDOW


def test_enables_have_the_same_caps() -> None:
    assert weigh(Change.ENABLE, replace(TOTALS, enables_waiting=100), CAPS) is None
    withheld = weigh(Change.ENABLE, replace(TOTALS, enables_waiting=90, enables_in_window=11), CAPS)
    assert withheld is not None
    assert withheld.reason is HoldReason.FRACTION


def test_the_first_plan_of_a_ledger_is_held_only_when_it_disables() -> None:
    assert weigh(Change.ENABLE, replace(TOTALS, accepted_active=None, enables_waiting=1), CAPS) is None


def test_the_caps_of_disables_and_enables_are_counted_apart() -> None:
    totals = replace(TOTALS, disables_waiting=100, enables_waiting=100, enables_in_window=100)
    assert weigh(Change.DISABLE, totals, CAPS) is None
    assert weigh(Change.ENABLE, totals, CAPS) is not None


def test_an_admitted_plan_holds_only_the_kind_that_was_asked_for() -> None:
    mixed = planner.plan([planned(1), planned(2, Change.ENABLE)])
    admitted = admit(mixed, Change.DISABLE, replace(TOTALS, disables_waiting=1), CAPS)
    assert isinstance(admitted, GuardedPlan)
    assert (admitted.plan.changes, admitted.change, admitted.outside_caps) == ((planned(1),), Change.DISABLE, False)
    assert admitted.admitted is not None
    assert (admitted.admitted.logins, admitted.admitted.sentence) == (1, "within the caps; sent at once")


def test_a_slice_of_what_waits_is_held_with_the_whole_of_it() -> None:
    assert isinstance(admit(plan_of(10), Change.DISABLE, replace(TOTALS, disables_waiting=101), CAPS), Withheld)


@pytest.mark.parametrize("change", Change)
def test_a_plan_that_grew_since_it_was_counted_is_weighed_with_what_it_holds(change: Change) -> None:
    counted = replace(TOTALS, disables_waiting=1, enables_waiting=1)
    assert isinstance(admit(plan_of(100, change), change, counted, CAPS), GuardedPlan)
    assert isinstance(admit(plan_of(101, change), change, counted, CAPS), Withheld)


def test_a_plan_that_was_counted_as_nothing_is_weighed_all_the_same() -> None:
    assert isinstance(admit(plan_of(1), Change.DISABLE, replace(TOTALS, accepted_active=None), CAPS), Withheld)


@given(plan_totals(), guard_policies, st.integers(min_value=0, max_value=60), st.sampled_from(Change))
def test_whatever_is_admitted_stays_within_the_caps(
    totals: PlanTotals, policy: GuardPolicy, size: int, change: Change
) -> None:
    admitted = admit(plan_of(size, change), change, totals, policy)
    if isinstance(admitted, GuardedPlan) and admitted.plan.changes:
        done = totals.disables_in_window if change is Change.DISABLE else totals.enables_in_window
        assert not admitted.outside_caps
        assert len(admitted.plan.changes) + done <= allowance(policy, totals.not_confirmed_off)


@given(
    guard_policies,
    st.integers(min_value=1, max_value=600),
    st.lists(st.tuples(st.integers(min_value=1, max_value=80), st.booleans()), max_size=12),
)
def test_all_that_is_admitted_in_24_hours_stays_within_the_caps_of_their_beginning(
    policy: GuardPolicy, logins: int, plans: list[tuple[int, bool]]
) -> None:
    totals = replace(TOTALS, logins=logins, active=logins, not_confirmed_off=logins, accepted_active=logins)
    for size, confirmed_at_once in plans:
        leaving = min(size, totals.active - 1)
        now = replace(totals, active=totals.active - leaving, disables_waiting=leaving, accepted_active=totals.active)
        if isinstance(admit(plan_of(leaving), Change.DISABLE, now, policy), GuardedPlan):
            off = leaving if confirmed_at_once else 0
            totals = replace(
                totals,
                active=totals.active - leaving,
                not_confirmed_off=totals.not_confirmed_off - off,
                disables_in_window=totals.disables_in_window + leaving,
            )
    limit = min(policy.max_count, max(ALWAYS_ALLOWED, policy.max_fraction * logins))
    assert totals.disables_in_window <= limit


@given(plan_totals(), guard_policies)
def test_more_candidates_never_help_a_plan_through(totals: PlanTotals, policy: GuardPolicy) -> None:
    more = replace(totals, disables_waiting=totals.disables_waiting + 1, enables_waiting=totals.enables_waiting + 1)
    for change in Change:
        if weigh(change, totals, policy) is not None:
            assert weigh(change, more, policy) is not None


@given(plan_totals(), guard_policies)
def test_the_first_disabling_plan_is_always_held(totals: PlanTotals, policy: GuardPolicy) -> None:
    first = replace(totals, accepted_active=None, disables_waiting=totals.disables_waiting + 1)
    withheld = weigh(Change.DISABLE, first, policy)
    assert withheld is not None
    assert withheld.reason is HoldReason.FIRST_PLAN


UNDER_WAY = PlanUnderWay(plan_id=PLAN_ID, state=PlanState.APPROVED, canary=None)


@given(st.lists(planned_changes, max_size=20), st.sampled_from(Change))
def test_of_an_approved_plan_its_members_go_ahead_and_nobody_else(changes: list[PlannedChange], change: Change) -> None:
    whole = planner.plan(changes)
    admitted = admit_under_way(whole, change, UNDER_WAY)
    assert admitted.outside_caps
    assert admitted.change is change
    assert admitted.plan.changes == tuple(
        each for each in whole.changes if each.change is change and each.approved_by == PLAN_ID
    )


def test_an_admitted_plan_stays_within_the_caps_and_an_approved_one_does_not_count() -> None:
    assert not admit_under_way(plan_of(3), Change.DISABLE, replace(UNDER_WAY, state=PlanState.ADMITTED)).outside_caps
    assert admit_under_way(plan_of(3), Change.DISABLE, UNDER_WAY).outside_caps


def test_a_plan_with_a_canary_begins_with_five_and_says_so() -> None:
    members = planner.plan(planned(number, approved_by=PLAN_ID) for number in range(30))
    first = admit_under_way(members, Change.DISABLE, replace(UNDER_WAY, canary=CanaryAnswers()))
    assert (len(first.plan.changes), first.canary) == (5, True)
    rest = admit_under_way(members, Change.DISABLE, replace(UNDER_WAY, canary=CanaryAnswers(expected=5)))
    assert (len(rest.plan.changes), rest.canary) == (30, False)


def test_the_rest_of_a_plan_is_held_when_a_canary_was_answered_oddly_and_the_sentence_says_how() -> None:
    odd = CanaryAnswers(open=1, expected=3, unexpected=1, said="UNAUTHORIZED: no")
    withheld = hold_back(replace(UNDER_WAY, canary=odd), Change.DISABLE, TOTALS, CAPS)
    assert withheld is not None
    assert withheld.reason is HoldReason.CANARY
    assert "1 of the first 5 in a way that was not expected (UNAUTHORIZED: no)" in withheld.sentence
    mute = hold_back(replace(UNDER_WAY, canary=replace(odd, said=None)), Change.DISABLE, TOTALS, CAPS)
    assert mute is not None
    assert "(no words)" in mute.sentence
    assert hold_back(replace(UNDER_WAY, canary=CanaryAnswers(expected=4)), Change.DISABLE, TOTALS, CAPS) is None
    assert hold_back(UNDER_WAY, Change.DISABLE, TOTALS, CAPS) is None


def test_what_waits_is_admitted_or_withheld_as_a_whole() -> None:
    within = admit_whole(PLAN_ID, 60, Change.DISABLE, replace(TOTALS, disables_waiting=60), CAPS)
    assert isinstance(within, AdmittedPlan)
    assert (within.plan_id, within.logins, within.allowance) == (PLAN_ID, 60, 100)
    grown = admit_whole(PLAN_ID, 101, Change.DISABLE, replace(TOTALS, disables_waiting=60), CAPS)
    assert isinstance(grown, Withheld)


@given(st.lists(planned_changes, max_size=20))
def test_only_repetitions_of_old_disables_go_ahead_as_such(changes: list[PlannedChange]) -> None:
    admitted = admit_reassertions(planner.plan(changes))
    assert admitted.outside_caps
    assert admitted.change is Change.DISABLE
    assert all(each.change is Change.DISABLE and each.reason == ChangeReason.REASSERT for each in admitted.plan.changes)


SENT = {
    "a disable of a login that is still inactive": (intent(), INACTIVE),
    "an enable of a login that is still active": (intent(Change.ENABLE), ACTIVE),
    "a disable while its approval runs": (
        intent(reason=ChangeReason.APPROVED),
        replace(INACTIVE, hold=hold(approved_for=HOUR)),
    ),
    "the weekly try of what Flinks refused while the approval ran": (
        intent(reason=ChangeReason.APPROVED),
        replace(INACTIVE, refusal=refused()),
    ),
    "a repeated disable, whatever plan once held it": (
        intent(reason=ChangeReason.REASSERT),
        replace(INACTIVE, hold=hold(approved_for=-HOUR)),
    ),
}


@pytest.mark.parametrize(("stored", "evidence"), SENT.values(), ids=SENT.keys())
def test_the_second_look_lets_pass(stored: Intent, evidence: Evidence) -> None:
    assert second_look(stored, evidence, NOW) == GuardedChange(login_id=login(), change=stored.change)


WITHDRAWN = {
    "a disable of a login whose client came back": (intent(), ACTIVE, "active again"),
    "an enable of a login whose last client left": (intent(Change.ENABLE), INACTIVE, "active any more"),
    "an approved disable whose approval ran out this moment": (
        intent(reason=ChangeReason.APPROVED),
        replace(INACTIVE, hold=hold(approved_for=timedelta(0))),
        "run out",
    ),
    "an approved disable whose plan is gone": (intent(reason=ChangeReason.APPROVED), INACTIVE, "run out"),
    "an approved disable of a refused login whose approval ran out": (
        intent(reason="refused"),
        replace(INACTIVE, hold=hold(approved_for=-HOUR)),
        "run out",
    ),
    "an approved enable whose approval ran out": (
        intent(Change.ENABLE, ChangeReason.DISABLED_BY_REFRESHD),
        replace(ACTIVE, hold=hold(approved_for=-HOUR)),
        "run out",
    ),
    "a disable whose plan was rejected meanwhile": (
        intent(),
        replace(INACTIVE, hold=REJECTED),
        "the plan was rejected",
    ),
    "a disable under a plan that nobody approved": (intent(), replace(INACTIVE, hold=hold()), "the plan is held"),
}


@pytest.mark.parametrize(("stored", "evidence", "why"), WITHDRAWN.values(), ids=WITHDRAWN.keys())
def test_the_second_look_withdraws(stored: Intent, evidence: Evidence, why: str) -> None:
    looked = second_look(stored, evidence, NOW)
    assert isinstance(looked, Withdrawn)
    assert why in looked.reason


@given(intents, evidences(active=True), moments)
def test_an_active_login_never_passes_the_second_look_for_a_disable(
    stored: Intent, evidence: Evidence, now: datetime
) -> None:
    disable = replace(stored, change=Change.DISABLE)
    assert isinstance(second_look(disable, evidence, now), Withdrawn)


@given(intents, evidences(active=False))
def test_an_inactive_login_never_passes_the_second_look_for_an_enable(stored: Intent, evidence: Evidence) -> None:
    enable = replace(stored, change=Change.ENABLE)
    assert isinstance(second_look(enable, evidence, NOW), Withdrawn)


def test_a_withheld_plan_waits_for_a_person_as_it_was_judged() -> None:
    withheld = weigh(Change.DISABLE, replace(TOTALS, active=0, disables_waiting=7), CAPS)
    assert withheld is not None
    plan = held(withheld, PLAN_ID, Change.DISABLE, 7, NOW)
    assert (plan.plan_id, plan.change, plan.state, plan.held_at) == (PLAN_ID, Change.DISABLE, PlanState.HELD, NOW)
    assert (plan.logins, plan.remaining) == (7, 7)
    assert (plan.reason, plan.sentence) == (HoldReason.EMPTY_LEDGER, withheld.sentence)
    assert (plan.allowance, plan.weighed) == (withheld.allowance, withheld.weighed)
