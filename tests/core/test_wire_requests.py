from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refreshd.core import wire
from refreshd.core.model import Change, Credential, FetchDepth, LoginId, Operation

LOGIN = LoginId(UUID("d12c531b-9622-4477-38c5-08d779b6f27e"))
TOKEN = wire.AuthorizeToken("8b81698e-7c99-4d5d-8d6f-48187c0c19fc")


def test_a_cached_authorize_says_that_it_is_cached() -> None:
    request = wire.authorize(LOGIN, live=False, token=TOKEN)
    assert request.operation is Operation.AUTHORIZE
    assert (request.method, request.path) == ("POST", "BankingServices/Authorize")
    assert request.body == {"LoginId": str(LOGIN), "MostRecentCached": True}
    assert request.credential is Credential.AUTHORIZE_TOKEN
    assert request.token is TOKEN


def test_a_live_authorize_says_that_it_is_live_and_saves() -> None:
    request = wire.authorize(LOGIN, live=True, token=TOKEN)
    assert request.operation is Operation.AUTHORIZE_LIVE
    assert request.body == {"LoginId": str(LOGIN), "MostRecentCached": False, "Save": True}


def test_an_older_integration_authorizes_without_a_token() -> None:
    assert wire.authorize(LOGIN, live=False, token=None).credential is Credential.NONE


def test_a_token_is_minted_with_the_secret_key_and_an_empty_body() -> None:
    request = wire.mint_token()
    assert (request.method, request.path, request.body) == ("POST", "BankingServices/GenerateAuthorizeToken", None)
    assert request.credential is Credential.SECRET_KEY


def test_the_report_is_read_with_the_api_secret() -> None:
    request = wire.read_report()
    assert (request.method, request.path, request.body) == ("GET", "BankingServices/GetNightlyRefreshStatus", None)
    assert request.credential is Credential.API_SECRET


@pytest.mark.parametrize(
    ("depth", "fetch_path", "poll_path"),
    [
        (FetchDepth.SUMMARY, "BankingServices/GetAccountsSummary", "BankingServices/GetAccountsSummaryAsync/r-1"),
        (FetchDepth.DETAIL, "BankingServices/GetAccountsDetail", "BankingServices/GetAccountsDetailAsync/r-1"),
    ],
)
def test_accounts_are_fetched_with_a_body_and_polled_by_path(
    depth: FetchDepth, fetch_path: str, poll_path: str
) -> None:
    fetch = wire.fetch_accounts("r-1", depth, login_id=LOGIN)
    assert (fetch.method, fetch.path, fetch.body) == ("POST", fetch_path, {"RequestId": "r-1"})
    poll = wire.poll_accounts("r-1", depth, login_id=LOGIN)
    assert (poll.method, poll.path, poll.body) == ("GET", poll_path, None)
    assert fetch.credential is poll.credential is Credential.API_KEY
    assert fetch.login_id == poll.login_id == LOGIN


@pytest.mark.parametrize("request_id", ["", "..", "a/b", "a b", "a?b", "é", "x" * 65])
def test_a_request_id_that_could_change_the_url_is_refused(request_id: str) -> None:
    with pytest.raises(ValueError, match="RequestId"):
        wire.poll_accounts(request_id, FetchDepth.DETAIL)
    with pytest.raises(ValueError, match="RequestId"):
        wire.fetch_accounts(request_id, FetchDepth.DETAIL)


@pytest.mark.parametrize(("change", "is_activated"), [(Change.DISABLE, False), (Change.ENABLE, True)])
def test_a_schedule_change_is_a_patch_in_pascal_case(change: Change, *, is_activated: bool) -> None:
    request = wire.set_scheduled_refresh(LOGIN, change, credential=Credential.API_KEY, token=None)
    assert (request.method, request.path) == ("PATCH", "BankingServices/SetScheduledRefresh")
    assert request.body == {"LoginId": str(LOGIN), "IsActivated": is_activated}


def test_a_schedule_change_may_go_with_a_token() -> None:
    request = wire.set_scheduled_refresh(LOGIN, Change.DISABLE, credential=Credential.AUTHORIZE_TOKEN, token=TOKEN)
    assert request.token is TOKEN


@pytest.mark.parametrize(("credential", "token"), [(Credential.AUTHORIZE_TOKEN, None), (Credential.API_KEY, TOKEN)])
def test_a_token_goes_with_its_credential_and_with_no_other(
    credential: Credential, token: wire.AuthorizeToken | None
) -> None:
    with pytest.raises(ValueError, match="token"):
        wire.set_scheduled_refresh(LOGIN, Change.DISABLE, credential=credential, token=token)


def test_a_token_never_shows() -> None:
    request = wire.authorize(LOGIN, live=False, token=TOKEN)
    shown = f"{TOKEN} {TOKEN!r} {request} {request!r}"
    assert TOKEN.reveal() not in shown


@given(st.text())
def test_a_token_is_what_can_stand_in_a_header(raw: str) -> None:
    try:
        token = wire.AuthorizeToken(raw)
    except ValueError:
        return
    assert token.reveal() == raw
    assert raw.isascii()
    assert raw.isprintable()
    assert " " not in raw


@pytest.mark.parametrize("raw", ["", "two words", "line\nfeed", "\x00", "naïve", "x" * 257])
def test_what_could_not_stand_in_a_header_is_no_token(raw: str) -> None:
    with pytest.raises(ValueError, match="visible ASCII"):
        wire.AuthorizeToken(raw)


def test_the_trace_keeps_the_login_and_the_flags() -> None:
    live = wire.authorize(LOGIN, live=True, token=TOKEN)
    assert wire.traced_body(live) == {"LoginId": str(LOGIN), "MostRecentCached": False, "Save": True}
    change = wire.set_scheduled_refresh(LOGIN, Change.DISABLE, credential=Credential.NONE, token=None)
    assert wire.traced_body(change) == {"LoginId": str(LOGIN), "IsActivated": False}
    assert wire.traced_body(wire.fetch_accounts("r-1", FetchDepth.DETAIL)) == {}
    assert wire.traced_body(wire.mint_token()) is None
