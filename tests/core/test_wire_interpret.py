import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from refreshd.core import wire
from refreshd.core.errors import (
    CredentialRefused,
    FlinksError,
    FlinksRefused,
    FlinksThrottled,
    FlinksUnreachable,
    FlinksUnreadable,
)
from refreshd.core.model import (
    Change,
    Credential,
    FetchDepth,
    Flag,
    LoginId,
    NaiveTimeError,
    Reaction,
    Report,
    ReportCard,
)

SAMPLES = Path(__file__).parents[1] / "samples"
NOW = datetime(2026, 6, 18, 15, 0, tzinfo=UTC)
LOGIN = LoginId(UUID("d12c531b-9622-4477-38c5-08d779b6f27e"))
CIBC = LoginId(UUID("f427f369-7b0f-45ce-5fe2-08d6386fe6b5"))
OTHER = "bb8b8569-3bfc-43c1-ae31-08d6de7f1675"
REQUEST_ID = "46d5f682-e9dd-46ba-8cf6-3e5eff34f600"
TOKEN = wire.AuthorizeToken("8b81698e-7c99-4d5d-8d6f-48187c0c19fc")

MINT = wire.mint_token()
AUTHORIZE = wire.authorize(LOGIN, live=False, token=TOKEN)
LIVE = wire.authorize(LOGIN, live=True, token=TOKEN)
FETCH = wire.fetch_accounts("asked-1", FetchDepth.DETAIL, login_id=LOGIN)
POLL = wire.poll_accounts("asked-1", FetchDepth.SUMMARY, login_id=LOGIN)
REPORT = wire.read_report()
DISABLE = wire.set_scheduled_refresh(LOGIN, Change.DISABLE, credential=Credential.API_KEY, token=None)
ENABLE = wire.set_scheduled_refresh(LOGIN, Change.ENABLE, credential=Credential.API_KEY, token=None)
EVERY_REQUEST = [MINT, AUTHORIZE, LIVE, FETCH, POLL, REPORT, DISABLE, ENABLE]


def by_operation(request: wire.Request) -> str:
    return f"{request.operation}-{request.method}"


def answer(
    request: wire.Request, status: int, body: object, headers: Mapping[str, str] | None = None
) -> wire.VendorAnswer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return wire.interpret(request, status, headers or {}, raw, received_at=NOW)


def session(**login: object) -> dict[str, object]:
    return {"HttpStatusCode": 200, "Login": {"Id": str(LOGIN), **login}, "Institution": "TD", "RequestId": REQUEST_ID}


# Tokens


def test_a_minted_token_is_good_for_one_authorize() -> None:
    minted = answer(MINT, 200, {"HttpStatusCode": 200, "Token": TOKEN.reveal()})
    assert minted == wire.TokenMinted(token=TOKEN)


@pytest.mark.parametrize("token", [None, "", "two words", "line\nfeed", 7])
def test_a_token_that_is_none_is_unreadable(token: object) -> None:
    with pytest.raises(FlinksUnreadable):
        answer(MINT, 200, {"HttpStatusCode": 200, "Token": token})


# Authorize


def test_the_vendors_example_of_a_refreshed_login() -> None:
    request = wire.authorize(CIBC, live=False, token=TOKEN)
    read = answer(request, 200, (SAMPLES / "authorize-200-refreshed-7-digits.json").read_bytes())
    assert read == wire.Authorized(
        login_id=CIBC,
        flag=Flag.ON,
        refreshed_at=datetime(2018, 10, 23, 5, 36, 7, 612195, tzinfo=UTC),
        institution="CIBC",
        request_id=REQUEST_ID,
    )


