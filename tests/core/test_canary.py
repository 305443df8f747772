"""How a large plan begins, case by case of the table in `refreshd.core.canary`."""

import pytest

from refreshd.core import codes
from refreshd.core.canary import CANARIES, CanaryAnswers, is_over, is_unexpected, may_follow, said_of, wants_canary
from refreshd.core.errors import (
    CallAbandoned,
    CredentialRefused,
    FlinksError,
    FlinksThrottled,
    FlinksUnreachable,
    FlinksUnreadable,
)
from refreshd.core.model import Reaction

UNEXPECTED = {
    "an answer that cannot be read, contradicts, or names another login": FlinksUnreadable(
        "it speaks of another login"
    ),
    "a code that only the user clears": FlinksError("Flinks answered", code="INVALID_LOGIN"),
    "a code for an operator": FlinksError("Flinks answered", code="INVALID_REQUEST"),
    "a code that nobody knows": FlinksError("Flinks answered", code="BRAND_NEW_CODE"),
    "words without a code": FlinksError("Flinks answered"),
}
TROUBLE = {
    "no answer": FlinksUnreachable("no answer within 60 s", reason="timeout"),
    "throttled": FlinksThrottled("too many requests"),
    "our key": CredentialRefused("ACCESS_DENIED"),
    "given up before it left": CallAbandoned("not sent"),
    "a code that heals by itself": FlinksError("Flinks answered", code="RETRY_LATER"),
    "a bank that is down": FlinksError("Flinks answered", code="DISABLED_INSTITUTION"),
}


@pytest.mark.parametrize("error", UNEXPECTED.values(), ids=UNEXPECTED)
def test_this_speaks_against_the_plan(error: FlinksError) -> None:
    assert is_unexpected(error)


@pytest.mark.parametrize("error", TROUBLE.values(), ids=TROUBLE)
def test_this_is_trouble_of_the_moment(error: FlinksError) -> None:
    assert not is_unexpected(error)


def test_the_examples_are_what_they_claim_to_be() -> None:
    assert codes.reaction_of("INVALID_LOGIN") is Reaction.NEEDS_USER
    assert codes.reaction_of("INVALID_REQUEST") is Reaction.PERMANENT
    assert codes.reaction_of("BRAND_NEW_CODE") is Reaction.UNKNOWN
    assert codes.reaction_of("DISABLED_INSTITUTION") is Reaction.INSTITUTION_DOWN


def test_twenty_go_at_once_and_more_begin_with_a_canary() -> None:
    assert not wants_canary(20)
    assert wants_canary(21)


@pytest.mark.parametrize(
    ("answers", "room"),
    [
        pytest.param(None, 1_000, id="no canary"),
        pytest.param(CanaryAnswers(), CANARIES, id="none begun"),
        pytest.param(CanaryAnswers(open=5), 0, id="all begun"),
        pytest.param(CanaryAnswers(open=2, expected=2), 1, id="one was withdrawn: another takes its place"),
        pytest.param(CanaryAnswers(expected=5), 1_000, id="all confirmed"),
        pytest.param(CanaryAnswers(expected=4, unexpected=1), 0, id="one odd"),
        pytest.param(CanaryAnswers(expected=5, unexpected=1), 0, id="one odd after all were confirmed"),
        pytest.param(CanaryAnswers(open=9), 0, id="more than were asked for"),
    ],
)
def test_so_many_may_follow(answers: CanaryAnswers | None, room: int) -> None:
    assert may_follow(answers, 1_000) == room


def test_the_canary_is_over_when_all_are_confirmed() -> None:
    assert is_over(None)
    assert is_over(CanaryAnswers(expected=5))
    assert not is_over(CanaryAnswers(expected=4, open=1))


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (CanaryAnswers(), "its canary: Flinks has confirmed 0 of 5 as expected; the rest waits"),
        (
            CanaryAnswers(open=2, expected=3),
            "its canary: Flinks has confirmed 3 of 5 as expected, 2 are not answered yet; the rest waits",
        ),
        (CanaryAnswers(expected=5), "its canary is over: Flinks has confirmed 5 as expected"),
        (CanaryAnswers(expected=4, unexpected=1), "1 of its canary's answers were not expected (no words)"),
        (CanaryAnswers(unexpected=2, said="odd"), "2 of its canary's answers were not expected (odd)"),
    ],
)
def test_how_a_canary_goes_is_one_sentence(answers: CanaryAnswers, said: str) -> None:
    assert said_of(answers) == said
