"""Each class of cause has its own ladder; waits double, are spread, and end in time for what would be lost."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refreshd.core import backoff
from refreshd.core.backoff import LADDERS, LAST_CHANCE, Cause
from refreshd.core.codes import KNOWN_CODES
from refreshd.core.errors import CredentialRefused, FlinksError, FlinksUnreachable, FlinksUnreadable
from tests.support.builders import NOW, login

NUMBERS = st.integers(min_value=0, max_value=2**128 - 1)

LADDER = (
    (1, 15),
    (2, 30),
    (3, 60),
    (4, 120),
    (5, 240),
    (6, 360),
    (7, 360),
    (40_000, 360),
)


@pytest.mark.parametrize(("attempts", "minutes"), LADDER)
@given(number=st.integers(min_value=0, max_value=2**128 - 1))
def test_each_fruitless_round_doubles_the_wait_up_to_six_hours(attempts: int, minutes: int, number: int) -> None:
    wait = backoff.retry_at(login(number), attempts, Cause.RETRY_LATER, NOW) - NOW
    assert timedelta(minutes=minutes) <= wait <= timedelta(minutes=minutes) * 1.2


@given(st.integers(min_value=0, max_value=2**128 - 1), st.integers(min_value=1, max_value=5))
def test_up_to_the_last_step_each_wait_is_longer_than_the_one_before(number: int, attempts: int) -> None:
    waits = [backoff.retry_at(login(number), each, Cause.RETRY_LATER, NOW) for each in (attempts, attempts + 1)]
    assert waits[0] < waits[1]


def test_an_institution_that_is_down_rests_for_an_hour_at_first() -> None:
    rest = backoff.retry_at(login(), 1, Cause.INSTITUTION, NOW) - NOW
    assert timedelta(hours=1) <= rest <= timedelta(hours=1.2)


def test_the_same_history_gives_the_same_time() -> None:
    assert backoff.retry_at(login(7), 2, Cause.RETRY_LATER, NOW) == backoff.retry_at(
        login(7), 2, Cause.RETRY_LATER, NOW
    )


def test_logins_that_failed_together_do_not_come_back_together() -> None:
    assert len({backoff.retry_at(login(number), 1, Cause.RETRY_LATER, NOW) for number in range(100)}) > 90


def test_the_report_is_asked_for_more_and_more_rarely_up_to_four_times_an_hour() -> None:
    minutes = [backoff.report_rests(each) / timedelta(minutes=1) for each in (1, 2, 3, 4, 5, 6, 40_000)]
    assert minutes == [1, 2, 4, 8, 15, 15, 15]


def test_a_login_that_was_refused_for_good_rests_a_week() -> None:
    assert backoff.quarantined_until(NOW) == NOW + timedelta(days=7)


@pytest.mark.parametrize("cause", Cause)
@given(number=NUMBERS, attempts=st.integers(1, 50))
def test_every_wait_stays_on_its_causes_ladder(cause: Cause, number: int, attempts: int) -> None:
    wait = backoff.retry_at(login(number), attempts, cause, NOW) - NOW
    assert LADDERS[cause].first <= wait <= LADDERS[cause].last * 1.2


@pytest.mark.parametrize("cause", Cause)
@given(number=NUMBERS, attempts=st.integers(1, 50), left=st.timedeltas(timedelta(seconds=1), timedelta(days=7)))
def test_no_wait_costs_a_login_that_can_be_saved(cause: Cause, number: int, attempts: int, left: timedelta) -> None:
    """It is tried an hour before it would be lost, and within that hour as often as the ladder's first step allows."""
    wait = backoff.retry_at(login(number), attempts, cause, NOW, lost_at=NOW + left) - NOW
    assert wait <= max(left - LAST_CHANCE, LAST_CHANCE)
    assert wait >= min(LAST_CHANCE, LADDERS[cause].first)
    assert wait <= backoff.retry_at(login(number), attempts, cause, NOW) - NOW


def test_a_login_that_is_lost_already_waits_like_any_other() -> None:
    lost = (None, NOW, NOW - timedelta(days=1))
    assert len({backoff.retry_at(login(), 3, Cause.NO_ANSWER, NOW, lost_at=each) for each in lost}) == 1


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (FlinksUnreachable("x", reason="timeout"), Cause.NO_ANSWER),
        (FlinksUnreadable("x"), Cause.NO_ANSWER),
        (FlinksError("x", code="RETRY_LATER"), Cause.RETRY_LATER),
        (FlinksError("x", code="BANK MAINTENANCE_RETRY_LATER"), Cause.INSTITUTION),
        (CredentialRefused("x", code="ACCESS_DENIED"), Cause.DENIED),
        (CredentialRefused("x"), Cause.DENIED),
        (FlinksError("x", code="SOMETHING_NEW"), Cause.UNKNOWN),
    ],
)
def test_the_cause_is_read_off_the_error(error: FlinksError, cause: Cause) -> None:
    assert backoff.cause_of(error) is cause


@pytest.mark.parametrize("code", sorted(KNOWN_CODES))
def test_every_code_has_a_ladder(code: str) -> None:
    assert backoff.cause_of(FlinksError("x", code=code)) in LADDERS
