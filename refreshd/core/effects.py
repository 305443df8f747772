"""What one finished conversation does to the ledger, recorded in one commit group with its traces."""

from dataclasses import dataclass
from datetime import datetime

from refreshd.core.model import Change, FetchDepth, Flag, LoginId


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """An Authorize was answered about this login: the observation, and the end of today's routine for it.

    On a failure code Flinks says neither flag nor last refresh: `flag` UNKNOWN and `refreshed_at` None leave what is stored.
    `routine_done` False: a fetch follows, the routine is over only with it. `live`: a manual refresh, which is no cached call.
    """

    login_id: LoginId
    seen_at: datetime
    flag: Flag
    refreshed_at: datetime | None
    institution: str | None
    code: str | None
    live: bool = False
    routine_done: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferral:
    """The vendor did not answer about this login: counted, and tried again not before the given time."""

    login_id: LoginId
    attempts: int
    not_before: datetime
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Flinks refused this login for good; the judge will say `quarantined`."""

    login_id: LoginId
    refused_at: datetime
    code: str
    not_before: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """Flinks said about this LoginId that its flag is now as asked; closes the intent."""

    login_id: LoginId
    change: Change
    confirmed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeFailed:
    """A change was sent and not confirmed; the intent stays open and is tried again not before the given time.

    `unexpected`: it speaks against the whole plan (`core.canary`), not only against the moment. `over`: what was marked as sent can take no
    effect any more, for Flinks has answered it, or no byte of it left; where it is not, it may come late.
    """

    login_id: LoginId
    change: Change
    failed_at: datetime
    error: str
    code: str | None
    attempts: int
    not_before: datetime
    unexpected: bool = False
    over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountData:
    """Fetched account data, the vendor's body as it came; stored once for each refresh of a login."""

    login_id: LoginId
    refreshed_at: datetime
    fetched_at: datetime
    depth: FetchDepth
    body: bytes


Effect = Sighting | Deferral | Refused | Confirmed | ChangeFailed | AccountData
