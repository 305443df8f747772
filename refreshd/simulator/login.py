"""One bank connection as Flinks keeps it, and its last refresh attempt."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from refreshd.simulator import codes
from refreshd.simulator.draws import number
from refreshd.simulator.institutions import Institution

NEVER = "0001-01-01T00:00:00"
"""How .NET writes a date that was never set. https://docs.flinks.com/reference/authorize"""

NIGHT_LENGTH = timedelta(hours=4)
_NIGHT_MICROSECONDS = NIGHT_LENGTH // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Attempt:
    """How the last try to refresh ended. `at` is None before the first one."""

    at: datetime | None
    code: str
    status: int
    state: str

    @property
    def disqualifies(self) -> bool:
        """Whether it ends eligibility: every error but the listed ones, a challenge without a code included."""
        return self.code not in codes.KEEPS_ELIGIBLE and self.status not in {200, 201, 202}


NEVER_TRIED = Attempt(at=None, code="", status=200, state=codes.NOT_COMPLETED)


def succeeded(at: datetime) -> Attempt:
    """Return the attempt of a refresh that worked."""
    return Attempt(at=at, code="", status=200, state=codes.COMPLETED)


def failed(at: datetime | None, code: str, status: int | None = None) -> Attempt:
    """Return the attempt of a refresh that ended with `code`, by default with the status of the vendor's table."""
    known = codes.status_of(code) if status is None else status
    return Attempt(at=at, code=code, status=known, state=codes.state_of(code, known))


@dataclass(slots=True, kw_only=True)
class Login:
    """One LoginId: institution, bank user and language. Owned and changed by the simulator alone.

    https://docs.flinks.com/guides/getting-started/key-concepts
    """

    login_id: str
    institution: Institution
    username: str
    language: Literal["en", "fr"] = "en"
    scheduled: bool = True
    last_refresh: datetime | None = None
    attempt: Attempt = NEVER_TRIED
    last_cached_call: datetime | None = None
    asks_mfa: bool = False
    """The bank asks a question at every live login."""
    stuck: bool = False
    """The nightly job passes it over although nothing is wrong: silent staleness. A good live login ends it."""
    flag_returns: bool = False
    """Switched off, but the flag comes back by itself at its next turn."""
    turn: timedelta = timedelta()
    """Its place in the night, counted from 04:00 UTC; the same every night. Derived from the LoginId."""
    fraction_digits: int = 7
    """7, 6 or 0: Flinks' examples of different years differ. Derived from the LoginId."""

    def __post_init__(self) -> None:
        """Derive what depends on the LoginId alone."""
        self.login_id = self.login_id.lower()
        key = number("login", self.login_id)
        self.turn = timedelta(microseconds=key % _NIGHT_MICROSECONDS)
        self.fraction_digits = (7, 6, 0)[key % 3]

    def stamp(self, date: datetime | None) -> str:
        """Write a date as Flinks writes it for this login: ISO, UTC, without a zone."""
        if date is None:
            return NEVER
        whole = date.strftime("%Y-%m-%dT%H:%M:%S")
        if self.fraction_digits == 0:
            return whole
        return f"{whole}.{date.microsecond:06d}{'4' if self.fraction_digits == 7 else ''}"  # noqa: PLR2004 - .NET ticks