def test_the_vendors_example_of_a_login_that_must_be_connected_again() -> None:
    read = answer(AUTHORIZE, 401, (SAMPLES / "authorize-401-question-not-found.json").read_bytes())
    assert read == wire.CodeAnswer(
        code="QUESTION_NOT_FOUND",
        reaction=Reaction.NEEDS_USER,
        status=401,
        message=None,
        institution="TD",
        request_id="8b81698e-7c99-4d5d-8d6f-48187c0c19fc",
        unknown_login=False,
    )


@pytest.mark.parametrize(("said", "flag"), [(True, Flag.ON), (False, Flag.OFF), (None, Flag.UNKNOWN)])
def test_the_flag_is_what_flinks_says(said: object, flag: Flag) -> None:
    read = answer(AUTHORIZE, 200, session(IsScheduledRefresh=said))
    assert isinstance(read, wire.Authorized)
    assert read.flag is flag


def test_a_login_that_says_neither_flag_nor_refresh_is_still_an_answer() -> None:
    read = answer(LIVE, 200, {"Login": {}})
    assert read == wire.Authorized(
        login_id=LOGIN, flag=Flag.UNKNOWN, refreshed_at=None, institution=None, request_id=None
    )


def test_year_one_is_never() -> None:
    read = answer(AUTHORIZE, 200, session(LastRefresh="0001-01-01T00:00:00"))
    assert isinstance(read, wire.Authorized)
    assert read.refreshed_at is None


def test_the_names_of_members_may_come_in_any_case() -> None:
    read = answer(
        AUTHORIZE, 200, {"login": {"ID": str(LOGIN).upper(), "isScheduledRefresh": True}, "INSTITUTION": "TD"}
    )
    assert isinstance(read, wire.Authorized)
    assert (read.flag, read.institution) == (Flag.ON, "TD")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"OK",
        b"<html><body>Welcome</body></html>",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"Login":' * 500,
        {},
        {"Login": None},
        {"Login": "yes"},
        {"Login": [str(LOGIN)]},
        session(Id=OTHER),
        session(Id="not a guid"),
        session(IsScheduledRefresh="true"),
        session(IsScheduledRefresh=1),
        session(LastRefresh="last night"),
        session(LastRefresh=1750217194),
        session(LastRefresh="2026-06-20T15:00:00"),
        {**session(), "FlinksCode": 7},
        {**session(), "HttpStatusCode": "200"},
        {**session(), "login": {"Id": OTHER}},
        {"Login": {"Id": str(LOGIN), "id": OTHER}},
    ],
    ids=lambda body: str(body)[:40],
)
def test_a_success_of_authorize_that_is_not_as_documented_is_unreadable(body: object) -> None:
    with pytest.raises(FlinksUnreadable):
        answer(AUTHORIZE, 200, body)


def test_a_refresh_may_seem_a_little_ahead_of_our_clock() -> None:
    read = answer(AUTHORIZE, 200, session(LastRefresh="2026-06-19T14:59:59"))
    assert isinstance(read, wire.Authorized)


def test_203_is_a_challenge_and_no_success() -> None:
    body = {"HttpStatusCode": 203, "SecurityChallenges": [{"Type": "QuestionAndAnswer"}], "RequestId": REQUEST_ID}
    assert answer(LIVE, 203, body) == wire.Challenged(request_id=REQUEST_ID)
    assert answer(LIVE, 200, body) == wire.Challenged(request_id=REQUEST_ID)
    assert answer(LIVE, 203, {}) == wire.Challenged(request_id=None)


def test_203_of_a_transforming_proxy_is_no_challenge() -> None:
    with pytest.raises(FlinksUnreadable):
        answer(AUTHORIZE, 203, session())


@pytest.mark.parametrize("request_", [MINT, FETCH, POLL, REPORT, DISABLE], ids=by_operation)
def test_203_means_nothing_elsewhere(request_: wire.Request) -> None:
    with pytest.raises(FlinksUnreadable):
        answer(request_, 203, {"SecurityChallenges": []})


