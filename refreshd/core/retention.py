"""How long the ledger keeps what it need not keep for ever. Events of schedule changes have no row here: they are kept for ever."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import assert_never

PLANS_KEPT = timedelta(days=365)
"""A closed plan is a person's decision, and there are few of them."""


class Kept(StrEnum):
    """What goes row by row; the trace's days go as a whole."""

    CALLS = "calls"
    PASSES = "passes"
    PLANS = "plans"
    ACCOUNT_DATA = "account_data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Spans by what the operator set. Passes belong to the trace, whose calls name them."""

    trace: timedelta
    account_data: timedelta

    def of(self, kept: Kept) -> timedelta:
        match kept:
            case Kept.CALLS | Kept.PASSES:
                return self.trace
            case Kept.ACCOUNT_DATA:
                return self.account_data
            case Kept.PLANS:
                return PLANS_KEPT
        assert_never(kept)
