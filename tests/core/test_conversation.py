from dataclasses import replace

import pytest

from refreshd.core import conversation as conversations
from refreshd.core.conversation import REQUEST_ID_SECONDS, Conversation, Kind, Step, Terms
from refreshd.core.model import (
    Credential,
    FetchDepth,
    Operation,
)
from tests.support.builders import TERMS, ago, login
from tests.support.vendor import first_call, minted

TOKEN = minted().token

# Which call is next -----------------------------------------------------------------------------------------------------------------

OPENINGS = {
    "the report": (Kind.REPORT, TERMS, Step.REPORT, Credential.API_SECRET),
    "the routine mints a token first": (Kind.ROUTINE, TERMS, Step.MINT, Credential.SECRET_KEY),
    "an old integration needs no token": (
        Kind.ROUTINE,
        replace(TERMS, mints_tokens=False),
        Step.AUTHORIZE,
        Credential.NONE,
    ),
    "a manual refresh mints a token too": (Kind.MANUAL, TERMS, Step.MINT, Credential.SECRET_KEY),
    "a schedule change": (Kind.CHANGE, TERMS, Step.SET, Credential.API_KEY),
    "a schedule change that proves itself with a token": (
        Kind.CHANGE,
        replace(TERMS, schedule_credential=Credential.AUTHORIZE_TOKEN),
        Step.MINT,
        Credential.SECRET_KEY,
    ),
    "a schedule change without a credential": (
        Kind.CHANGE,
        replace(TERMS, schedule_credential=Credential.NONE),
        Step.SET,
        Credential.NONE,
    ),
}


@pytest.mark.parametrize(("kind", "terms", "step", "credential"), OPENINGS.values(), ids=OPENINGS.keys())
def test_a_conversation_opens_with(kind: Kind, terms: Terms, step: Step, credential: Credential) -> None:
    first = first_call(kind, terms)
    assert first.step is step
    assert conversations.credential(first) is credential
    assert conversations.first_step(first) is step or kind is Kind.REPORT


@pytest.mark.parametrize("kind", [Kind.ROUTINE, Kind.MANUAL])
def test_a_conversation_begins_with_what_the_ledger_knows(kind: Kind) -> None:
    first = first_call(kind, TERMS)
    assert (first.attempts, first.polls, first.fetched_refresh_at) == (1, 0, ago(days=3))
    assert not first.reauthorized


REQUESTS = {
    "a token": (Kind.ROUTINE, Step.MINT, Operation.GENERATE_AUTHORIZE_TOKEN),
    "the cached Authorize of the routine": (Kind.ROUTINE, Step.AUTHORIZE, Operation.AUTHORIZE),
    "the live Authorize of a manual refresh": (Kind.MANUAL, Step.AUTHORIZE, Operation.AUTHORIZE_LIVE),
    "the data": (Kind.ROUTINE, Step.FETCH, Operation.GET_ACCOUNTS_DETAIL),
    "the data once more": (Kind.ROUTINE, Step.POLL, Operation.GET_ACCOUNTS_DETAIL_ASYNC),
    "the report": (Kind.REPORT, Step.REPORT, Operation.GET_NIGHTLY_REFRESH_STATUS),
}


@pytest.mark.parametrize(("kind", "step", "operation"), REQUESTS.values(), ids=REQUESTS.keys())
def test_each_step_asks_for(kind: Kind, step: Step, operation: Operation) -> None:
    terms = replace(TERMS, fetch=FetchDepth.DETAIL)
    waiting = replace(first_call(kind, terms), step=step, request_id="session-1", token=TOKEN)
    request = conversations.request(waiting)
    assert request.operation is operation
    assert request.token is (TOKEN if step is Step.AUTHORIZE else None)


def test_a_manual_refresh_asks_for_a_summary_where_nothing_is_stored() -> None:
    waiting = replace(first_call(Kind.MANUAL, TERMS), step=Step.FETCH, request_id="session-1")
    assert conversations.request(waiting).operation is Operation.GET_ACCOUNTS_SUMMARY


