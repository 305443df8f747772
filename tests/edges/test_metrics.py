from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest
from prometheus_client import generate_latest
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from refreshd.core import conversation as conversations
from refreshd.core import errors
from refreshd.core.caps import HoldReason
from refreshd.core.codes import KNOWN_CODES
from refreshd.core.conversation import TRIES_IN_A_ROW, Step
from refreshd.core.errors import FlinksError
from refreshd.core.model import (
    Change,
    Credential,
    Disposition,
    FetchDepth,
    Operation,
    VerdictName,
)
from refreshd.core.turn import Turn, fail
from refreshd.health import Condition
from refreshd.metrics import Metrics, PassFailure, operations_used
from refreshd.metrics.labels import failed_labels
from tests.support import observed
from tests.support.observed import NOW, SettledTurn, metrics, series, value

LEADERS_OWN = (
    "refreshd_logins",
    "refreshd_leaking_login_seconds",
    "refreshd_active_logins",
    "refreshd_inactive_logins",
    "refreshd_stale_logins",
    "refreshd_failed_logins",
    "refreshd_ineligible_logins",
    "refreshd_oldest_refresh_timestamp_seconds",
    "refreshd_oldest_inactive_scheduled_timestamp_seconds",
    "refreshd_snapshot_timestamp_seconds",
    "refreshd_reconcile_last_phase_duration_seconds",
    "refreshd_reconcile_last_success_timestamp_seconds",
    "refreshd_reconcile_last_completion_timestamp_seconds",
    "refreshd_reconcile_next_start_timestamp_seconds",
    "refreshd_reconcile_running",
    "refreshd_disable_backlog_logins",
    "refreshd_guard_holding",
    "refreshd_guard_limit_logins",
    "refreshd_held_logins",
    "refreshd_saved_login_seconds",
    "refreshd_leaking_cost",
    "refreshd_saved_cost",
    "refreshd_institution_logins",
    "refreshd_lapsing_logins",
    "refreshd_routine_remaining_logins",
    "refreshd_routine_expected_end_timestamp_seconds",
    "refreshd_routine_deadline_timestamp_seconds",
    "refreshd_routine_lapsing_logins",
    "refreshd_snapshot_interval_seconds",
)
CONSTANT = {
    "refreshd_stale_threshold_seconds",
    "refreshd_reconcile_interval_seconds",
    "refreshd_flinks_limiter_capacity_requests",
    "refreshd_flinks_limiter_period_seconds",
    "refreshd_observe_only",
    "refreshd_build_info",
    "refreshd_cost_per_login_day",
}


def names(shown: Metrics) -> set[str]:
    return {name for name, _ in series(shown.registry)}


def openmetrics(shown: Metrics) -> str:
    encode, _ = choose_encoder("application/openmetrics-text; version=1.0.0")
    return encode(shown.registry).decode()


def leading() -> Metrics:
    shown = metrics()
    shown.lead()
    return shown


# Who shows what, and since when -------------------------------------------------------------------------------------------------------


def test_every_metric_moves_when_its_path_runs() -> None:
    shown = metrics()
    before = series(shown.registry)
    observed.everything_happens(shown)
    after = series(shown.registry)
    for family in shown.registry.collect():
        if family.name.startswith("refreshd_"):
            moved = any(before.get(key) != after[key] for key in after if key[0].startswith(family.name))
            assert moved is (family.name not in CONSTANT), family.name


def test_before_anything_is_known_the_leaders_gauges_are_absent_and_nothing_else_is_faked() -> None:
    shown = metrics()
    assert names(shown).isdisjoint({*LEADERS_OWN, "refreshd_flinks_up", "refreshd_database_up"})
    assert value(shown, "refreshd_leader") == 0


def test_a_leader_shows_no_login_gauge_before_its_first_totals() -> None:
    shown = leading()
    shown.on_pass(observed.pass_record())
    assert not {name for name in names(shown) if name.endswith("_logins")}
    shown.publish(observed.totals(), observed.prospects())
    assert set(LEADERS_OWN) <= names(shown)


