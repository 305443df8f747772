"""Which failure stands when the report and an answer speak of the same login."""

from dataclasses import replace
from datetime import timedelta

import pytest

from refreshd.core.evidence import standing_failure
from refreshd.core.model import Answer, Disposition, Listing
from tests.support.builders import ACTIVE, JUDGE, ago

CHALLENGE = "AnsweringSecurityChallenge"


@pytest.mark.parametrize(
    ("answered", "state", "code", "expected"),
    [
        pytest.param("QUESTION_NOT_FOUND", CHALLENGE, None, "QUESTION_NOT_FOUND", id="a code tells more than a state"),
        pytest.param(
            "QUESTION_NOT_FOUND", CHALLENGE, "INVALID_PASSWORD", "INVALID_PASSWORD", id="the newer code stands"
        ),
        pytest.param(
            "RETRY_LATER", CHALLENGE, None, "ANSWERING_SECURITY_CHALLENGE", id="the newer state needs somebody else"
        ),
        pytest.param(None, CHALLENGE, None, "ANSWERING_SECURITY_CHALLENGE", id="a good answer came before"),
    ],
)
def test_a_report_newer_than_the_answer_stands_and_the_most_telling_code_names_it(
    answered: str | None, state: str, code: str | None, expected: str
) -> None:
    evidence = replace(
        ACTIVE,
        answer=Answer(answered_at=ago(hours=3), code=answered),
        listing=Listing(reported_at=ago(hours=1), attempted_at=None, state=state, code=code),
    )
    failure = standing_failure(evidence, JUDGE.stale_after)
    assert failure is not None
    assert failure.code == expected
    assert failure.disposition is Disposition.NEEDS_CLIENT


def test_a_good_refresh_seen_after_the_report_outdates_it() -> None:
    listing = Listing(reported_at=ago(hours=3), attempted_at=None, state=CHALLENGE, code=None)
    assert standing_failure(replace(ACTIVE, listing=listing), JUDGE.stale_after) is None
    assert standing_failure(replace(ACTIVE, listing=listing, refreshed_at=ago(days=3)), JUDGE.stale_after) is not None
    assert standing_failure(replace(ACTIVE, listing=listing), timedelta(hours=1)) is not None