@pytest.mark.parametrize("step", [Step.FETCH, Step.POLL])
def test_data_of_another_login_would_be_noticed(step: Step) -> None:
    terms = replace(TERMS, fetch=FetchDepth.SUMMARY)
    waiting = replace(first_call(Kind.ROUTINE, terms), step=step, request_id="session-1")
    assert conversations.request(waiting).login_id == login()


def test_a_schedule_change_is_no_request_of_a_conversation() -> None:
    with pytest.raises(AssertionError, match="write gate"):
        conversations.request(first_call(Kind.CHANGE, TERMS))


def test_asking_a_conversation_for_what_it_is_not_about_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="about no login"):
        _ = first_call(Kind.REPORT, TERMS).subject
    with pytest.raises(AssertionError, match="changes no schedule"):
        _ = first_call(Kind.ROUTINE, TERMS).asked
    with pytest.raises(AssertionError, match="no RequestId"):
        conversations.request(replace(first_call(Kind.ROUTINE, TERMS), step=Step.FETCH))


# A RequestId grows old --------------------------------------------------------------------------------------------------------------


AUTHORIZED_AT = 1_000.0


def waiting_to_fetch(kind: Kind = Kind.ROUTINE, *, step: Step = Step.FETCH, reauthorized: bool = False) -> Conversation:
    waiting = replace(first_call(kind, TERMS), step=step, request_id="session-1", reauthorized=reauthorized)
    return replace(waiting, authorized_at_seconds=AUTHORIZED_AT)


def test_a_request_id_of_more_than_eight_minutes_means_to_authorise_again() -> None:
    waiting = waiting_to_fetch()
    assert conversations.refreshed(waiting, AUTHORIZED_AT + 480) is waiting
    again = conversations.refreshed(waiting, AUTHORIZED_AT + 480.1)
    assert (again.step, again.request_id, again.token) == (Step.MINT, None, None)


STAYS = {
    "it has been authorised again before": waiting_to_fetch(reauthorized=True),
    "another live Authorize would be needed": waiting_to_fetch(Kind.MANUAL),
    "Flinks is at work on the data": waiting_to_fetch(step=Step.POLL),
}


@pytest.mark.parametrize("waiting", STAYS.values(), ids=STAYS.keys())
def test_an_old_request_id_is_used_all_the_same_when(waiting: Conversation) -> None:
    assert conversations.refreshed(waiting, 10 * REQUEST_ID_SECONDS) is waiting


@pytest.mark.parametrize(
    ("mints", "credential", "authorize", "change"),
    [
        (False, Credential.API_KEY, (Credential.NONE,), (Credential.API_KEY,)),
        (True, Credential.NONE, (Credential.SECRET_KEY, Credential.AUTHORIZE_TOKEN), (Credential.NONE,)),
        (
            True,
            Credential.AUTHORIZE_TOKEN,
            (Credential.SECRET_KEY, Credential.AUTHORIZE_TOKEN),
            (Credential.SECRET_KEY, Credential.AUTHORIZE_TOKEN),
        ),
    ],
)
def test_a_call_that_needs_a_token_needs_the_key_that_mints_it(
    *, mints: bool, credential: Credential, authorize: tuple[Credential, ...], change: tuple[Credential, ...]
) -> None:
    terms = replace(TERMS, mints_tokens=mints, schedule_credential=credential)
    assert (terms.authorize_credentials, terms.change_credentials) == (authorize, change)


# What was spent before it left ------------------------------------------------------------------------------------------------------

MANUAL = first_call(Kind.MANUAL, TERMS)


@pytest.mark.parametrize(
    ("conversation", "holds"),
    [
        pytest.param(MANUAL, True, id="before its token"),
        pytest.param(replace(MANUAL, step=Step.AUTHORIZE, token=TOKEN), True, id="before it is sent"),
        pytest.param(replace(MANUAL, token_renewed=True), False, id="sent, and its token refused"),
        pytest.param(replace(MANUAL, step=Step.FETCH, request_id="a-request"), False, id="answered"),
        pytest.param(first_call(Kind.ROUTINE, TERMS), False, id="a cached one, which may be had every day"),
    ],
)
def test_a_live_authorize_is_still_to_be_had_until_it_has_left(conversation: Conversation, *, holds: bool) -> None:
    assert conversations.holds_live_authorize(conversation) is holds
