"""The figures of a soak: gathered from what its processes tell, printed as a table, written as JSON."""

import re
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

AT_RANDOM = "at random"
News = Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What must be known to play it again."""

    seed: int
    when: str
    told: str
    replay: str


@dataclass(kw_only=True)
class Fuzzed:
    """What libFuzzer says at its end."""

    executions: int = 0
    seconds: float = 0.0
    slowest_seconds: int = 0
    peak_mb: int = 0
    failed: bool = False

    @classmethod
    def read(cls, said: str, *, seconds: float, code: int) -> "Fuzzed":
        """From its final statistics; a whole second is the least that it calls slow."""

        def stat(name: str) -> int:
            found = re.search(rf"stat::{name}:\s*(\d+)", said)
            return int(found[1]) if found else 0

        return cls(
            executions=stat("number_of_executed_units"),
            seconds=round(seconds, 1),
            slowest_seconds=stat("slowest_unit_time_sec"),
            peak_mb=stat("peak_rss_mb"),
            failed=code != 0,
        )


@dataclass(kw_only=True)
class Figures:
    """Everything that a soak has seen."""

    seed: int
    began_at: str
    commit: str
    cores: int
    seconds: float = 0.0
    survived: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    weeks: int = 0
    calls: int = 0
    untraced: int = 0
    most_in_60s: dict[int, int] = field(default_factory=dict)
    """By rate: the most calls that Flinks saw in any minute of a process's life, or of many that followed each other."""
    faults: Counter[str] = field(default_factory=Counter)
    fuzzed: Fuzzed | None = None
    takeovers: dict[str, list[float]] = field(default_factory=dict)

    @property
    def kills(self) -> int:
        return self.survived.total()

    def hear(self, news: News, replay: str) -> None:
        """One line of a process; `replay`: the command that plays its seed again."""
        if "failed" in news:
            seed, when, told = int(str(news["seed"])), str(news["failed"]), str(news["told"])
            self.failures.append(Failure(seed=seed, when=when, told=told, replay=replay))
        elif "survived" in news:
            self.survived[str(news["survived"])] += 1
        else:
            self._hear_books(news)

    def _hear_books(self, news: News) -> None:
        rate, most = int(str(news["rate"])), int(str(news["most_in_60s"]))
        self.most_in_60s[rate] = max(most, self.most_in_60s.get(rate, 0))
        self.calls += int(str(news.get("calls", 0)))
        self.untraced += int(str(news.get("untraced", 0)))
        self.weeks += "weeks" in news
        faults, takeovers = news.get("faults", {}), news.get("takeovers", {})
        assert isinstance(faults, dict)
        assert isinstance(takeovers, dict)
        self.faults.update(faults)
        self.takeovers.update(takeovers)

    def as_json(self) -> dict[str, object]:
        whole = {"kills": self.kills, **vars(self), "failures": [asdict(each) for each in self.failures]}
        return {**whole, "fuzzed": self.fuzzed and asdict(self.fuzzed)}

    def rows(self) -> list[tuple[str, str]]:
        """The table, row by row."""
        named = Counter({point: count for point, count in self.survived.items() if point != AT_RANDOM})
        rows = [
            ("kills survived", f"{self.kills:,}"),
            ("... at named points", f"{named.total():,} at {len(named)} points"),
            ("... at random moments", f"{self.survived[AT_RANDOM]:,}"),
            ("lives that failed", f"{len(self.failures):,}"),
            ("random weeks lived through in virtual time", f"{self.weeks:,}"),
            ("calls that Flinks saw", f"{self.calls:,}"),
            ("calls lost from the trace with a killed process", f"{self.untraced:,}"),
            *((f"most calls in any 60 s, where {rate:,} are allowed", f"{most:,}") for rate, most in self._minutes()),
            ("faults injected", f"{self.faults.total():,}: {_listed(self.faults)}"),
        ]
        if self.fuzzed is not None:
            rows.append(("inputs to the wire codec, guided by coverage", _fuzzed(self.fuzzed)))
        return rows + [
            (f"takeovers from a leader that was {kind}", _takeovers(seconds))
            for kind, seconds in self.takeovers.items()
        ]

    def _minutes(self) -> list[tuple[int, int]]:
        return sorted(self.most_in_60s.items())


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common()) or "none"


def _fuzzed(fuzzed: Fuzzed) -> str:
    slowest = f"{fuzzed.slowest_seconds} s" if fuzzed.slowest_seconds else "under a second"
    found = "one of them broke it" if fuzzed.failed else "none broke it"
    return f"{fuzzed.executions:,} in {fuzzed.seconds:.0f} s; {found}; the slowest took {slowest}, memory peaked at {fuzzed.peak_mb} MB"


def _takeovers(seconds: Sequence[float]) -> str:
    return f"{len(seconds)}: median {statistics.median(seconds):.2f} s, worst {max(seconds):.2f} s"
