from dataclasses import replace
from datetime import timedelta

import pytest

from refreshd.core import conversation as conversations
from refreshd.core.conversation import POLL_SECONDS, Conversation, Kind, Step
from refreshd.core.effects import ChangeFailed, Confirmed, Deferral, Effect, Refused, Sighting
from refreshd.core.errors import CallAbandoned, CredentialRefused, FlinksError, FlinksUnreachable
from refreshd.core.model import Change, Credential, Flag
from refreshd.core.turn import Turn
from tests.support.builders import NOW, TERMS, guarded, login
from tests.support.vendor import (
    CHALLENGED,
    KEY_REFUSED,
    OFF,
    PENDING,
    READY,
    REFRESHED,
    REPORT,
    THROTTLED,
    UNKNOWN_LOGIN,
    UNREACHABLE,
    UNREADABLE,
    WAIT_A_BIT,
    Outcome,
    authorized,
    coded,
    minted,
    told,
    turned,
)

BARE = replace(TERMS, mints_tokens=False)
ROUTINE = conversations.routine(login(), BARE, attempts=1, fetched_refresh_at=None)
MANUAL = conversations.manual(login(), BARE, attempts=1, fetched_refresh_at=None)
CHANGE = conversations.set_schedule(guarded(), TERMS, attempts=1)
MINUTE, WEEK = timedelta(minutes=1), timedelta(days=7)

SEEN = Sighting(login_id=login(), seen_at=NOW, flag=Flag.ON, refreshed_at=REFRESHED, institution="Demo Bank", code=None)


def seen_with(code: str, *, institution: str | None = "Demo Bank", live: bool = False) -> Sighting:
    return Sighting(
        login_id=login(),
        seen_at=NOW,
        flag=Flag.UNKNOWN,
        refreshed_at=None,
        institution=institution,
        code=code,
        live=live,
    )


def refusal(code: str) -> Refused:
    return Refused(login_id=login(), refused_at=NOW, code=code, not_before=NOW + WEEK)


def last_try(conversation: Conversation) -> Conversation:
    return replace(conversation, tries=conversations.TRIES_IN_A_ROW)


def deferral(turn: Turn) -> Deferral:
    (effect,) = turn.effects
    assert isinstance(effect, Deferral)
    return effect


def failure(turn: Turn) -> ChangeFailed:
    effect = turn.effects[0]
    assert isinstance(effect, ChangeFailed)
    return effect


# An Authorize is answered -----------------------------------------------------------------------------------------------------------

AUTHORIZED: dict[str, tuple[Outcome, Effect]] = {
    "a success is seen": (authorized(), SEEN),
    "a success of a login never refreshed is seen": (authorized(refreshed_at=None), replace(SEEN, refreshed_at=None)),
    "last night's failure is seen": (coded("RETRY_LATER"), seen_with("RETRY_LATER")),
    "a user who must connect again is seen": (coded("INVALID_LOGIN"), seen_with("INVALID_LOGIN")),
    "a code that nobody knows is seen": (coded("SOMETHING_NEW"), seen_with("SOMETHING_NEW")),
    "a bank that is down is seen": (coded("DISABLED_INSTITUTION"), seen_with("DISABLED_INSTITUTION")),
    "a challenge is seen as one": (CHALLENGED, seen_with("ANSWERING_SECURITY_CHALLENGE", institution=None)),
    "an unknown login is refused for a week": (UNKNOWN_LOGIN, refusal("INVALID_LOGIN")),
    "an invalid request is refused for a week": (coded("INVALID_REQUEST"), refusal("INVALID_REQUEST")),
}


@pytest.mark.parametrize(("outcome", "effect"), AUTHORIZED.values(), ids=AUTHORIZED.keys())
def test_of_a_cached_authorize(outcome: Outcome, effect: Effect) -> None:
    turn = turned(ROUTINE, outcome)
    assert turn.effects == (effect,)
    assert turn.following is None
    assert turn.gave_up is (turn.trouble is not None) is isinstance(effect, Refused)


