"""Whatever arrives, `interpret` returns a value or raises a `FlinksError`, and a change is never confirmed by accident."""

import json
import time
import tracemalloc
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refreshd.core import wire
from refreshd.core.errors import FlinksError
from refreshd.core.model import Change, Credential, FetchDepth, Flag, LoginId

NOW = datetime(2026, 6, 18, 15, 0, tzinfo=UTC)
LOGIN = LoginId(UUID("d12c531b-9622-4477-38c5-08d779b6f27e"))
REQUESTS = st.sampled_from(
    [
        wire.mint_token(),
        wire.authorize(LOGIN, live=False, token=None),
        wire.authorize(LOGIN, live=True, token=None),
        wire.fetch_accounts("r-1", FetchDepth.DETAIL, login_id=LOGIN),
        wire.poll_accounts("r-1", FetchDepth.SUMMARY, login_id=LOGIN),
        wire.read_report(),
        wire.set_scheduled_refresh(LOGIN, Change.DISABLE, credential=Credential.NONE, token=None),
        wire.set_scheduled_refresh(LOGIN, Change.ENABLE, credential=Credential.NONE, token=None),
    ]
)
STATUSES = st.sampled_from([200, 201, 202, 203, 204, 302, 400, 401, 403, 404, 405, 429, 500, 503]) | st.integers()
HEADERS = st.dictionaries(st.sampled_from(["Retry-After", "retry-after", "Date", "X"]), st.text(), max_size=3)

NAMES = st.sampled_from(
    [
        *("HttpStatusCode", "FlinksCode", "flinksCode", "Message", "RequestId", "Institution", "Login", "login"),
        *("Token", "IneligibleCards", "Accounts", "SecurityChallenges", "Id", "LoginId", "IsScheduledRefresh"),
        *("LastRefresh", "LastRefreshDate", "LastRefreshState", "LastRefreshErrorCode"),
    ]
)
WORDS = st.sampled_from(
    [
        *(str(LOGIN), "OK", "QUESTION_NOT_FOUND", "OPERATION_PENDING", "TOO_MANY_REQUESTS", "ACCESS_DENIED"),
        *("2026-06-18T03:26:34.6854364", "0001-01-01T00:00:00", "deactivated", "activated", "\x00", "\ud800"),
    ]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text()
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=8))
BODIES = st.binary() | VALUES.map(lambda value: json.dumps(value).encode())


def outcome(
    request: wire.Request, status: int, headers: dict[str, str], body: bytes
) -> wire.VendorAnswer | FlinksError:
    try:
        return wire.interpret(request, status, headers, body, received_at=NOW)
    except FlinksError as error:
        return error


@given(REQUESTS, STATUSES, HEADERS, BODIES)
@example(wire.read_report(), 200, {}, b"[" * 200_000)
@example(wire.read_report(), 200, {}, b'{"a":' * 200_000)
@example(wire.read_report(), 200, {}, b'{"HttpStatusCode":' + b"9" * 5000 + b"}")
@example(wire.read_report(), 200, {}, b'{"HttpStatusCode":' + b"9" * 4000 + b"}")
@example(wire.read_report(), 200, {}, b'{"IneligibleCards":[{"LoginId":NaN}]}')
@example(wire.read_report(), 200, {}, b'{"IneligibleCards":[],"IneligibleCards":null}')
@example(wire.read_report(), 429, {"Retry-After": "Mon, 99999999999999999999 Jan 2026 00:00:00 GMT"}, b"")
@example(wire.authorize(LOGIN, live=False, token=None), 200, {}, b'{"Login":{"Id":"\\ud800"}}')
def test_whatever_arrives_is_a_value_or_a_flinks_error(
    request: wire.Request, status: int, headers: dict[str, str], body: bytes
) -> None:
    assert isinstance(outcome(request, status, headers, body), wire.VendorAnswer | FlinksError)


@given(REQUESTS, STATUSES, HEADERS, BODIES)
def test_what_is_kept_of_an_answer_can_be_stored(
    request: wire.Request, status: int, headers: dict[str, str], body: bytes
) -> None:
    """Postgres takes no NUL and no lone surrogate; one such text would hold up a whole commit group."""
    read = outcome(request, status, headers, body)
    facts = wire.facts(status, body)
    kept = [facts.flinks_code, facts.message, facts.request_id, str(read)]
    if isinstance(read, wire.Authorized | wire.CodeAnswer):
        kept.append(read.institution)
    if isinstance(read, wire.ReportRead):
        kept += [text for card in read.report.cards for text in (card.state, card.code)]
    for text in kept:
        assert "\x00" not in (text or "")
        (text or "").encode()


CHANGES = st.sampled_from(list(Change))


