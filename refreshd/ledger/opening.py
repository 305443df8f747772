"""A plan on its way into the ledger: held, admitted for a day, or closed from the start, because all of it is intended at once."""

from datetime import datetime

from refreshd.core.canary import wants_canary
from refreshd.core.guard import AdmittedPlan
from refreshd.core.model import PassId, PlanId, PlanState
from refreshd.core.plan import HeldPlan
from refreshd.ledger import rows
from refreshd.postgres import Statement
from refreshd.sqlfiles import Queries

WITHIN_CAPS = "within_caps"
"""The reason of a plan that was never held."""


class OthersWaitError(Exception):
    """Between weighing a plan and covering its logins these have become others."""


def exactly(weighed: PlanId, covered: PlanId | None) -> None:
    """Raise OthersWaitError, in the transaction that it undoes, unless what was covered has the id of what was weighed."""
    if covered != weighed:
        raise OthersWaitError


def reason_of(plan: HeldPlan | AdmittedPlan) -> str:
    return str(plan.reason) if isinstance(plan, HeldPlan) else WITHIN_CAPS


def opening(
    queries: Queries, plan: HeldPlan | AdmittedPlan, *, now: datetime, pass_id: PassId, until: datetime | None = None
) -> Statement:
    """`until` is the end of an admitted plan's day; None where nothing of the plan waits for it."""
    at_once = PlanState.HELD if isinstance(plan, HeldPlan) else PlanState.CLOSED
    return queries["open"](
        plan_id=plan.plan_id,
        change=plan.change.value,
        state=(at_once if until is None else PlanState.ADMITTED).value,
        until=until,
        canary=until is not None and wants_canary(plan.logins),
        now=now,
        pass_id=pass_id,
        reason=reason_of(plan),
        sentence=plan.sentence,
        logins=plan.logins,
        allowance=plan.allowance,
        **rows.weighed_columns(plan.weighed),
    )
