"""What one call makes of a conversation: effects for the ledger, and the conversation that goes on.

`advance` takes the vendor's answer, `fail` the error; both give a `Turn`. Whatever comes, a conversation ends after a bounded number of
calls, and each SetScheduledRefresh that was sent is accounted for by one `Confirmed` or one `ChangeFailed`.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from refreshd.core import backoff, canary, codes, wire
from refreshd.core.conversation import (
    POLL_LIMIT,
    POLL_SECONDS,
    TRIES_IN_A_ROW,
    Conversation,
    Kind,
    Step,
    authorise_again,
    first_step,
    may_authorise_again,
)
from refreshd.core.effects import AccountData, ChangeFailed, Confirmed, Deferral, Effect, Refused, Sighting
from refreshd.core.errors import CallAbandoned, CredentialRefused, FlinksError, FlinksThrottled
from refreshd.core.model import FetchDepth, Flag, Reaction, Report

_TRY_AGAIN_SECONDS = 5.0
_THROTTLED = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What follows from one call: effects to record now, and the conversation that goes on after `wait_seconds` (None: it is over).

    `trouble` is the error to tell the operator about; `gave_up` says that the round ended without what it was for.
    """

    effects: tuple[Effect, ...] = ()
    report: Report | None = None
    following: Conversation | None = None
    wait_seconds: float = 0.0
    trouble: FlinksError | None = None
    gave_up: bool = False


def advance(conversation: Conversation, answer: wire.VendorAnswer, now: datetime, at_seconds: float) -> Turn:
    """What the answer means; `at_seconds` is the loop time at which it came."""
    match answer:
        case wire.ReportRead():
            return Turn(report=answer.report)
        case wire.TokenMinted():
            onward = Step.SET if conversation.kind is Kind.CHANGE else Step.AUTHORIZE
            return Turn(following=replace(conversation, step=onward, token=answer.token))
        case wire.Authorized():
            return _authorized(conversation, answer, now, at_seconds)
        case wire.Challenged() | wire.CodeAnswer():
            return _coded(conversation, answer, now)
        case wire.AccountsPending() | wire.AccountsReady():
            return _data(conversation, answer, now, at_seconds)
        case wire.ScheduleSet():
            return _set(conversation, answer, now)
    assert_never(answer)


def _authorized(conversation: Conversation, answer: wire.Authorized, now: datetime, at_seconds: float) -> Turn:
    goes_on = answer.request_id is not None and _wants_fetch(conversation, answer.refreshed_at)
    sighting = Sighting(
        login_id=conversation.subject,
        seen_at=now,
        flag=answer.flag,
        refreshed_at=answer.refreshed_at,
        institution=answer.institution,
        code=None,
        live=conversation.kind is Kind.MANUAL,
        routine_done=not goes_on,
    )
    following = _to_fetch(replace(conversation, sighting=sighting), answer.request_id, at_seconds)
    return Turn(effects=(sighting,), following=following if goes_on else None)


def _to_fetch(conversation: Conversation, request_id: str | None, at_seconds: float) -> Conversation:
    """The authorize token is spent by now, and none is ever kept."""
    return replace(
        conversation,
        step=Step.FETCH,
        token=None,
        request_id=request_id,
        authorized_at_seconds=at_seconds,
        tries=1,
        polls=0,
    )


def _wants_fetch(conversation: Conversation, refreshed_at: datetime | None) -> bool:
    """A manual refresh always asks for the data (the vendor's procedure); the routine only for a refresh that is not stored yet."""
    if conversation.kind is Kind.MANUAL:
        return True
    return (
        conversation.terms.fetch is not FetchDepth.OFF
        and refreshed_at is not None
        and refreshed_at != conversation.fetched_refresh_at
    )


def _failed_sighting(conversation: Conversation, code: str, institution: str | None, now: datetime) -> Sighting:
    return Sighting(
        login_id=conversation.subject,
        seen_at=now,
        flag=Flag.UNKNOWN,
        refreshed_at=None,
        institution=institution,
        code=code,
        live=conversation.kind is Kind.MANUAL,
    )


def _coded(conversation: Conversation, answer: wire.CodeAnswer | wire.Challenged, now: datetime) -> Turn:
    if isinstance(answer, wire.Challenged):
        return Turn(effects=(_failed_sighting(conversation, codes.CHALLENGED, None, now),))
    said = FlinksError(f"Flinks answered {answer.code}", status=answer.status, code=answer.code)
    match conversation.step:
        case Step.AUTHORIZE:
            return _authorize_coded(conversation, answer, said, now)
        case Step.SET:
            return _change_refused(conversation, answer, said, now)
        case Step.FETCH | Step.POLL:
            return _fetch_coded(conversation, answer, said, now)
        case Step.MINT | Step.REPORT:
            return fail(conversation, said, now)
    assert_never(conversation.step)