def change_request(change: Change) -> wire.Request:
    return wire.set_scheduled_refresh(LOGIN, change, credential=Credential.NONE, token=None)


@given(change=CHANGES, guid=st.uuids(), prefix=st.sampled_from(["", "LoginId "]), as_json=st.booleans())
def test_a_change_survives_the_trip(change: Change, guid: UUID, prefix: str, *, as_json: bool) -> None:
    login_id = LoginId(guid)
    word = "activated" if change is Change.ENABLE else "deactivated"
    sentence = f"{prefix}{login_id} has now been {word} for automatic refresh"
    request = wire.set_scheduled_refresh(login_id, change, credential=Credential.NONE, token=None)
    read = outcome(request, 200, {}, (json.dumps(sentence) if as_json else sentence).encode())
    assert read == wire.ScheduleSet(login_id=login_id, flag=Flag.ON if change is Change.ENABLE else Flag.OFF)


@given(CHANGES, STATUSES, st.lists(WORDS | st.just("not") | st.text(), max_size=6).map(" ".join))
def test_a_confirmation_always_names_the_login_and_the_flag_that_was_asked(
    change: Change, status: int, text: str
) -> None:
    read = outcome(change_request(change), status, {}, json.dumps(text).encode())
    if isinstance(read, wire.ScheduleSet):
        assert status in {200, 201}
        assert str(LOGIN) in text.lower()
        assert ("deactivated" in text.lower()) is (change is Change.DISABLE)


MOMENTS = st.datetimes(min_value=datetime(2, 1, 1), max_value=NOW.replace(tzinfo=None))  # noqa: DTZ001 - as the vendor


@given(guid=st.uuids(), flag=st.booleans(), moment=st.none() | MOMENTS, request_id=st.none() | st.uuids().map(str))
def test_an_authorize_survives_the_trip(
    *, guid: UUID, flag: bool, moment: datetime | None, request_id: str | None
) -> None:
    login = {"Id": str(guid), "IsScheduledRefresh": flag, "LastRefresh": moment.isoformat() if moment else None}
    body = json.dumps({"HttpStatusCode": 200, "Login": login, "RequestId": request_id}).encode()
    assert outcome(wire.authorize(LoginId(guid), live=False, token=None), 200, {}, body) == wire.Authorized(
        login_id=LoginId(guid),
        flag=Flag.ON if flag else Flag.OFF,
        refreshed_at=moment.replace(tzinfo=UTC) if moment else None,
        institution=None,
        request_id=request_id,
    )


@given(st.sets(st.uuids()))
def test_a_report_survives_the_trip(guids: set[UUID]) -> None:
    body = json.dumps({"IneligibleCards": [{"LoginId": str(guid)} for guid in guids]}).encode()
    read = outcome(wire.read_report(), 200, {}, body)
    assert isinstance(read, wire.ReportRead)
    assert {card.login_id for card in read.report.cards} == guids
    assert len(read.report.cards) == len(guids)


NASTY = {
    "one long string": b'"' + b"x" * 4_000_000 + b'"',
    "one long code": b'{"FlinksCode":"' + b"A" * 4_000_000 + b'"}',
    "one long message": b'{"FlinksCode":"RETRY_LATER","Message":"' + b"1 @" * 1_300_000 + b'"}',
    "one long number": b'{"HttpStatusCode":' + b"9" * 4_000_000 + b"}",
    "many empty lists": b"[" + b"[]," * 1_300_000 + b"[]]",
    "one name a million times": b"{" + b'"a":1,' * 600_000 + b'"a":1}',
    "nesting without end": b"[" * 4_000_000,
    "a lone surrogate": b'{"Message":"\\ud800"}' * 200_000,
    "no UTF-8": b"\xff" * 4_000_000,
}


@pytest.mark.parametrize("case", NASTY)
def test_time_and_memory_are_bounded_by_the_body(case: str) -> None:
    """Forty bytes of memory for each byte that came, and seconds at most: the body itself is capped by REFRESHD_MAX_BODY_BYTES."""
    body = NASTY[case]
    tracemalloc.start()
    try:
        began = time.process_time()
        answered = outcome(wire.read_report(), 200, {}, body)
        took = time.process_time() - began
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(answered, FlinksError)
    assert peak <= 40 * len(body)
    assert took < 20


def test_no_text_that_is_kept_turns_the_writing_around_or_hides() -> None:
    body = json.dumps({"FlinksCode": "NEW\u202eONE", "Message": "a\u202eb\u200bc\ufeffd\u07b3\x00e"}).encode()
    facts = wire.facts(401, body)
    assert (facts.flinks_code, facts.message) == ("NEW_ONE", "a b c d e")
