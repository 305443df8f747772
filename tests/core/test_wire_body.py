import json
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refreshd.core import wire
from refreshd.core.errors import MESSAGE_LIMIT
from refreshd.core.wire.body import code_or_none, folded, read_document, safe_text, vendor_time

GUID = "bb8b8569-3bfc-43c1-ae31-08d6de7f1675"


@pytest.mark.parametrize(
    ("raw", "moment"),
    [
        ("2020-06-18T03:26:34.6854364", datetime(2020, 6, 18, 3, 26, 34, 685436, tzinfo=UTC)),
        ("2026-06-18T03:26:34.685436", datetime(2026, 6, 18, 3, 26, 34, 685436, tzinfo=UTC)),
        ("2026-06-18T03:26:34", datetime(2026, 6, 18, 3, 26, 34, tzinfo=UTC)),
        ("2026-06-18T03:26:34Z", datetime(2026, 6, 18, 3, 26, 34, tzinfo=UTC)),
        ("2026-06-18T03:26:34-04:00", datetime(2026, 6, 18, 7, 26, 34, tzinfo=UTC)),
        (" 2026-06-18 03:26:34.5 ", datetime(2026, 6, 18, 3, 26, 34, 500000, tzinfo=UTC)),
        ("0001-01-01T00:00:00", None),
        ("0001-01-01T00:00:00+14:00", None),
        (None, None),
    ],
)
def test_a_timestamp_is_utc_unless_it_says_otherwise_and_year_one_is_never(
    raw: object, moment: datetime | None
) -> None:
    assert vendor_time(raw) == moment


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "yesterday",
        "2026-06-18",
        "2026-13-18T03:26:34",
        "2026-06-18T25:26:34",
        "0000-06-18T03:26:34",
        "9999-12-31T23:59:59-14:00",
        "2026-W25-4T03:26:34",
        1750217194,
        True,
        ["2026-06-18T03:26:34"],
    ],
)
def test_what_is_no_timestamp_is_refused(raw: object) -> None:
    with pytest.raises(ValueError, match=r"timestamp|must be in|out of range|month|hour"):
        vendor_time(raw)


@given(st.datetimes(min_value=datetime(2, 1, 2)), st.integers(0, 7))  # noqa: DTZ001 - the vendor writes no zone
def test_a_timestamp_survives_the_trip_at_any_precision(moment: datetime, digits: int) -> None:
    fraction = f"{moment.microsecond:06d}0"[:digits]
    written = moment.strftime("%m-%dT%H:%M:%S") + (f".{fraction}" if digits else "")
    read = vendor_time(f"{moment.year:04d}-{written}")
    assert read is not None
    assert timedelta() <= moment.replace(tzinfo=UTC) - read < timedelta(seconds=10 ** -min(digits, 6))


@given(st.datetimes(min_value=datetime(2, 1, 3), max_value=datetime(9999, 12, 29)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001
def test_a_zone_is_honoured(moment: datetime, minutes: int) -> None:
    zoned = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert vendor_time(zoned.isoformat()) == zoned


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"FlinksCode":"QUESTION_NOT_FOUND"}', "QUESTION_NOT_FOUND"),
        (b'{"flinksCode":"question not found "}', "QUESTION_NOT_FOUND"),
        (b'\xef\xbb\xbf{"FlinksCode":"RETRY_LATER"}', "RETRY_LATER"),
        (b'{"FlinksCode":"OK"}', None),
        (b'{"FlinksCode":"CREATED"}', None),
        (b'{"FlinksCode":""}', None),
        (b'{"FlinksCode":null}', None),
        (b'{"FlinksCode":7}', None),
        (b"[]", None),
        (b"<html>", None),
        (b"", None),
    ],
)
def test_the_code_is_found_in_any_case(body: bytes, code: str | None) -> None:
    assert wire.facts(401, body).flinks_code == code


def test_facts_are_what_the_vendors_guide_asks_for() -> None:
    body = json.dumps({"FlinksCode": "RETRY_LATER", "Message": "Try\nlater", "RequestId": GUID}).encode()
    assert wire.facts(401, body) == wire.AnswerFacts(
        http_status=401, flinks_code="RETRY_LATER", message="Try later", request_id=GUID
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'"LoginId x has now been deactivated"', "LoginId x has now been deactivated"),
        (b"LoginId x has now been deactivated", "LoginId x has now been deactivated"),
        (b"<html><body>Bad Gateway</body></html>", None),
        (b'{"Message": 7}', None),
        (b"17", None),
        (b"", None),
    ],
)
def test_a_bare_sentence_is_a_message_and_markup_is_none(body: bytes, message: str | None) -> None:
    assert wire.facts(200, body).message == message


def test_a_request_id_that_could_change_a_url_is_none() -> None:
    assert wire.facts(200, b'{"RequestId":"../../x"}').request_id is None


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("The username 4540123456789012 is invalid", "The username *** is invalid"),
        ("Card 4540 1234 5678 9012 is invalid", "Card *** is invalid"),
        ("ann@example.com is invalid", "*** is invalid"),
        (f"The login '{GUID}' is invalid.", f"The login '{GUID}' is invalid."),
        (f"The login '{UUID(int=0)}' is invalid.", f"The login '{UUID(int=0)}' is invalid."),
        ("HTTP 401 in 210 s", "HTTP 401 in 210 s"),
        ("nul\x00 and\nline", "nul and line"),
        (" \t", None),
    ],
)
def test_a_kept_text_has_no_numbers_or_addresses_of_people(raw: str, kept: str | None) -> None:
    assert safe_text(raw) == kept


@given(st.text(max_size=2000))
def test_a_kept_text_is_one_short_line_that_postgres_can_store(raw: str) -> None:
    kept = safe_text(raw)
    if kept is not None:
        assert 0 < len(kept) <= MESSAGE_LIMIT
        assert "\x00" not in kept
        assert len(kept.splitlines()) == 1
        kept.encode()


@given(st.text())
def test_a_code_that_is_kept_can_be_stored(raw: str) -> None:
    code = code_or_none(raw)
    if code is not None:
        assert code
        assert "\x00" not in code
        code.encode()


def test_two_spellings_of_one_name_may_agree() -> None:
    assert folded({"LoginId": "a", "loginId": "a", "x": 1}) == {"loginid": "a", "x": 1}


def test_two_spellings_of_one_name_must_not_disagree() -> None:
    with pytest.raises(ValueError, match="two spellings"):
        folded({"FlinksCode": "OK", "flinksCode": "RETRY_LATER"})
    document = wire.read_document(b'{"FlinksCode":"OK","flinksCode":"RETRY_LATER"}')
    assert not document.is_readable


@pytest.mark.parametrize("status", [b'"200"', b"true", b"99", b"600", b"200.0", b"1" * 400, b"{}"])
def test_a_status_inside_the_body_must_be_a_status(status: bytes) -> None:
    assert not wire.read_document(b'{"HttpStatusCode":' + status + b"}").is_readable


def test_a_document_shows_nothing_of_its_body() -> None:
    assert "4540" not in repr(wire.read_document(b'{"Login":{"Username":"4540"}}'))


@given(st.integers(), st.binary())
def test_facts_never_raise(status: int, body: bytes) -> None:
    assert wire.facts(status, body).http_status == status


def test_a_byte_order_mark_is_no_part_of_a_body() -> None:
    assert read_document(b'\xef\xbb\xbf{"Accounts":[]}').raw == b'{"Accounts":[]}'
