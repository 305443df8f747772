"""The frozen values that flow from read to publish; the words are those of the design's glossary."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType
from uuid import UUID

from refreshd.core.standing import Standing

LoginId = NewType("LoginId", UUID)
PlanId = NewType("PlanId", str)
PassId = NewType("PassId", int)
Term = NewType("Term", int)


class NaiveTimeError(ValueError):
    """A date without a zone reached the core; a bug in an edge."""


def check_aware(**times: datetime | None) -> None:
    """Raise `NaiveTimeError` for the first of the named times that has no zone; None passes."""
    for name, value in times.items():
        if value is not None and value.utcoffset() is None:
            message = f"{name} must be an aware datetime, got {value!r}"
            raise NaiveTimeError(message)


class Change(StrEnum):
    """What SetScheduledRefresh can do to a login's flag."""

    DISABLE = "disable"
    ENABLE = "enable"


class Flag(StrEnum):
    """`IsScheduledRefresh` as far as Flinks has told us; ON is billed."""

    ON = "on"
    OFF = "off"
    UNKNOWN = "unknown"


class VerdictName(StrEnum):
    """The ten verdicts of the design, section 4."""

    LEAKING = "leaking"
    HELD = "held"
    DISABLED = "disabled"
    FRESH = "fresh"
    STALE = "stale"
    FAILED = "failed"
    RECONNECT = "reconnect"
    DRIFTED = "drifted"
    QUARANTINED = "quarantined"
    UNSEEN = "unseen"


class Reaction(StrEnum):
    """What a vendor code asks of us (`flinks-codes.csv`, column reaction); UNKNOWN is a class of its own."""

    OK = "ok"
    PENDING = "pending-async"
    RETRY_LATER = "retry-later"
    THROTTLED = "throttled"
    INSTITUTION_DOWN = "institution-down"
    NEEDS_USER = "needs-user-reconnect"
    PERMANENT = "permanent-client-error"
    AUTH_CONFIG = "auth-config-error"
    UNKNOWN = "unknown"


class Disposition(StrEnum):
    """What clears a failed login."""

    VENDOR_RETRIES = "vendor_retries"
    NEEDS_CLIENT = "needs_client"
    OPERATOR = "operator"
    UNKNOWN = "unknown"


class Lane(StrEnum):
    """Which queue a due cached Authorize waits in (design section 3, classes 3 and 4)."""

    SAVABLE = "savable"
    REST = "rest"


class FetchDepth(StrEnum):
    """What the routine stores (`REFRESHD_FETCH`)."""

    OFF = "off"
    SUMMARY = "summary"
    DETAIL = "detail"


class Operation(StrEnum):
    """The vendor endpoints, as named in metrics and in the trace."""

    GENERATE_AUTHORIZE_TOKEN = "generate_authorize_token"  # noqa: S105 - the name of an endpoint
    AUTHORIZE = "authorize"
    AUTHORIZE_LIVE = "authorize_live"
    GET_ACCOUNTS_DETAIL = "get_accounts_detail"
    GET_ACCOUNTS_DETAIL_ASYNC = "get_accounts_detail_async"
    GET_ACCOUNTS_SUMMARY = "get_accounts_summary"
    GET_ACCOUNTS_SUMMARY_ASYNC = "get_accounts_summary_async"
    GET_NIGHTLY_REFRESH_STATUS = "get_nightly_refresh_status"
    SET_SCHEDULED_REFRESH = "set_scheduled_refresh"