def test_a_standby_exposes_none_of_the_leaders_gauges() -> None:
    shown = metrics()
    observed.everything_happens(shown)
    shown.follow()
    assert names(shown).isdisjoint(LEADERS_OWN)
    assert value(shown, "refreshd_leader") == 0


def test_totals_that_come_after_the_lease_went_are_dropped_and_old_ones_do_not_come_back_with_it() -> None:
    shown = leading()
    shown.publish(observed.totals(), observed.prospects())
    shown.follow()
    shown.publish(observed.totals(), observed.prospects())
    shown.lead()
    assert value(shown, "refreshd_logins", verdict="fresh") is None


def test_gaining_and_losing_the_lease_is_counted_and_staying_is_not() -> None:
    shown = metrics()
    for turn in (shown.follow, shown.lead, shown.lead, shown.follow):
        turn()
    assert value(shown, "refreshd_leader_transitions_total") == 2


def test_the_last_success_outlives_a_leadership_so_that_failing_passes_show() -> None:
    shown = leading()
    shown.on_pass(observed.pass_record())
    shown.follow()
    shown.lead()
    shown.on_pass_failed(PassFailure.DATABASE, at=NOW + timedelta(minutes=9))
    assert value(shown, "refreshd_reconcile_last_success_timestamp_seconds") == NOW.timestamp()
    assert value(shown, "refreshd_reconcile_last_completion_timestamp_seconds") == NOW.timestamp() + 540


# Logins -------------------------------------------------------------------------------------------------------------------------------


def test_the_logins_by_verdict_sum_to_the_ledger_and_name_every_verdict() -> None:
    shown = leading()
    totals = observed.totals()
    shown.publish(replace(totals, by_verdict={VerdictName.FRESH: 2}), observed.prospects())
    by_verdict = [value(shown, "refreshd_logins", verdict=verdict) for verdict in VerdictName]
    assert None not in by_verdict
    assert sum(number or 0 for number in by_verdict) == 2


def test_a_label_that_no_longer_occurs_goes_back_to_zero_with_the_next_totals() -> None:
    shown = leading()
    shown.publish(observed.totals(), observed.prospects())
    assert value(shown, "refreshd_active_logins", refresh_age="ge_7d") == 49
    shown.publish(replace(observed.totals(), active_by_age={}), observed.prospects())
    assert value(shown, "refreshd_active_logins", refresh_age="ge_7d") == 0


def test_the_time_that_leaks_is_exposed_in_the_base_unit() -> None:
    shown = leading()
    shown.publish(observed.totals(), observed.prospects())
    assert value(shown, "refreshd_leaking_login_seconds") == 7.5 * 86_400


def test_failed_logins_are_zero_for_every_documented_code_and_other_for_an_unknown_one() -> None:
    shown = leading()
    shown.publish(observed.totals(), observed.prospects())

    def failed(code: str, disposition: str) -> float | None:
        return value(shown, "refreshd_failed_logins", error_code=code, disposition=disposition)

    assert failed("INVALID_PASSWORD", "needs_client") == 41
    assert failed("RETRY_LATER", "vendor_retries") == 0
    assert failed("other", "unknown") == 1
    assert "A_CODE_OF_TOMORROW" not in generate_latest(shown.registry).decode()


def test_two_unknown_codes_share_one_series() -> None:
    shown = leading()
    unknown = {("NEW_A", Disposition.UNKNOWN): 2, ("NEW_B", Disposition.UNKNOWN): 3}
    shown.publish(replace(observed.totals(), failed=unknown), observed.prospects())
    assert value(shown, "refreshd_failed_logins", error_code="other", disposition="unknown") == 5


