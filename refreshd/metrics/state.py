"""What the gauges say, as one frozen value. A change replaces the value; a scrape projects the one it finds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from refreshd.core.guard import GuardPolicy
from refreshd.core.model import LedgerTotals, Operation
from refreshd.health import Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsPolicy:
    """The settings that alert rules need to see. `operations`: the calls that this installation can make, shown from 0 on."""

    stale_after_seconds: float
    pass_interval_seconds: float
    guard: GuardPolicy
    rate_per_minute: int
    observe: bool
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
class State:
    """None means not known (yet), and then there is no series."""

    version: str
    policy: MetricsPolicy
    leading: bool = False
    totals: LedgerTotals | None = None
    passes: PassTimes = PassTimes()
    flinks_up: bool | None = None
    breaker_open: bool = False
    paused: bool | None = None
    database_up: bool | None = None
    conditions: Mapping[Condition, bool] = field(default_factory=lambda: MappingProxyType({}))
