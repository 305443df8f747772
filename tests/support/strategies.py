"""Hypothesis strategies for the values of the core. Times lie around NOW and often exactly on a boundary, where mistakes live."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from refreshd.core.caps import GuardPolicy
from refreshd.core.codes import KNOWN_CODES
from refreshd.core.judge import JudgePolicy
from refreshd.core.model import Answer, Change, Evidence, Flag, Hold, Listing, Refusal
from refreshd.core.plan import ChangeReason, Intent, PlannedChange, PlanTotals
from tests.support.builders import NOW, PLAN_ID, REJECTED, login

_SPANS = tuple(timedelta(hours=hours) for hours in (0, 1, 24, 36, 48, 7 * 24, 30 * 24))
_SMALL = (timedelta(0), timedelta(microseconds=1), timedelta(seconds=1), timedelta(hours=3))

moments: SearchStrategy[datetime] = st.builds(
    lambda span, bit, sign: NOW - span + sign * bit,
    st.sampled_from(_SPANS),
    st.sampled_from(_SMALL),
    st.sampled_from((-1, 1)),
) | st.datetimes(
    min_value=(NOW - timedelta(days=60)).replace(tzinfo=None),
    max_value=(NOW + timedelta(days=40)).replace(tzinfo=None),
    timezones=st.just(UTC),
)

codes = st.sampled_from(
    (*sorted(KNOWN_CODES), "SOMETHING_NEW", "invalid_password ", "BANK MAINTENANCE_RETRY_LATER", "", " ")
)
states = st.sampled_from(
    ("AnsweringSecurityChallenge", "Completed", "Partially Completed", "InvalidPassword", "Sleeping", "")
)

answers = st.builds(Answer, answered_at=moments, code=st.none() | codes)
listings = st.builds(
    Listing, reported_at=moments, attempted_at=st.none() | moments, state=st.none() | states, code=st.none() | codes
)
holds = st.builds(Hold, plan_id=st.just(PLAN_ID), approved_until=st.none() | moments) | st.just(REJECTED)
refusals = st.builds(Refusal, refused_at=moments, code=codes)


@st.composite
def evidences(draw: DrawFn, *, active: bool | None = None) -> Evidence:
    """Anything that the ledger may hold about one login, and some that it never should."""
    is_active = draw(st.booleans()) if active is None else active
    flag = draw(st.sampled_from(Flag))
    return Evidence(
        known_since=draw(st.none() | moments),
        login_id=login(draw(st.integers(min_value=1, max_value=50))),
        active=is_active,
        inactive_since=None if is_active else draw(st.none() | moments),
        flag=flag,
        flag_seen_at=None if flag is Flag.UNKNOWN else draw(moments),
        refreshed_at=draw(st.none() | moments),
        answer=draw(st.none() | answers),
        cached_call_at=draw(st.none() | moments),
        listing=draw(st.none() | listings),
        confirmed_off_at=draw(st.none() | moments),
        maybe_off_since=draw(st.none() | moments),
        hold=draw(st.none() | holds),
        refusal=draw(st.none() | refusals),
        attempts=draw(st.integers(min_value=0, max_value=9)),
        not_before=draw(st.none() | moments),
        version=draw(st.integers(min_value=0, max_value=9)),
    )


_spans = st.timedeltas(min_value=timedelta(minutes=1), max_value=timedelta(days=40))

judge_policies = st.builds(JudgePolicy, stale_after=_spans, unobserved_after=_spans, reassert_after=_spans)

guard_policies = st.builds(
    GuardPolicy,
    max_fraction=st.floats(min_value=0, max_value=1),
    max_count=st.integers(min_value=0, max_value=1_000),
)

reasons = st.sampled_from((*ChangeReason, "not_confirmed_off", "flag_on", "refused"))

planned_changes = st.builds(
    PlannedChange,
    login_id=st.integers(min_value=1, max_value=12).map(login),
    change=st.sampled_from(Change),
    reason=reasons.map(str),
    approved_by=st.none() | st.just(PLAN_ID),
)

intents = st.builds(
    Intent,
    change_id=st.integers(min_value=1),
    change=st.sampled_from(Change),
    reason=reasons.map(str),
    plan_id=st.just(PLAN_ID),
    intended_at=moments,
)


@st.composite
def plan_totals(draw: DrawFn) -> PlanTotals:
    """Counts that fit together: never more active, or not off, than there are."""
    logins = draw(st.integers(min_value=0, max_value=10_000))
    within = st.integers(min_value=0, max_value=logins)
    return PlanTotals(
        logins=logins,
        active=draw(within),
        not_confirmed_off=draw(within),
        disables_waiting=draw(within),
        enables_waiting=draw(within),
        disables_in_window=draw(within),
        enables_in_window=draw(within),
        accepted_active=draw(st.none() | st.integers(min_value=0, max_value=10_000)),
    )