def test_the_failed_labels_are_documented_codes_that_are_about_a_refresh() -> None:
    codes = [code for code, _ in failed_labels()]
    assert len(codes) == len(set(codes)) <= 40
    assert set(codes) <= KNOWN_CODES | {"other"}
    assert not {"OK", "OPERATION_PENDING", "ACCESS_DENIED", "TOO_MANY_REQUESTS"} & set(codes)


def test_ineligible_logins_are_absent_until_a_report_was_read() -> None:
    shown = leading()
    shown.publish(replace(observed.totals(), reported_at=None), observed.prospects())
    assert "refreshd_ineligible_logins" not in names(shown)
    shown.publish(observed.totals(), observed.prospects())
    assert value(shown, "refreshd_ineligible_logins", ledger="absent") == 1


def test_the_oldest_leak_is_zero_when_there_is_none_and_the_oldest_refresh_absent() -> None:
    shown = leading()
    shown.publish(replace(observed.totals(), oldest_leak_at=None, oldest_refresh_at=None), observed.prospects())
    assert value(shown, "refreshd_oldest_inactive_scheduled_timestamp_seconds") == 0
    assert value(shown, "refreshd_oldest_refresh_timestamp_seconds") is None


# Passes and disables --------------------------------------------------------------------------------------------------------------------


def test_a_pass_moves_both_times_and_says_when_the_next_is_due() -> None:
    shown = leading()
    shown.on_pass_started()
    assert value(shown, "refreshd_reconcile_running") == 1
    shown.on_pass(observed.pass_record())
    assert value(shown, "refreshd_reconcile_running") == 0
    assert value(shown, "refreshd_reconcile_last_success_timestamp_seconds") == NOW.timestamp()
    assert value(shown, "refreshd_reconcile_next_start_timestamp_seconds") == NOW.timestamp() + 60
    assert value(shown, "refreshd_reconcile_last_phase_duration_seconds", phase="judge") == 1.5
    assert value(shown, "refreshd_reconcile_duration_seconds_sum") == pytest.approx(1.85)


def test_a_pass_that_leaves_work_is_followed_at_once() -> None:
    shown = leading()
    shown.on_pass(replace(observed.pass_record(), more=True))
    assert value(shown, "refreshd_reconcile_next_start_timestamp_seconds") == NOW.timestamp()


@pytest.mark.parametrize(("said", "reason"), [("database", "database"), ("something new", "internal")])
def test_a_recorded_failure_is_counted_by_reason_and_is_no_success(said: str, reason: str) -> None:
    shown = leading()
    shown.on_pass(observed.pass_record(failure=said))
    assert value(shown, "refreshd_reconcile_passes_total") == 1
    assert value(shown, "refreshd_reconcile_failures_total", reason=reason) == 1
    assert value(shown, "refreshd_reconcile_last_success_timestamp_seconds") is None


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (errors.LeaseLost("gone"), PassFailure.LEADERSHIP_LOST),
        (errors.LedgerUnavailable("gone"), PassFailure.DATABASE),
        (errors.SchemaMismatch("old"), PassFailure.DATABASE),
        (errors.HeldByGuard("held"), PassFailure.GUARD),
        (errors.CredentialRefused("no"), PassFailure.VENDOR_REJECTED),
        (errors.FlinksUnreadable("what"), PassFailure.VENDOR_MALFORMED),
        (errors.FlinksUnreachable("silent", reason="timeout"), PassFailure.VENDOR_UNREACHABLE),
        (KeyError("bug"), PassFailure.INTERNAL),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else str(each),
)
def test_each_error_that_ends_a_pass_has_its_reason(error: Exception, reason: PassFailure) -> None:
    assert PassFailure.of(error) is reason


@pytest.mark.parametrize("reason", HoldReason)
def test_every_hold_is_counted_by_its_reason(reason: HoldReason) -> None:
    shown = leading()
    assert value(shown, "refreshd_guard_holds_total", reason=reason) == 0
    shown.on_pass(replace(observed.pass_record(), withheld=(observed.withheld(reason),)))
    assert value(shown, "refreshd_guard_holds_total", reason=reason) == 1


