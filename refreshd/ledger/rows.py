"""Rows of the ledger become values of the core, and values become the columns of one statement."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from refreshd.core.canary import CanaryAnswers
from refreshd.core.model import (
    Answer,
    CallTrace,
    Change,
    Evidence,
    Flag,
    Hold,
    Listing,
    LoginId,
    PlanId,
    PlanState,
    Refusal,
    ReportCard,
    Verdict,
)
from refreshd.core.plan import Intent, PlannedChange, Weighed
from refreshd.core.standing import InstitutionState, Standing
from refreshd.ports import DueChange, DueLogin
from refreshd.postgres import Record

T = TypeVar("T")


def evidence(row: Record) -> Evidence:
    """All that the ledger knows of one login (the view `login_evidence`)."""
    return Evidence(
        login_id=LoginId(row["login_id"]),
        active=row["active"],
        known_since=row["created_at"],
        inactive_since=row["inactive_since"],
        flag=Flag(row["flag"]),
        flag_seen_at=row["flag_seen_at"],
        refreshed_at=row["refreshed_at"],
        institution=row["institution"],
        answer=_answer(row),
        cached_call_at=row["cached_call_at"],
        listing=_listing(row),
        confirmed_off_at=row["confirmed_off_at"],
        maybe_off_since=row["maybe_off_since"],
        hold=_hold(row),
        refusal=_refusal(row),
        standing=None if row["bank_state"] is None else standing(row),
        attempts=row["attempts"],
        not_before=row["not_before"],
        version=row["evidence_version"],
    )


def standing(row: Record) -> Standing:
    """How an institution stands."""
    return Standing(
        institution=row["institution"],
        state=InstitutionState(row["bank_state"]),
        since=row["bank_since"],
        proved_at=row["proved_at"],
        night=row["night"],
        refreshed=row["refreshed"],
        failed=row["failed"],
        blaming_users=row["blaming_users"],
        probe=row["probe_login_id"],
    )


def _answer(row: Record) -> Answer | None:
    answered_at = row["answered_at"]
    return None if answered_at is None else Answer(answered_at=answered_at, code=row["answer_code"])


def _listing(row: Record) -> Listing | None:
    reported_at = row["reported_at"]
    if reported_at is None:
        return None
    return Listing(
        reported_at=reported_at,
        attempted_at=row["listed_attempt_at"],
        state=row["listed_state"],
        code=row["listed_code"],
    )


def _hold(row: Record) -> Hold | None:
    plan_id = row["plan_id"]
    if plan_id is None:
        return None
    return Hold(plan_id=PlanId(plan_id), approved_until=row["approved_until"], state=PlanState(row["plan_state"]))


def _refusal(row: Record) -> Refusal | None:
    refused_at = row["refused_at"]
    return None if refused_at is None else Refusal(refused_at=refused_at, code=row["refused_code"])


def intent(row: Record) -> Intent:
    """The open intent of a login that has one."""
    return Intent(
        change_id=row["intent_id"],
        change=Change(row["intent"]),
        reason=row["intent_reason"],
        plan_id=PlanId(row["intent_plan_id"]),
        intended_at=row["intended_at"],
    )


def due_change(row: Record) -> DueChange:
    return DueChange(intent=intent(row), evidence=evidence(row))


def due_login(row: Record) -> DueLogin:
    """The routine of a login, whatever becomes of a change that it waits for as well."""
    found = replace(evidence(row), attempts=row["routine_attempts"], not_before=row["routine_not_before"])
    return DueLogin(evidence=found, fetched_refresh_at=row["fetched_refresh_at"])


def planned(row: Record, change: Change) -> PlannedChange:
    return PlannedChange(login_id=LoginId(row["login_id"]), change=change, reason=row["reason"])


def approved(row: Record, change: Change) -> PlannedChange:
    return PlannedChange(
        login_id=LoginId(row["login_id"]), change=change, reason=row["reason"], approved_by=PlanId(row["plan_id"])
    )


def canary_answers(row: Record) -> CanaryAnswers:
    words = [each for each in (row["code"], row["detail"]) if each]
    return CanaryAnswers(
        open=row["open"], expected=row["expected"], unexpected=row["unexpected"], said=": ".join(words) or None
    )


def verdict_columns(verdicts: Sequence[Verdict]) -> dict[str, object]:
    return {
        "login_ids": [each.login_id for each in verdicts],
        "versions": [each.version for each in verdicts],
        "names": [each.name.value for each in verdicts],
        "reasons": [str(each.reason) for each in verdicts],
        "untils": [each.until for each in verdicts],
        "lanes": [each.lane and each.lane.value for each in verdicts],
        "stales": [each.stale for each in verdicts],
        "error_codes": [storable(each.error_code) for each in verdicts],
        "dispositions": [each.disposition and each.disposition.value for each in verdicts],
    }


def weighed_columns(weighed: Weighed) -> dict[str, object]:
    return {
        "ledger_logins": weighed.logins,
        "ledger_active": weighed.active,
        "not_confirmed_off": weighed.not_confirmed_off,
        "changed_in_window": weighed.changed_in_window,
        "accepted_active": weighed.accepted_active,
        "max_fraction": weighed.max_fraction,
        "max_count": weighed.max_count,
    }


def card_columns(cards: Sequence[ReportCard]) -> dict[str, object]:
    return {
        "login_ids": [each.login_id for each in cards],
        "attempted_ats": [each.attempted_at for each in cards],
        "states": [storable(each.state) for each in cards],
        "codes": [storable(each.code) for each in cards],
    }


def trace_columns(traces: Sequence[CallTrace]) -> dict[str, object]:
    return {
        "called_ats": [each.called_at for each in traces],
        "operations": [each.operation.value for each in traces],
        "methods": [each.method for each in traces],
        "urls": [storable(each.url) for each in traces],
        "bodies": [None if each.body is None else json.dumps(dict(each.body)) for each in traces],
        "login_ids": [each.login_id for each in traces],
        "http_statuses": [each.http_status for each in traces],
        "flinks_codes": [storable(each.flinks_code) for each in traces],
        "messages": [storable(each.message) for each in traces],
        "request_ids": [storable(each.request_id) for each in traces],
        "latencies": [each.latency_seconds for each in traces],
        "attempts": [each.attempt for each in traces],
        "pass_ids": [each.pass_id for each in traces],
        "failures": [each.failure for each in traces],
    }


def storable(text: str | None) -> str | None:
    """Foreign text as Postgres can keep it: no NUL, and nothing that is no UTF-8."""
    return text and text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def of_kind(kind: type[T], values: Iterable[object]) -> list[T]:
    """The values of one class, in their order."""
    return [each for each in values if isinstance(each, kind)]
