"""Every answer and error that `wire` may give to a call, and a driver that leads a conversation through them to its end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count, cycle

from refreshd.core import conversation as conversations
from refreshd.core import wire
from refreshd.core.codes import KNOWN_CODES, reaction_of
from refreshd.core.conversation import Conversation, Kind, Step, Terms
from refreshd.core.effects import Effect
from refreshd.core.errors import CredentialRefused, FlinksError, FlinksThrottled, FlinksUnreachable, FlinksUnreadable
from refreshd.core.model import Flag, Reaction, Report
from refreshd.core.turn import Turn, advance, fail
from tests.support.builders import NOW, ago, guarded, login

Outcome = wire.VendorAnswer | FlinksError

UNREACHABLE = FlinksUnreachable("no answer within 60 s", reason="timeout")
UNREADABLE = FlinksUnreadable("GetAccountsSummary answered 200, but accounts is missing", status=200)
THROTTLED = FlinksThrottled("too many requests", retry_after=None, status=429)
WAIT_A_BIT = FlinksThrottled("too many requests", retry_after=timedelta(minutes=7), status=429)
KEY_REFUSED = CredentialRefused("ACCESS_DENIED", status=401, code="ACCESS_DENIED")
ERRORS: tuple[FlinksError, ...] = (UNREACHABLE, UNREADABLE, THROTTLED, WAIT_A_BIT, KEY_REFUSED)

REFRESHED = ago(hours=9)


def coded(code: str, *, request_id: str | None = None, unknown_login: bool = False) -> wire.CodeAnswer:
    return wire.CodeAnswer(
        code=code,
        reaction=Reaction.PERMANENT if unknown_login else reaction_of(code),
        status=401,
        message=None,
        institution="Demo Bank",
        request_id=request_id,
        unknown_login=unknown_login,
    )


def authorized(*, request_id: str | None = "session-1", refreshed_at: datetime | None = REFRESHED) -> wire.Authorized:
    return wire.Authorized(
        login_id=login(),
        flag=Flag.ON,
        refreshed_at=refreshed_at,
        institution="Demo Bank",
        request_id=request_id,
    )


UNKNOWN_LOGIN = coded("INVALID_LOGIN", unknown_login=True)
READY = wire.AccountsReady(body=b'{"Accounts": []}')
PENDING = wire.AccountsPending(request_id="session-1")
OFF = wire.ScheduleSet(login_id=login(), flag=Flag.OFF)
CHALLENGED = wire.Challenged(request_id="session-1")
REPORT = wire.ReportRead(report=Report(read_at=NOW, cards=()))

# What wire raises as an error instead of giving it as an answer.
_RAISED = {Reaction.THROTTLED, Reaction.AUTH_CONFIG}
_CODES = (*sorted(KNOWN_CODES - {"OK", "CREATED"}), "SOMETHING_NEW")
_CODE_ANSWERS = tuple(coded(code) for code in _CODES if reaction_of(code) not in _RAISED)
_DONE = tuple(each for each in _CODE_ANSWERS if each.reaction is not Reaction.PENDING)
_DATA: tuple[Outcome, ...] = (READY, PENDING, *_DONE)

_numbers = count()


def minted() -> wire.TokenMinted:
    return wire.TokenMinted(token=wire.AuthorizeToken(f"token-{next(_numbers)}"))


OUTCOMES: Mapping[Step, tuple[Outcome, ...]] = {
    Step.REPORT: (REPORT, *ERRORS),
    Step.MINT: ERRORS,
    Step.AUTHORIZE: (
        authorized(),
        authorized(request_id=None),
        authorized(refreshed_at=None),
        CHALLENGED,
        UNKNOWN_LOGIN,
        PENDING,
        *_DONE,
        *ERRORS,
    ),
    Step.FETCH: (*_DATA, *ERRORS),
    Step.POLL: (*_DATA, *ERRORS),
    Step.SET: (OFF, UNKNOWN_LOGIN, *_CODE_ANSWERS, *ERRORS),
}
"""What may come of each call; of a MINT also a token, a new one each time."""

MOST_OUTCOMES = max(len(each) for each in OUTCOMES.values())


def outcome_of(step: Step, pick: int) -> Outcome:
    """One of the outcomes of a call; a token for every other pick."""
    if step is Step.MINT and pick % 2 == 0:
        return minted()
    return OUTCOMES[step][pick % len(OUTCOMES[step])]


def turned(conversation: Conversation, outcome: Outcome, now: datetime = NOW, at_seconds: float = 0.0) -> Turn:
    if isinstance(outcome, FlinksError):
        return fail(conversation, outcome, now)
    return advance(conversation, outcome, now, at_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a conversation: as it stood when the call was made, what it waited for before, and what came of it."""

    conversation: Conversation
    waited_seconds: float
    outcome: Outcome
    turn: Turn


@dataclass(slots=True, kw_only=True)
class Talk:
    """A conversation that was led to its end."""

    calls: list[Call] = field(default_factory=list)

    @property
    def effects(self) -> list[Effect]:
        return [effect for call in self.calls for effect in call.turn.effects]

    @property
    def last(self) -> Turn:
        return self.calls[-1].turn

    def at(self, step: Step) -> list[Call]:
        return [call for call in self.calls if call.conversation.step is step]


def led(
    first: Conversation, picks: Mapping[Step, Sequence[int]], delays: Sequence[float] = (0.0,), *, limit: int = 1_000
) -> Talk:
    """Lead a conversation to its end: the calls of each step have the picked outcomes, over and over again."""
    talk, at_seconds, waited = Talk(), 0.0, 0.0
    picked = {step: cycle(each) for step, each in picks.items()}
    delayed = cycle(delays)
    following: Conversation | None = first
    while following is not None and len(talk.calls) < limit:
        at_seconds += waited + next(delayed)
        conversation = conversations.refreshed(following, at_seconds)
        outcome = outcome_of(conversation.step, next(picked[conversation.step]))
        turn = turned(conversation, outcome, NOW + timedelta(seconds=at_seconds), at_seconds)
        talk.calls.append(Call(conversation=conversation, waited_seconds=waited, outcome=outcome, turn=turn))
        following, waited = turn.following, turn.wait_seconds
    return talk


def told(first: Conversation, *outcomes: Outcome) -> Talk:
    """Lead a conversation through exactly these outcomes."""
    talk, waited = Talk(), 0.0
    following: Conversation | None = first
    for outcome in outcomes:
        assert following is not None, "the conversation is over already"
        turn = turned(following, outcome)
        talk.calls.append(Call(conversation=following, waited_seconds=waited, outcome=outcome, turn=turn))
        following, waited = turn.following, turn.wait_seconds
    return talk


def first_call(kind: Kind, terms: Terms) -> Conversation:
    """A conversation as it begins, with a login whose last fetched refresh is three days old."""
    stored = ago(days=3)
    match kind:
        case Kind.REPORT:
            return conversations.read_report(terms)
        case Kind.ROUTINE:
            return conversations.routine(login(), terms, attempts=1, fetched_refresh_at=stored)
        case Kind.MANUAL:
            return conversations.manual(login(), terms, attempts=1, fetched_refresh_at=stored)
        case Kind.CHANGE:
            return conversations.set_schedule(guarded(), terms, attempts=1)
