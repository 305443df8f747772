"""GenerateAuthorizeToken and Authorize."""

import pytest

from refreshd.simulator import SimulatorConfig
from refreshd.simulator.login import NEVER, Login
from tests.simulator.caller import NOBODY, ONE, START, TWO, Caller, bank, healthy, read, said


def test_a_token_is_minted_for_the_secret_key() -> None:
    caller = Caller()
    assert read(caller.mint())["HttpStatusCode"] == 200
    assert caller.token() != caller.token()


def test_a_wrong_secret_key_is_unauthorized_rather_than_denied() -> None:
    answer = Caller().call("POST", "GenerateAuthorizeToken", {"flinks-auth-key": "wrong"})
    assert said(answer) == (401, "UNAUTHORIZED")


def test_a_cached_authorize_tells_the_login_as_it_is() -> None:
    caller = Caller()
    body = read(caller.authorize())
    assert body["HttpStatusCode"] == 200
    assert "FlinksCode" not in body
    assert body["Login"]["Id"] == ONE
    assert body["Login"]["IsScheduledRefresh"] is True
    assert body["Login"]["LastRefresh"].startswith("2026-01-05T06:00:00")
    assert (body["Institution"], body["InstitutionName"], body["InstitutionId"]) == (
        "Reliable Bank",
        "Reliable Bank",
        14,
    )
    assert [link["rel"] for link in body["Links"]] == ["AccountsDetail", "AccountsSummary", "Statements"]
    assert body["RequestId"] != read(caller.authorize())["RequestId"]


def test_a_tag_is_echoed() -> None:
    caller = Caller()
    headers = {"flinks-auth-key": caller.token()}
    body = {"LoginId": ONE, "MostRecentCached": True, "Tag": "mine"}
    assert read(caller.call("POST", "Authorize", headers, body))["Tag"] == "mine"


def test_a_cached_authorize_counts_as_a_cached_call_even_for_a_failing_login() -> None:
    caller = Caller()
    caller.flinks.afflict(ONE, "INVALID_PASSWORD")
    caller.authorize()
    assert caller.flinks.login(ONE).last_cached_call == START


def test_an_unknown_login_is_invalid_and_named() -> None:
    answer = Caller().authorize(NOBODY)
    assert said(answer) == (401, "INVALID_LOGIN")
    assert read(answer)["Message"] == f"The login '{NOBODY}' is invalid."


def test_the_older_status_of_a_refusal_can_be_chosen() -> None:
    caller = Caller(config=SimulatorConfig(refusal_status=400))
    assert said(caller.authorize(NOBODY)) == (400, "INVALID_LOGIN")
    assert said(caller.schedule(NOBODY, on=False)) == (400, "INVALID_REQUEST")


def test_wrong_credentials_carry_the_same_code_as_an_unknown_login_but_another_message() -> None:
    caller = Caller()
    caller.flinks.afflict(ONE, "INVALID_LOGIN")
    answer = caller.authorize()
    assert said(answer) == (401, "INVALID_LOGIN")
    assert ONE not in read(answer)["Message"]


@pytest.mark.parametrize("body", [b"", b"[]", b"nonsense", b"[" * 100_000, b'{"LoginId":7}', b'{"LoginId":"no guid"}'])
def test_a_body_without_a_login_is_an_invalid_request(body: bytes) -> None:
    caller = Caller()
    headers = {"flinks-auth-key": caller.token()}
    assert said(caller.call("POST", "Authorize", headers, body)) == (401, "INVALID_REQUEST")


def test_a_token_serves_once() -> None:
    caller = Caller()
    token = caller.token()
    assert said(caller.authorize(token=token)) == (200, "")
    assert said(caller.authorize(token=token)) == (401, "ACCESS_DENIED")


def test_an_unused_token_dies_after_thirty_real_minutes_whatever_the_date() -> None:
    caller = Caller()
    early, late = caller.token(), caller.token()
    caller.wait(seconds=29 * 60, days=3)
    assert said(caller.authorize(token=early)) == (200, "")
    caller.wait(seconds=61)
    assert said(caller.authorize(token=late)) == (401, "ACCESS_DENIED")