@pytest.mark.parametrize("request_", [AUTHORIZE, LIVE], ids=by_operation)
@pytest.mark.parametrize("code", ["OPERATION_PENDING", "OPERATION_DISPATCHED", None])
def test_202_of_authorize_goes_on_in_the_background(request_: wire.Request, code: str | None) -> None:
    pending = answer(request_, 202, {"FlinksCode": code, "RequestId": REQUEST_ID})
    assert pending == wire.AccountsPending(request_id=REQUEST_ID)


def test_202_of_authorize_without_a_request_id_leads_nowhere() -> None:
    with pytest.raises(FlinksUnreadable):
        answer(LIVE, 202, {"FlinksCode": "OPERATION_PENDING"})


def test_the_status_inside_the_body_counts_where_it_is_worse() -> None:
    with pytest.raises(CredentialRefused):
        answer(AUTHORIZE, 200, {**session(), "HttpStatusCode": 401})
    with pytest.raises(CredentialRefused):
        answer(AUTHORIZE, 401, session())


# Codes


def test_a_code_inside_a_200_is_never_a_success() -> None:
    read = answer(AUTHORIZE, 200, {**session(IsScheduledRefresh=True), "FlinksCode": "INVALID_PASSWORD"})
    assert isinstance(read, wire.CodeAnswer)
    assert read.reaction is Reaction.NEEDS_USER


@pytest.mark.parametrize("code", ["OK", "CREATED", "", None])
def test_ok_and_created_are_no_code(code: object) -> None:
    assert isinstance(answer(AUTHORIZE, 200, {**session(), "FlinksCode": code}), wire.Authorized)
    assert isinstance(answer(AUTHORIZE, 201, {**session(), "FlinksCode": code}), wire.Authorized)


def test_already_authorized_is_a_value_that_says_ok() -> None:
    read = answer(AUTHORIZE, 400, {"FlinksCode": "ALREADY_AUTHORIZED", "RequestId": REQUEST_ID})
    assert isinstance(read, wire.CodeAnswer)
    assert (read.reaction, read.request_id) == (Reaction.OK, REQUEST_ID)


def test_a_code_goes_before_the_status() -> None:
    read = answer(AUTHORIZE, 500, {"FlinksCode": "AGGREGATION_ERROR", "Institution": "TD"})
    assert isinstance(read, wire.CodeAnswer)
    assert (read.reaction, read.status, read.institution) == (Reaction.RETRY_LATER, 500, "TD")


def test_an_unknown_code_is_a_class_of_its_own() -> None:
    read = answer(AUTHORIZE, 401, {"FlinksCode": "Moon Phase"})
    assert isinstance(read, wire.CodeAnswer)
    assert (read.code, read.reaction) == ("MOON_PHASE", Reaction.UNKNOWN)


@pytest.mark.parametrize(
    ("code", "message", "is_unknown"),
    [
        ("INVALID_LOGIN", "The LoginId provided is either invalid or does not belong to the CustomerId", True),
        ("INVALID_LOGIN", "The provided Login Id is invalid", True),
        ("INVALID_LOGIN", f"The login '{str(LOGIN).upper()}' is invalid.", True),
        ("INVALID_LOGIN", f"The login '{OTHER}' is invalid.", False),
        ("INVALID_LOGIN", "The card number (username) or password provided is invalid", False),
        ("INVALID_LOGIN", None, False),
        ("INVALID_REQUEST", f"The login '{LOGIN}' is invalid.", True),
        ("INVALID_REQUEST", "The LoginId field is required", False),
        ("INVALID_REQUEST", "Unexpected character", False),
        ("INVALID_PASSWORD", f"The login '{LOGIN}' is invalid.", False),
    ],
)
@pytest.mark.parametrize("request_", [AUTHORIZE, LIVE, DISABLE], ids=by_operation)
def test_only_the_message_tells_an_unknown_login_from_wrong_credentials(
    request_: wire.Request, code: str, message: str | None, *, is_unknown: bool
) -> None:
    read = answer(request_, 401, {"FlinksCode": code, "Message": message})
    assert isinstance(read, wire.CodeAnswer)
    assert read.unknown_login is is_unknown
    if is_unknown:
        assert read.reaction is Reaction.PERMANENT