def test_the_guards_gauges_follow_the_held_plan_and_the_caps() -> None:
    shown = leading()
    shown.publish(observed.totals(), observed.prospects())
    assert value(shown, "refreshd_guard_holding") == 1
    assert value(shown, "refreshd_held_logins") == 12
    assert value(shown, "refreshd_guard_limit_logins") == 31  # a tenth of the 316 that are not confirmed off
    shown.publish(replace(observed.totals(), held=0), observed.prospects())
    assert value(shown, "refreshd_guard_holding") == 0


def test_only_confirmed_disables_are_counted_as_disables() -> None:
    shown = metrics()
    shown.on_settled(SettledTurn(observed.change(), Turn(effects=(observed.confirmed(),))))
    shown.on_settled(SettledTurn(observed.change(), Turn(effects=(observed.confirmed(Change.ENABLE),))))
    shown.on_settled(SettledTurn(observed.change(), Turn(effects=(observed.change_failed(),))))
    shown.on_settled(SettledTurn(observed.change(), Turn(effects=(observed.change_failed(Change.ENABLE),))))
    assert value(shown, "refreshd_disables_total") == 1
    assert value(shown, "refreshd_disable_failures_total", reason="vendor") == 1


def test_a_disable_that_flinks_refuses_for_good_is_an_unknown_login() -> None:
    shown = metrics()
    shown.on_settled(SettledTurn(observed.change(), Turn(effects=(observed.change_failed(), observed.refused()))))
    assert value(shown, "refreshd_disable_failures_total", reason="unknown_login") == 1
    assert value(shown, "refreshd_disable_failures_total", reason="vendor") == 0


# Calls ----------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code"), [(200, "200"), (203, "203"), (418, "4xx"), (502, "5xx"), (301, "other"), (None, "error")]
)
def test_a_call_is_counted_by_operation_and_bounded_status(status: int | None, code: str) -> None:
    shown = metrics()
    shown.on_call(observed.trace(status=status))
    assert value(shown, "refreshd_flinks_requests_total", operation="authorize", code=code) == 1
    assert value(shown, "refreshd_flinks_request_duration_seconds_count", operation="authorize") == 1


@pytest.mark.parametrize(("failure", "reason"), [("tls", "tls"), ("something new", "server")])
def test_a_call_without_an_answer_is_a_failure_by_reason_and_flinks_is_down(failure: str, reason: str) -> None:
    shown = metrics()
    shown.on_call(observed.trace(status=None, failure=failure))
    assert value(shown, "refreshd_flinks_request_failures_total", reason=reason) == 1
    assert value(shown, "refreshd_flinks_up") == 0
    shown.on_call(observed.trace(status=401))
    assert value(shown, "refreshd_flinks_up") == 1


def test_another_try_is_a_retry_of_the_call_that_failed() -> None:
    shown = metrics()
    minting = conversations.routine(observed.LOGIN, observed.DEFAULT_TERMS, attempts=0, fetched_refresh_at=None)
    authorizing = replace(minting, step=Step.AUTHORIZE)
    shown.on_settled(SettledTurn(authorizing, fail(authorizing, FlinksError("no"), NOW)))
    assert value(shown, "refreshd_flinks_retries_total", operation="authorize") == 1
    assert value(shown, "refreshd_flinks_retries_total", operation="generate_authorize_token") == 0


def test_a_manual_refresh_and_a_round_that_gave_up_are_no_retries() -> None:
    shown = metrics(manual_refresh=True)
    manual = conversations.manual(observed.LOGIN, observed.DEFAULT_TERMS, attempts=0, fetched_refresh_at=None)
    assert manual.tries == TRIES_IN_A_ROW
    shown.on_settled(SettledTurn(manual, Turn(following=replace(manual, step=Step.AUTHORIZE))))
    shown.on_settled(SettledTurn(manual, Turn(gave_up=True)))
    assert value(shown, "refreshd_flinks_retries_total", operation="generate_authorize_token") == 0


