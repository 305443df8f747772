"""One piece of work as a chain of single HTTP calls: what a conversation is, and which call comes next.

A conversation is a frozen value that waits in a queue between its calls, so no worker ever waits for one: a token is minted, then an
Authorize goes out, then perhaps a fetch and its polls, each under a permit of its own. What an answer or an error makes of it, `turn` says.

| kind     | calls                                                                        |
|----------|------------------------------------------------------------------------------|
| report   | GetNightlyRefreshStatus                                                      |
| routine  | [GenerateAuthorizeToken] Authorize cached [GetAccounts... [...Async polls]]  |
| manual   | [GenerateAuthorizeToken] Authorize live, GetAccounts... [...Async polls]     |
| change   | [GenerateAuthorizeToken] SetScheduledRefresh                                 |
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never

from refreshd.core import wire
from refreshd.core.effects import Sighting
from refreshd.core.guard import GuardedChange
from refreshd.core.model import Change, Credential, FetchDepth, LoginId

TRIES_IN_A_ROW = 3

POLL_SECONDS = 10.0
POLL_LIMIT = 180
"""Every 10 s, at most 30 minutes. https://docs.flinks.com/guides/connect/retrieve-account-data"""

REQUEST_ID_SECONDS = 8 * 60.0
"""A RequestId older than this may be gone. https://help.flinks.com/support/solutions/articles/43000436113-timeout-lengths"""


class Kind(StrEnum):
    """What the conversation is for."""

    REPORT = "report"
    ROUTINE = "routine"
    MANUAL = "manual"
    CHANGE = "change"


class Step(StrEnum):
    """Which call is next."""

    REPORT = "report"
    MINT = "mint"
    AUTHORIZE = "authorize"
    FETCH = "fetch"
    POLL = "poll"
    SET = "set"