def test_a_data_call_never_speaks_of_an_unknown_login() -> None:
    read = answer(FETCH, 400, {"FlinksCode": "INVALID_LOGIN", "Message": "The provided LoginId is invalid"})
    assert isinstance(read, wire.CodeAnswer)
    assert not read.unknown_login


@pytest.mark.parametrize("request_", EVERY_REQUEST, ids=by_operation)
@pytest.mark.parametrize("code", ["ACCESS_DENIED", "CUSTOMER_NOT_FOUND", "METHOD_NOT_AVAILABLE", "access denied "])
def test_some_codes_speak_of_our_credentials(request_: wire.Request, code: str) -> None:
    with pytest.raises(CredentialRefused) as caught:
        answer(request_, 401, {"FlinksCode": code})
    assert caught.value.hint


@pytest.mark.parametrize("request_", [MINT, REPORT], ids=by_operation)
def test_unauthorized_speaks_of_our_key_where_no_bank_is_asked(request_: wire.Request) -> None:
    with pytest.raises(CredentialRefused):
        answer(request_, 401, {"FlinksCode": "UNAUTHORIZED"})


@pytest.mark.parametrize("request_", [AUTHORIZE, LIVE, FETCH, POLL, DISABLE], ids=by_operation)
def test_unauthorized_speaks_of_the_bank_elsewhere(request_: wire.Request) -> None:
    read = answer(request_, 401, {"FlinksCode": "UNAUTHORIZED"})
    assert isinstance(read, wire.CodeAnswer)
    assert read.reaction is Reaction.RETRY_LATER


@pytest.mark.parametrize("request_", [MINT, REPORT], ids=by_operation)
def test_a_code_where_no_login_is_concerned_is_a_refusal(request_: wire.Request) -> None:
    with pytest.raises(FlinksRefused) as caught:
        answer(request_, 401, {"FlinksCode": "RETRY_LATER", "Message": "soon"})
    assert (caught.value.code, caught.value.status) == ("RETRY_LATER", 401)
    assert "soon" in str(caught.value)


# Throttling


@pytest.mark.parametrize("request_", EVERY_REQUEST, ids=by_operation)
@pytest.mark.parametrize("status", [200, 401, 403, 429])
def test_too_many_requests_comes_with_any_status(request_: wire.Request, status: int) -> None:
    with pytest.raises(FlinksThrottled) as caught:
        answer(request_, status, {"FlinksCode": "TOO_MANY_REQUESTS"})
    assert caught.value.retry_after is None


@pytest.mark.parametrize("body", [b"", b"slow down", {"FlinksCode": "RATE_LIMIT"}])
def test_429_is_throttling_with_and_without_a_code(body: object) -> None:
    with pytest.raises(FlinksThrottled):
        answer(AUTHORIZE, 429, body)


def test_a_documented_code_at_429_is_still_that_code() -> None:
    read = answer(AUTHORIZE, 429, {"FlinksCode": "INVALID_PASSWORD"})
    assert isinstance(read, wire.CodeAnswer)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry-After": "30"}, timedelta(seconds=30)),
        ({"retry-after": " 0 "}, timedelta()),
        ({"RETRY-AFTER": "999999999"}, timedelta(days=1)),
        ({"Retry-After": "Thu, 18 Jun 2026 15:02:00 GMT"}, timedelta(minutes=2)),
        (
            {"Retry-After": "Thu, 18 Jun 2020 15:02:00 GMT", "Date": "Thu, 18 Jun 2020 15:01:00 GMT"},
            timedelta(minutes=1),
        ),
        ({"Retry-After": "Thu, 18 Jun 2026 14:02:00 GMT"}, timedelta()),
        ({"Retry-After": "Thu, 18 Jun 2099 14:02:00 GMT"}, timedelta(days=1)),
        ({"Retry-After": "Thu, 18 Jun 2026 15:02:00 -0000"}, None),
        ({"Retry-After": "Thu, 99 Jun 2026 15:02:00 GMT"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "\u0663"}, None),
        ({"Retry-After": ""}, None),
        ({}, None),
    ],
)
def test_retry_after_comes_as_seconds_or_as_a_date(headers: dict[str, str], wait: timedelta | None) -> None:
    with pytest.raises(FlinksThrottled) as caught:
        answer(REPORT, 429, b"", headers)
    assert caught.value.retry_after == wait


