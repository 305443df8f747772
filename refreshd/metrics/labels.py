"""The bounded values behind every label. What is not listed here never becomes a series: it falls under `other`, or is a bug."""

import re
from collections.abc import Mapping
from enum import StrEnum

from refreshd.core.codes import KNOWN_CODES, disposition_of, reaction_of
from refreshd.core.errors import (
    CredentialRefused,
    DependencyDown,
    FlinksError,
    FlinksRefused,
    FlinksUnreadable,
    HeldByGuard,
    LeaseLost,
)
from refreshd.core.model import Disposition, Operation, Reaction, VerdictName

REFRESH_AGES = ("lt_1d", "1d_2d", "2d_3d", "3d_6d", "6d_7d", "ge_7d", "never")
SCHEDULES = ("enabled", "disabled", "unknown")
LEDGER_STATES = ("active", "inactive", "absent")
PHASES = ("judge", "guard", "apply", "record")

STALE_VERDICTS = (
    VerdictName.STALE,
    VerdictName.FAILED,
    VerdictName.RECONNECT,
    VerdictName.DRIFTED,
    VerdictName.QUARANTINED,
    VerdictName.UNSEEN,
)
"""The verdicts that an active login with an old refresh can have."""

CALL_FAILURES = ("timeout", "connect", "tls", "throttled", "auth", "server", "client", "malformed")
"""`FlinksError.reason`, as a trace carries it."""

TASKS = ("passes", "totals", "calls", "recorder", "housekeeping", "feed", "lease")
"""What a leadership runs side by side; when one of them breaks off, all begin again."""

LOG_LEVELS = ("debug", "info", "warning", "error", "critical")

POOL_STATES = ("idle", "in_use")

LAPSES_WITHIN = ("1d", "2d", "3d")

OTHER_INSTITUTIONS = "other"
_INSTITUTION_LIMIT = 40
_ODD_IN_A_NAME = re.compile(r"[^\w .&+-]")

_STATUSES = frozenset({200, 401, 403, 429})
_OPERATION_STATUSES: Mapping[Operation, frozenset[int]] = {
    Operation.AUTHORIZE: frozenset({202, 203}),
    Operation.AUTHORIZE_LIVE: frozenset({202, 203}),
    Operation.GET_ACCOUNTS_DETAIL: frozenset({202}),
    Operation.GET_ACCOUNTS_SUMMARY: frozenset({202}),
}
"""What is documented of some operations beside the statuses that every one can answer with."""

_ASYNC: Mapping[Operation, Operation] = {
    Operation.GET_ACCOUNTS_DETAIL_ASYNC: Operation.GET_ACCOUNTS_DETAIL,
    Operation.GET_ACCOUNTS_SUMMARY_ASYNC: Operation.GET_ACCOUNTS_SUMMARY,
}

_REACTIONS_OF_A_REFRESH = frozenset(
    {Reaction.RETRY_LATER, Reaction.INSTITUTION_DOWN, Reaction.NEEDS_USER, Reaction.PERMANENT}
)


class PassFailure(StrEnum):
    """Why a pass failed."""

    VENDOR_UNREACHABLE = "vendor_unreachable"
    VENDOR_REJECTED = "vendor_rejected"
    VENDOR_MALFORMED = "vendor_malformed"
    DATABASE = "database"
    GUARD = "guard"
    LEADERSHIP_LOST = "leadership_lost"
    INTERNAL = "internal"

    @classmethod
    def of(cls, error: BaseException) -> "PassFailure":
        """The reason that an error stands for; what refreshd does not expect is `internal`."""
        found = (reason for kind, reason in _FAILURES if isinstance(error, kind))
        return next(found, cls.INTERNAL)

    @classmethod
    def read(cls, reason: str) -> "PassFailure":
        """The reason as a stored pass names it; any other word is `internal`."""
        return next((each for each in cls if each == reason), cls.INTERNAL)


# From the particular to the general: the first class that fits decides.
_FAILURES: tuple[tuple[type[Exception], PassFailure], ...] = (
    (LeaseLost, PassFailure.LEADERSHIP_LOST),
    (DependencyDown, PassFailure.DATABASE),
    (HeldByGuard, PassFailure.GUARD),
    (CredentialRefused, PassFailure.VENDOR_REJECTED),
    (FlinksRefused, PassFailure.VENDOR_REJECTED),
    (FlinksUnreadable, PassFailure.VENDOR_MALFORMED),
    (FlinksError, PassFailure.VENDOR_UNREACHABLE),
)


class DisableFailure(StrEnum):
    """Why Flinks did not confirm a disable; UNKNOWN_LOGIN: it refuses the LoginId for good."""

    VENDOR = "vendor"
    UNKNOWN_LOGIN = "unknown_login"


def operation_of(operation: Operation) -> Operation:
    """The operation that a call counts under: polling for an answer is a part of asking for it."""
    return _ASYNC.get(operation, operation)


def status_label(operation: Operation, http_status: int | None) -> str:
    """The status of a response where it is documented, else its class; `error` when none arrived."""
    if http_status is None:
        return "error"
    if http_status in _STATUSES | _OPERATION_STATUSES.get(operation_of(operation), frozenset()):
        return str(http_status)
    return {4: "4xx", 5: "5xx"}.get(http_status // 100, "other")


def institution_label(name: str | None) -> str:
    """The vendor's name in signs that no dashboard stumbles over, cut to a fixed length."""
    return _ODD_IN_A_NAME.sub("_", name.strip())[:_INSTITUTION_LIMIT] if name and name.strip() else OTHER_INSTITUTIONS


def failure_label(reason: str) -> str:
    """The reason of a failed call; one that no error class has is the server's."""
    return reason if reason in CALL_FAILURES else "server"


def failed_labels() -> tuple[tuple[str, Disposition], ...]:
    """Every documented code that a refresh can fail with, and `other`: each with what clears it."""
    known = ((code, reaction_of(code)) for code in sorted(KNOWN_CODES))
    documented = [(code, disposition_of(each)) for code, each in known if each in _REACTIONS_OF_A_REFRESH]
    return (*documented, ("other", Disposition.UNKNOWN))
