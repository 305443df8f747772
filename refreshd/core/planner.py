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
from itertools import groupby

from refreshd.core.evidence import approval_runs
from refreshd.core.model import Change, Evidence, LoginId, PlanId, Verdict, VerdictName
from refreshd.core.plan import ChangeReason, Plan, PlannedChange

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
    """Sort changes into a plan with a stable id: equal inputs in any order, repeated or not, give equal plans."""
    ordered = sorted(changes, key=lambda each: (each.login_id, each.change, each.reason, each.approved_by or ""))
    once = tuple(next(same) for _, same in groupby(ordered, key=lambda each: (each.login_id, each.change)))
    digest = PlanDigest()
    for each in once:
        digest.add(each.login_id, each.change)
    return Plan(plan_id=digest.plan_id(), changes=once)


def wanted(evidence: Evidence, verdict: Verdict, now: datetime, reassert_after: timedelta) -> PlannedChange | None:
    """The schedule change that a verdict on this evidence calls for; None for a login without an open intent that needs none.

    A reassertion repeats what Flinks has confirmed before, so a held plan does not keep it back.
    """
    if verdict.name is VerdictName.DISABLED and evidence.confirmed_off_at is not None:
        old = evidence.confirmed_off_at + reassert_after <= now
        return (
            PlannedChange(login_id=evidence.login_id, change=Change.DISABLE, reason=ChangeReason.REASSERT)
            if old
            else None
        )
    change = _called_for(evidence, verdict, now)
    hold = evidence.hold
    if change is None or (hold is not None and not approval_runs(evidence, now)):
        return None
    covered_by = hold.plan_id if hold else None
    return PlannedChange(login_id=evidence.login_id, change=change, reason=verdict.reason, approved_by=covered_by)


def _called_for(evidence: Evidence, verdict: Verdict, now: datetime) -> Change | None:
    if evidence.active:
        drifted_by_us = verdict.name is VerdictName.DRIFTED and verdict.reason == ChangeReason.DISABLED_BY_REFRESHD
        return Change.ENABLE if drifted_by_us else None
    if verdict.name is VerdictName.LEAKING:
        return Change.DISABLE
    week_is_over = evidence.not_before is None or evidence.not_before <= now
    return Change.DISABLE if verdict.name is VerdictName.QUARANTINED and week_is_over else None
