"""Pure filters over a finished plan: what may be done now, what is withheld, and why.

Only this module makes a `GuardedPlan` or a `GuardedChange`, and only those can be stored as intents or sent: the write gate is a type
(`tests/test_architecture.py` looks for any other place that makes one). Nothing is dropped silently: what is not admitted comes back
as `Withheld` or `Withdrawn`, with a sentence for the operator.

How much may be disabled without a person (design section 6, rule 4):

| ledger                                                      | a plan of N disables                         |
|-------------------------------------------------------------|----------------------------------------------|
| totals never accepted                                       | held: first_plan                             |
| no active login at all                                      | held: empty_ledger                           |
| fewer than half of the active logins last accepted          | held: shrunk_ledger                          |
| N + disabled in 24 h > min(count, max(5, fraction x not off)) | held as a whole: count or fraction         |
| else                                                        | admitted                                     |

A plan of more than 20 that is admitted or approved begins with five of them (`core.canary`); one answer of Flinks that is not as
expected, and the rest is held: canary.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice

from refreshd.core import canary
from refreshd.core.canary import PlanUnderWay
from refreshd.core.evidence import approval_runs
from refreshd.core.model import Change, Evidence, LoginId, PlanId, PlanState
from refreshd.core.plan import ChangeReason, Intent, Plan, PlannedChange, PlanTotals, Weighed

ALWAYS_ALLOWED = 5
"""A ledger so small that the fraction rounds to nothing may still lose this many logins a day."""

WINDOW = timedelta(hours=24)
"""The caps count over this span, and an approval lasts as long."""


class HoldReason(StrEnum):
    """Why a plan waits for `refreshd approve`; label values of `refreshd_guard_holds_total`."""

    FIRST_PLAN = "first_plan"
    EMPTY_LEDGER = "empty_ledger"
    SHRUNK_LEDGER = "shrunk_ledger"
    COUNT = "count"
    FRACTION = "fraction"
    CANARY = "canary"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardPolicy:
    """The operator's caps: `REFRESHD_MAX_DISABLE_FRACTION` (0 to 1) and `REFRESHD_MAX_DISABLE_COUNT`."""

    max_fraction: float
    max_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedPlan:
    """A plan that may be stored as intents. `outside_caps`: a person, or an earlier confirmation, has answered for it.

    `canary`: the rest of the stored plan waits for what Flinks says about these.
    """

    plan: Plan
    change: Change
    outside_caps: bool
    canary: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmittedPlan:
    """A plan within the caps, large enough to begin with a canary: it is stored, and carried out as an approved one is."""

    plan_id: PlanId
    change: Change
    logins: int
    sentence: str
    allowance: int
    weighed: Weighed


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedChange:
    """One change that may be sent now."""

    login_id: LoginId
    change: Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    """Why a plan may not go ahead by itself; `allowance` is what the caps would let through in 24 h, `weighed` what spoke for it."""

    reason: HoldReason
    sentence: str
    allowance: int
    weighed: Weighed


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """Why a stored intent is not sent after all."""

    reason: str


def allowance(policy: GuardPolicy, logins: int) -> int:
    """How many of `logins` may change in 24 h without approval."""
    return min(policy.max_count, max(ALWAYS_ALLOWED, int(policy.max_fraction * logins)))


def weigh(change: Change, totals: PlanTotals, policy: GuardPolicy) -> Withheld | None:
    """Judge all waiting changes of one kind together; None lets them through."""
    return _weigh(change, _waiting(change, totals), totals, policy)


def _weigh(change: Change, waiting: int, totals: PlanTotals, policy: GuardPolicy) -> Withheld | None:
    if not waiting:
        return None
    doubt = _implausible(totals) if change is Change.DISABLE else None
    doubt = doubt or _beyond_caps(change, waiting, totals, policy)
    if doubt is None:
        return None
    reason, sentence = doubt
    limit = allowance(policy, totals.not_confirmed_off)
    return Withheld(reason=reason, sentence=sentence, allowance=limit, weighed=weighed(change, totals, policy))


