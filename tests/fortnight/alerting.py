"""What the shipped rules would have said during the fortnight.

Prometheus evaluates no rule for the past. So each expression is asked of it over the whole span, and what comes back goes through the same
states as in Prometheus: pending, firing once it held for `for`, and firing on for `keep_firing_for` after it stopped. The results become
series of their own, level by level, since rules build on recordings and recordings on each other.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import yaml

from tests.fortnight.prometheus import Prometheus

RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "rules.yml"
_RECORDED = re.compile(r"\bjob:[\w:]+")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

Rule = Mapping[str, Any]
Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, order=True)
class Point:
    """One sample that a rule leaves behind."""

    at: float
    name: str
    labels: Labels
    value: float

    def line(self) -> str:
        inside = ",".join(f'{key}="{text}"' for key, text in self.labels)
        return f"{self.name}{{{inside}}} {self.value!r} {self.at:.3f}\n"


def levels(path: Path = RULES) -> list[list[Rule]]:
    """The rules, such that each builds only on those of earlier levels."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    waiting: list[Rule] = [rule for group in document["groups"] for rule in group["rules"]]
    known: set[str] = set()
    found = []
    while waiting:
        ready = [rule for rule in waiting if set(_RECORDED.findall(rule["expr"])) <= known]
        if not ready:
            raise ValueError(f"rules that build on what nobody records: {[rule.get('alert') for rule in waiting]}")
        found.append(ready)
        known |= {rule["record"] for rule in ready if "record" in rule}
        waiting = [rule for rule in waiting if rule not in ready]
    return found


def evaluated(
    rules: Iterable[Rule], server: Prometheus, since: datetime, until: datetime, step: timedelta
) -> list[Point]:
    """All that these rules would have recorded, in the order of time."""
    points: list[Point] = []
    for rule in rules:
        for series in server.range(rule["expr"], since, until, step.total_seconds()):
            labels = {**{k: v for k, v in series["metric"].items() if k != "__name__"}, **rule.get("labels", {})}
            values = [(float(at), float(value)) for at, value in series["values"]]
            if "record" in rule:
                points += [Point(at, rule["record"], _sorted(labels), value) for at, value in values]
            else:
                held = [at for at, _ in values]
                points += _alerts(rule, labels, held, step.total_seconds())
    return sorted(points)


def _alerts(rule: Rule, labels: Mapping[str, str], held: Sequence[float], step: float) -> Iterator[Point]:
    after, keep = (seconds(rule.get(name, "0s")) for name in ("for", "keep_firing_for"))
    for at, state in states(held, step=step, after=after, keep=keep):
        named = {**labels, "alertname": rule["alert"], "alertstate": state}
        yield Point(at, "ALERTS", _sorted(named), 1.0)


def states(held: Sequence[float], *, step: float, after: float, keep: float) -> Iterator[tuple[float, str]]:
    """(moment, pending or firing) of an alert whose expression held at these moments, `step` apart."""
    runs = [list(run) for _, run in groupby(held, key=_run_of(held, step))]
    for number, run in enumerate(runs):
        for at in run:
            yield at, "firing" if at - run[0] >= after else "pending"
        if run[-1] - run[0] >= after:
            ends = runs[number + 1][0] if number + 1 < len(runs) else float("inf")
            late = run[-1] + step
            while late <= run[-1] + keep and late < ends:
                yield late, "firing"
                late += step


def _run_of(held: Sequence[float], step: float) -> Any:
    """A key that is the same for moments without a gap between them."""
    starts = {at: at for at in held[:1]}
    for before, at in pairwise(held):
        starts[at] = starts[before] if at - before <= step * 1.5 else at
    return starts.__getitem__


def seconds(text: str) -> float:
    """`90s`, `15m`, `1h30m` as Prometheus writes them."""
    return sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([smhd])", text))


def write(points: Sequence[Point], directory: Path) -> list[Path]:
    """OpenMetrics files, one a day."""
    directory.mkdir(parents=True, exist_ok=True)
    files = []
    for day, some in groupby(points, key=lambda point: datetime.fromtimestamp(point.at, UTC).date()):
        file = directory / f"{day}.om"
        file.write_text("".join(point.line() for point in some) + "# EOF\n", encoding="utf-8")
        files.append(file)
    return files


def _sorted(labels: Mapping[str, str]) -> Labels:
    return tuple(sorted(labels.items()))
