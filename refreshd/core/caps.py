"""How much may be changed at Flinks without a person, and why a plan is withheld.

How much may be disabled without a person (design section 6, rule 4):

| ledger                                                      | a plan of N disables                         |
|-------------------------------------------------------------|----------------------------------------------|
| totals never accepted                                       | held: first_plan                             |
| no active login at all                                      | held: empty_ledger                           |
| fewer than half of the active logins last accepted          | held: shrunk_ledger                          |
| N + disabled in 24 h > min(count, max(5, fraction x not off)) | held as a whole: count or fraction         |
| else                                                        | goes by itself                               |

Enables have the same caps, and nothing else speaks against them: at worst they cost money.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from refreshd.core.model import Change, PlanId, PlanState
from refreshd.core.plan import HeldPlan, PlanTotals, Weighed

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
class Withheld:
    """Why a plan may not go ahead by itself; `allowance` is what the caps would let through in 24 h, `weighed` what spoke for it."""

    reason: HoldReason
    sentence: str
    allowance: int
    weighed: Weighed


def allowance(policy: GuardPolicy, logins: int) -> int:
    """How many of `logins` may change in 24 h without approval."""
    return min(policy.max_count, max(ALWAYS_ALLOWED, int(policy.max_fraction * logins)))


def weigh(change: Change, totals: PlanTotals, policy: GuardPolicy, *, at_least: int = 0) -> Withheld | None:
    """Judge all waiting changes of one kind together, or `at_least` so many; None lets them through."""
    waiting = max(totals.disables_waiting if change is Change.DISABLE else totals.enables_waiting, at_least)
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
    beside = (
        f", beside {done} that were {change}d in the last 24 hours or are due for another try in the next"
        if done
        else ""
    )
    sentence = f"would {change} {waiting} of {totals.logins} logins{beside}; at most {limit} a day go without approval"
    return HoldReason.COUNT if limit == policy.max_count else HoldReason.FRACTION, sentence


def held(withheld: Withheld, plan_id: PlanId, change: Change, logins: int, now: datetime) -> HeldPlan:
    """A withheld plan as it is stored, while it waits for a person."""
    return HeldPlan(
        plan_id=plan_id,
        change=change,
        state=PlanState.HELD,
        held_at=now,
        reason=withheld.reason,
        sentence=withheld.sentence,
        logins=logins,
        remaining=logins,
        allowance=withheld.allowance,
        weighed=withheld.weighed,
    )
