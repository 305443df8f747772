"""What a rule is. An expression may hold `$name` for one of its numbers and `$job` for the scrape job: overrides change those."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from string import Template
from types import MappingProxyType

Numbers = Mapping[str, str]
NO_NUMBERS: Numbers = MappingProxyType({})


class Severity(StrEnum):
    """Who is asked: somebody now, somebody today, whoever has time."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A series computed once for several alerts and panels; the name is `level:metric:operation`."""

    name: str
    expr: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alerting rule.

    `why` says why these numbers and not others, `first` is the command to run first, `panel` the place on a dashboard that shows it.
    `lasts` is how long the expression holds before somebody is told, `lingers` how long the alert stays after it held last.
    `window` tells rules of one name apart, in a label.
    """

    name: str
    severity: Severity
    expr: str
    lasts: str
    summary: str
    description: str
    first: str
    panel: str
    why: str
    lingers: str | None = None
    numbers: Numbers = field(default_factory=lambda: NO_NUMBERS)
    window: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rules that are evaluated together, in order."""

    name: str
    rules: tuple[Recording | Alert, ...]


def filled(expr: str, job: str, numbers: Numbers = NO_NUMBERS) -> str:
    """The expression with its numbers. Raises KeyError for a `$name` that has none."""
    return Template(expr).substitute(numbers, job=job)
