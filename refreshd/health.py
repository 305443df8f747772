"""Whether the daemon lives and whether it is ready, as facts that its loops and its start-up report.

Alive means that every loop makes progress against its own deadline. Waiting for the database, the vendor or the lease is progress: the
loop that waits beats while it does. Times are seconds of loop time and come in as arguments.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class Role(StrEnum):
    """What this daemon does for its ledger."""

    STARTING = "starting"
    LEADER = "leader"
    STANDBY = "standby"


class Condition(StrEnum):
    """What must hold before a daemon is ready; label values of `refreshd_ready_condition`."""

    DATABASE = "database"
    SCHEMA = "schema"
    CREDENTIALS = "credentials"
    CONFIGURATION = "configuration"
    EVENT_LOOP = "event_loop"
    CLOCK = "clock"


NOT_CHECKED = "not checked yet"

PAUSE = "pause"
"""What the remark is about that says who has paused vendor writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """One moment's answer. `faults` says for each condition that does not hold what is wrong with it.

    `remarks` are what else a person should know, by what they are about; they make nobody unready.
    """

    role: Role
    faults: Mapping[Condition, str]
    remarks: Mapping[str, str] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        """A standby is ready too: it takes over when the leader goes."""
        return self.role is not Role.STARTING and not self.faults

    @property
    def conditions(self) -> Mapping[Condition, bool]:
        return {each: each not in self.faults for each in Condition}


@dataclass(frozen=True, slots=True)
class _Loop:
    within_seconds: float
    beat_at: float


class Health:
    """What the loops and the start-up have reported so far; until they do, nothing holds."""

    def __init__(self) -> None:
        self._role = Role.STARTING
        self._faults: dict[Condition, str] = dict.fromkeys(Condition, NOT_CHECKED)
        self._remarks: dict[str, str] = {}
        self._loops: dict[str, _Loop] = {}

    def expect(self, name: str, *, within_seconds: float, at: float) -> None:
        """From now on this loop beats at least so often."""
        self._loops[name] = _Loop(within_seconds, at)

    def beat(self, name: str, *, at: float) -> None:
        """The loop made progress. The beat of a loop that nobody expects says nothing; a misspelt one shows as a late loop."""
        loop = self._loops.get(name)
        if loop is not None:
            self._loops[name] = _Loop(loop.within_seconds, at)

    def forget(self, name: str) -> None:
        """The loop has ended on purpose."""
        self._loops.pop(name, None)

    def late(self, at: float) -> tuple[str, ...]:
        """One sentence for each loop that has missed its deadline, by name."""
        silent = ((name, at - loop.beat_at, loop.within_seconds) for name, loop in sorted(self._loops.items()))
        return tuple(
            f"{name}: no progress for {seconds:.1f} s, expected every {within:g} s"
            for name, seconds, within in silent
            if seconds > within
        )

    def become(self, role: Role) -> None:
        self._role = role

    def holds(self, condition: Condition) -> None:
        self._faults.pop(condition, None)

    def fails(self, condition: Condition, why: str) -> None:
        """The condition does not hold; `why` is read by people, and must name no secret."""
        self._faults[condition] = why

    def found(self, condition: Condition, fault: str | None) -> None:
        """The one or the other."""
        if fault is None:
            self.holds(condition)
        else:
            self.fails(condition, fault)

    def remark(self, about: str, sentence: str | None) -> None:
        """What a person should know about this; None: nothing any more."""
        if sentence is None:
            self._remarks.pop(about, None)
        else:
            self._remarks[about] = sentence

    def readiness(self) -> Readiness:
        """A snapshot that does not change any more."""
        faults = MappingProxyType(dict(self._faults))
        return Readiness(role=self._role, faults=faults, remarks=MappingProxyType(dict(self._remarks)))