def test_a_missing_or_invented_token_is_denied() -> None:
    caller = Caller()
    assert said(caller.authorize(token="")) == (401, "ACCESS_DENIED")
    assert said(caller.authorize(token=NOBODY)) == (401, "ACCESS_DENIED")


def test_an_older_integration_needs_no_token_but_a_wrong_one_is_still_denied() -> None:
    caller = Caller(config=SimulatorConfig(require_token=False))
    assert said(caller.authorize(token="")) == (200, "")
    assert said(caller.authorize(token=NOBODY)) == (401, "ACCESS_DENIED")


@pytest.mark.parametrize("cached", [False, None])
def test_without_most_recent_cached_true_the_bank_is_really_asked(*, cached: bool | None) -> None:
    caller = Caller()
    answer = caller.authorize(cached=cached)
    assert said(answer) == (200, "")
    assert read(answer)["Login"]["LastRefresh"].startswith("2026-01-05T15:00:00")
    assert caller.flinks.login(ONE).last_refresh == START
    assert caller.flinks.login(ONE).last_cached_call != START


def test_booleans_are_understood_as_strings_too() -> None:
    caller = Caller()
    headers = {"flinks-auth-key": caller.token()}
    body = {"loginid": ONE.upper(), "MOSTRECENTCACHED": "True"}
    caller.call("POST", "Authorize", headers, body)
    assert caller.flinks.login(ONE).last_cached_call == START


def test_a_live_authorize_that_is_not_saved_leaves_the_login_as_it_was() -> None:
    caller = Caller()
    headers = {"flinks-auth-key": caller.token()}
    body = {"LoginId": ONE, "MostRecentCached": False, "Save": False}
    assert said(caller.call("POST", "Authorize", headers, body)) == (200, "")
    assert caller.flinks.login(ONE).last_refresh != START


def test_a_live_authorize_at_a_bank_that_asks_is_203_and_its_session_is_worth_nothing() -> None:
    login = healthy()
    login.asks_mfa = True
    caller = Caller(login)
    answer = caller.authorize(cached=False)
    body = read(answer)
    assert said(answer) == (203, "")
    assert body["SecurityChallenges"][0]["Type"] == "QuestionAndAnswer"
    assert said(caller.data(body["RequestId"])) == (401, "UNAUTHORIZED")


def test_after_an_unanswered_challenge_the_cached_call_says_question_not_found_and_the_report_no_code() -> None:
    caller = Caller()
    caller.flinks.afflict(ONE, "")
    assert said(caller.authorize()) == (401, "QUESTION_NOT_FOUND")
    assert caller.listed()[ONE]["LastRefreshState"] == "AnsweringSecurityChallenge"
    assert caller.listed()[ONE]["LastRefreshErrorCode"] is None


def test_a_live_authorize_meets_the_trouble_that_the_login_is_in() -> None:
    caller = Caller()
    caller.flinks.afflict(ONE, "INVALID_PASSWORD")
    assert said(caller.authorize(cached=False)) == (401, "INVALID_PASSWORD")
    caller.flinks.afflict(ONE, "QUESTION_NOT_FOUND")
    assert said(caller.authorize(cached=False)) == (203, "")


def test_a_live_authorize_heals_an_error_that_passes() -> None:
    caller = Caller()
    caller.flinks.afflict(ONE, "RETRY_LATER")
    assert said(caller.authorize()) == (401, "RETRY_LATER")
    assert said(caller.authorize(cached=False)) == (200, "")
    assert said(caller.authorize()) == (200, "")


def test_a_login_that_was_never_refreshed_says_year_one() -> None:
    caller = Caller(Login(login_id=ONE, institution=bank(), username="new"))
    assert read(caller.authorize())["Login"]["LastRefresh"] == NEVER == "0001-01-01T00:00:00"