# No code


@pytest.mark.parametrize("request_", EVERY_REQUEST, ids=by_operation)
@pytest.mark.parametrize("status", [401, 403, 404])
@pytest.mark.parametrize("body", [b"", b"Forbidden", b"{}"])
def test_a_bare_refusal_speaks_of_our_credentials(request_: wire.Request, status: int, body: bytes) -> None:
    with pytest.raises(CredentialRefused) as caught:
        answer(request_, status, body)
    assert caught.value.status == status


@pytest.mark.parametrize("request_", EVERY_REQUEST, ids=by_operation)
@pytest.mark.parametrize("status", [500, 502, 503, 599])
def test_a_server_failure_without_a_code_is_no_answer(request_: wire.Request, status: int) -> None:
    with pytest.raises(FlinksUnreachable) as caught:
        answer(request_, status, b"<html>Bad Gateway</html>")
    assert caught.value.reason == "server"


@pytest.mark.parametrize("request_", EVERY_REQUEST, ids=by_operation)
@pytest.mark.parametrize("status", [100, 204, 206, 301, 302, 308, 400, 405, 418, 600, 0, -1])
def test_any_other_status_without_a_code_says_nothing(request_: wire.Request, status: int) -> None:
    with pytest.raises(FlinksUnreadable):
        answer(request_, status, b"")


def test_a_redirect_points_to_the_base_url() -> None:
    with pytest.raises(FlinksUnreadable) as caught:
        answer(REPORT, 302, b"")
    assert "REFRESHD_FLINKS_BASE_URL" in caught.value.hint


@pytest.mark.parametrize("request_", [MINT, REPORT, DISABLE], ids=by_operation)
def test_202_means_nothing_where_there_is_no_background_work(request_: wire.Request) -> None:
    with pytest.raises(FlinksUnreadable):
        answer(request_, 202, b"{}")


# Accounts


@pytest.mark.parametrize("request_", [FETCH, POLL], ids=by_operation)
def test_account_data_is_kept_as_it_came(request_: wire.Request) -> None:
    body = b'{"HttpStatusCode":200,  "Accounts":[{"Id":1}], "Login":{"Id":"%s"}}' % str(LOGIN).encode()
    assert answer(request_, 200, body) == wire.AccountsReady(body=body)
    assert "HttpStatusCode" not in repr(answer(request_, 200, body))


def test_account_data_without_a_login_is_taken() -> None:
    assert isinstance(answer(FETCH, 200, {"Accounts": []}), wire.AccountsReady)
    without = wire.fetch_accounts("asked-1", FetchDepth.DETAIL)
    assert isinstance(answer(without, 200, {"Accounts": [], "Login": {"Id": OTHER}}), wire.AccountsReady)


@pytest.mark.parametrize(
    "body", [{}, {"Accounts": None}, {"Accounts": {}}, {"Accounts": [], "Login": {"Id": OTHER}}, b"[]"]
)
def test_account_data_that_is_none_or_anothers_is_unreadable(body: object) -> None:
    with pytest.raises(FlinksUnreadable):
        answer(FETCH, 200, body)