@pytest.mark.parametrize("code", ["CONCURRENT_SESSION", "CARD_IN_USE"])
def test_a_code_about_the_call_is_no_word_about_last_night_and_is_tried_again(code: str) -> None:
    turn = turned(ROUTINE, coded(code))
    assert turn.effects == ()
    assert turn.following == replace(ROUTINE, tries=2)


def test_a_cached_authorize_that_goes_on_in_the_background_is_tried_again() -> None:
    turn = turned(ROUTINE, PENDING)
    assert turn.effects == ()
    assert turn.trouble is not None
    assert turn.trouble.status == 202
    assert turn.following == replace(ROUTINE, tries=2)


def test_a_challenge_ends_a_manual_refresh_and_the_user_must_reconnect() -> None:
    turn = turned(MANUAL, CHALLENGED)
    assert turn == Turn(effects=(seen_with("ANSWERING_SECURITY_CHALLENGE", institution=None, live=True),))


def test_a_live_authorize_goes_on_with_the_aggregation_call_even_where_nothing_is_stored() -> None:
    talk = told(MANUAL, authorized(), PENDING, READY)
    assert talk.effects == [replace(SEEN, live=True, routine_done=False), replace(SEEN, live=True)]
    assert talk.last.following is None


def test_a_live_authorize_in_the_background_is_collected_and_never_repeated() -> None:
    talk = told(MANUAL, PENDING, READY)
    assert [call.conversation.step for call in talk.calls] == [Step.AUTHORIZE, Step.FETCH]
    assert talk.calls[1].waited_seconds == POLL_SECONDS
    assert talk.effects == []


@pytest.mark.parametrize("outcome", [UNREACHABLE, THROTTLED, coded("CARD_IN_USE")], ids=str)
def test_a_live_authorize_that_came_to_nothing_is_not_repeated(outcome: Outcome) -> None:
    turn = turned(MANUAL, outcome)
    assert turn.following is None
    assert deferral(turn).login_id == login()


# A call fails -----------------------------------------------------------------------------------------------------------------------


def test_three_tries_in_a_row_and_then_a_stored_back_off() -> None:
    talk = told(ROUTINE, UNREACHABLE, UNREACHABLE, UNREACHABLE)
    assert [call.waited_seconds for call in talk.calls] == [0, 5, 10]
    put_off = deferral(talk.last)
    assert put_off.attempts == 2
    assert timedelta(minutes=30) <= put_off.not_before - NOW <= timedelta(minutes=36)


def test_every_try_mints_a_token_of_its_own() -> None:
    with_token = conversations.routine(login(), TERMS, attempts=0, fetched_refresh_at=None)
    talk = told(with_token, minted(), UNREACHABLE, minted(), authorized())
    first, second = (call.conversation.token for call in talk.at(Step.AUTHORIZE))
    assert first is not None
    assert second is not None
    assert first.reveal() != second.reveal()


@pytest.mark.parametrize(("error", "wait"), [(THROTTLED, MINUTE), (WAIT_A_BIT, 7 * MINUTE)], ids=["silent", "said"])
def test_who_is_throttled_comes_back_when_flinks_says_or_in_a_minute_and_has_not_failed(
    error: FlinksError, wait: timedelta
) -> None:
    put_off = deferral(turned(ROUTINE, error))
    assert put_off.attempts == ROUTINE.attempts
    assert put_off.not_before == NOW + wait
    failed = failure(turned(CHANGE, error))
    assert (failed.attempts, failed.not_before) == (CHANGE.attempts, NOW + wait)


def test_an_institution_that_is_down_rests_longer() -> None:
    down = last_try(replace(CHANGE, attempts=0))
    rest = failure(turned(down, coded("DISABLED_INSTITUTION"))).not_before - NOW
    assert timedelta(hours=1) <= rest <= timedelta(hours=1.2)


