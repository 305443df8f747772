"""SetScheduledRefresh and GetNightlyRefreshStatus."""

import json
from dataclasses import replace

import pytest

from refreshd.simulator import AnswerForm, AnswerPrefix, ScheduleAuth, SimulatorConfig
from refreshd.simulator.login import Login
from tests.simulator.caller import NOBODY, ONE, TWO, Caller, bank, healthy, read, said

ON = f"LoginId {ONE} has now been activated for automatic refresh"
OFF = f"{ONE} has now been deactivated for automatic refresh"


def test_the_answer_is_a_bare_json_string_in_the_two_documented_forms() -> None:
    caller = Caller()
    off, on = caller.schedule(on=False), caller.schedule(on=True)
    assert json.loads(off.body) == OFF
    assert json.loads(on.body) == ON
    assert off.headers["Content-Type"].startswith("application/json")


def test_the_answer_can_be_plain_text() -> None:
    caller = Caller(config=SimulatorConfig(schedule_answer=AnswerForm.TEXT))
    answer = caller.schedule(on=False)
    assert answer.body.decode() == OFF
    assert answer.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize(("prefix", "expected"), [(AnswerPrefix.ALWAYS, True), (AnswerPrefix.NEVER, False)])
def test_the_prefix_can_be_always_there_or_never(*, prefix: AnswerPrefix, expected: bool) -> None:
    caller = Caller(config=SimulatorConfig(schedule_prefix=prefix))
    answers = [json.loads(caller.schedule(on=on).body) for on in (True, False)]
    assert [answer.startswith("LoginId ") for answer in answers] == [expected, expected]


def test_the_flag_is_set_and_setting_it_twice_is_answered_alike() -> None:
    caller = Caller()
    first, again = caller.schedule(on=False), caller.schedule(on=False)
    assert first.body == again.body
    assert not caller.flinks.login(ONE).scheduled
    assert read(caller.authorize())["Login"]["IsScheduledRefresh"] is False


@pytest.mark.parametrize(
    ("fields", "scheduled"),
    [
        ({"loginId": ONE, "isActivated": True}, True),
        ({"LOGINID": ONE.upper(), "ISACTIVATED": True}, True),
        ({"LoginId": ONE, "IsActivated": "true"}, True),
        ({"LoginId": ONE, "IsActivated": "yes"}, False),
        ({"LoginId": ONE, "IsActivated": 1}, False),
        ({"LoginId": ONE}, False),
    ],
)
def test_keys_are_read_in_any_case_and_a_flag_not_understood_switches_off(
    *, fields: dict[str, object], scheduled: bool
) -> None:
    caller = Caller()
    caller.call("PATCH", "SetScheduledRefresh", {"x-api-key": caller.config.api_key}, fields)
    assert caller.flinks.login(ONE).scheduled is scheduled


def test_an_unknown_login_is_an_invalid_request_and_named() -> None:
    answer = Caller().schedule(NOBODY, on=False)
    assert said(answer) == (401, "INVALID_REQUEST")
    assert read(answer)["Message"] == f"The login '{NOBODY}' is invalid."


def test_a_body_without_a_login_changes_nothing() -> None:
    caller = Caller()
    answer = caller.call("PATCH", "SetScheduledRefresh", {"x-api-key": caller.config.api_key}, {"IsActivated": False})
    assert said(answer) == (401, "INVALID_REQUEST")
    assert caller.flinks.login(ONE).scheduled


@pytest.mark.parametrize("auth", list(ScheduleAuth))
def test_each_auth_profile_accepts_its_own_credential_alone(auth: ScheduleAuth) -> None:
    caller = Caller(config=SimulatorConfig(schedule_auth=auth))
    config, accepted = caller.config, set()
    credentials = {
        ScheduleAuth.X_API_KEY: {"x-api-key": config.api_key},
        ScheduleAuth.BEARER: {"authorization": f"Bearer {config.api_secret}"},
        ScheduleAuth.AUTHORIZE_TOKEN: {"flinks-auth-key": caller.token()},
        ScheduleAuth.NONE: {},
    }
    for name, headers in credentials.items():
        answer = caller.call("PATCH", "SetScheduledRefresh", headers, {"LoginId": ONE, "IsActivated": True})
        if answer.status == 200:
            accepted.add(name)
        else:
            assert said(answer) == (401, "ACCESS_DENIED")
    assert accepted == (set(ScheduleAuth) if auth is ScheduleAuth.NONE else {auth})


def test_the_report_is_empty_while_all_is_well() -> None:
    assert read(Caller().report()) == {"HttpStatusCode": 200, "IneligibleCards": []}


def test_the_report_lists_logins_that_are_on_and_not_eligible_and_no_others() -> None:
    caller = Caller(healthy(), healthy(TWO))
    caller.flinks.afflict(ONE, "QUESTION_NOT_FOUND")
    caller.flinks.afflict(TWO, "INVALID_PASSWORD")
    assert set(caller.listed()) == {ONE, TWO}
    caller.schedule(TWO, on=False)
    assert set(caller.listed()) == {ONE}
    card = caller.listed()[ONE]
    assert set(card) == {"LoginId", "LastRefreshDate", "LastRefreshState", "LastRefreshErrorCode"}
    assert card["LastRefreshErrorCode"] == "QUESTION_NOT_FOUND"


@pytest.mark.parametrize(
    "code",
    [
        "RETRY_LATER",
        "AGGREGATION_ERROR",
        "SESSION_EXPIRED",
        "DISABLED_INSTITUTION",
        "UNAUTHORIZED",
        "SESSION_NONEXISTENT",
        "BANK MAINTENANCE_RETRY_LATER",
        "BANK_MAINTENENACE_RETRY_LATER",
    ],
)
def test_seven_errors_keep_a_login_eligible(code: str) -> None:
    caller = Caller()
    caller.flinks.afflict(ONE, code)
    assert caller.listed() == {}


def test_a_login_that_was_never_refreshed_is_listed_as_never() -> None:
    caller = Caller(Login(login_id=ONE, institution=bank(), username="new"))
    assert caller.listed()[ONE]["LastRefreshDate"] == "0001-01-01T00:00:00"
    assert caller.listed()[ONE]["LastRefreshErrorCode"] is None


def test_a_dormant_login_is_listed_in_a_polling_integration_only() -> None:
    login = replace(healthy(), last_cached_call=None)
    assert set(Caller(login).listed()) == {ONE}
    assert Caller(login, config=SimulatorConfig(webhooks=True)).listed() == {}


def test_a_silently_stale_login_is_not_listed() -> None:
    caller = Caller(replace(healthy(), stuck=True))
    caller.wait(days=3)
    assert caller.listed() == {}


def test_the_report_asks_for_the_bearer_secret() -> None:
    caller = Caller()
    for headers in ({}, {"x-api-key": caller.config.api_key}, {"authorization": caller.config.api_secret}):
        assert said(caller.call("GET", "GetNightlyRefreshStatus", headers)) == (401, "ACCESS_DENIED")
