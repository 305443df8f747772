"""What the gauges say, as one frozen value. A change replaces the value; a scrape projects the one it finds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Protocol

from refreshd.core.caps import GuardPolicy
from refreshd.core.forecast import RoutineOutcome
from refreshd.core.model import Operation
from refreshd.core.totals import LedgerTotals
from refreshd.health import Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsPolicy:
    """The settings that alert rules need to see.

    `cost_per_login_day` is in the operator's currency. `operations`: the calls that this installation can make, shown from 0 on.
    """

    stale_after_seconds: float
    pass_interval_seconds: float
    guard: GuardPolicy
    rate_per_minute: int
    observe: bool
    cost_per_login_day: float | None
    operations: frozenset[Operation]


@dataclass(frozen=True, slots=True, kw_only=True)
class PassTimes:
    """The passes of this process. They outlive a leadership, so that a daemon whose passes all fail shows an old success."""

    running: bool = False
    succeeded_at: datetime | None = None
    completed_at: datetime | None = None
    next_at: datetime | None = None
    phase_seconds: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospects:
    """What is going to happen: logins by how soon they lapse, how today's routine will end, and when all is counted again."""

    lapsing: Mapping[str, int]
    routine: RoutineOutcome
    counted_again_in_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigLoad:
    """What became of the newest try to read the settings, and when one last succeeded."""

    successful: bool
    succeeded_at: datetime


class PoolUse(Protocol):
    """A connection pool, asked at scrape about its own memory; it must not touch the database."""

    @property
    def most(self) -> int: ...

    @property
    def idle(self) -> int: ...

    @property
    def in_use(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """None means not known (yet), and then there is no series."""

    version: str
    revision: str
    policy: MetricsPolicy
    leading: bool = False
    totals: LedgerTotals | None = None
    prospects: Prospects | None = None
    passes: PassTimes = PassTimes()
    flinks_up: bool | None = None
    breaker_open: bool = False
    rate_in_force: int | None = None
    paused: bool | None = None
    database_up: bool | None = None
    hears: bool | None = None
    notify_delay_seconds: float | None = None
    schema_version: int | None = None
    schema_expected: int | None = None
    pool: PoolUse | None = None
    config: ConfigLoad | None = None
    clock_skew_seconds: float | None = None
    conditions: Mapping[Condition, bool] = field(default_factory=lambda: MappingProxyType({}))