class Credential(StrEnum):
    """Which secret a call proves itself with; the edge alone knows the secret."""

    SECRET_KEY = "secret_key"  # noqa: S105 - a name
    AUTHORIZE_TOKEN = "authorize_token"  # noqa: S105 - a name
    API_KEY = "api_key"
    API_SECRET = "api_secret"  # noqa: S105 - a name
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportCard:
    """One entry of GetNightlyRefreshStatus: a login that is on and not eligible.

    `attempted_at` has no documented zone (its own example lies outside the nightly window), so it serves day-level decisions only.
    """

    login_id: LoginId
    attempted_at: datetime | None
    state: str | None
    code: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One whole, well-formed GetNightlyRefreshStatus, each login once; absence from it proves nothing."""

    read_at: datetime
    cards: tuple[ReportCard, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The login's entry in the newest report that was read."""

    reported_at: datetime
    attempted_at: datetime | None
    state: str | None
    code: str | None

    def __post_init__(self) -> None:
        check_aware(reported_at=self.reported_at, attempted_at=self.attempted_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The last answer of an Authorize about the login; `code` None is a success."""

    answered_at: datetime
    code: str | None

    def __post_init__(self) -> None:
        check_aware(answered_at=self.answered_at)


class PlanState(StrEnum):
    """The life of a stored plan."""

    HELD = "held"
    APPROVED = "approved"
    ADMITTED = "admitted"
    REJECTED = "rejected"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """The stored plan that covers the login; it may go ahead while `now < approved_until`."""

    plan_id: PlanId
    approved_until: datetime | None
    state: PlanState = PlanState.HELD

    def __post_init__(self) -> None:
        check_aware(approved_until=self.approved_until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Flinks refused this login for good (unknown LoginId, invalid request)."""

    refused_at: datetime
    code: str

    def __post_init__(self) -> None:
        check_aware(refused_at=self.refused_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that the ledger knows of one login, as the judge reads it.

    `known_since` is when it was first linked. `refreshed_at` None means that no successful refresh is known, whether Flinks said "never" or
    said nothing.
    `confirmed_off_at` is set only by a SetScheduledRefresh answer that said so about this LoginId, and cleared when an enable is sent.
    `maybe_off_since` is when a change was sent whose answer is missing and which may have left the login off: a disable, or an enable that
    may have failed; or when the flag was seen to turn off within a week of such a disable. A word that it is on clears it, or an answer.
    `attempts` and `not_before` are those of what comes next: of the change, where the login is inactive or has an open intent, else of
    its Authorize.
    `standing` is its institution's, None where nothing is known of that.
    `version` grows with every change of evidence; a verdict on an older version is not stored.
    """

    login_id: LoginId
    active: bool
    known_since: datetime | None = None
    inactive_since: datetime | None = None
    flag: Flag = Flag.UNKNOWN
    flag_seen_at: datetime | None = None
    refreshed_at: datetime | None = None
    institution: str | None = None
    answer: Answer | None = None
    cached_call_at: datetime | None = None
    listing: Listing | None = None
    confirmed_off_at: datetime | None = None
    maybe_off_since: datetime | None = None
    hold: Hold | None = None
    refusal: Refusal | None = None
    standing: Standing | None = None
    attempts: int = 0
    not_before: datetime | None = None
    version: int = 0

    def __post_init__(self) -> None:
        check_aware(
            known_since=self.known_since,
            inactive_since=self.inactive_since,
            flag_seen_at=self.flag_seen_at,
            refreshed_at=self.refreshed_at,
            cached_call_at=self.cached_call_at,
            confirmed_off_at=self.confirmed_off_at,
            maybe_off_since=self.maybe_off_since,
            not_before=self.not_before,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the evidence means for one login.

    `reason` is the rule that decided, a stable word; `sentence` says it to a person. `until` is when time alone may change the verdict
    (None: only new evidence can). `stale` counts into `refreshd_stale_logins` whatever the name. `lane` None: never an Authorize.
    `version` is that of the evidence that was judged.
    """

    login_id: LoginId
    name: VerdictName
    reason: str
    sentence: str
    until: datetime | None
    lane: Lane | None
    stale: bool = False
    error_code: str | None = None
    disposition: Disposition | None = None
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """People have stopped all vendor writes, for all copies; everything else goes on."""

    paused_at: datetime
    paused_by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTrace:
    """One HTTP call, as the vendor's guide asks to trace it; `body` is already redacted.

    `failure` is None for a call that led to an answer, else the reason label of the failure metric. `left` False: no byte of it ever
    reached the vendor, so it counts as a failure and is no part of the trace.
    """

    called_at: datetime
    operation: Operation
    method: str
    url: str
    body: Mapping[str, object] | None
    login_id: LoginId | None
    http_status: int | None
    flinks_code: str | None
    message: str | None
    request_id: str | None
    latency_seconds: float
    attempt: int
    pass_id: PassId | None
    failure: str | None
    left: bool = True
