"""The figures of a soak: gathered from what its processes tell, printed as a table, written as JSON."""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from refreshd.crash import POINTS
from tests.support.kills import AT_RANDOM

News = Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What must be known to play it again."""

    seed: int
    when: str
    told: str
    replay: str


@dataclass(kw_only=True)
class Books:
    """What Flinks has seen of one company so far."""

    rate: int
    most_in_60s: int
    calls: int
    faults: Mapping[str, int]
    untraced: int
    """Calls that the trace does not tell of: lost with a killed process."""

    @classmethod
    def read(cls, seen: News) -> "Books":
        match seen:
            case {"rate": int(rate), "most_in_60s": int(most), "calls": int(calls), "faults": dict(faults), **rest}:
                untraced = rest.get("untraced", 0)
                assert isinstance(untraced, int)
                return cls(rate=rate, most_in_60s=most, calls=calls, faults=faults, untraced=untraced)
            case _:
                message = f"these are no books: {seen}"
                raise ValueError(message)


@dataclass(kw_only=True)
class Figures:
    """Everything that a soak has seen."""

    seed: int
    began_at: str
    commit: str
    cores: int
    seconds: float = 0.0
    interrupted: bool = False
    survived: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    """Named points that a life did not come to in time: it was killed wherever it was, and every promise held."""
    failures: list[Failure] = field(default_factory=list)
    weeks: int = 0
    fuzzed: Mapping[str, float] = field(default_factory=dict)
    takeovers: Mapping[str, Sequence[float]] = field(default_factory=dict)
    _books: dict[str, Books] = field(default_factory=dict)

    def hear(self, news: News, replay: str) -> None:
        """One line of a process; `replay`: the command that plays its seed again."""
        match news:
            case {"failed": str(when), "seed": int(seed), "told": str(told)}:
                self.failures.append(Failure(seed=seed, when=when, told=told, replay=replay))
            case {"survived": str(point)}:
                self.survived[point] += 1
            case {"missed": str(point)}:
                self.missed[point] += 1
            case {"weeks": int(count)}:
                self.weeks += count
            case {"books": str(of), **seen}:
                self._books[of] = Books.read(seen)
            case {"takeovers": dict(seconds)}:
                self.takeovers = seconds
            case {"fuzzed": dict(words)}:
                self.fuzzed = words
            case _:
                message = f"a process told something that nobody understands: {news}"
                raise ValueError(message)

    @property
    def kills(self) -> int:
        return self.survived.total() + self.missed.total()

    @property
    def at_named_points(self) -> Counter[str]:
        return Counter({point: self.survived[point] for point in POINTS})

    @property
    def least_at_a_point(self) -> int:
        """Lives that ended at the named point that was come to least often."""
        return min(self.at_named_points.values())

    @property
    def calls(self) -> int:
        return sum(each.calls for each in self._books.values())

    @property
    def untraced(self) -> int:
        return sum(each.untraced for each in self._books.values())

    @property
    def faults(self) -> Counter[str]:
        return sum((Counter(each.faults) for each in self._books.values()), Counter[str]())

    @property
    def most_in_60s(self) -> dict[int, int]:
        """By rate."""
        most: dict[int, int] = {}
        for each in self._books.values():
            most[each.rate] = max(each.most_in_60s, most.get(each.rate, 0))
        return dict(sorted(most.items()))

    def as_json(self) -> dict[str, object]:
        told = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        counted = ("kills", "least_at_a_point", "calls", "untraced", "faults", "most_in_60s")
        return {**told, **{name: getattr(self, name) for name in counted}, "failures": [*map(asdict, self.failures)]}

    def rows(self) -> list[tuple[str, str]]:
        """The table, row by row."""
        rows = [
            ("kills survived", f"{self.kills:,}"),
            ("... at random moments", f"{self.survived[AT_RANDOM]:,}"),
            ("... at named points", self._told_of_named_points()),
            ("... elsewhere, the named point having been missed", _listed(self.missed)),
            ("what failed", f"{len(self.failures):,}"),
            ("random weeks, in virtual time", f"{self.weeks:,}"),
            ("calls that Flinks saw", f"{self.calls:,}"),
            ("calls lost from the trace with a killed process", f"{self.untraced:,}"),
            *((f"most calls in any 60 s, of {rate:,} allowed", f"{most:,}") for rate, most in self.most_in_60s.items()),
            ("faults injected", f"{self.faults.total():,}: {_listed(self.faults)}"),
            *((f"takeovers from a leader that was {kind}", _times(times)) for kind, times in self.takeovers.items()),
        ]
        return [*rows, ("inputs to the wire codec, guided by coverage", _fuzzed(self.fuzzed))] if self.fuzzed else rows

    def _told_of_named_points(self) -> str:
        """A campaign that is too short for all of them says so."""
        named, least = self.at_named_points, self.least_at_a_point
        where = f"each of the {len(named)} in {least:,} lives or more" if least else f"{len(+named)} of {len(named)}"
        return f"{named.total():,}, at {where}"


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common()) or "none"


def _fuzzed(words: Mapping[str, float]) -> str:
    slowest = f"{words['slowest_seconds']} s" if words["slowest_seconds"] else "under a second"
    return f"{words['executions']:,} in {words['seconds']:.0f} s; the slowest took {slowest}, memory peaked at {words['peak_mb']} MB"


def _times(seconds: Sequence[float]) -> str:
    return f"{len(seconds)}: median {statistics.median(seconds):.2f} s, worst {max(seconds):.2f} s"
