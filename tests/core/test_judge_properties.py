from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from refreshd.core.judge import JudgePolicy, judge
from refreshd.core.model import Evidence, Flag, Listing, Verdict, VerdictName
from tests.support.builders import ACTIVE, INACTIVE, JUDGE, NEW, NOW, ago, answered, hold, listed, refused
from tests.support.strategies import evidences, judge_policies, listings, moments

HOUR = timedelta(hours=1)
BIT = timedelta(microseconds=1)
OFF = replace(INACTIVE, confirmed_off_at=ago(days=1))

RUNS_OUT: dict[str, tuple[Evidence, datetime | None]] = {
    "fresh until it is unobserved": (ACTIVE, ago(hours=1) + timedelta(hours=48)),
    "unobserved until it lapses": (
        replace(ACTIVE, answer=answered(hours=50), flag_seen_at=None, refreshed_at=ago(hours=60)),
        ago(hours=60) + timedelta(days=7),
    ),
    "lapsed until it is unobserved": (replace(ACTIVE, refreshed_at=ago(days=8)), ago(hours=1) + timedelta(hours=48)),
    "lapsed and unobserved for ever": (
        replace(ACTIVE, answer=answered(hours=50), flag_seen_at=None, refreshed_at=ago(days=8)),
        None,
    ),
    "listed until later reports will have found its refresh too old": (
        replace(ACTIVE, listing=listed("RETRY_LATER")),
        ago(hours=10) + timedelta(hours=36 + 1),
    ),
    "unseen for ever": (NEW, None),
    "leaking for ever": (INACTIVE, None),
    "held for ever": (replace(INACTIVE, hold=hold()), None),
    "approved until the approval runs out": (replace(INACTIVE, hold=hold(approved_for=HOUR)), NOW + HOUR),
    "disabled until it is to be repeated": (OFF, ago(days=1) + timedelta(days=30)),
    "refused until its week is over": (replace(INACTIVE, refusal=refused(), not_before=NOW + HOUR), NOW + HOUR),
    "refused, its week being over": (replace(INACTIVE, refusal=refused(), not_before=NOW), None),
}


@pytest.mark.parametrize(("evidence", "until"), RUNS_OUT.values(), ids=RUNS_OUT.keys())
def test_time_alone_leaves_a_login(evidence: Evidence, until: datetime | None) -> None:
    assert judge(evidence, JUDGE, NOW).until == until


@given(evidences(), judge_policies, moments)
def test_every_login_has_one_verdict_and_the_same_evidence_always_the_same(
    evidence: Evidence, policy: JudgePolicy, now: datetime
) -> None:
    verdict = judge(evidence, policy, now)
    assert verdict == judge(evidence, policy, now)
    assert (verdict.login_id, verdict.version) == (evidence.login_id, evidence.version)
    assert verdict.reason
    assert verdict.sentence


@given(evidences(active=False), judge_policies, moments)
def test_an_inactive_login_is_never_authorized(evidence: Evidence, policy: JudgePolicy, now: datetime) -> None:
    verdict = judge(evidence, policy, now)
    assert verdict.lane is None
    assert verdict.name in {VerdictName.LEAKING, VerdictName.HELD, VerdictName.DISABLED, VerdictName.QUARANTINED}


@given(evidences(active=True), judge_policies, moments)
def test_an_active_login_always_has_a_lane_and_is_never_to_be_disabled(
    evidence: Evidence, policy: JudgePolicy, now: datetime
) -> None:
    verdict = judge(evidence, policy, now)
    assert verdict.lane is not None
    assert verdict.name not in {VerdictName.LEAKING, VerdictName.HELD, VerdictName.DISABLED}


@given(evidences(), judge_policies, moments)
def test_a_verdict_never_runs_out_in_the_past(evidence: Evidence, policy: JudgePolicy, now: datetime) -> None:
    until = judge(evidence, policy, now).until
    assert until is None or until > now


def turns(evidence: Evidence, policy: JudgePolicy) -> list[datetime]:
    """Every moment at which any rule could change its mind."""
    seen = [
        evidence.flag_seen_at,
        evidence.answer.answered_at if evidence.answer else None,
        evidence.listing.reported_at if evidence.listing else None,
        evidence.refreshed_at,
        evidence.confirmed_off_at,
        evidence.maybe_off_since,
        evidence.not_before,
        evidence.hold.approved_until if evidence.hold else None,
    ]
    spans = (
        timedelta(0),
        policy.stale_after,
        policy.unobserved_after,
        policy.reassert_after,
        timedelta(days=7),
    )
    return [each + span for each in seen if each is not None for span in spans]


def but_for_its_end(verdict: Verdict) -> Verdict:
    return replace(verdict, until=None)


@settings(max_examples=500)
@given(evidences(), judge_policies | st.just(JUDGE), moments, st.floats(min_value=0, max_value=1))
@example(replace(ACTIVE, refreshed_at=ago(days=7)), JUDGE, ago(hours=1), 0.5)
def test_until_a_verdict_runs_out_time_alone_never_changes_it(
    evidence: Evidence, policy: JudgePolicy, now: datetime, part: float
) -> None:
    verdict = judge(evidence, policy, now)
    end = verdict.until or now + timedelta(days=400)
    some = [now + part * (end - now), end - BIT]
    near = [turn + bit for turn in turns(evidence, policy) for bit in (-BIT, timedelta(0), BIT)]
    for moment in (each for each in some + near if now <= each < end):
        assert but_for_its_end(judge(evidence, policy, moment)) == but_for_its_end(verdict)


@given(evidences(), judge_policies | st.just(JUDGE), moments)
def test_judging_again_at_each_end_comes_to_rest(evidence: Evidence, policy: JudgePolicy, now: datetime) -> None:
    ends = 0
    while (until := judge(evidence, policy, now).until) is not None:
        now, ends = until, ends + 1
        assert ends <= 4


@given(evidences(active=False), judge_policies, moments)
def test_without_a_confirmation_no_inactive_login_counts_as_disabled(
    evidence: Evidence, policy: JudgePolicy, now: datetime
) -> None:
    assert judge(replace(evidence, confirmed_off_at=None), policy, now).name is not VerdictName.DISABLED


@settings(max_examples=40)
@given(evidences(active=True), listings, st.timedeltas(min_value=timedelta(0), max_value=timedelta(hours=40)))
def test_a_listing_that_only_grows_newer_is_judged_again_in_time(
    evidence: Evidence, listing: Listing, age: timedelta
) -> None:
    """The ledger moves the time of an unchanged listing along with each report, and judges again only at `until`."""
    listed_now = replace(listing, reported_at=NOW)
    before = replace(evidence, flag=Flag.ON, flag_seen_at=NOW, refreshed_at=NOW - age, answer=None, listing=listed_now)
    stored, wrong_for = judge(before, JUDGE, NOW), timedelta(0)
    for hour in range(1, 72):
        now = NOW + hour * HOUR
        reported = replace(before, listing=replace(listing, reported_at=now))
        if stored.until is not None and stored.until <= now:
            stored = judge(reported, JUDGE, now)
        agree = judge(reported, JUDGE, now).stale == stored.stale
        wrong_for = timedelta(0) if agree else wrong_for + HOUR
        assert wrong_for <= HOUR
