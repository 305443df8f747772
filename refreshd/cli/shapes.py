"""What `--json` writes of each value: names that other programs rely on. Adding one is safe, renaming one is not."""

from dataclasses import asdict

from refreshd.core import codes
from refreshd.core.evidence import seen_at
from refreshd.core.fate import Decision, Moved
from refreshd.core.model import CallTrace, Pause
from refreshd.core.plan import HeldPlan
from refreshd.core.undo import Undo
from refreshd.reading import Leader, Orphan, ScheduleEvent, StoredLogin, StoredPass


def login_as_json(each: StoredLogin) -> dict[str, object]:
    evidence = each.evidence
    return {
        "login_id": evidence.login_id,
        "verdict": each.verdict,
        "reason": each.reason,
        "since": each.verdict_since,
        "active": evidence.active,
        "inactive_since": evidence.inactive_since,
        "stale": each.stale,
        "institution": evidence.institution,
        "error_code": each.error_code,
        "disposition": each.disposition,
        "advice": codes.meaning_of(each.code).advice if each.code else None,
        "scheduled_refresh": evidence.flag,
        "refreshed_at": evidence.refreshed_at,
        "seen_at": seen_at(evidence),
        "confirmed_off_at": evidence.confirmed_off_at,
    }


def refused_as_json(each: StoredLogin) -> dict[str, object]:
    return {
        "login_id": each.evidence.login_id,
        "active": each.evidence.active,
        "since": each.verdict_since,
        "reason": each.reason,
        "code": each.code,
        "not_before": each.evidence.not_before,
    }


def plan_as_json(held: HeldPlan) -> dict[str, object]:
    return {
        "plan_id": held.plan_id,
        "change": held.change,
        "state": held.state,
        "held_at": held.held_at,
        "reason": held.reason,
        "sentence": held.sentence,
        "logins": held.logins,
        "remaining": held.remaining,
        "allowance": held.allowance,
        "weighed": asdict(held.weighed),
        "approved_at": held.approved_at,
        "approved_until": held.approved_until,
        "approval_reason": held.approval_reason,
        "rejected_at": held.rejected_at,
        "rejection_reason": held.rejection_reason,
    }


def moved_as_json(each: Moved) -> dict[str, object]:
    return {"name": each.name, "then": each.then, "now": each.now}


def undo_as_json(undo: Undo) -> dict[str, object]:
    return {"asked_at": undo.asked_at, "taken_up_at": undo.planned_at, "plan_id": undo.plan_id}


def decision_as_json(each: Decision) -> dict[str, object]:
    return {"at": each.at, "decided_by": each.decided_by, "decision": each.decision, "reason": each.reason}


def pause_as_json(pause: Pause | None) -> dict[str, object] | None:
    if pause is None:
        return None
    return {"paused_at": pause.paused_at, "paused_by": pause.paused_by, "reason": pause.reason}


def call_as_json(call: CallTrace) -> dict[str, object]:
    return {
        "called_at": call.called_at,
        "operation": call.operation,
        "http_status": call.http_status,
        "flinks_code": call.flinks_code,
        "message": call.message,
        "request_id": call.request_id,
        "latency_seconds": call.latency_seconds,
        "attempt": call.attempt,
        "failure": call.failure,
    }


def event_as_json(event: ScheduleEvent) -> dict[str, object]:
    return {
        "at": event.at,
        "change": event.change,
        "event": event.event,
        "reason": event.reason,
        "plan_id": event.plan_id,
        "code": event.code,
        "detail": event.detail,
    }


def leader_as_json(leader: Leader | None) -> dict[str, object] | None:
    if leader is None:
        return None
    return {"holder": leader.holder, "term": leader.term, "acquired_at": leader.acquired_at, "held": leader.held}


def pass_as_json(each: StoredPass) -> dict[str, object]:
    return {
        "pass_id": each.pass_id,
        "started_at": each.started_at,
        "finished_at": each.finished_at,
        "judged": each.judged,
        "intended": each.intended,
        "held": each.held,
        "failure": each.failure,
    }


def orphan_as_json(each: Orphan) -> dict[str, object]:
    return {
        "login_id": each.login_id,
        "first_reported_at": each.first_reported_at,
        "state": each.state,
        "code": each.code,
    }
