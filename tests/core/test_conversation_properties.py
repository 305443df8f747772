"""Whatever Flinks says, in whatever order: what is true of every conversation."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from refreshd.core import conversation as conversations
from refreshd.core import wire
from refreshd.core.conversation import POLL_LIMIT, POLL_SECONDS, REQUEST_ID_SECONDS, Kind, Step, Terms
from refreshd.core.effects import ChangeFailed, Confirmed, Deferral, Refused, Sighting
from refreshd.core.errors import CredentialRefused, FlinksError, FlinksThrottled
from refreshd.core.model import Credential, FetchDepth, Flag, Operation
from tests.support.builders import NOW, login
from tests.support.vendor import MOST_OUTCOMES, REFRESHED, Talk, first_call, led

MOST_CALLS = 2 * (POLL_LIMIT + 3 + 8)
"""Two sessions, each with three tries of token and Authorize, one fresh token, three tries of the fetch, and all its polls."""

all_terms = st.builds(
    Terms,
    mints_tokens=st.booleans(),
    fetch=st.sampled_from(FetchDepth),
    schedule_credential=st.sampled_from(
        (Credential.API_KEY, Credential.API_SECRET, Credential.AUTHORIZE_TOKEN, Credential.NONE)
    ),
)
_pick = st.integers(min_value=0, max_value=MOST_OUTCOMES - 1)
picks = st.fixed_dictionaries({step: st.lists(_pick, min_size=1, max_size=4) for step in Step})
delays = st.lists(st.sampled_from((0.0, 1.0, 60.0, REQUEST_ID_SECONDS + 1)), min_size=1, max_size=4)


def talks(*kinds: Kind) -> st.SearchStrategy[Talk]:
    return st.builds(
        lambda kind, terms, picked, waits: led(first_call(kind, terms), picked, waits),
        st.sampled_from(kinds),
        all_terms,
        picks,
        delays,
    )


@given(talks(*Kind))
def test_every_conversation_ends_after_a_bounded_number_of_calls(talk: Talk) -> None:
    assert talk.last.following is None
    assert len(talk.calls) <= MOST_CALLS


@given(talks(Kind.ROUTINE))
def test_the_routine_never_logs_in_at_a_bank(talk: Talk) -> None:
    for call in talk.at(Step.AUTHORIZE):
        request = conversations.request(call.conversation)
        assert request.operation is Operation.AUTHORIZE
        assert (request.body or {})["MostRecentCached"] is True


@given(talks(Kind.MANUAL))
def test_a_manual_refresh_logs_in_once_and_again_only_where_flinks_turned_its_token_away(talk: Talk) -> None:
    lives = talk.at(Step.AUTHORIZE)
    assert len(lives) <= 2
    assert all(isinstance(call.outcome, CredentialRefused) for call in lives[:-1])


@given(talks(*Kind))
def test_no_token_is_used_twice_and_none_is_kept(talk: Talk) -> None:
    used = [call.conversation.token for call in talk.calls if call.conversation.step in {Step.AUTHORIZE, Step.SET}]
    sent = [token.reveal() for token in used if token is not None]
    assert len(sent) == len(set(sent))
    kept = {Step.MINT, Step.FETCH, Step.POLL, Step.REPORT}
    assert all(call.conversation.token is None for call in talk.calls if call.conversation.step in kept)


@given(talks(Kind.ROUTINE, Kind.MANUAL))
def test_an_authorize_has_a_token_where_tokens_are_minted(talk: Talk) -> None:
    for call in talk.at(Step.AUTHORIZE):
        assert (call.conversation.token is not None) is call.conversation.terms.mints_tokens


@given(talks(*Kind))
def test_at_most_one_fresh_token_is_minted_for_one_that_was_refused(talk: Talk) -> None:
    refused = [
        call
        for call in talk.calls
        if isinstance(call.outcome, CredentialRefused) and call.conversation.token is not None
    ]
    renewed = [call for call in refused if call.turn.following is not None]
    assert len(renewed) <= 1
    assert all(call.turn.following and call.turn.following.step is Step.MINT for call in renewed)
    assert refused[:1] == renewed


@given(talks(Kind.ROUTINE, Kind.MANUAL))
def test_polls_wait_ten_seconds_and_are_at_most_180_for_each_session(talk: Talk) -> None:
    polls = 0
    for call in talk.calls:
        polls = polls + 1 if call.conversation.step is Step.POLL else 0
        assert polls <= POLL_LIMIT
        assert polls == 0 or call.waited_seconds == POLL_SECONDS


@given(talks(Kind.CHANGE))
def test_every_schedule_change_that_was_sent_ends_as_confirmed_or_failed(talk: Talk) -> None:
    for call in talk.at(Step.SET):
        ends = [effect for effect in call.turn.effects if isinstance(effect, Confirmed | ChangeFailed)]
        assert len(ends) == 1
        assert isinstance(ends[0], Confirmed) is isinstance(call.outcome, wire.ScheduleSet)
        assert ends[0].login_id == login()
    assert not any(isinstance(effect, Confirmed) for call in talk.at(Step.MINT) for effect in call.turn.effects)


@given(talks(*Kind))
def test_nothing_but_an_answer_about_this_login_confirms_a_change(talk: Talk) -> None:
    for call in talk.calls:
        if any(isinstance(effect, Confirmed) for effect in call.turn.effects):
            assert isinstance(call.outcome, wire.ScheduleSet)


@given(talks(Kind.ROUTINE, Kind.MANUAL))
def test_whatever_becomes_of_a_fetch_the_success_of_the_authorize_stays(talk: Talk) -> None:
    said: Sighting | None = None
    for call in talk.calls:
        sightings = [effect for effect in call.turn.effects if isinstance(effect, Sighting)]
        if call.conversation.step in {Step.FETCH, Step.POLL}:
            assert all(said and each == replace(said, routine_done=True) for each in sightings)
            assert not any(isinstance(effect, Refused) for effect in call.turn.effects)
        elif sightings:
            (said,) = sightings


@given(talks(Kind.ROUTINE))
def test_the_routine_of_a_login_ends_done_put_off_refused_or_without_a_credential(talk: Talk) -> None:
    last = [effect for effect in talk.last.effects if isinstance(effect, Sighting | Deferral | Refused)]
    if last:
        (end,) = last
        assert not isinstance(end, Sighting) or end.routine_done
    else:
        assert isinstance(talk.last.trouble, CredentialRefused)
        assert talk.last.gave_up


@given(talks(Kind.ROUTINE, Kind.MANUAL, Kind.CHANGE))
def test_only_a_wish_for_fewer_calls_puts_off_without_counting(talk: Talk) -> None:
    for call in talk.calls:
        for effect in call.turn.effects:
            if isinstance(effect, Deferral):
                counted = 0 if isinstance(call.outcome, FlinksThrottled) else 1
                assert effect.attempts == call.conversation.attempts + counted
                assert effect.not_before > NOW


@given(talks(*Kind))
def test_a_conversation_that_gave_up_says_why_and_one_that_goes_on_has_not_given_up(talk: Talk) -> None:
    for call in talk.calls:
        turn = call.turn
        assert not (turn.gave_up and turn.following)
        assert turn.trouble is not None or not turn.gave_up
        if isinstance(call.outcome, FlinksError) and turn.following is None:
            assert turn.gave_up
            assert turn.trouble is call.outcome


@given(talks(Kind.ROUTINE, Kind.MANUAL))
def test_a_failed_authorize_leaves_flag_and_last_refresh_as_they_were(talk: Talk) -> None:
    for effect in talk.effects:
        if isinstance(effect, Sighting) and effect.code is not None:
            assert (effect.flag, effect.refreshed_at) == (Flag.UNKNOWN, None)
        if isinstance(effect, Sighting) and effect.code is None:
            assert effect.refreshed_at in {REFRESHED, None}
