"""How an institution stands, as the ledger keeps it and the judge reads it; `institution` weighs it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class InstitutionState(StrEnum):
    """What the latest night says about a bank; too little is an answer of its own."""

    UP = "up"
    DOWN = "down"
    SUSPECT = "suspect"
    NOT_ENOUGH_EVIDENCE = "not_enough_evidence"


STANDING_WORDS = {
    InstitutionState.UP: "",
    InstitutionState.DOWN: "held: one login at a time asks it; its users are not blamed",
    InstitutionState.SUSPECT: "too many failed at once to blame each user; two nights decide",
    InstitutionState.NOT_ENOUGH_EVIDENCE: "each login is judged alone",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One institution. The numbers are logins in `night`, which were well before it; `blaming_users` are among the failed.

    `proved_at`: when the outcomes last said so by themselves. `probe`: the one login of a held institution that is not held with it.
    """

    institution: str
    state: InstitutionState
    since: datetime
    proved_at: datetime
    night: datetime
    refreshed: int
    failed: int
    blaming_users: int
    probe: UUID | None = None

    @property
    def held(self) -> bool:
        """Whether nothing is asked of the bank itself but by one probe at a time."""
        return self.state is InstitutionState.DOWN

    @property
    def in_trouble(self) -> bool:
        """Whether the bank is to blame for what so many of its logins share."""
        return self.state in {InstitutionState.DOWN, InstitutionState.SUSPECT}

    @property
    def numbers(self) -> str:
        return f"{self.failed:,} of the {self.failed + self.refreshed:,} logins heard of since {self.night:%Y-%m-%d %H:%M} UTC failed"
