"""Pure filters over a finished plan: what may be done now, what is withheld, and why.

Only this module makes a `GuardedPlan` or a `GuardedChange`, and only those can be stored as intents or sent: the write gate is a type
(`tests/test_architecture.py` looks for any other place that makes one). Nothing is dropped silently: what is not admitted comes back
as `Withheld` or `Withdrawn`, with a sentence for the operator.

`core.caps` says how much may go without a person. A plan of more than 20 that is admitted or approved begins with five of them
(`core.canary`); one answer of Flinks that is not as expected, and the rest is held: canary. Plans of enables too: an odd answer says
that Flinks and refreshd no longer mean the same.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from refreshd.core import canary, caps
from refreshd.core.canary import PlanUnderWay
from refreshd.core.caps import GuardPolicy, HoldReason, Withheld
from refreshd.core.evidence import approval_runs
from refreshd.core.model import Change, Evidence, LoginId, PlanId, PlanState
from refreshd.core.plan import ChangeReason, Intent, Plan, PlannedChange, PlanTotals, Weighed


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmittedPlan:
    """A plan within the caps, as it is stored; one that is large enough for a canary is carried out as an approved one is."""

    plan_id: PlanId
    change: Change
    logins: int
    sentence: str
    allowance: int
    weighed: Weighed


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedPlan:
    """A plan that may be stored as intents. `outside_caps`: a person, or an earlier confirmation, has answered for it.

    `canary`: the rest of the stored plan waits for what Flinks says about these. `admitted`: it is intended as a whole, and stored so.
    """

    plan: Plan
    change: Change
    outside_caps: bool
    canary: bool = False
    admitted: AdmittedPlan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedChange:
    """One change that may be sent now."""

    login_id: LoginId
    change: Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """Why a stored intent is not sent after all."""

    reason: str


def admit(plan: Plan, change: Change, totals: PlanTotals, policy: GuardPolicy) -> GuardedPlan | Withheld:
    """Let a plan of one kind of change through, or withhold the whole of it.

    The plan may be a first slice of what waits; it is weighed with all that waits. Where it holds more than was counted (a client
    list may have been loaded in between), it is weighed with what it holds.
    """
    kept = _only(plan, (each for each in plan.changes if each.change is change))
    admitted = _within_caps(kept.plan_id, len(kept.changes), change, totals, policy, "sent at once")
    if isinstance(admitted, Withheld):
        return admitted
    return GuardedPlan(plan=kept, change=change, outside_caps=False, admitted=admitted)


def admit_whole(
    plan_id: PlanId, logins: int, change: Change, totals: PlanTotals, policy: GuardPolicy
) -> AdmittedPlan | Withheld:
    """Let all that waits through as one plan, which begins with a canary where it is large, or withhold it."""
    begins = f"{canary.CANARIES} begin, and the rest of {logins} goes when Flinks has confirmed these as expected"
    return _within_caps(
        plan_id, logins, change, totals, policy, begins if canary.wants_canary(logins) else "sent at once"
    )


def _within_caps(
    plan_id: PlanId, logins: int, change: Change, totals: PlanTotals, policy: GuardPolicy, how: str
) -> AdmittedPlan | Withheld:
    withheld = caps.weigh(change, totals, policy, at_least=logins)
    if withheld:
        return withheld
    return AdmittedPlan(
        plan_id=plan_id,
        change=change,
        logins=logins,
        sentence=f"within the caps; {how}",
        allowance=caps.allowance(policy, totals.not_confirmed_off),
        weighed=caps.weighed(change, totals, policy),
    )


def hold_back(under_way: PlanUnderWay, change: Change, totals: PlanTotals, policy: GuardPolicy) -> Withheld | None:
    """Withhold the rest of a plan one of whose canaries was answered in a way that nobody expected."""
    answers = under_way.canary
    if answers is None or not answers.unexpected:
        return None
    odd = f"{answers.unexpected} of the first {answers.unexpected + answers.expected + answers.open}"
    return Withheld(
        reason=HoldReason.CANARY,
        sentence=f"Flinks answered about {odd} in a way that was not expected ({answers.said or 'no words'}); the rest was not sent",
        allowance=caps.allowance(policy, totals.not_confirmed_off),
        weighed=caps.weighed(change, totals, policy),
    )


def admit_under_way(plan: Plan, change: Change, under_way: PlanUnderWay) -> GuardedPlan:
    """Let through members of a plan that a person approved, or that was admitted before, as many as its canaries allow."""
    mine = (each for each in plan.changes if each.change is change and each.approved_by == under_way.plan_id)
    room = canary.may_follow(under_way.canary, len(plan.changes))
    return GuardedPlan(
        plan=_only(plan, islice(mine, room)),
        change=change,
        outside_caps=under_way.state is PlanState.APPROVED,
        canary=not canary.is_over(under_way.canary),
    )


def admit_reassertions(plan: Plan) -> GuardedPlan:
    """Let old disables be sent again: Flinks has confirmed each of them before, so nothing new is switched off."""
    kept = _only(
        plan, (each for each in plan.changes if each.change is Change.DISABLE and each.reason == ChangeReason.REASSERT)
    )
    return GuardedPlan(plan=kept, change=Change.DISABLE, outside_caps=True)


def _only(plan: Plan, changes: Iterable[PlannedChange]) -> Plan:
    return Plan(plan_id=plan.plan_id, changes=tuple(changes))


def second_look(intent: Intent, evidence: Evidence, now: datetime) -> GuardedChange | Withdrawn:
    """Judge a stored intent once more, on the evidence as it is right before the call.

    Clients come back while a plan waits for its turn, and an approval runs out.
    """
    if intent.change is Change.DISABLE and evidence.active:
        return Withdrawn(reason="a client of this login is active again")
    if intent.change is Change.ENABLE and not evidence.active:
        return Withdrawn(reason="no client of this login is active any more")
    if _needs_approval(intent, evidence) and not approval_runs(evidence, now):
        return Withdrawn(reason=_no_longer_approved(evidence))
    return GuardedChange(login_id=evidence.login_id, change=intent.change)


def _no_longer_approved(evidence: Evidence) -> str:
    hold = evidence.hold
    if hold is None or hold.approved_until is not None:
        return "the approval has run out"
    return "the plan was rejected" if hold.state is PlanState.REJECTED else "the plan is held"


def _needs_approval(intent: Intent, evidence: Evidence) -> bool:
    """Whatever a held plan covers, for whichever reason; not the repetition of a disable that Flinks has confirmed before.

    Nor the weekly try of what Flinks refused while the approval ran: that ended the plan's hold on it, and nobody approves it each week.
    """
    if intent.reason == ChangeReason.REASSERT:
        return False
    return evidence.hold is not None or (intent.reason == ChangeReason.APPROVED and evidence.refusal is None)