def _authorize_coded(conversation: Conversation, answer: wire.CodeAnswer, said: FlinksError, now: datetime) -> Turn:
    if answer.code in codes.ABOUT_THE_CALL:
        return fail(conversation, said, now)
    if answer.unknown_login or answer.reaction is Reaction.PERMANENT:
        return Turn(effects=(_refusal(conversation, answer, now),), trouble=said, gave_up=True)
    return Turn(effects=(_failed_sighting(conversation, answer.code, answer.institution, now),))


def _refusal(conversation: Conversation, answer: wire.CodeAnswer, now: datetime) -> Refused:
    return Refused(
        login_id=conversation.subject, refused_at=now, code=answer.code, not_before=backoff.quarantined_until(now)
    )


def _change_refused(conversation: Conversation, answer: wire.CodeAnswer, said: FlinksError, now: datetime) -> Turn:
    if not (answer.unknown_login or answer.reaction is Reaction.PERMANENT):
        return fail(conversation, said, now)
    failed = replace(_change_failed(conversation, said, now, backoff.quarantined_until(now)), unexpected=True)
    return Turn(effects=(failed, _refusal(conversation, answer, now)), trouble=said, gave_up=True)


def _fetch_coded(conversation: Conversation, answer: wire.CodeAnswer, said: FlinksError, now: datetime) -> Turn:
    """The Authorize stays a success whatever the data call says; what does not heal within hours is asked again tomorrow."""
    if answer.code in codes.SESSION_GONE and may_authorise_again(conversation):
        return Turn(following=authorise_again(conversation))
    if answer.reaction is not Reaction.RETRY_LATER:
        return Turn(effects=_routine_over(conversation), trouble=said, gave_up=True)
    return fail(conversation, said, now)


def _routine_over(conversation: Conversation) -> tuple[Effect, ...]:
    return (replace(conversation.sighting, routine_done=True),) if conversation.sighting else ()


def _data(
    conversation: Conversation, answer: wire.AccountsPending | wire.AccountsReady, now: datetime, at_seconds: float
) -> Turn:
    if isinstance(answer, wire.AccountsReady):
        return _fetched(conversation, answer, now)
    if conversation.step is Step.AUTHORIZE:
        return _dispatched(conversation, answer, now, at_seconds)
    return _poll(replace(conversation, request_id=answer.request_id, tries=1), now)


def _dispatched(conversation: Conversation, answer: wire.AccountsPending, now: datetime, at_seconds: float) -> Turn:
    """A 202 of Authorize. A live one that goes on in the background is never sent again: the aggregation call collects what it brings."""
    if conversation.kind is Kind.MANUAL:
        return Turn(following=_to_fetch(conversation, answer.request_id, at_seconds), wait_seconds=POLL_SECONDS)
    return fail(conversation, FlinksError("a cached Authorize went on in the background", status=202), now)


def _poll(conversation: Conversation, now: datetime, trouble: FlinksError | None = None) -> Turn:
    """Ask again, as queued work of its own, until 30 minutes are over."""
    if conversation.polls >= POLL_LIMIT:
        late = trouble or FlinksError("Flinks did not finish the data within 30 minutes")
        return fail(replace(conversation, tries=TRIES_IN_A_ROW), late, now)
    following = replace(conversation, step=Step.POLL, polls=conversation.polls + 1)
    return Turn(following=following, wait_seconds=POLL_SECONDS, trouble=trouble)


def _fetched(conversation: Conversation, answer: wire.AccountsReady, now: datetime) -> Turn:
    done = _routine_over(conversation)
    refreshed_at = conversation.sighting.refreshed_at if conversation.sighting else None
    if conversation.terms.fetch is FetchDepth.OFF or refreshed_at is None:
        return Turn(effects=done)
    data = AccountData(
        login_id=conversation.subject,
        refreshed_at=refreshed_at,
        fetched_at=now,
        depth=conversation.terms.fetch,
        body=answer.body,
    )
    return Turn(effects=(data, *done))


def _set(conversation: Conversation, answer: wire.ScheduleSet, now: datetime) -> Turn:
    confirmed = Confirmed(login_id=answer.login_id, change=conversation.asked, confirmed_at=now)
    return Turn(effects=(confirmed,))


