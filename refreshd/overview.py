"""What the page for people says: the present state as one frozen value, and how it reads. No HTTP, no HTML, no I/O.

None means not known (yet) and reads as such; nothing is ever shown as a zero that nobody has counted. Nothing here names a login.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

from refreshd import phrases
from refreshd.core import codes
from refreshd.core.forecast import RoutineOutcome
from refreshd.core.model import Pause, VerdictName
from refreshd.core.plan import HeldPlan
from refreshd.core.totals import LedgerTotals
from refreshd.ports import PassRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetUse:
    """Calls that left in the last 60 seconds, of those that the setting allows; `in_force`: while Flinks asks for fewer, those."""

    used: int
    rate_per_minute: int
    in_force: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What the daemon knows at `now`. `held`: every plan that waits or whose approval runs."""

    now: datetime
    version: str
    mode: str
    last_pass: PassRecord | None = None
    totals: LedgerTotals | None = None
    budget: BudgetUse | None = None
    held: tuple[HeldPlan, ...] | None = None
    pause: Pause | None = None
    next_routine_at: datetime | None = None
    routine: RoutineOutcome | None = None
    lapsing: Mapping[str, int] | None = None
    deaf: bool = False


class Tone(StrEnum):
    """How much a line wants to be seen; a class of the style sheet."""

    ALARM = "alarm"
    WARN = "warn"
    CALM = "calm"
    GOOD = "good"


@dataclass(frozen=True, slots=True)
class _Meaning:
    tone: Tone
    words: str
    command: str = ""
    """What an operator runs first, for a verdict that wants one."""


# Worst first: the order in which an operator reads.
_MEANINGS: Mapping[VerdictName, _Meaning] = MappingProxyType(
    {
        VerdictName.LEAKING: _Meaning(
            Tone.ALARM,
            "billed although no client is active",
            "refreshd logins --verdict leaking",
        ),
        VerdictName.HELD: _Meaning(Tone.ALARM, "billed until somebody approves their plan", "refreshd plans"),
        VerdictName.QUARANTINED: _Meaning(
            Tone.WARN, "refused by Flinks for good", "refreshd logins --verdict quarantined"
        ),
        VerdictName.DRIFTED: _Meaning(
            Tone.WARN, "off at Flinks although they should be on", "refreshd logins --verdict drifted"
        ),
        VerdictName.STALE: _Meaning(
            Tone.WARN, "no longer refreshed, with no error that says why", "refreshd logins --verdict stale"
        ),
        VerdictName.RECONNECT: _Meaning(
            Tone.WARN, "waiting for their user to connect the bank again", "refreshd logins --verdict reconnect"
        ),
        VerdictName.FAILED: _Meaning(Tone.CALM, "failed last time; Flinks tries again by itself"),
        VerdictName.UNSEEN: _Meaning(Tone.CALM, "not looked at yet"),
        VerdictName.FRESH: _Meaning(Tone.GOOD, "refreshed as they should be"),
        VerdictName.DISABLED: _Meaning(Tone.CALM, "inactive and confirmed off; not billed"),
    }
)


WORST_FIRST = tuple(_MEANINGS)
NEEDING = tuple(verdict for verdict, meaning in _MEANINGS.items() if meaning.command)
"""The verdicts of logins that want a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetRow:
    """One verdict. `percent` is of the most frequent verdict, so that the bars compare."""

    verdict: VerdictName
    count: int
    percent: float
    tone: Tone
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """Something that a person should look at, and the command to begin with."""

    verdict: VerdictName
    tone: Tone
    count: int
    words: str
    command: str


def fleet(totals: LedgerTotals) -> tuple[FleetRow, ...]:
    """Every verdict, worst first."""
    most = max(totals.by_verdict.values(), default=0)
    return tuple(
        FleetRow(
            verdict=verdict,
            count=(count := totals.by_verdict.get(verdict, 0)),
            percent=round(100 * count / most, 1) if most else 0.0,
            tone=meaning.tone if count else Tone.CALM,
            words=meaning.words,
        )
        for verdict, meaning in _MEANINGS.items()
    )


def attention(totals: LedgerTotals) -> tuple[Attention, ...]:
    """What wants a person, worst first; empty when all is well."""
    return tuple(
        Attention(verdict=verdict, tone=meaning.tone, count=count, words=meaning.words, command=meaning.command)
        for verdict, meaning in _MEANINGS.items()
        if meaning.command and (count := totals.by_verdict.get(verdict, 0))
    )


def tone_of(verdict: VerdictName) -> Tone:
    return _MEANINGS[verdict].tone


class Coded(Protocol):
    """Something with a vendor's code."""

    @property
    def code(self) -> str | None: ...


def advice(rows: Iterable[Coded]) -> tuple[tuple[str, str], ...]:
    """What each code among the rows means for who must act, by code."""
    found = sorted({each.code for each in rows if each.code})
    return tuple((code, codes.meaning_of(code).advice) for code in found)


def said_of_pause(pause: Pause) -> str:
    """One sentence, for a page, a probe and a command alike."""
    return f"vendor writes are paused since {phrases.stamp(pause.paused_at)} by {pause.paused_by}: {pause.reason}"