def test_timestamps_have_seven_six_or_no_fraction_digits_and_no_zone() -> None:
    logins = [healthy(f"{number:08d}-0000-4000-8000-000000000000") for number in range(30)]
    caller = Caller(*logins)
    stamps = [read(caller.authorize(login.login_id))["Login"]["LastRefresh"] for login in logins]
    assert {len(stamp.partition(".")[2]) for stamp in stamps} == {7, 6, 0}
    assert not any(stamp.endswith("Z") or "+" in stamp for stamp in stamps)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (200, "OK"),
        (201, "CREATED"),
        (202, "OPERATION_PENDING"),
        (202, "OPERATION_DISPATCHED"),
        (203, ""),
        (200, "INVALID_REQUEST"),
        (400, "SESSION_NONEXISTENT"),
        (400, "SESSION_EXPIRED"),
        (401, "SESSION_EXPIRED"),
        (400, "CARD_IN_USE"),
        (400, "INVALID_LOGIN"),
        (401, "INVALID_LOGIN"),
        (400, "INVALID_REQUEST"),
        (401, "INVALID_REQUEST"),
        (400, "RETRY_LATER"),
        (401, "RETRY_LATER"),
        (401, "BANK MAINTENANCE_RETRY_LATER"),
        (401, "BANK_MAINTENENACE_RETRY_LATER"),
        (401, "BANK_MAINTENANCE_RETRY_LATER"),
        (405, "DISABLED_INSTITUTION"),
        (500, "AGGREGATION_ERROR"),
        (401, "UNAUTHORIZED"),
        (401, "ACCESS_DENIED"),
        (401, "TOO_MANY_REQUESTS"),
        (403, "TOO_MANY_REQUESTS"),
        (429, ""),
        (401, "INVALID_USERNAME"),
        (401, "INVALID_PASSWORD"),
        (401, "INVALID_SECURITY_RESPONSE"),
        (401, "INVALID_SECURITY_RESPONSE_NO_RETRY"),
        (401, "QUESTION_NOT_FOUND"),
        (401, "UNKNOWN_CHALLENGE_KEY"),
        (401, "SECURITYRESPONSES_INCOMPLETE"),
        (401, "DISABLED_LOGIN"),
        (401, "NEW_ACCOUNT"),
        (401, "CONCURRENT_SESSION"),
        (200, "ALREADY_AUTHORIZED"),
        (401, "NO_TRANSACTION"),
        (401, "METHOD_NOT_AVAILABLE"),
        (401, "CUSTOMER_NOT_FOUND"),
        (401, "NO_BROWSER_AVAILABLE"),
        (401, "INVALID_CREDENTIALS"),
        (403, ""),
        (404, ""),
        (502, ""),
        (401, "A_CODE_NOBODY_HAS_SEEN"),
    ],
)
def test_every_code_can_be_what_the_last_refresh_ended_with(status: int, code: str) -> None:
    caller = Caller()
    caller.flinks.afflict(ONE, code, status=status)
    assert said(caller.authorize()) == (status, code)


def test_a_code_has_the_status_of_the_current_table_unless_another_is_asked_for() -> None:
    caller = Caller()
    for code, status in {"AGGREGATION_ERROR": 500, "DISABLED_INSTITUTION": 405, "NEW_ACCOUNT": 401}.items():
        caller.flinks.afflict(ONE, code)
        assert said(caller.authorize()) == (status, code)


def test_a_user_who_connects_again_ends_the_trouble() -> None:
    caller = Caller(healthy(), healthy(TWO, scheduled=False))
    for login_id in (ONE, TWO):
        caller.flinks.afflict(login_id, "INVALID_PASSWORD")
    caller.flinks.reconnect(ONE)
    caller.flinks.reconnect(TWO, scheduled=True)
    assert read(caller.authorize())["Login"]["LastRefresh"].startswith("2026-01-05T15:00:00")
    assert caller.listed() == {}
    assert caller.flinks.login(TWO).scheduled


def test_a_forgotten_login_is_unknown() -> None:
    caller = Caller()
    caller.flinks.forget(ONE)
    assert said(caller.authorize()) == (401, "INVALID_LOGIN")
