"""GetAccountsDetail, GetAccountsSummary and their Async forms."""

import pytest

from refreshd.simulator import SimulatorConfig
from tests.simulator.caller import NOBODY, ONE, Caller, read, said

PENDING = SimulatorConfig(pending_ratio=1.0, pending_seconds=15.0)


def test_the_detail_has_transactions_and_the_summary_none() -> None:
    caller = Caller()
    detail, summary = read(caller.data(caller.session())), read(caller.data(caller.session(), "GetAccountsSummary"))
    assert detail["Login"]["Id"] == ONE
    assert all(account["Transactions"] for account in detail["Accounts"])
    assert not any("Transactions" in account for account in summary["Accounts"])


def test_one_refresh_gives_the_same_data_however_often_it_is_read() -> None:
    caller = Caller()
    first = read(caller.data(caller.session()))
    again = read(caller.data(caller.session()))
    assert first["Accounts"] == again["Accounts"]
    caller.wait(days=1)
    assert read(caller.data(caller.session()))["Accounts"] != first["Accounts"]


def test_a_session_serves_one_data_call() -> None:
    caller = Caller()
    session = caller.session()
    assert said(caller.data(session)) == (200, "")
    assert said(caller.data(session)) == (400, "SESSION_NONEXISTENT")
    assert said(caller.data(session, "GetAccountsSummary")) == (400, "SESSION_NONEXISTENT")


def test_a_session_lives_eight_real_minutes() -> None:
    caller = Caller()
    early, late = caller.session(), caller.session()
    caller.wait(seconds=479)
    assert said(caller.data(early)) == (200, "")
    caller.wait(seconds=1)
    assert said(caller.data(late)) == (401, "SESSION_EXPIRED")


def test_an_unknown_session_does_not_exist() -> None:
    caller = Caller()
    assert said(caller.data(NOBODY)) == (400, "SESSION_NONEXISTENT")
    assert said(caller.poll(NOBODY)) == (400, "SESSION_NONEXISTENT")


def test_the_session_of_a_refusal_is_not_authorized() -> None:
    caller = Caller()
    caller.flinks.afflict(ONE, "QUESTION_NOT_FOUND")
    assert said(caller.data(caller.session())) == (401, "UNAUTHORIZED")


@pytest.mark.parametrize("operation", ["GetAccountsDetail", "GetAccountsSummary"])
def test_a_pending_call_is_polled_until_it_is_done(operation: str) -> None:
    caller = Caller(config=PENDING)
    session = caller.session()
    first = caller.data(session, operation)
    assert said(first) == (202, "OPERATION_PENDING")
    assert read(first)["RequestId"] == session
    assert read(first)["Links"][0]["href"] == f"/{operation}Async/{session}"
    caller.wait(seconds=10)
    assert said(caller.poll(session, f"{operation}Async")) == (202, "OPERATION_PENDING")
    caller.wait(seconds=10)
    assert read(caller.poll(session, f"{operation}Async"))["Accounts"]


def test_a_poll_of_the_other_kind_or_before_the_call_finds_nothing() -> None:
    caller = Caller(config=PENDING)
    session = caller.session()
    assert said(caller.poll(session)) == (400, "SESSION_NONEXISTENT")
    caller.data(session)
    assert said(caller.poll(session, "GetAccountsSummaryAsync")) == (400, "SESSION_NONEXISTENT")


def test_a_result_that_nobody_collects_expires_after_thirty_minutes() -> None:
    caller = Caller(config=PENDING)
    session = caller.session()
    caller.data(session)
    caller.wait(seconds=1800)
    assert said(caller.poll(session)) == (401, "SESSION_EXPIRED")


def test_a_share_of_the_calls_is_pending() -> None:
    caller = Caller(config=SimulatorConfig(pending_ratio=0.5))
    statuses = [caller.data(caller.session()).status for _ in range(60)]
    assert {200, 202} == set(statuses)


def test_data_calls_ask_for_the_api_key() -> None:
    caller = Caller()
    body = {"RequestId": caller.session()}
    assert said(caller.call("POST", "GetAccountsDetail", {}, body)) == (401, "ACCESS_DENIED")
    assert said(caller.call("GET", f"GetAccountsDetailAsync/{NOBODY}", {"x-api-key": "x"})) == (401, "ACCESS_DENIED")
    assert said(caller.data(body["RequestId"])) == (200, "")


def test_the_data_of_a_login_forgotten_meanwhile_is_gone() -> None:
    caller = Caller()
    session = caller.session()
    caller.flinks.forget(ONE)
    assert said(caller.data(session)) == (400, "SESSION_NONEXISTENT")
