"""What refreshd does next about one login, when, and what would change its verdict: the daemon's behaviour, foretold for a person.

It repeats no rule: what the judge and the planner say is read off, and put into words.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from refreshd.core import timing
from refreshd.core.evidence import approval_runs
from refreshd.core.model import Evidence, Hold, Lane, PlanState, Verdict, VerdictName
from refreshd.core.plan import ChangeReason, Intent

_BACK = "a client of it becomes active again"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutineTimes:
    """When the routine that is due now began, when the next one begins, and when this login last had its turn."""

    began: datetime
    following: datetime
    done_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """`at` not later than now: as soon as the budget allows. None: it waits for a person."""

    action: str
    at: datetime | None
    turning: str


def outlook(
    evidence: Evidence,
    verdict: Verdict,
    intent: Intent | None,
    routine: RoutineTimes,
    *,
    now: datetime,
    reassert_after: timedelta,
) -> Outlook:
    """What comes next for a login that stands so."""
    if intent is not None:
        return _under_way(evidence, intent, now)
    if evidence.active:
        return _active(evidence, verdict, routine, now)
    return _inactive(evidence, verdict, now, reassert_after)


def _under_way(evidence: Evidence, intent: Intent, now: datetime) -> Outlook:
    tries = f", after {evidence.attempts} fruitless rounds" if evidence.attempts else ""
    return Outlook(
        action=f"{intent.change} it at Flinks; plan {intent.plan_id} wants it{tries}",
        at=_later(evidence.not_before, now),
        turning="Flinks confirms the change, or the login changes sides before it is sent",
    )


def _inactive(evidence: Evidence, verdict: Verdict, now: datetime, reassert_after: timedelta) -> Outlook:
    hold, off_at = evidence.hold, evidence.confirmed_off_at
    if verdict.name is VerdictName.HELD and hold is not None:
        action = _nothing_until_approved(hold)
        return Outlook(action=action, at=None, turning=f"the plan is approved, or {_BACK}")
    if verdict.name is VerdictName.DISABLED and off_at is not None:
        return Outlook(
            action="send the disable again, because a flag can come back unseen; never an Authorize",
            at=_later(off_at + reassert_after, now),
            turning=f"Flinks reports it as on again, or {_BACK}",
        )
    approved = approval_runs(evidence, now) and verdict.reason == ChangeReason.APPROVED
    action = "disable it at Flinks" + (", as approved" if approved else ", if the guard lets the next plan through")
    return Outlook(
        action=action, at=_later(evidence.not_before, now), turning=f"Flinks confirms that it is off, or {_BACK}"
    )


def _active(evidence: Evidence, verdict: Verdict, routine: RoutineTimes, now: datetime) -> Outlook:
    hold = evidence.hold
    if verdict.name is VerdictName.DRIFTED and verdict.reason == ChangeReason.DISABLED_BY_REFRESHD:
        if hold is not None and not approval_runs(evidence, now):
            turning = "the plan is approved, or its last client leaves again"
            return Outlook(action=_nothing_until_approved(hold), at=None, turning=turning)
        return Outlook(
            action="enable it at Flinks",
            at=_later(evidence.not_before, now),
            turning="Flinks confirms that it is on, or its last client leaves again",
        )
    last = " (in the last class of the routine)" if verdict.lane is Lane.REST else ""
    return Outlook(
        action=f"the routine's cached Authorize{last}",
        at=_authorize_at(evidence, routine, now),
        turning=_turning(verdict),
    )


def _nothing_until_approved(hold: Hold) -> str:
    said = "somebody rejected its plan; " if hold.state is PlanState.REJECTED else ""
    return f"{said}nothing, until somebody runs `refreshd approve {hold.plan_id}`"


_ACTIVE_TURNS = {
    VerdictName.UNSEEN: "Flinks' first answer about it",
    VerdictName.FAILED: "a good refresh, at the latest when Flinks tries again at night",
    VerdictName.RECONNECT: "its user connects again in Flinks Connect; the next Authorize notices it",
    VerdictName.STALE: "Flinks reports a new refresh, or an error that says why there is none",
    VerdictName.DRIFTED: "scheduled refresh is switched on again at Flinks",
    VerdictName.QUARANTINED: "Flinks answers about it again; an operator should look why it does not",
}


def _turning(verdict: Verdict) -> str:
    if verdict.name is not VerdictName.FRESH:
        return _ACTIVE_TURNS[verdict.name]
    return "a failed refresh, no new refresh for too long, silence from Flinks, or its last client leaves"


def _authorize_at(evidence: Evidence, routine: RoutineTimes, now: datetime) -> datetime:
    """Now while its turn in the present routine is still to come; never in the vendor's night."""
    done = routine.done_at is not None and routine.done_at >= routine.began
    at = routine.following if done else max(now, evidence.not_before or now)
    if timing.in_vendor_window(at):
        at = timing.latest_window_end(at) + timedelta(days=1)
    return at


def _later(moment: datetime | None, now: datetime) -> datetime:
    return now if moment is None else max(moment, now)