def test_a_refused_token_is_replaced_by_one_fresh_one() -> None:
    with_token = conversations.routine(login(), TERMS, attempts=0, fetched_refresh_at=None)
    talk = told(with_token, minted(), KEY_REFUSED, minted(), KEY_REFUSED)
    assert [call.conversation.step for call in talk.calls] == [Step.MINT, Step.AUTHORIZE] * 2
    assert [type(effect) for effect in talk.effects] == [Deferral]
    assert talk.last.gave_up
    assert talk.last.trouble is KEY_REFUSED


def test_a_refused_report_ends_the_conversation() -> None:
    assert turned(conversations.read_report(TERMS), KEY_REFUSED) == Turn(trouble=KEY_REFUSED, gave_up=True)


def test_a_login_whose_credential_is_refused_steps_back_so_that_the_next_probe_is_anothers() -> None:
    put_off = deferral(turned(ROUTINE, KEY_REFUSED))
    assert put_off.attempts == ROUTINE.attempts + 1
    assert put_off.not_before >= NOW + 15 * MINUTE


def test_a_back_off_ends_in_time_for_a_login_that_can_still_be_saved() -> None:
    lost_at = NOW + timedelta(hours=4)
    late = last_try(replace(ROUTINE, attempts=6, lost_at=lost_at))
    assert deferral(turned(late, UNREACHABLE)).not_before == lost_at - timedelta(hours=1)


@pytest.mark.parametrize("conversation", [ROUTINE, CHANGE], ids=["authorize", "change"])
def test_a_call_that_never_left_is_no_failure_of_anybody(conversation: Conversation) -> None:
    """What is due by then is drawn anew; a change that was marked as sent has an event that says it was not."""
    turn = turned(conversation, CallAbandoned("not sent"))
    assert not turn.gave_up
    assert turn.following is None
    if conversation is CHANGE:
        assert (failure(turn).attempts, failure(turn).not_before) == (CHANGE.attempts, NOW)
    else:
        assert turn.effects == ()


# The schedule is changed ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", Change)
def test_a_change_that_flinks_confirms_is_recorded_as_asked(change: Change) -> None:
    conversation = conversations.set_schedule(guarded(change), TERMS, attempts=0)
    assert turned(conversation, OFF) == Turn(effects=(Confirmed(login_id=login(), change=change, confirmed_at=NOW),))


def test_each_failed_try_of_a_change_is_an_event_of_its_own() -> None:
    talk = told(CHANGE, UNREACHABLE, UNREACHABLE, UNREACHABLE)
    tries = [failure(call.turn) for call in talk.calls]
    assert [each.attempts for each in tries] == [1, 1, 2]
    assert [each.not_before > NOW for each in tries] == [False, False, True]
    first = ChangeFailed(
        login_id=login(),
        change=Change.DISABLE,
        failed_at=NOW,
        error=UNREACHABLE.message,
        code=None,
        attempts=1,
        not_before=NOW,
    )
    assert tries[:2] == [first, first]
    assert all(call.turn.trouble is UNREACHABLE for call in talk.calls)


def _no_connection() -> FlinksUnreachable:
    error = FlinksUnreachable("no connection", reason="connect")
    error.left = False
    return error


@pytest.mark.parametrize(
    ("outcome", "over"),
    [
        (coded("RETRY_LATER"), True),
        (UNKNOWN_LOGIN, True),
        (THROTTLED, True),
        (CredentialRefused("no FlinksCode", status=403), True),
        (CallAbandoned("not sent"), True),
        (_no_connection(), True),
        (UNREACHABLE, False),
        (FlinksUnreachable("a gateway's 502", reason="server", status=502), False),
        (UNREADABLE, False),
    ],
    ids=lambda each: str(each)[:40],
)
def test_what_may_still_take_effect_is_told_from_what_was_answered_or_never_left(
    outcome: Outcome, *, over: bool
) -> None:
    assert failure(turned(CHANGE, outcome)).over is over