def fail(conversation: Conversation, error: FlinksError, now: datetime) -> Turn:
    """What follows when a call led to no answer: a fresh token, another try soon, or a stored back-off."""
    if isinstance(error, CallAbandoned):  # what is due now is drawn anew
        return Turn(effects=_set_failed(conversation, error, now), trouble=error)
    if isinstance(error, CredentialRefused):
        return _credential_refused(conversation, error, now)
    if conversation.kind is Kind.REPORT:
        return _report_failed(conversation, error)
    if isinstance(error, FlinksThrottled):
        return _put_off(conversation, error, now, now + (error.retry_after or _THROTTLED), conversation.attempts)
    if conversation.tries < TRIES_IN_A_ROW:
        return _try_again(conversation, error, now)
    return _put_off_for_long(conversation, error, now)


def _put_off_for_long(conversation: Conversation, error: FlinksError, now: datetime) -> Turn:
    """Another fruitless round: a stored back-off, longer than the last."""
    attempts = conversation.attempts + 1
    cause = backoff.cause_of(error)
    later = backoff.retry_at(conversation.subject, attempts, cause, now, lost_at=conversation.lost_at)
    return _put_off(conversation, error, now, later, attempts)


def _credential_refused(conversation: Conversation, error: CredentialRefused, now: datetime) -> Turn:
    """A token may have been spent or expired on the way: one fresh token, and then the credential is to blame.

    It may also be this login that Flinks denies: it steps back, so that the next probe is another's. Where it is the data call's
    credential, the Authorize was good and is not repeated: the routine is over for today.
    """
    if conversation.token is not None and not conversation.token_renewed:
        renewed = replace(conversation, step=Step.MINT, token=None, token_renewed=True)
        return Turn(effects=_set_failed(conversation, error, now), following=renewed)
    if conversation.step in {Step.AUTHORIZE, Step.SET}:
        return _put_off_for_long(conversation, error, now)
    return Turn(effects=_routine_over(conversation), trouble=error, gave_up=True)


def _report_failed(conversation: Conversation, error: FlinksError) -> Turn:
    if isinstance(error, FlinksThrottled) or conversation.tries >= TRIES_IN_A_ROW:
        return Turn(trouble=error, gave_up=True)
    following = replace(conversation, tries=conversation.tries + 1)
    return Turn(following=following, wait_seconds=_TRY_AGAIN_SECONDS * conversation.tries, trouble=error)


def _try_again(conversation: Conversation, error: FlinksError, now: datetime) -> Turn:
    following = replace(conversation, tries=conversation.tries + 1)
    if conversation.step is Step.POLL:
        return _poll(following, now, error)
    if conversation.step is not Step.FETCH:
        following = replace(following, step=first_step(conversation), token=None)
    effects, wait_seconds = _set_failed(conversation, error, now), _TRY_AGAIN_SECONDS * conversation.tries
    return Turn(effects=effects, following=following, wait_seconds=wait_seconds, trouble=error)


def _put_off(conversation: Conversation, error: FlinksError, now: datetime, later: datetime, attempts: int) -> Turn:
    if conversation.kind is Kind.CHANGE:
        failed = replace(_change_failed(conversation, error, now, later), attempts=attempts)
        return Turn(effects=(failed,), trouble=error, gave_up=True)
    if conversation.kind is Kind.MANUAL and conversation.step in {Step.FETCH, Step.POLL}:
        return Turn(effects=_routine_over(conversation), trouble=error, gave_up=True)
    deferral = Deferral(login_id=conversation.subject, attempts=attempts, not_before=later, error=error.message)
    return Turn(effects=(deferral,), trouble=error, gave_up=True)


def _set_failed(conversation: Conversation, error: FlinksError, now: datetime) -> tuple[Effect, ...]:
    return (_change_failed(conversation, error, now, now),) if conversation.step is Step.SET else ()


def _change_failed(conversation: Conversation, error: FlinksError, now: datetime, later: datetime) -> ChangeFailed:
    return ChangeFailed(
        login_id=conversation.subject,
        change=conversation.asked,
        failed_at=now,
        error=error.message,
        code=error.code,
        attempts=conversation.attempts,
        not_before=later,
        unexpected=conversation.step is Step.SET and canary.is_unexpected(error),
        over=conversation.step is Step.SET and _is_over(error),
    )


def _is_over(error: FlinksError) -> bool:
    return not error.left or error.code is not None or isinstance(error, CredentialRefused | FlinksThrottled)