def weighed(change: Change, totals: PlanTotals, policy: GuardPolicy) -> Weighed:
    """The numbers of this moment by which a plan of such changes is judged."""
    return Weighed(
        logins=totals.logins,
        active=totals.active,
        not_confirmed_off=totals.not_confirmed_off,
        changed_in_window=_changed(change, totals),
        accepted_active=totals.accepted_active,
        max_fraction=policy.max_fraction,
        max_count=policy.max_count,
    )


def _changed(change: Change, totals: PlanTotals) -> int:
    return totals.disables_in_window if change is Change.DISABLE else totals.enables_in_window


def _waiting(change: Change, totals: PlanTotals) -> int:
    return totals.disables_waiting if change is Change.DISABLE else totals.enables_waiting


def _implausible(totals: PlanTotals) -> tuple[HoldReason, str] | None:
    if totals.accepted_active is None:
        sentence = "no plan of this ledger was ever approved; look at this first one before anything is disabled"
        return HoldReason.FIRST_PLAN, sentence
    if totals.active == 0:
        sentence = f"the ledger has {totals.logins} logins and not one of them is active; is the client list complete?"
        return HoldReason.EMPTY_LEDGER, sentence
    if totals.active * 2 < totals.accepted_active:
        sentence = f"active logins fell from {totals.accepted_active} to {totals.active}; is the client list complete?"
        return HoldReason.SHRUNK_LEDGER, sentence
    return None


def _beyond_caps(
    change: Change, waiting: int, totals: PlanTotals, policy: GuardPolicy
) -> tuple[HoldReason, str] | None:
    limit, done = allowance(policy, totals.not_confirmed_off), _changed(change, totals)
    if waiting + done <= limit:
        return None
    before = f" after {done} in the last 24 hours" if done else ""
    sentence = f"would {change} {waiting} of {totals.logins} logins{before}; at most {limit} a day go without approval"
    return HoldReason.COUNT if limit == policy.max_count else HoldReason.FRACTION, sentence


def admit(plan: Plan, change: Change, totals: PlanTotals, policy: GuardPolicy) -> GuardedPlan | Withheld:
    """Let a plan of one kind of change through, or withhold the whole of it.

    The plan may be a first slice of what waits; it is weighed with all that waits. Where it holds more than was counted (a client
    list may have been loaded in between), it is weighed with what it holds.
    """
    kept = _only(plan, (each for each in plan.changes if each.change is change))
    withheld = _weigh(change, max(_waiting(change, totals), len(kept.changes)), totals, policy)
    if withheld:
        return withheld
    return GuardedPlan(plan=kept, change=change, outside_caps=False)


def admit_whole(
    plan_id: PlanId, logins: int, change: Change, totals: PlanTotals, policy: GuardPolicy
) -> AdmittedPlan | Withheld:
    """Let all that waits through as one plan with a canary, or withhold it."""
    withheld = _weigh(change, max(_waiting(change, totals), logins), totals, policy)
    if withheld:
        return withheld
    sentence = f"within the caps; {canary.CANARIES} begin, and the rest of {logins} goes when Flinks has confirmed these as expected"
    return AdmittedPlan(
        plan_id=plan_id,
        change=change,
        logins=logins,
        sentence=sentence,
        allowance=allowance(policy, totals.not_confirmed_off),
        weighed=weighed(change, totals, policy),
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
        allowance=allowance(policy, totals.not_confirmed_off),
        weighed=weighed(change, totals, policy),
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
    rejected = evidence.hold is not None and evidence.hold.state is PlanState.REJECTED
    return "the plan was rejected" if rejected else "the approval has run out"


def _needs_approval(intent: Intent, evidence: Evidence) -> bool:
    """Whatever a held plan covers, for whichever reason; not the repetition of a disable that Flinks has confirmed before.

    Nor the weekly try of what Flinks refused while the approval ran: that ended the plan's hold on it, and nobody approves it each week.
    """
    if intent.reason == ChangeReason.REASSERT:
        return False
    return evidence.hold is not None or (intent.reason == ChangeReason.APPROVED and evidence.refusal is None)
