"""When fruitless work is tried again: one ladder for each class of cause, stored with the work, reset by success.

A round is a few tries in a row; only a round that failed counts. Work that was interrupted (a crash, a shutdown, a lost lease, a login
that changed sides before a byte left) has not failed: it is due as it was. Neither has work that was throttled: then everybody rests.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from refreshd.core import codes
from refreshd.core.errors import CredentialRefused, FlinksError
from refreshd.core.model import LoginId, Reaction

QUARANTINE = timedelta(days=7)
"""A login that Flinks refuses for good is tried once in this span."""

LAST_CHANCE = timedelta(hours=1)
"""So long before a login would be lost it is tried, whatever its ladder says; and so often from then on, at the most."""

_JITTER = 0.2


class Cause(StrEnum):
    """Why a round was fruitless."""

    NO_ANSWER = "no_answer"
    RETRY_LATER = "retry_later"
    INSTITUTION = "institution"
    DENIED = "denied"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """The wait after the first fruitless round; each one doubles it, up to the last."""

    first: timedelta
    last: timedelta


LADDERS: Mapping[Cause, Ladder] = MappingProxyType(
    {
        # The network, a gateway, an answer that cannot be read: gone in minutes, mostly.
        Cause.NO_ANSWER: Ladder(first=timedelta(minutes=15), last=timedelta(hours=6)),
        # Flinks says so itself, of this login or of its own capacity.
        Cause.RETRY_LATER: Ladder(first=timedelta(minutes=15), last=timedelta(hours=6)),
        # A bank comes back in hours, and whether it has is for its probe to find out.
        Cause.INSTITUTION: Ladder(first=timedelta(hours=1), last=timedelta(hours=6)),
        # A login that is denied while others are served: somebody must look, and looking takes longer.
        Cause.DENIED: Ladder(first=timedelta(minutes=15), last=timedelta(hours=24)),
        # A code that nobody knows is asked about daily; it may be anything.
        Cause.UNKNOWN: Ladder(first=timedelta(hours=6), last=timedelta(hours=24)),
    }
)

REPORT = Ladder(first=timedelta(minutes=1), last=timedelta(minutes=15))
"""One call speaks for all logins, so it is worth asking soon, and never as often as the budget would allow."""

_CAUSES: Mapping[Reaction, Cause] = MappingProxyType(
    {
        Reaction.OK: Cause.NO_ANSWER,  # no code at all
        Reaction.PENDING: Cause.RETRY_LATER,
        Reaction.RETRY_LATER: Cause.RETRY_LATER,
        Reaction.THROTTLED: Cause.RETRY_LATER,
        Reaction.INSTITUTION_DOWN: Cause.INSTITUTION,
        Reaction.NEEDS_USER: Cause.DENIED,
        Reaction.PERMANENT: Cause.DENIED,
        Reaction.AUTH_CONFIG: Cause.DENIED,
        Reaction.UNKNOWN: Cause.UNKNOWN,
    }
)


def cause_of(error: FlinksError) -> Cause:
    return Cause.DENIED if isinstance(error, CredentialRefused) else _CAUSES[codes.reaction_of(error.code)]


def retry_at(
    login_id: LoginId, attempts: int, cause: Cause, now: datetime, *, lost_at: datetime | None = None
) -> datetime:
    """When to try again after `attempts` fruitless rounds, this one included, so at least 1.

    The wait is spread by up to 20 %, so that a fleet that failed together does not come back together; the spread follows from the
    LoginId and the count, so the same history gives the same time. `lost_at`: when Flinks gives the login up unless this work succeeds
    before; the wait ends in time for that.
    """
    ladder = LADDERS[cause]
    at = now + _step(ladder, attempts) * (1 + _JITTER * _spread(login_id, attempts))
    if lost_at is None or lost_at <= now:
        return at
    return min(at, max(lost_at - LAST_CHANCE, now + min(LAST_CHANCE, ladder.first)))


def report_rests(fruitless: int) -> timedelta:
    """How long the report is left alone after so many fruitless readings in a row, this one included, so at least 1."""
    return _step(REPORT, fruitless)


def _step(ladder: Ladder, fruitless: int) -> timedelta:
    return min(ladder.first * (1 << min(fruitless - 1, 10)), ladder.last)


def _spread(login_id: LoginId, attempts: int) -> float:
    return (login_id.int * 31 + attempts * 1009) % 1000 / 1000


def quarantined_until(now: datetime) -> datetime:
    """When a login that was refused for good is tried once more."""
    return now + QUARANTINE
