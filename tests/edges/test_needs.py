"""What has failed stays failed until the same has succeeded: a look from outside proves nothing."""

import pytest

from refreshd.core.errors import LedgerUnavailable
from refreshd.needs import Need, Needs

FULL = LedgerUnavailable("the database has no room")
AWAY = LedgerUnavailable("the database does not answer")


@pytest.fixture
def shown() -> list[str | None]:
    return []


@pytest.fixture
def needs(shown: list[str | None]) -> Needs:
    return Needs(shown.append)


def test_nothing_is_shown_before_the_first_attempt_has_ended(needs: Needs, shown: list[str | None]) -> None:
    needs.served(Need.PASSES)
    assert shown == []
    needs.served(Need.LEASE)
    assert shown == [None]


def test_what_fails_at_every_try_is_shown_as_failing_all_the_while(needs: Needs, shown: list[str | None]) -> None:
    for _ in range(3):
        needs.served(Need.LEASE)
        needs.told(Need.PASSES, FULL)
        needs.leadership_over()
    assert shown == [None, FULL.message, FULL.message, FULL.message]
    needs.served(Need.PASSES)
    assert shown[-1] is None


def test_passes_that_go_on_speak_for_no_results_that_wait(needs: Needs, shown: list[str | None]) -> None:
    needs.served(Need.LEASE)
    needs.told(Need.RESULTS, FULL)
    needs.served(Need.PASSES)
    assert shown[-1] == FULL.message
    needs.told(Need.RESULTS, None)
    assert shown[-1] is None


def test_results_that_were_lost_with_a_leadership_are_forgotten_after_a_pass_of_the_next(
    needs: Needs, shown: list[str | None]
) -> None:
    needs.served(Need.LEASE)
    needs.told(Need.RESULTS, FULL)
    needs.leadership_over()
    needs.served(Need.LEASE)
    assert shown[-1] == FULL.message
    needs.served(Need.PASSES)
    assert shown[-1] is None


def test_a_standby_needs_no_more_of_the_database_than_the_answer_who_leads(
    needs: Needs, shown: list[str | None]
) -> None:
    needs.told(Need.PASSES, FULL)
    needs.told(Need.LEASE, AWAY)
    assert shown[-1] == AWAY.message, "what comes first is told first"
    needs.served(Need.LEASE, Need.PASSES)
    assert shown[-1] is None
