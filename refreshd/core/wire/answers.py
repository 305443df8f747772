"""The values that an answer of Flinks can mean. A fact about a login is one of these; a call that led to no answer is a `FlinksError`."""

from dataclasses import dataclass, field
from datetime import datetime

from refreshd.core.model import Flag, LoginId, Reaction, Report
from refreshd.core.wire.requests import AuthorizeToken


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenMinted:
    token: AuthorizeToken


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorized:
    """A 200 of Authorize. In cached mode the data may still be old: compare `refreshed_at`; None is never (or not said)."""

    login_id: LoginId
    flag: Flag
    refreshed_at: datetime | None
    institution: str | None
    request_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenged:
    """A 203: the bank wants an answer of the end user. The RequestId is good for Flinks Connect and authorizes nothing."""

    request_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeAnswer:
    """Flinks' FlinksCode about this login, whatever the HTTP status.

    On a cached Authorize it usually reports last night's refresh, not this call. `unknown_login`: Flinks does not know the LoginId
    under our customer id; `reaction` is then PERMANENT. `message` is the vendor's, with numbers and addresses of people masked.
    """

    code: str
    reaction: Reaction
    status: int
    message: str | None
    institution: str | None
    request_id: str | None
    unknown_login: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountsReady:
    """The account data as it came; people's data, so it never shows in a repr."""

    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountsPending:
    """A 202 of an Authorize or a data call: Flinks works on in the background, and this RequestId is the way to its end."""

    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRead:
    report: Report


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSet:
    """Flinks said about this LoginId that its flag is now as asked."""

    login_id: LoginId
    flag: Flag


VendorAnswer = (
    TokenMinted | Authorized | Challenged | CodeAnswer | AccountsReady | AccountsPending | ReportRead | ScheduleSet
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFacts:
    """What the vendor's guide asks to trace of each answer."""

    http_status: int
    flinks_code: str | None
    message: str | None
    request_id: str | None