def test_a_code_that_is_no_refusal_is_a_failed_try_of_a_change() -> None:
    turn = turned(CHANGE, coded("RETRY_LATER"))
    assert failure(turn).code == "RETRY_LATER"
    assert turn.following == replace(CHANGE, tries=2)


@pytest.mark.parametrize("outcome", [UNKNOWN_LOGIN, coded("INVALID_REQUEST")], ids=["unknown", "invalid"])
def test_a_change_that_is_refused_for_good_rests_a_week_with_its_login(outcome: Outcome) -> None:
    turn = turned(CHANGE, outcome)
    assert failure(turn).not_before == NOW + WEEK
    assert isinstance(turn.effects[1], Refused)
    assert turn.effects[1].not_before == NOW + WEEK
    assert turn.following is None
    assert turn.gave_up
    assert turn.trouble is not None


def test_a_change_whose_credential_is_refused_steps_back_so_that_the_next_probe_is_anothers() -> None:
    turn = turned(CHANGE, KEY_REFUSED)
    assert failure(turn).attempts == CHANGE.attempts + 1
    assert failure(turn).not_before >= NOW + 15 * MINUTE
    assert turn.gave_up


def test_a_change_that_proves_itself_with_a_token_mints_one_for_each_try() -> None:
    terms = replace(TERMS, schedule_credential=Credential.AUTHORIZE_TOKEN)
    change = conversations.set_schedule(guarded(), terms, attempts=0)
    talk = told(change, minted(), UNREACHABLE, minted(), KEY_REFUSED, minted(), OFF)
    assert [call.conversation.step for call in talk.calls] == [Step.MINT, Step.SET] * 3
    assert [type(effect) for effect in talk.effects] == [ChangeFailed, ChangeFailed, Confirmed]


def test_a_change_for_which_no_token_can_be_had_is_put_off_although_it_was_not_sent() -> None:
    terms = replace(TERMS, schedule_credential=Credential.AUTHORIZE_TOKEN)
    change = conversations.set_schedule(guarded(), terms, attempts=0)
    talk = told(change, UNREACHABLE, UNREACHABLE, UNREACHABLE)
    assert [type(effect) for effect in talk.effects] == [ChangeFailed]


def test_a_token_that_is_denied_ends_no_change_that_was_sent_before() -> None:
    terms = replace(TERMS, schedule_credential=Credential.AUTHORIZE_TOKEN)
    change = conversations.set_schedule(guarded(), terms, attempts=0)
    assert not failure(turned(change, THROTTLED)).over


# The report is read -----------------------------------------------------------------------------------------------------------------


def test_a_report_that_was_read_is_handed_on() -> None:
    reading = conversations.read_report(TERMS)
    assert turned(reading, REPORT) == Turn(report=REPORT.report)


def test_a_report_is_tried_three_times_and_has_no_effect_when_it_fails() -> None:
    talk = told(conversations.read_report(TERMS), UNREACHABLE, UNREACHABLE, UNREACHABLE)
    assert talk.effects == []
    assert all(call.turn.report is None for call in talk.calls)
    assert talk.last.gave_up


def test_a_throttled_report_is_left_alone_at_once() -> None:
    assert turned(conversations.read_report(TERMS), THROTTLED) == Turn(trouble=THROTTLED, gave_up=True)


def test_a_code_where_no_login_is_concerned_is_an_error_like_any_other() -> None:
    turn = turned(conversations.read_report(TERMS), coded("INVALID_REQUEST"))
    assert turn.report is None
    assert turn.following is not None
    assert turn.trouble is not None
    assert (turn.trouble.code, turn.trouble.status) == ("INVALID_REQUEST", 401)


def test_an_error_is_never_a_fact_about_a_login() -> None:
    for error in (FlinksUnreachable("reset", reason="connect"), CredentialRefused("ACCESS_DENIED")):
        for kind in (ROUTINE, MANUAL):
            assert kind.kind in {Kind.ROUTINE, Kind.MANUAL}
            assert not any(isinstance(effect, Sighting | Refused) for effect in turned(last_try(kind), error).effects)
