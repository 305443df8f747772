"""The ledger counted: what the metrics, the page and `refreshd status` say about all logins at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from refreshd.core.model import Disposition, Lane, VerdictName


class RefreshValue(StrEnum):
    """What a billed login's nightly refresh is worth; NEVER: it is paid for and has never succeeded."""

    SUCCEEDING = "succeeding"
    FAILING = "failing"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerTotals:
    """The ledger counted, the only source of the login metrics. Mappings hold only the labels that occur.

    `by_institution` counts the logins that Flinks bills, of the busiest institutions by name and of all others under None.
    `succeeded_at` is the end of the newest pass of any leader that succeeded.
    """

    counted_at: datetime
    by_verdict: Mapping[VerdictName, int]
    stale: Mapping[VerdictName, int]
    failed: Mapping[tuple[str, Disposition], int]
    active_by_age: Mapping[str, int]
    inactive_by_schedule: Mapping[str, int]
    ineligible: Mapping[str, int]
    leaking_login_days: float
    saved_login_days: float
    by_institution: Mapping[tuple[str | None, RefreshValue], int]
    oldest_refresh_at: datetime | None
    oldest_leak_at: datetime | None
    held: int
    backlog: int
    reported_at: datetime | None
    succeeded_at: datetime | None
    institutions_held: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """What time alone will take, and what the routine has still to do about it.

    `lapsing` counts the logins that Flinks stops refreshing within so long, and `routine_due` those whose routine is still due, by lane
    and by the hour in which they lapse unless it comes to them; None: no call moves their clock.
    """

    lapsing: Mapping[str, int]
    routine_due: Mapping[tuple[Lane, datetime | None], int]
