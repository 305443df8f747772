"""How a large plan begins: with a few of its changes, while the rest waits for what Flinks says about these.

| what came of a canary                                                   | it is                                   |
|-------------------------------------------------------------------------|-----------------------------------------|
| Flinks confirmed it about this LoginId                                  | expected; when all are, the rest goes   |
| no connection, a timeout, a reset, a gateway's 5xx                      | trouble: tried again, the rest waits    |
| throttled, or the bank or Flinks away (a code that heals by itself)     | trouble                                 |
| our credential is refused                                               | trouble: the breaker stops the calls    |
| given up before it left (a pause, a login that changed sides)           | no answer; another one takes its place  |
| a code for an operator or a user, an unknown LoginId, an unknown code   | unexpected: the rest is held            |
| an answer that cannot be read, says the contrary, or names another login | unexpected                             |

One unexpected answer is enough, also where a repetition was then confirmed: a plan of many does not rest on an odd answer.
"""

from dataclasses import dataclass

from refreshd.core import codes
from refreshd.core.errors import CallAbandoned, CredentialRefused, FlinksError, FlinksThrottled, FlinksUnreachable
from refreshd.core.model import PlanId, PlanState, Reaction

CANARIES = 5
WITHOUT_CANARY = 20
"""A plan of so many goes at once."""

_TROUBLE = (CallAbandoned, CredentialRefused, FlinksThrottled, FlinksUnreachable)
_HEALS = frozenset(
    {Reaction.RETRY_LATER, Reaction.THROTTLED, Reaction.INSTITUTION_DOWN, Reaction.PENDING, Reaction.AUTH_CONFIG}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryAnswers:
    """What is known of a plan's canaries: how many are intended and unanswered, how many answered how, and one odd answer."""

    open: int = 0
    expected: int = 0
    unexpected: int = 0
    said: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanUnderWay:
    """An approved or admitted plan; `canary` None: it goes at once."""

    plan_id: PlanId
    state: PlanState
    canary: CanaryAnswers | None


def wants_canary(changes: int) -> bool:
    """Whether a plan of so many changes begins with a canary."""
    return changes > WITHOUT_CANARY


def is_unexpected(error: FlinksError) -> bool:
    """Whether this end of a schedule change speaks against the plan it belongs to, by the table above."""
    if isinstance(error, _TROUBLE):
        return False
    return error.code is None or codes.reaction_of(error.code) not in _HEALS


def may_follow(answers: CanaryAnswers | None, limit: int) -> int:
    """How many more changes of the plan may be intended now, `limit` at most."""
    if answers is None or (answers.expected >= CANARIES and not answers.unexpected):
        return limit
    if answers.unexpected:
        return 0
    return max(0, CANARIES - answers.expected - answers.open)


def said_of(answers: CanaryAnswers) -> str:
    """How a plan's canary went, for a page and a command alike."""
    if answers.unexpected:
        return f"{answers.unexpected} of its canary's answers were not expected ({answers.said or 'no words'})"
    if answers.expected >= CANARIES:
        return f"its canary is over: Flinks has confirmed {answers.expected} as expected"
    waiting = f", {answers.open} are not answered yet" if answers.open else ""
    return f"its canary: Flinks has confirmed {answers.expected} of {CANARIES} as expected{waiting}; the rest waits"


def is_over(answers: CanaryAnswers | None) -> bool:
    """Whether what follows is no canary any more."""
    return answers is None or answers.expected >= CANARIES
