"""From judged logins to schedule changes: total, sorted, deterministic.

| verdict     | of which                                | change                                              |
|-------------|-----------------------------------------|-----------------------------------------------------|
| leaking     | any                                     | disable (reason: the verdict's own)                 |
| quarantined | inactive, its week is over              | disable (one try; Flinks may know it again)         |
| disabled    | last confirmed before REASSERT_AFTER    | disable again (reassert)                            |
| drifted     | refreshd itself had disabled it         | enable                                              |
| all others  |                                         | none                                                |

A login with an open intent, or under a held plan that is not approved, has no place in a plan.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta

from refreshd.core.model import (
    Change,
    ChangeReason,
    Evidence,
    LoginId,
    Plan,
    PlanId,
    PlannedChange,
    Verdict,
    VerdictName,
)

_ID_DIGITS = 16


class PlanDigest:
    """The id of a plan whose changes pass by one at a time, in sorted order, so that a plan of millions needs no memory."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.count = 0

    def add(self, login_id: LoginId, change: Change) -> None:
        """Take in the next change; the caller keeps the order of LoginId."""
        self._hash.update(f"{login_id} {change}\n".encode())
        self.count += 1

    def plan_id(self) -> PlanId:
        """The first 16 hexadecimal digits of the SHA-256 over `LoginId change` lines."""
        return PlanId(self._hash.hexdigest()[:_ID_DIGITS])


def plan(changes: Iterable[PlannedChange]) -> Plan:
    """Sort changes into a plan with a stable id: equal inputs in any order give equal plans."""
    ordered = tuple(sorted(set(changes), key=lambda each: (each.login_id, each.change, each.reason)))
    digest = PlanDigest()
    for each in ordered:
        digest.add(each.login_id, each.change)
    return Plan(plan_id=digest.plan_id(), changes=ordered)


def wanted(evidence: Evidence, verdict: Verdict, now: datetime, reassert_after: timedelta) -> PlannedChange | None:
    """The schedule change that a verdict calls for, were no guard in the way."""
    if verdict.name is VerdictName.LEAKING:
        covered_by = evidence.hold.plan_id if evidence.hold and verdict.reason == ChangeReason.APPROVED else None
        return _change(evidence, Change.DISABLE, verdict.reason, covered_by)
    if verdict.name is VerdictName.QUARANTINED and not evidence.active:
        due = evidence.not_before is None or evidence.not_before <= now
        return _change(evidence, Change.DISABLE, verdict.reason) if due else None
    if verdict.name is VerdictName.DISABLED and evidence.confirmed_off_at is not None:
        old = evidence.confirmed_off_at + reassert_after <= now
        return _change(evidence, Change.DISABLE, ChangeReason.REASSERT) if old else None
    if verdict.name is VerdictName.DRIFTED and verdict.reason == ChangeReason.DISABLED_BY_REFRESHD:
        return _change(evidence, Change.ENABLE, verdict.reason)
    return None


def _change(evidence: Evidence, change: Change, reason: str, approved_by: PlanId | None = None) -> PlannedChange:
    return PlannedChange(login_id=evidence.login_id, change=change, reason=reason, approved_by=approved_by)
