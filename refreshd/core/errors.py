"""The whole exception tree, on one screen, ordered by who must act.

A fact about a login ("this user must reconnect") is a value and never stands here. A class exists only where a caller behaves
differently. Every error says in one line what happened and to which thing; `hint` says what to do next. No error carries a header, a
token, a body or a user name.
"""

from datetime import timedelta

MESSAGE_LIMIT = 300
"""Characters of a vendor's text that an error keeps; the trace keeps the same."""


class RefreshdError(Exception):
    """Root of every failure that refreshd expects. Anything else is a bug and ends the process."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class SettingsError(RefreshdError):
    """The operator's settings or command line are wrong; all faults are in the message, one a line."""

    exit_code = 2


class InputRejected(RefreshdError):
    """A client list (CSV or source query) cannot be taken; nothing was changed. `faults` are its bad rows, one sentence each."""

    exit_code = 2

    def __init__(self, message: str, *, hint: str = "", faults: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.faults = faults


class PlanUnknown(RefreshdError):
    """No open plan has this id, or more than one begins with it."""

    exit_code = 2


class HeldByGuard(RefreshdError):
    """The guard withheld what was asked; `refreshd approve` or a better client list releases it."""

    exit_code = 3


class WritesPaused(RefreshdError):
    """Somebody has stopped all vendor writes with `refreshd pause`; what waits stays due."""

    exit_code = 3


class DependencyDown(RefreshdError):
    """Something that refreshd needs is not there (now); waiting may mend it."""

    exit_code = 4


class LedgerUnavailable(DependencyDown):
    """Postgres does not answer, refuses us, or is read-only."""


class RowsLocked(DependencyDown):
    """Somebody else's transaction holds a row that we need; the database is there, and the rest of the ledger at our service."""


class Unstorable(RefreshdError):
    """Postgres takes no such value, whatever it is: its own words would quote it. The rest can be stored without."""


class SchemaMismatch(DependencyDown):
    """The ledger's migrations are missing or altered; the hint names the command that mends it."""


class LeaseLost(DependencyDown):
    """Another refreshd leads this ledger; nothing may be sent or recorded under our term."""


class LeaseRanOut(LeaseLost):
    """The database did not answer for so long that another refreshd may lead."""


class ClocksDisagree(LeaseLost):
    """Our dates and the database's are too far apart for anybody to work under ours; the leader is somebody else, or nobody."""


class FlinksError(RefreshdError):
    """One call did not lead to an answer about what was asked.

    `reason` is one of the label values of `refreshd_flinks_request_failures_total`. `left`: bytes of it may have gone out; whoever sends
    knows better, and says so.
    """

    reason = "server"
    left = True

    def __init__(self, message: str, *, hint: str = "", status: int | None = None, code: str | None = None) -> None:
        super().__init__(message[:MESSAGE_LIMIT], hint=hint)
        self.status = status
        self.code = code


class FlinksUnreachable(FlinksError):
    """No response arrived, or a gateway's 5xx without a FlinksCode. `reason`: timeout, connect, tls or server."""

    def __init__(self, message: str, *, reason: str, status: int | None = None) -> None:
        super().__init__(message, status=status)
        self.reason = reason


class CallAbandoned(FlinksError):
    """The call was given up before a byte left: what was decided is not wanted any more. `reason` is never counted."""

    reason = "client"
    left = False


class FlinksThrottled(FlinksError):
    """Flinks asked for fewer calls. `retry_after` is its own wish where it sent one."""

    reason = "throttled"

    def __init__(
        self, message: str, *, retry_after: timedelta | None = None, status: int | None = None, code: str | None = None
    ) -> None:
        super().__init__(message, status=status, code=code)
        self.retry_after = retry_after


class CredentialRefused(FlinksError):
    """Flinks does not accept a key, a token, or the customer id: calls that need that credential stop."""

    reason = "auth"


class FlinksUnreadable(FlinksError):
    """An answer arrived and says nothing that the vendor's documents describe."""

    reason = "malformed"


class FlinksRefused(FlinksError):
    """Flinks answered with a code about the call itself, where no login is concerned (the report)."""

    reason = "client"