@pytest.mark.parametrize("request_", [FETCH, POLL], ids=by_operation)
@pytest.mark.parametrize("code", ["OPERATION_PENDING", "OPERATION_DISPATCHED", None])
def test_202_of_a_data_call_says_how_to_go_on(request_: wire.Request, code: str | None) -> None:
    pending = answer(request_, 202, {"FlinksCode": code, "RequestId": REQUEST_ID})
    assert pending == wire.AccountsPending(request_id=REQUEST_ID)
    assert answer(request_, 202, b"") == wire.AccountsPending(request_id="asked-1")


def test_a_session_that_ran_out_is_a_value() -> None:
    read = answer(FETCH, 400, {"FlinksCode": "SESSION_NONEXISTENT"})
    assert isinstance(read, wire.CodeAnswer)
    assert read.reaction is Reaction.RETRY_LATER


# The report


def test_a_report_card_without_a_code_still_has_its_state() -> None:
    read = answer(REPORT, 200, (SAMPLES / "report-200-null-error-code.json").read_bytes())
    assert read == wire.ReportRead(
        report=Report(
            read_at=NOW,
            cards=(
                ReportCard(
                    login_id=LOGIN,
                    attempted_at=datetime(2020, 6, 18, 3, 26, 34, 685436, tzinfo=UTC),
                    state="AnsweringSecurityChallenge",
                    code=None,
                ),
            ),
        )
    )


def test_the_vendors_example_report_carries_a_code_and_is_refused() -> None:
    with pytest.raises(FlinksRefused) as caught:
        answer(REPORT, 200, (SAMPLES / "report-200-with-a-flinks-code-inside.json").read_bytes())
    assert caught.value.code == "INVALID_REQUEST"


def test_an_empty_report_is_a_report() -> None:
    assert answer(REPORT, 200, {"IneligibleCards": []}) == wire.ReportRead(report=Report(read_at=NOW, cards=()))


def card(**members: object) -> dict[str, object]:
    return {"LoginId": str(LOGIN), **members}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"HttpStatusCode": 200},
        {"IneligibleCards": None},
        {"IneligibleCards": {}},
        {"IneligibleCards": "none"},
        {"IneligibleCards": [None]},
        {"IneligibleCards": [{}]},
        {"IneligibleCards": [card(), card(LoginId="x")]},
        {"IneligibleCards": [card(), {"LastRefreshState": "Completed"}]},
        {"IneligibleCards": [card(LastRefreshDate="x")]},
        {"IneligibleCards": [card(LastRefreshErrorCode=7)]},
        b"",
        b"[]",
        b'"deactivated"',
    ],
    ids=lambda body: str(body)[:60],
)
def test_a_report_without_a_whole_list_is_unreadable(body: object) -> None:
    with pytest.raises(FlinksUnreadable):
        answer(REPORT, 200, body)


def test_a_card_says_what_it_knows() -> None:
    cards = [card(LastRefreshDate=None, LastRefreshState=" ", LastRefreshErrorCode="invalid_password ")]
    read = answer(REPORT, 200, {"IneligibleCards": cards})
    assert isinstance(read, wire.ReportRead)
    assert read.report.cards == (ReportCard(login_id=LOGIN, attempted_at=None, state=None, code="INVALID_PASSWORD"),)


def test_of_a_login_that_is_listed_twice_the_later_attempt_counts() -> None:
    days = ["2026-06-17T05:00:00", "2026-06-18T05:00:00", None, "2026-06-16T05:00:00"]
    read = answer(REPORT, 200, {"IneligibleCards": [card(LastRefreshDate=day) for day in days]})
    assert isinstance(read, wire.ReportRead)
    assert [entry.attempted_at for entry in read.report.cards] == [datetime(2026, 6, 18, 5, tzinfo=UTC)]


# SetScheduledRefresh


