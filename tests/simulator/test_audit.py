"""What the vendor saw: calls, the most in any 60 s, bills, rule breaches; and the doors in front of every endpoint."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refreshd.simulator import RetryAfter, Rule, SimulatorConfig, summary
from refreshd.simulator.audit import Audit
from tests.simulator.caller import NOBODY, ONE, START, TWO, Caller, healthy, said


def rules(caller: Caller) -> dict[Rule, int]:
    return dict(caller.flinks.audit.breaches_by_rule)


def test_every_call_is_written_down_with_what_became_of_it() -> None:
    caller = Caller(faults=["reset@GetNightlyRefreshStatus:x1"])
    caller.flinks.afflict(ONE, "NEW_ACCOUNT")
    caller.authorize()
    caller.report()
    mint, authorize, report = caller.flinks.audit.calls
    assert (mint.operation, mint.status) == ("GenerateAuthorizeToken", 200)
    assert (authorize.number, authorize.operation, authorize.login_id) == (2, "Authorize", ONE)
    assert (authorize.date, authorize.seconds) == (START, 1000.0)
    assert (authorize.status, authorize.flinks_code) == (401, "NEW_ACCOUNT")
    assert (report.status, report.fault) == (0, "reset")


def test_data_calls_are_written_down_under_their_login() -> None:
    caller = Caller()
    caller.data(caller.session())
    assert caller.flinks.audit.calls[-1].login_id == ONE


def test_counts_are_exact_though_only_the_newest_calls_are_kept() -> None:
    caller = Caller(config=SimulatorConfig(calls_kept=3))
    for _ in range(10):
        caller.report()
    assert len(caller.flinks.audit.calls) == 3
    assert caller.flinks.audit.calls_by_operation["GetNightlyRefreshStatus"] == 10
    assert caller.flinks.audit.calls_counted == 10


@given(st.lists(st.floats(0, 40), max_size=60))
def test_the_most_calls_in_any_sixty_seconds_is_what_counting_by_hand_gives(gaps: list[float]) -> None:
    audit = Audit(calls_kept=1000, grace_seconds=0)
    times = [sum(gaps[: index + 1]) for index in range(len(gaps))]
    for time in times:
        audit.arrived(time)
        audit.seen("Authorize", ONE, START, time, status=200, flinks_code="")
    by_hand = max((sum(other - 60 < time <= other for time in times) for other in times), default=0)
    assert audit.most_in_60s == audit.most_calls_in(60) == by_hand


def test_calls_exactly_sixty_seconds_apart_are_in_different_spans() -> None:
    audit = Audit(calls_kept=1000, grace_seconds=0)
    for number in range(100):
        audit.arrived(2.0 * number)
        audit.seen("Authorize", ONE, START, 2.0 * number, status=200, flinks_code="")
    assert audit.most_in_60s == audit.most_calls_in(60) == 30


def test_a_call_is_written_down_with_the_door_that_it_came_to() -> None:
    caller = Caller()
    for host in ("one.example", "two.example"):
        caller.send("GET", "/nowhere", headers={"host": host})
    assert [each.host for each in caller.flinks.audit.calls] == ["one.example", "two.example"]


def test_a_refused_or_unanswered_call_counts_as_a_call() -> None:
    caller = Caller(faults=["reset@any:x1"])
    caller.report()
    caller.send("GET", "/nowhere")
    assert caller.flinks.audit.most_in_60s == 2


def test_counters_can_be_reset_and_call_numbers_go_on() -> None:
    caller = Caller()
    caller.authorize(cached=None)
    caller.wait(days=1)
    caller.report()
    caller.flinks.audit.reset()
    assert rules(caller) == {}
    assert caller.flinks.audit.billed_nights == caller.flinks.audit.calls_counted == 0
    caller.report()
    assert caller.flinks.audit.calls[0].number == 4
    assert caller.flinks.audit.calls_counted == 1


def test_a_cached_authorize_by_day_breaks_no_rule() -> None:
    caller = Caller()
    caller.flinks.company_inactive([TWO])
    caller.authorize()
    assert rules(caller) == {}


def test_an_authorize_on_an_inactive_login_is_a_breach_even_if_it_fails() -> None:
    caller = Caller(faults=["html_502@Authorize"])
    caller.flinks.company_inactive([ONE.upper()])
    caller.authorize()
    assert rules(caller) == {Rule.AUTHORIZE_ON_INACTIVE: 1}
    assert caller.flinks.audit.breaches[0].login_id == ONE


def test_a_call_on_its_way_when_the_client_left_can_be_forgiven() -> None:
    caller = Caller(config=SimulatorConfig(inactive_grace_seconds=2.0))
    caller.flinks.company_inactive([ONE], seconds=caller.seconds)
    caller.wait(seconds=1)
    caller.authorize()
    assert rules(caller) == {}
    caller.wait(seconds=1)
    caller.flinks.company_inactive([ONE], seconds=caller.seconds)
    caller.authorize()
    assert rules(caller) == {Rule.AUTHORIZE_ON_INACTIVE: 1}


def test_a_disable_of_a_login_that_the_company_does_not_call_inactive_is_a_breach() -> None:
    caller = Caller(healthy(), healthy(TWO))
    caller.flinks.company_inactive([ONE])
    caller.schedule(ONE, on=False)
    caller.schedule(TWO, on=True)
    caller.schedule(NOBODY, on=False)
    assert rules(caller) == {}
    caller.schedule(TWO, on=False)
    assert rules(caller) == {Rule.DISABLE_OF_ACTIVE: 1}


def test_without_the_companys_word_nothing_is_said_about_activity() -> None:
    caller = Caller()
    caller.schedule(on=False)
    caller.flinks.company_inactive([])
    caller.flinks.company_inactive(None)
    caller.schedule(on=False)
    assert rules(caller) == {}


def test_a_token_sent_twice_is_a_breach_though_the_first_call_never_reached_flinks() -> None:
    caller = Caller(faults=["html_502@Authorize:x1"])
    token = caller.token()
    caller.authorize(token=token)
    assert rules(caller) == {}
    assert said(caller.authorize(token=token)) == (200, "")
    assert rules(caller) == {Rule.TOKEN_REUSED: 1}


def test_a_live_authorize_and_a_missing_cached_flag_are_breaches() -> None:
    caller = Caller()
    caller.authorize(cached=False)
    assert rules(caller) == {Rule.LIVE_AUTHORIZE: 1}
    caller.authorize(cached=None)
    assert rules(caller) == {Rule.LIVE_AUTHORIZE: 2, Rule.CACHED_FLAG_MISSING: 1}


def test_an_authorize_in_the_vendors_window_is_a_breach_and_a_disable_is_not() -> None:
    caller = Caller()
    caller.wait(hours=14)
    caller.authorize()
    caller.schedule(on=False)
    assert rules(caller) == {Rule.AUTHORIZE_IN_WINDOW: 1}


def test_the_rate_limit_holds_in_any_sixty_real_seconds() -> None:
    caller = Caller(config=SimulatorConfig(rate_limit_per_minute=3, retry_after=RetryAfter.SECONDS))
    for _ in range(3):
        assert caller.report().status == 200
        caller.wait(seconds=10)
    refused = caller.report()
    assert said(refused) == (401, "TOO_MANY_REQUESTS")
    assert refused.headers["Retry-After"] == "30"
    caller.wait(seconds=30)
    assert caller.report().status == 200
    assert caller.report().status == 401


@pytest.mark.parametrize("status", [401, 404])
def test_a_wrong_customer_is_not_found(status: int) -> None:
    config = SimulatorConfig(customer_status=404) if status == 404 else SimulatorConfig()
    caller = Caller(config=config)
    assert said(caller.send("POST", f"/v3/{NOBODY}/BankingServices/Authorize")) == (status, "CUSTOMER_NOT_FOUND")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v3",
        "/BankingServices/Authorize",
        "/v3/{customer}/BankingServices/Nonsense",
        "/v3/{customer}/BankingServices/Unknown",
        "/v3/{customer}/BankingServices/Authorize/more",
        "/v3/{customer}/BankingServices/GetAccountsDetailAsync",
    ],
)
def test_an_unknown_route_is_404_without_a_code(path: str) -> None:
    caller = Caller()
    assert said(caller.send("POST", path.format(customer=caller.config.customer_id))) == (404, "")


def test_a_wrong_method_is_405_without_a_code() -> None:
    assert said(Caller().call("GET", "Authorize", {})) == (405, "")


def test_the_summary_tells_the_fleet_and_the_counts() -> None:
    caller = Caller(healthy(), healthy(TWO, scheduled=False))
    caller.flinks.afflict(ONE, "NEW_ACCOUNT")
    caller.authorize()
    told = summary(caller.flinks)
    assert told["logins"] == {"known": 2, "on": 1, "off": 1, "ineligible": 1, "stuck": 0}
    assert told["most_in_60s"] == 2