@pytest.mark.parametrize(
    ("fetch", "manual", "extra"),
    [
        (FetchDepth.OFF, False, set()),
        (FetchDepth.DETAIL, False, {Operation.GET_ACCOUNTS_DETAIL, Operation.GET_ACCOUNTS_DETAIL_ASYNC}),
        (FetchDepth.SUMMARY, False, {Operation.GET_ACCOUNTS_SUMMARY, Operation.GET_ACCOUNTS_SUMMARY_ASYNC}),
        (
            FetchDepth.OFF,
            True,
            {Operation.AUTHORIZE_LIVE, Operation.GET_ACCOUNTS_SUMMARY, Operation.GET_ACCOUNTS_SUMMARY_ASYNC},
        ),
    ],
)
def test_the_operations_shown_are_those_that_the_settings_allow(
    fetch: FetchDepth,
    manual: bool,  # noqa: FBT001 # a column of the table
    extra: Iterable[Operation],
) -> None:
    terms = replace(observed.DEFAULT_TERMS, fetch=fetch)
    always = {
        Operation.GENERATE_AUTHORIZE_TOKEN,
        Operation.AUTHORIZE,
        Operation.GET_NIGHTLY_REFRESH_STATUS,
        Operation.SET_SCHEDULED_REFRESH,
    }
    assert operations_used(terms, manual_refresh=manual) == always | set(extra)


def test_without_a_secret_key_no_token_is_minted_unless_the_schedule_change_wants_one() -> None:
    terms = replace(observed.DEFAULT_TERMS, mints_tokens=False)
    with_token = replace(terms, schedule_credential=Credential.AUTHORIZE_TOKEN)
    assert Operation.GENERATE_AUTHORIZE_TOKEN not in operations_used(terms, manual_refresh=False)
    assert Operation.GENERATE_AUTHORIZE_TOKEN in operations_used(with_token, manual_refresh=False)


# The exposition ---------------------------------------------------------------------------------------------------------------------------


def test_each_readiness_condition_has_its_series() -> None:
    shown = metrics()
    shown.set_conditions({each: each is not Condition.SCHEMA for each in Condition})
    assert value(shown, "refreshd_ready_condition", condition="schema") == 0
    assert value(shown, "refreshd_ready_condition", condition="database") == 1


def test_openmetrics_passes_the_strict_parser_and_carries_the_pass_as_exemplar() -> None:
    shown = metrics()
    observed.everything_happens(shown)
    families = list(text_string_to_metric_families(openmetrics(shown)))  # type: ignore[no-untyped-call]
    exemplars = [
        sample.exemplar.labels
        for family in families
        for sample in family.samples
        if sample.exemplar and family.name.startswith("refreshd_")
    ]
    assert exemplars
    assert all(labels == {"pass_id": "77"} for labels in exemplars)


def test_no_created_series_are_exposed() -> None:
    shown = metrics()
    observed.everything_happens(shown)
    assert "_created" not in openmetrics(shown)


def test_a_scrape_may_ask_for_single_metrics_by_name() -> None:
    shown = metrics()
    observed.everything_happens(shown)
    only = shown.registry.restricted_registry(["refreshd_logins", "refreshd_disables_total"])
    assert {sample.name for family in only.collect() for sample in family.samples} == {
        "refreshd_logins",
        "refreshd_disables_total",
    }


def test_two_daemons_in_one_process_share_nothing() -> None:
    one, other = leading(), metrics()
    one.on_call(observed.trace())
    assert value(other, "refreshd_flinks_requests_total", operation="authorize", code="200") == 0


def test_each_disposition_has_a_zero_from_the_first_totals_on() -> None:
    assert {disposition for _, disposition in failed_labels()} == set(Disposition)