TO_AUTHORIZE = frozenset({Step.MINT, Step.AUTHORIZE})
"""Before Flinks has let us in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How this installation talks to Flinks: whether Authorize wants a token, what to fetch, what proves a schedule change."""

    mints_tokens: bool
    fetch: FetchDepth
    schedule_credential: Credential

    @property
    def authorize_credentials(self) -> tuple[Credential, ...]:
        """All that one Authorize needs."""
        return (Credential.SECRET_KEY, Credential.AUTHORIZE_TOKEN) if self.mints_tokens else (Credential.NONE,)

    @property
    def change_credentials(self) -> tuple[Credential, ...]:
        """All that one schedule change needs."""
        last = self.schedule_credential
        return (Credential.SECRET_KEY, last) if last is Credential.AUTHORIZE_TOKEN else (last,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """Work in hand. `attempts` counts the fruitless rounds before this one, `tries` the tries of this round (from 1).

    `lost_at` is when Flinks gives the login up unless a cached call reaches it before.
    """

    kind: Kind
    step: Step
    terms: Terms
    login_id: LoginId | None = None
    change: GuardedChange | None = None
    attempts: int = 0
    tries: int = 1
    token: wire.AuthorizeToken | None = None
    token_renewed: bool = False
    fetched_refresh_at: datetime | None = None
    sighting: Sighting | None = None
    request_id: str | None = None
    authorized_at_seconds: float = 0.0
    reauthorized: bool = False
    polls: int = 0
    lost_at: datetime | None = None

    @property
    def subject(self) -> LoginId:
        """The login that the conversation is about; the report has none, and asking is a bug."""
        if self.login_id is None:
            message = f"a {self.kind} conversation is about no login"
            raise AssertionError(message)
        return self.login_id

    @property
    def asked(self) -> Change:
        """What is to become of the flag; no other kind of conversation asks for a change, and asking is a bug."""
        if self.change is None:
            message = f"a {self.kind} conversation changes no schedule"
            raise AssertionError(message)
        return self.change.change

    @property
    def depth(self) -> FetchDepth:
        """What the aggregation call asks for; a manual refresh needs one even where nothing is stored."""
        return FetchDepth.SUMMARY if self.terms.fetch is FetchDepth.OFF else self.terms.fetch


def read_report(terms: Terms) -> Conversation:
    """Ask for the logins that are on and not eligible."""
    return Conversation(kind=Kind.REPORT, step=Step.REPORT, terms=terms)


def routine(
    login_id: LoginId,
    terms: Terms,
    *,
    attempts: int,
    fetched_refresh_at: datetime | None,
    lost_at: datetime | None = None,
) -> Conversation:
    """The daily cached Authorize of an active login, and the fetch of a refresh that is not stored yet."""
    return Conversation(
        kind=Kind.ROUTINE,
        step=_opening(terms),
        terms=terms,
        login_id=login_id,
        attempts=attempts,
        fetched_refresh_at=fetched_refresh_at,
        lost_at=lost_at,
    )


def manual(
    login_id: LoginId,
    terms: Terms,
    *,
    attempts: int,
    fetched_refresh_at: datetime | None,
    lost_at: datetime | None = None,
) -> Conversation:
    """The one live Authorize of a stale episode."""
    return replace(
        routine(login_id, terms, attempts=attempts, fetched_refresh_at=fetched_refresh_at, lost_at=lost_at),
        kind=Kind.MANUAL,
        tries=TRIES_IN_A_ROW,
    )


def set_schedule(change: GuardedChange, terms: Terms, *, attempts: int) -> Conversation:
    """One guarded schedule change."""
    return Conversation(
        kind=Kind.CHANGE,
        step=_first_of_change(terms),
        terms=terms,
        login_id=change.login_id,
        change=change,
        attempts=attempts,
    )


def _opening(terms: Terms) -> Step:
    return Step.MINT if terms.mints_tokens else Step.AUTHORIZE


def _first_of_change(terms: Terms) -> Step:
    return Step.MINT if terms.schedule_credential is Credential.AUTHORIZE_TOKEN else Step.SET


def first_step(conversation: Conversation) -> Step:
    """The step that the conversation began with, and begins with again."""
    return _first_of_change(conversation.terms) if conversation.kind is Kind.CHANGE else _opening(conversation.terms)


def credential(conversation: Conversation) -> Credential:
    """What the next call proves itself with; the breaker is asked about it."""
    if conversation.step is Step.SET:
        return conversation.terms.schedule_credential
    return request(conversation).credential


def request(conversation: Conversation) -> wire.Request:
    """The next call. A schedule change has none here: only the write gate builds it."""
    match conversation.step:
        case Step.REPORT:
            return wire.read_report()
        case Step.MINT:
            return wire.mint_token()
        case Step.AUTHORIZE:
            return wire.authorize(conversation.subject, live=conversation.kind is Kind.MANUAL, token=conversation.token)
        case Step.FETCH:
            return wire.fetch_accounts(_session(conversation), conversation.depth, login_id=conversation.subject)
        case Step.POLL:
            return wire.poll_accounts(_session(conversation), conversation.depth, login_id=conversation.subject)
        case Step.SET:
            message = "a schedule change goes through the write gate"
            raise AssertionError(message)
    assert_never(conversation.step)


def _session(conversation: Conversation) -> str:
    if conversation.request_id is None:
        message = f"no RequestId to {conversation.step} with"
        raise AssertionError(message)
    return conversation.request_id


def refreshed(conversation: Conversation, at_seconds: float) -> Conversation:
    """The conversation as it may go on now: a RequestId that has grown too old to begin a fetch with means to authorise again."""
    too_old = at_seconds - conversation.authorized_at_seconds > REQUEST_ID_SECONDS
    if conversation.step is Step.FETCH and too_old and may_authorise_again(conversation):
        return authorise_again(conversation)
    return conversation


def holds_live_authorize(conversation: Conversation) -> bool:
    """Whether the one live Authorize of a stale episode was spent on the conversation, and has certainly not left."""
    is_ahead = conversation.step in TO_AUTHORIZE and not conversation.token_renewed
    return conversation.kind is Kind.MANUAL and is_ahead


def may_authorise_again(conversation: Conversation) -> bool:
    """Once, and never a live Authorize."""
    return conversation.kind is Kind.ROUTINE and not conversation.reauthorized


def authorise_again(conversation: Conversation) -> Conversation:
    """The conversation from its Authorize on, once more and for the last time."""
    return replace(conversation, step=_opening(conversation.terms), token=None, request_id=None, reauthorized=True)
