"""Values that the daemon hands to metrics and page, and a day in which everything happens once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

from prometheus_client import CollectorRegistry

from refreshd.core import conversation as conversations
from refreshd.core.caps import GuardPolicy, HoldReason, Withheld
from refreshd.core.conversation import Conversation, Terms
from refreshd.core.effects import ChangeFailed, Confirmed, Refused
from refreshd.core.forecast import RoutineOutcome
from refreshd.core.guard import GuardedChange
from refreshd.core.model import (
    CallTrace,
    Change,
    Credential,
    Disposition,
    FetchDepth,
    LoginId,
    Operation,
    PassId,
    PlanId,
    PlanState,
    VerdictName,
)
from refreshd.core.plan import HeldPlan, Weighed
from refreshd.core.totals import LedgerTotals, RefreshValue
from refreshd.core.turn import Turn
from refreshd.health import Condition
from refreshd.ledger.totals import NAMED_INSTITUTIONS
from refreshd.metrics import Metrics, MetricsPolicy, PassFailure, Prospects, operations_used
from refreshd.ports import PassRecord

NOW = datetime(2026, 3, 2, 16, 0, tzinfo=UTC)
LOGIN = LoginId(UUID("5d1ff4b2-8c39-4a7b-9d5e-2f6a1b0c7e11"))
DEFAULT_TERMS = Terms(mints_tokens=True, fetch=FetchDepth.OFF, schedule_credential=Credential.API_KEY)
RICHEST_TERMS = Terms(mints_tokens=True, fetch=FetchDepth.DETAIL, schedule_credential=Credential.AUTHORIZE_TOKEN)


class SettledTurn(NamedTuple):
    conversation: Conversation
    turn: Turn


def policy(terms: Terms = DEFAULT_TERMS, *, manual_refresh: bool = False) -> MetricsPolicy:
    return MetricsPolicy(
        stale_after_seconds=36 * 3600,
        pass_interval_seconds=60,
        guard=GuardPolicy(max_fraction=0.1, max_count=500),
        rate_per_minute=30,
        observe=False,
        cost_per_login_day=0.25,
        operations=operations_used(terms, manual_refresh=manual_refresh),
    )


def metrics(terms: Terms = DEFAULT_TERMS, *, manual_refresh: bool = False) -> Metrics:
    return Metrics(version="1.2.3", revision="0f" * 20, policy=policy(terms, manual_refresh=manual_refresh))


def totals() -> LedgerTotals:
    """A ledger of 400 logins with a bit of every trouble."""
    return LedgerTotals(
        counted_at=NOW,
        by_verdict=MappingProxyType(
            {
                VerdictName.FRESH: 231,
                VerdictName.DISABLED: 84,
                VerdictName.RECONNECT: 41,
                VerdictName.FAILED: 17,
                VerdictName.HELD: 12,
                VerdictName.STALE: 6,
                VerdictName.LEAKING: 3,
                VerdictName.UNSEEN: 3,
                VerdictName.DRIFTED: 2,
                VerdictName.QUARANTINED: 1,
            }
        ),
        stale=MappingProxyType({VerdictName.STALE: 6, VerdictName.RECONNECT: 38, VerdictName.UNSEEN: 3}),
        failed=MappingProxyType(
            {
                ("INVALID_PASSWORD", Disposition.NEEDS_CLIENT): 41,
                ("BANK_MAINTENANCE_RETRY_LATER", Disposition.VENDOR_RETRIES): 16,
                ("A_CODE_OF_TOMORROW", Disposition.UNKNOWN): 1,
            }
        ),
        active_by_age=MappingProxyType({"lt_1d": 231, "1d_2d": 20, "ge_7d": 49}),
        inactive_by_schedule=MappingProxyType({"enabled": 15, "disabled": 84}),
        ineligible=MappingProxyType({"active": 55, "inactive": 2, "absent": 1}),
        leaking_login_days=7.5,
        saved_login_days=2100.0,
        by_institution=MappingProxyType(
            {
                ("FlinksCapital", RefreshValue.SUCCEEDING): 150,
                ("FlinksCapital", RefreshValue.NEVER): 4,
                ("Caisse d'épargne n° 7 <script>", RefreshValue.FAILING): 40,
                (None, RefreshValue.NEVER): 9,
            }
        ),
        oldest_refresh_at=NOW - timedelta(days=40),
        oldest_leak_at=NOW - timedelta(days=2),
        held=12,
        backlog=3,
        reported_at=NOW - timedelta(minutes=9),
        succeeded_at=NOW - timedelta(seconds=40),
    )


def widest_totals() -> LedgerTotals:
    """As many institutions as are told apart, each with every kind of login."""
    names = [f"Institution {number}" for number in range(NAMED_INSTITUTIONS)]
    counts = {(name, value): 5 for name in (*names, None) for value in RefreshValue}
    return replace(totals(), by_institution=MappingProxyType(counts))


def prospects() -> Prospects:
    """A routine that will be over an hour too late."""
    return Prospects(
        lapsing={"1d": 2, "2d": 5, "3d": 9},
        routine=RoutineOutcome(
            remaining=120, ends_at=NOW + timedelta(hours=13), deadline=NOW + timedelta(hours=12), lapsing=3
        ),
        counted_again_in_seconds=15.0,
    )


class Pool:
    """A pool of seven connections, three of them open."""

    most, idle, in_use = 7, 1, 2


def trace(
    operation: Operation = Operation.AUTHORIZE, status: int | None = 200, failure: str | None = None
) -> CallTrace:
    return CallTrace(
        called_at=NOW,
        operation=operation,
        method="POST",
        url="https://flinks.example/v3/x",
        body=None,
        login_id=LOGIN,
        http_status=status,
        flinks_code=None,
        message=None,
        request_id="a-request-id",
        latency_seconds=0.3,
        attempt=1,
        pass_id=PassId(77),
        failure=failure,
    )


WEIGHED = Weighed(
    logins=400,
    active=338,
    not_confirmed_off=400,
    changed_in_window=0,
    accepted_active=338,
    max_fraction=0.1,
    max_count=500,
)


def withheld(reason: HoldReason = HoldReason.FIRST_PLAN) -> Withheld:
    return Withheld(reason=reason, sentence="no plan of this ledger was ever approved", allowance=5, weighed=WEIGHED)


def pass_record(failure: str | None = None) -> PassRecord:
    return PassRecord(
        pass_id=PassId(77),
        started_at=NOW - timedelta(seconds=2),
        finished_at=NOW,
        judged=400,
        intended=3,
        held=12,
        withheld=(withheld(),),
        phase_seconds={"judge": 1.5, "guard": 0.2, "apply": 0.1, "record": 0.05},
        failure=failure,
    )


def held_plan(state: PlanState = PlanState.HELD, plan_id: str = "9f31c6d2a7e0") -> HeldPlan:
    approved = state is PlanState.APPROVED
    return HeldPlan(
        plan_id=PlanId(plan_id),
        change=Change.DISABLE,
        state=state,
        held_at=NOW - timedelta(hours=3),
        reason=HoldReason.FRACTION.value,
        sentence="would disable 62 of 400 logins; at most 40 a day go without approval",
        logins=62,
        remaining=58 if approved else 62,
        allowance=40,
        weighed=WEIGHED,
        approved_at=NOW - timedelta(hours=1) if approved else None,
        approved_until=NOW + timedelta(hours=23) if approved else None,
        approval_reason="the March clean-up" if approved else None,
    )


def change(kind: Change = Change.DISABLE) -> Conversation:
    guarded = GuardedChange(login_id=LOGIN, change=kind)
    return conversations.set_schedule(guarded, DEFAULT_TERMS, attempts=0)


def confirmed(kind: Change = Change.DISABLE) -> Confirmed:
    return Confirmed(login_id=LOGIN, change=kind, confirmed_at=NOW)


def change_failed(kind: Change = Change.DISABLE) -> ChangeFailed:
    return ChangeFailed(
        login_id=LOGIN, change=kind, failed_at=NOW, error="timed out", code=None, attempts=1, not_before=NOW
    )


def refused() -> Refused:
    return Refused(login_id=LOGIN, refused_at=NOW, code="INVALID_LOGIN", not_before=NOW + timedelta(days=7))


def everything_happens(shown: Metrics) -> None:
    """Every hook is called, so that every metric that can move has moved."""
    shown.set_database_up(is_up=True)
    shown.on_notify_path(0.01)
    shown.set_conditions(dict.fromkeys(Condition, True))
    shown.lead()
    shown.on_pass_failed(PassFailure.DATABASE, at=NOW)
    shown.on_pass(pass_record())
    shown.on_pass_started()
    shown.publish(totals(), prospects())
    shown.on_call(trace())
    shown.on_call(trace(status=None, failure="timeout"))
    trying = change()
    again = conversations.Conversation(
        kind=trying.kind, step=trying.step, terms=trying.terms, login_id=LOGIN, change=trying.change, tries=2
    )
    shown.on_settled(SettledTurn(trying, Turn(effects=(change_failed(),), following=again)))
    shown.on_settled(SettledTurn(again, Turn(effects=(confirmed(),))))
    shown.set_breaker(is_open=True)
    shown.set_paused(is_paused=False)
    shown.waited(2.0)
    shown.on_lag(0.03)
    shown.on_log("warning")
    shown.on_task_failed("passes")
    shown.set_schema(version=1, expected=1)
    shown.set_pool(Pool())
    shown.on_config_loaded(at=NOW)
    shown.on_config_refused()
    shown.follow_policy(policy())
    shown.set_clock_skew(0.2)
    shown.database.waited(0.002)
    shown.database.ran("COMMIT;", 0.2, failed=True)


Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def series(registry: CollectorRegistry) -> Series:
    """Every sample of a scrape."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in registry.collect()
        for sample in family.samples
    }


def value(shown: Metrics, name: str, **labels: str) -> float | None:
    return shown.registry.get_sample_value(name, labels)