def test_the_vendors_sentences_confirm_a_change() -> None:
    on = answer(ENABLE, 200, (SAMPLES / "schedule-200-activated.json").read_bytes())
    assert on == wire.ScheduleSet(login_id=LOGIN, flag=Flag.ON)
    off = answer(DISABLE, 200, (SAMPLES / "schedule-200-deactivated.txt").read_bytes())
    assert off == wire.ScheduleSet(login_id=LOGIN, flag=Flag.OFF)


@pytest.mark.parametrize(
    "sentence",
    [
        f"{LOGIN} has now been deactivated for automatic refresh",
        f"LOGINID {str(LOGIN).upper()} HAS NOW BEEN DEACTIVATED FOR AUTOMATIC REFRESH",
        f"LoginId {LOGIN} is already deactivated.",
    ],
)
@pytest.mark.parametrize("as_json", [True, False])
def test_a_sentence_counts_as_json_and_as_text(sentence: str, *, as_json: bool) -> None:
    body = json.dumps(sentence).encode() if as_json else f"  {sentence}\r\n".encode()
    assert answer(DISABLE, 200, body) == wire.ScheduleSet(login_id=LOGIN, flag=Flag.OFF)


@pytest.mark.parametrize(
    "body",
    [
        f"LoginId {LOGIN} has now been activated for automatic refresh",
        f"LoginId {OTHER} has now been deactivated for automatic refresh",
        f"LoginId {LOGIN} has now been deactivated like {OTHER}",
        f"LoginId {LOGIN} could not be deactivated",
        f"LoginId {LOGIN} was activated, then deactivated",
        f"LoginId {LOGIN} has now been reactivated",
        f"Failed: {LOGIN} deactivated",
        f"Invalid LoginId {LOGIN}",
        "DEACTIVATED",
        "",
        {},
        {"Message": f"LoginId {LOGIN} has now been deactivated for automatic refresh"},
        [f"LoginId {LOGIN} has now been deactivated"],
        None,
        b"\xff",
    ],
    ids=lambda body: str(body)[-40:],
)
def test_a_disable_counts_only_when_flinks_has_said_so_about_this_login(body: object) -> None:
    with pytest.raises(FlinksUnreadable):
        answer(DISABLE, 200, body)


def test_an_enable_answered_with_deactivated_is_the_contrary() -> None:
    with pytest.raises(FlinksUnreadable, match="contrary"):
        answer(ENABLE, 200, f"LoginId {LOGIN} has now been deactivated for automatic refresh")


def test_a_code_in_place_of_the_sentence_is_a_value() -> None:
    read = answer(DISABLE, 200, {"FlinksCode": "INVALID_REQUEST", "Message": f"The login '{LOGIN}' is invalid."})
    assert isinstance(read, wire.CodeAnswer)
    assert read.unknown_login


# All of them


def test_a_moment_without_a_zone_is_a_bug() -> None:
    with pytest.raises(NaiveTimeError):
        wire.interpret(REPORT, 200, {}, b"", received_at=NOW.replace(tzinfo=None))


def test_a_request_that_must_name_its_login_and_does_not_is_a_bug() -> None:
    nameless = wire.Request(
        operation=AUTHORIZE.operation,
        method="POST",
        path=AUTHORIZE.path,
        body=None,
        credential=Credential.NONE,
        login_id=None,
    )
    with pytest.raises(TypeError):
        answer(nameless, 200, session())


@pytest.mark.parametrize("request_", EVERY_REQUEST, ids=by_operation)
@pytest.mark.parametrize("status", [200, 401, 502])
def test_no_error_quotes_what_the_answer_may_hold_of_people(request_: wire.Request, status: int) -> None:
    body = {"Login": {"Username": "ann", "Id": "ann"}, "Token": 7, "IneligibleCards": "ann", "Accounts": "ann"}
    with pytest.raises(FlinksError) as caught:
        answer(request_, status, body)
    assert "ann" not in f"{caught.value} {caught.value.hint}"
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
