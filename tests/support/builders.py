"""Small values with defaults, so that a test says only what it is about."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from refreshd.core import planner
from refreshd.core.caps import GuardPolicy
from refreshd.core.conversation import Terms
from refreshd.core.guard import GuardedChange
from refreshd.core.judge import JudgePolicy
from refreshd.core.model import (
    Answer,
    Change,
    Credential,
    Evidence,
    FetchDepth,
    Flag,
    Hold,
    Listing,
    LoginId,
    PlanId,
    PlanState,
    Refusal,
)
from refreshd.core.plan import Intent, Plan, PlannedChange, PlanTotals

NOW = datetime(2026, 3, 10, 16, 0, tzinfo=UTC)

JUDGE = JudgePolicy(
    stale_after=timedelta(hours=36), unobserved_after=timedelta(hours=48), reassert_after=timedelta(days=30)
)
"""The settings' defaults, as those below."""

CAPS = GuardPolicy(max_fraction=0.10, max_count=500)

TERMS = Terms(mints_tokens=True, fetch=FetchDepth.OFF, schedule_credential=Credential.API_KEY)

PLAN_ID = PlanId("0123456789abcdef")


def login(number: int = 1) -> LoginId:
    return LoginId(UUID(int=number))


def ago(*, days: float = 0, hours: float = 0, seconds: float = 0) -> datetime:
    return NOW - timedelta(days=days, hours=hours, seconds=seconds)


ACTIVE = Evidence(
    login_id=login(),
    active=True,
    flag=Flag.ON,
    flag_seen_at=ago(hours=1),
    refreshed_at=ago(hours=10),
    answer=Answer(answered_at=ago(hours=1), code=None),
    cached_call_at=ago(hours=1),
)
"""An active login as it should be: answered an hour ago, refreshed last night."""

INACTIVE = Evidence(login_id=login(), active=False, inactive_since=ago(days=2))
"""An inactive login of which Flinks has said nothing."""

NEW = Evidence(login_id=login(), active=True)
"""An active login of which Flinks has said nothing."""


def answered(code: str | None = None, *, hours: float = 1) -> Answer:
    return Answer(answered_at=ago(hours=hours), code=code)


def listed(code: str | None = "QUESTION_NOT_FOUND", *, state: str | None = None, hours: float = 1) -> Listing:
    return Listing(reported_at=ago(hours=hours), attempted_at=None, state=state, code=code)


def refused(code: str = "INVALID_LOGIN") -> Refusal:
    return Refusal(refused_at=ago(hours=1), code=code)


def hold(*, approved_for: timedelta | None = None) -> Hold:
    """Held; approved for so long from NOW on (or, if negative, until so long ago)."""
    return Hold(plan_id=PLAN_ID, approved_until=None if approved_for is None else NOW + approved_for)


REJECTED = Hold(plan_id=PLAN_ID, approved_until=None, state=PlanState.REJECTED)


def intent(change: Change = Change.DISABLE, reason: str = "not_confirmed_off") -> Intent:
    return Intent(change_id=1, change=change, reason=reason, plan_id=PLAN_ID, intended_at=ago(hours=1))


def planned(
    number: int = 1,
    change: Change = Change.DISABLE,
    reason: str = "not_confirmed_off",
    *,
    approved_by: PlanId | None = None,
) -> PlannedChange:
    return PlannedChange(login_id=login(number), change=change, reason=reason, approved_by=approved_by)


def plan_of(count: int, change: Change = Change.DISABLE) -> Plan:
    return planner.plan(planned(number, change) for number in range(1, count + 1))


TOTALS = PlanTotals(
    logins=1_000,
    active=900,
    not_confirmed_off=1_000,
    disables_waiting=0,
    enables_waiting=0,
    disables_in_window=0,
    enables_in_window=0,
    accepted_active=900,
)
"""An ordinary ledger whose totals were accepted before: 100 changes a day go without approval."""


def guarded(change: Change = Change.DISABLE) -> GuardedChange:
    return GuardedChange(login_id=login(), change=change)
