"""The bounded values behind every label. What is not listed here never becomes a series: it falls under `other`, or is a bug."""

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
from refreshd.core.model import Disposition, Reaction, VerdictName

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

_STATUSES = frozenset({200, 202, 203, 400, 401, 403, 429, 500, 502, 503})

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


def status_label(http_status: int | None) -> str:
    """The status of a response; `error` when none arrived."""
    if http_status is None:
        return "error"
    return str(http_status) if http_status in _STATUSES else "other"


def failure_label(reason: str) -> str:
    """The reason of a failed call; one that no error class has is the server's."""
    return reason if reason in CALL_FAILURES else "server"


def failed_labels() -> tuple[tuple[str, Disposition], ...]:
    """Every documented code that a refresh can fail with, and `other`: each with what clears it."""
    known = ((code, reaction_of(code)) for code in sorted(KNOWN_CODES))
    documented = [(code, disposition_of(each)) for code, each in known if each in _REACTIONS_OF_A_REFRESH]
    return (*documented, ("other", Disposition.UNKNOWN))
