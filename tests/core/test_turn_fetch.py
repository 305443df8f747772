from dataclasses import replace

import pytest

from refreshd.core import conversation as conversations
from refreshd.core.conversation import POLL_LIMIT, POLL_SECONDS, Conversation, Step
from refreshd.core.effects import AccountData, Deferral, Sighting
from refreshd.core.model import FetchDepth, Flag
from refreshd.core.turn import Turn
from tests.support.builders import NOW, TERMS, login
from tests.support.vendor import (
    KEY_REFUSED,
    PENDING,
    READY,
    REFRESHED,
    THROTTLED,
    UNREACHABLE,
    Outcome,
    authorized,
    coded,
    told,
    turned,
)

BARE = replace(TERMS, mints_tokens=False)
FETCHES = replace(BARE, fetch=FetchDepth.DETAIL)
ROUTINE = conversations.routine(login(), BARE, attempts=1, fetched_refresh_at=None)
FETCHING = conversations.routine(login(), FETCHES, attempts=1, fetched_refresh_at=None)
MANUAL = conversations.manual(login(), BARE, attempts=1, fetched_refresh_at=None)

SEEN = Sighting(login_id=login(), seen_at=NOW, flag=Flag.ON, refreshed_at=REFRESHED, institution="Demo Bank", code=None)
DATA = AccountData(login_id=login(), refreshed_at=REFRESHED, fetched_at=NOW, depth=FetchDepth.DETAIL, body=READY.body)


def deferral(turn: Turn) -> Deferral:
    (effect,) = turn.effects
    assert isinstance(effect, Deferral)
    return effect


def test_a_refresh_is_fetched_and_then_the_routine_is_over() -> None:
    talk = told(FETCHING, authorized(), READY)
    assert talk.effects == [replace(SEEN, routine_done=False), DATA, SEEN]
    assert talk.last.following is None


NOT_FETCHED = {
    "nothing is to be stored": (ROUTINE, authorized()),
    "this refresh is stored already": (replace(FETCHING, fetched_refresh_at=REFRESHED), authorized()),
    "there never was a refresh": (FETCHING, authorized(refreshed_at=None)),
    "Flinks gave no RequestId": (FETCHING, authorized(request_id=None)),
}


@pytest.mark.parametrize(("conversation", "outcome"), NOT_FETCHED.values(), ids=NOT_FETCHED.keys())
def test_the_routine_is_over_without_a_fetch_when(conversation: Conversation, outcome: Outcome) -> None:
    turn = turned(conversation, outcome)
    (seen,) = turn.effects
    assert isinstance(seen, Sighting)
    assert seen.routine_done
    assert turn.following is None


def test_pending_data_is_polled_every_ten_seconds_with_the_newest_request_id() -> None:
    talk = told(FETCHING, authorized(), PENDING, replace(PENDING, request_id="session-9"), READY)
    polls = talk.at(Step.POLL)
    assert [call.waited_seconds for call in polls] == [POLL_SECONDS, POLL_SECONDS]
    assert [call.conversation.request_id for call in polls] == ["session-1", "session-9"]
    assert talk.effects[-2:] == [DATA, SEEN]


def test_flinks_has_thirty_minutes_for_the_data() -> None:
    assert (POLL_LIMIT, POLL_SECONDS) == (180, 10)


def test_data_that_is_not_there_after_30_minutes_is_put_off() -> None:
    talk = told(FETCHING, authorized(), *[PENDING] * (POLL_LIMIT + 1))
    assert len(talk.at(Step.POLL)) == POLL_LIMIT
    assert deferral(talk.last).error == "Flinks did not finish the data within 30 minutes"


def test_a_poll_that_fails_counts_as_one_and_keeps_the_pace() -> None:
    talk = told(FETCHING, authorized(), PENDING, UNREACHABLE, PENDING, UNREACHABLE, READY)
    assert [call.waited_seconds for call in talk.at(Step.POLL)] == [POLL_SECONDS] * 4
    assert talk.at(Step.POLL)[-1].conversation.polls == 4
    assert [call.turn.trouble for call in talk.at(Step.POLL)] == [UNREACHABLE, None, UNREACHABLE, None]
    assert talk.effects[-2:] == [DATA, SEEN]


def test_three_failed_polls_in_a_row_are_put_off() -> None:
    talk = told(FETCHING, authorized(), PENDING, UNREACHABLE, UNREACHABLE, UNREACHABLE)
    assert deferral(talk.last).attempts == 2


def test_the_last_poll_is_not_tried_again() -> None:
    waiting = replace(FETCHING, step=Step.POLL, request_id="session-1", polls=POLL_LIMIT)
    turn = turned(waiting, UNREACHABLE)
    assert turn.following is None
    assert deferral(turn).error == UNREACHABLE.message


@pytest.mark.parametrize("code", ["SESSION_NONEXISTENT", "SESSION_EXPIRED", "UNAUTHORIZED"])
def test_a_session_that_is_gone_is_opened_again_once(code: str) -> None:
    talk = told(FETCHING, authorized(), coded(code), authorized(), coded(code))
    assert [call.conversation.step for call in talk.calls] == [Step.AUTHORIZE, Step.FETCH] * 2
    assert talk.last.following is not None
    assert talk.last.following.step is Step.FETCH


FETCH_ENDS = {
    "a key that is not accepted": KEY_REFUSED,
    "a request that is invalid": coded("INVALID_REQUEST"),
    "a user who must connect again": coded("INVALID_PASSWORD"),
    "a bank that is down": coded("DISABLED_INSTITUTION"),
    "a code that nobody knows": coded("SOMETHING_NEW"),
}


@pytest.mark.parametrize("outcome", FETCH_ENDS.values(), ids=FETCH_ENDS.keys())
def test_the_fetch_waits_for_tomorrow_after(outcome: Outcome) -> None:
    talk = told(FETCHING, authorized(), outcome)
    assert talk.last.effects == (SEEN,)
    assert talk.last.gave_up
    assert talk.last.trouble is not None


@pytest.mark.parametrize("outcome", [coded("RETRY_LATER"), UNREACHABLE], ids=str)
def test_a_fetch_that_may_heal_is_tried_again_with_the_same_session_and_then_put_off(outcome: Outcome) -> None:
    talk = told(FETCHING, authorized(), outcome, outcome, outcome)
    assert [call.conversation.request_id for call in talk.at(Step.FETCH)] == ["session-1"] * 3
    assert [call.waited_seconds for call in talk.at(Step.FETCH)] == [0, 5, 10]
    assert deferral(talk.last).attempts == 2


def test_a_manual_refresh_whose_data_cannot_be_had_is_over_and_puts_nothing_off() -> None:
    talk = told(MANUAL, authorized(), THROTTLED)
    assert talk.last.effects == (replace(SEEN, live=True),)
    session_gone = told(MANUAL, authorized(), coded("SESSION_EXPIRED"))
    assert session_gone.last.following is not None
    assert session_gone.last.following.step is Step.FETCH
