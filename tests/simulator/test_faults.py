"""The fault script: how rules are written, when they strike, and what each fault does."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

import pytest

from refreshd.simulator import FaultKind, FaultRule, FaultRuleError, Response, RetryAfter, SimulatorConfig
from refreshd.simulator.calls import Operation
from refreshd.simulator.messages import DeliveryKind
from tests.simulator.caller import NOBODY, ONE, TWO, Caller, healthy, read, said

THROTTLE_STATUSES: tuple[Literal[401, 403, 429], ...] = (401, 403, 429)
NO_202 = SimulatorConfig(pending_ratio=0.0)


def test_a_rule_is_written_in_one_line() -> None:
    assert FaultRule.parse("garbage@Authorize:0.1") == FaultRule(
        kind=FaultKind.GARBAGE, operation=Operation.AUTHORIZE, probability=0.1
    )
    assert FaultRule.parse("hang@any:x2") == FaultRule(kind=FaultKind.HANG, count=2)
    assert FaultRule.parse("contrary@SetScheduledRefresh:0.5x3") == FaultRule(
        kind=FaultKind.CONTRARY, operation=Operation.SET_SCHEDULED_REFRESH, probability=0.5, count=3
    )
    assert FaultRule.parse(f"slow(2.5)@any/{ONE.upper()}") == FaultRule(kind=FaultKind.SLOW, seconds=2.5, login_id=ONE)
    assert FaultRule.parse("code(TOO_MANY_REQUESTS, 429)@Authorize:1") == FaultRule(
        kind=FaultKind.CODE, operation=Operation.AUTHORIZE, code="TOO_MANY_REQUESTS", status=429
    )
    assert FaultRule.parse("code(BANK MAINTENANCE_RETRY_LATER)@any").code == "BANK MAINTENANCE_RETRY_LATER"
    assert FaultRule.parse("deny@any;2026-01-05T09:00..") == FaultRule(
        kind=FaultKind.DENY, begins=datetime(2026, 1, 5, 9, tzinfo=UTC)
    )


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("garbage", "write for example"),
        ("", "write for example"),
        ("rubbish@any", "garbage"),
        ("garbage@Nowhere", "Authorize"),
        ("contrary@Authorize", "SetScheduledRefresh"),
        ("status_list_null@SetScheduledRefresh", "GetNightlyRefreshStatus"),
        ("hang@any:2", "x2"),
        ("code@any", "RETRY_LATER"),
        ("code(X,twelve)@any", "twelve"),
        ("slow(long)@any", "long"),
        ("hang(3)@any", "parentheses"),
        ("hang@any;tomorrow..", "2026-01-05T09:00"),
    ],
)
def test_a_rule_that_cannot_be_read_says_what_would_be_right(line: str, hint: str) -> None:
    with pytest.raises(FaultRuleError, match=hint):
        FaultRule.parse(line)


def test_a_count_is_used_up() -> None:
    caller = Caller(faults=["code(RETRY_LATER)@Authorize:x2"])
    assert [caller.authorize().status for _ in range(3)] == [401, 401, 200]


def test_a_probability_is_a_share_of_the_calls() -> None:
    caller = Caller(faults=["html_502@GetNightlyRefreshStatus:0.3"])
    struck = sum(caller.report().status == 502 for _ in range(500))
    assert 110 < struck < 190


def test_a_rule_strikes_its_operation_and_its_login_only() -> None:
    caller = Caller(healthy(), healthy(TWO), faults=[f"code(NEW_ACCOUNT)@Authorize/{ONE}"])
    assert said(caller.authorize(ONE)) == (401, "NEW_ACCOUNT")
    assert said(caller.authorize(TWO)) == (200, "")
    assert caller.schedule(ONE, on=True).status == 200


def test_a_rule_about_a_login_reaches_its_data_calls_too() -> None:
    caller = Caller(healthy(), healthy(TWO), faults=[f"html_502@GetAccountsDetail/{ONE}"])
    assert caller.data(caller.session(ONE)).status == 502
    assert caller.data(caller.session(TWO)).status == 200


def test_a_rule_has_its_time() -> None:
    caller = Caller(faults=["deny@any;2026-01-05T16:00..2026-01-05T17:00"])
    statuses = []
    for _ in range(4):
        statuses.append(caller.report().status)
        caller.wait(hours=0.75)
    assert statuses == [200, 200, 401, 200]


def test_the_first_rule_that_strikes_wins_and_the_script_can_be_cleared() -> None:
    caller = Caller(faults=["deny@any", "html_502@any"])
    assert caller.report().status == 401
    caller.flinks.faults.clear()
    assert caller.report().status == 200


@pytest.mark.parametrize("kind", ["hang", "reset"])
def test_a_call_without_an_answer_took_effect_or_not(kind: str) -> None:
    outcomes = set()
    caller = Caller(faults=[f"{kind}@SetScheduledRefresh"])
    for _ in range(30):
        caller.flinks.set_flag(ONE, scheduled=True)
        answer = caller.schedule(on=False)
        assert (answer.status, answer.delivery.kind) == (0, DeliveryKind(kind))
        outcomes.add(caller.flinks.login(ONE).scheduled)
    assert outcomes == {True, False}


def _is_slow(answer: Response) -> bool:
    return answer.delivery.delay_seconds == 2.5 and json.loads(answer.body) == _off(ONE)


def _off(login_id: str) -> str:
    return f"{login_id} has now been deactivated for automatic refresh"


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("slow(2.5)", _is_slow),
        ("truncated", lambda answer: answer.delivery.kind is DeliveryKind.TRUNCATED),
        ("garbage", lambda answer: answer.status == 200 and b"not JSON" in answer.body),
        ("empty_body", lambda answer: (answer.status, answer.body) == (200, b"")),
        ("huge_body", lambda answer: len(answer.body) > 16 * 1024 * 1024),
        ("wrong_content_type", lambda answer: answer.headers["Content-Type"].startswith("text/html")),
    ],
)
def test_a_fault_on_the_way_back_leaves_the_effect(rule: str, expected: Callable[[Response], bool]) -> None:
    caller = Caller(faults=[f"{rule}@SetScheduledRefresh"])
    assert expected(caller.schedule(on=False))
    assert not caller.flinks.login(ONE).scheduled


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("html_502", lambda answer: answer.status == 502 and b"<html>" in answer.body),
        ("redirect", lambda answer: answer.status == 307 and answer.headers["Location"]),
        ("deny", lambda answer: said(answer) == (401, "ACCESS_DENIED")),
        ("throttle", lambda answer: said(answer) == (401, "TOO_MANY_REQUESTS")),
        ("code(CARD_IN_USE)", lambda answer: said(answer) == (400, "CARD_IN_USE")),
        ("code(INVALID_REQUEST,200)", lambda answer: said(answer) == (200, "INVALID_REQUEST")),
        ("code(,503)", lambda answer: said(answer) == (503, "")),
        ("error_text_at_200", lambda answer: json.loads(answer.body) == f"Invalid LoginId {ONE}"),
        ("contrary", lambda answer: json.loads(answer.body).endswith("has now been activated for automatic refresh")),
        ("wrong_login", lambda answer: ONE not in json.loads(answer.body) and "deactivated" in json.loads(answer.body)),
    ],
)
def test_a_fault_before_or_inside_flinks_keeps_the_call_from_its_effect(
    rule: str, expected: Callable[[Response], bool]
) -> None:
    caller = Caller(faults=[f"{rule}@SetScheduledRefresh"])
    assert expected(caller.schedule(on=False))
    assert caller.flinks.login(ONE).scheduled


def test_contrary_says_deactivated_when_activation_was_asked_for() -> None:
    caller = Caller(healthy(scheduled=False), faults=["contrary@any"])
    assert json.loads(caller.schedule(on=True).body) == _off(ONE)
    assert not caller.flinks.login(ONE).scheduled


def test_an_authorize_can_answer_about_another_login() -> None:
    caller = Caller(faults=["wrong_login@Authorize"])
    assert read(caller.authorize())["Login"]["Id"] != ONE


def test_a_data_call_can_be_forced_to_be_pending_and_to_stay_so() -> None:
    caller = Caller(config=NO_202, faults=["pending_202@any:x2"])
    session = caller.session()
    assert said(caller.data(session)) == (202, "OPERATION_PENDING")
    caller.wait(seconds=60)
    assert said(caller.poll(session)) == (202, "OPERATION_PENDING")
    assert said(caller.poll(session)) == (200, "")


def test_the_status_list_can_be_empty_missing_null_or_beside_an_error() -> None:
    caller = Caller()
    caller.flinks.afflict(ONE, "NEW_ACCOUNT")
    bodies = {}
    for kind in ("empty", "missing", "null", "mixed"):
        caller.flinks.add_faults([f"status_list_{kind}@any:x1"])
        bodies[kind] = read(caller.report())
    assert bodies["empty"]["IneligibleCards"] == []
    assert "IneligibleCards" not in bodies["missing"]
    assert bodies["null"]["IneligibleCards"] is None
    assert bodies["mixed"]["FlinksCode"] == "INVALID_REQUEST"
    assert len(bodies["mixed"]["IneligibleCards"]) == 1
    assert {body["HttpStatusCode"] for body in bodies.values()} == {200}


def test_a_fault_of_the_status_list_leaves_a_refusal_as_it_is() -> None:
    caller = Caller(faults=["status_list_empty@any"])
    assert said(caller.call("GET", "GetNightlyRefreshStatus", {})) == (401, "ACCESS_DENIED")


def test_a_flag_comes_back_only_if_it_was_switched_off() -> None:
    caller = Caller(faults=["flag_comes_back@any"])
    caller.schedule(on=True)
    caller.schedule(NOBODY, on=False)
    assert not caller.flinks.login(ONE).flag_returns
    caller.schedule(on=False)
    assert caller.flinks.login(ONE).flag_returns


@pytest.mark.parametrize(
    ("retry_after", "expected"),
    [(RetryAfter.ABSENT, None), (RetryAfter.SECONDS, "5"), (RetryAfter.HTTP_DATE, "Mon, 05 Jan 2026 15:00:05 GMT")],
)
@pytest.mark.parametrize("status", THROTTLE_STATUSES)
def test_throttling_has_every_status_and_every_way_to_say_when(
    retry_after: RetryAfter, expected: str | None, status: Literal[401, 403, 429]
) -> None:
    caller = Caller(config=SimulatorConfig(throttle_status=status, retry_after=retry_after), faults=["throttle@any"])
    answer = caller.report()
    assert said(answer) == (status, "TOO_MANY_REQUESTS")
    assert answer.headers.get("Retry-After") == expected


def test_every_kind_of_fault_can_strike() -> None:
    for kind in FaultKind:
        text = "code(RETRY_LATER)" if kind is FaultKind.CODE else str(kind)
        caller = Caller(faults=[f"{text}@any"])
        session = caller.flinks.world.sessions.open(ONE, authorized=True, seconds=caller.seconds).request_id
        caller.authorize(token="")
        caller.report()
        caller.data(session)
        caller.schedule(on=False)
        assert caller.flinks.audit.faults[kind] > 0, kind
