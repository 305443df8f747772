"""A plan and its life: the changes that follow from the evidence, what the guard weighed them by, and what is stored of them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from refreshd.core.model import Change, LoginId, PlanId, PlanState


class ChangeReason(StrEnum):
    """The reasons of a change that other rooms look for; every other reason is the verdict's own word."""

    APPROVED = "approved"
    REASSERT = "reassert"
    DISABLED_BY_REFRESHD = "disabled_by_refreshd"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedChange:
    """One schedule change that follows from the evidence; `approved_by` names the approved plan that covers it."""

    login_id: LoginId
    change: Change
    reason: str
    approved_by: PlanId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Schedule changes, sorted by LoginId and change; `plan_id` is the hash of those pairs."""

    plan_id: PlanId
    changes: tuple[PlannedChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A change that the guard admitted and the ledger remembers, until Flinks has confirmed it or it is withdrawn."""

    change_id: int
    change: Change
    reason: str
    plan_id: PlanId
    intended_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanTotals:
    """What the guard weighs a plan against, counted by the ledger.

    The `*_waiting` are candidates no plan covers yet; `*_in_window` are the distinct logins changed without approval in the last 24 h,
    or about to be;
    `accepted_active` is the number of active logins when totals were last accepted, None on a ledger that never had any.
    """

    logins: int
    active: int
    not_confirmed_off: int
    disables_waiting: int
    enables_waiting: int
    disables_in_window: int
    enables_in_window: int
    accepted_active: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """The numbers by which the guard judged a plan: the ledger as it was then, and the operator's caps."""

    logins: int
    active: int
    not_confirmed_off: int
    changed_in_window: int
    accepted_active: int | None
    max_fraction: float
    max_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPlan:
    """A plan that the guard withheld, as `refreshd plans` lists it; `remaining` counts members still covered by it."""

    plan_id: PlanId
    change: Change
    state: PlanState
    held_at: datetime
    reason: str
    sentence: str
    logins: int
    remaining: int
    allowance: int
    weighed: Weighed
    approved_at: datetime | None = None
    approved_until: datetime | None = None
    approval_reason: str | None = None
    rejected_at: datetime | None = None
    rejection_reason: str | None = None
