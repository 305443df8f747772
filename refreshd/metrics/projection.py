"""How a gauge is read from the state at scrape: who may show it, and since when it is known.

A gauge is read from a frozen state, so no scrape sees a half-made update, a label that has vanished leaves no series behind, and what
is not known has no series at all: absent is not zero. A scrape touches nothing but memory.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from refreshd.core.totals import LedgerTotals
from refreshd.metrics.state import PassTimes, State

Samples = Mapping[tuple[str, ...], float]
"""Numbers by label values; empty when nothing is known."""

Read = Callable[[State], Samples]

_Label = TypeVar("_Label", bound=str)


@dataclass(frozen=True, slots=True)
class Gauge:
    """One row of the table of gauges."""

    name: str
    help: str
    read: Read
    labels: tuple[str, ...] = ()

    def family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily(self.name, self.help, labels=self.labels)


class StateCollector(Collector):
    """Projects whatever `state` returns at the moment of the scrape."""

    def __init__(self, gauges: Sequence[Gauge], state: Callable[[], State]) -> None:
        self._gauges = gauges
        self._state = state

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Families without samples: the registry needs the names to answer `?name[]=`."""
        return [gauge.family() for gauge in self._gauges]

    def collect(self) -> Iterable[GaugeMetricFamily]:
        state = self._state()
        for gauge in self._gauges:
            family = gauge.family()
            for values, number in gauge.read(state).items():
                family.add_metric(values, number)
            yield family


def one(number: float | None) -> Samples:
    """A single series, or none."""
    return {} if number is None else {(): number}


def always(number: Callable[[State], float | None]) -> Read:
    return lambda state: one(number(state))


def leader(number: Callable[[PassTimes], float | None]) -> Read:
    """Of the leader alone: a standby's own passes say nothing about the ledger."""
    return lambda state: one(number(state.passes) if state.leading else None)


def totals(number: Callable[[LedgerTotals], float | None]) -> Read:
    """Of the leader, once it has counted the ledger."""
    return lambda state: {} if state.totals is None else one(number(state.totals))


def counted(known: Iterable[_Label], counts: Callable[[LedgerTotals], Mapping[_Label, int]]) -> Read:
    """Likewise, by label; a known label that does not occur among the totals is a true zero."""
    zeros = dict.fromkeys(known, 0)

    def read(state: State) -> Samples:
        if state.totals is None:
            return {}
        return {(str(label),): count for label, count in {**zeros, **counts(state.totals)}.items()}

    return read


def seconds(at: datetime | None) -> float | None:
    """A date as Prometheus wants it."""
    return None if at is None else at.timestamp()


def flag(holds: bool | None) -> float | None:  # noqa: FBT001 # a number of a bool
    return None if holds is None else float(holds)
