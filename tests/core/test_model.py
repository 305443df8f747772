from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest

from refreshd.core.model import (
    Answer,
    Evidence,
    Hold,
    Listing,
    NaiveTimeError,
    Refusal,
    VerdictName,
    check_aware,
)
from tests.support.builders import NOW, PLAN_ID, login

NAIVE = datetime(2026, 3, 10, 16, 0)  # noqa: DTZ001 - the fault under test

MADE_WITH: dict[str, Callable[[datetime], object]] = {
    "the time of an answer": lambda at: Answer(answered_at=at, code=None),
    "the time of a report": lambda at: Listing(reported_at=at, attempted_at=None, state=None, code=None),
    "the attempt of a listing": lambda at: Listing(reported_at=NOW, attempted_at=at, state=None, code=None),
    "the end of an approval": lambda at: Hold(plan_id=PLAN_ID, approved_until=at),
    "the time of a refusal": lambda at: Refusal(refused_at=at, code="INVALID_LOGIN"),
    "inactive since": lambda at: Evidence(login_id=login(), active=False, inactive_since=at),
    "the flag's time": lambda at: Evidence(login_id=login(), active=True, flag_seen_at=at),
    "the last refresh": lambda at: Evidence(login_id=login(), active=True, refreshed_at=at),
    "the last cached call": lambda at: Evidence(login_id=login(), active=True, cached_call_at=at),
    "the confirmation": lambda at: Evidence(login_id=login(), active=False, confirmed_off_at=at),
    "an unanswered change": lambda at: Evidence(login_id=login(), active=True, maybe_off_since=at),
    "the end of a rest": lambda at: Evidence(login_id=login(), active=True, not_before=at),
}


@pytest.mark.parametrize("make", MADE_WITH.values(), ids=MADE_WITH.keys())
def test_no_value_of_the_core_takes_a_time_without_a_zone(make: Callable[[datetime], object]) -> None:
    with pytest.raises(NaiveTimeError):
        make(NAIVE)


@pytest.mark.parametrize("make", MADE_WITH.values(), ids=MADE_WITH.keys())
def test_a_time_of_any_zone_will_do(make: Callable[[datetime], object]) -> None:
    make(NOW.astimezone(timezone(timedelta(hours=-5))))


def test_the_complaint_about_a_naive_time_names_it() -> None:
    with pytest.raises(NaiveTimeError, match="seen_at must be an aware datetime"):
        check_aware(read_at=NOW, asked_at=None, seen_at=NAIVE)


def test_there_are_ten_verdicts() -> None:
    assert {each.value for each in VerdictName} == {
        "leaking",
        "held",
        "disabled",
        "fresh",
        "stale",
        "failed",
        "reconnect",
        "drifted",
        "quarantined",
        "unseen",
    }
