"""What an installation changes of the table, by the alert's name, in TOML.

job = "refreshd"                                   # the scrape job of this installation
runbooks = "https://wiki.example.com/refreshd"     # where its people read the runbooks
grafana = "https://grafana.example.com"

[RefreshdStaleLogins]
share = "0.1"                                      # a number of the rule's own, as `make rules` lists them
for = "1h"
severity = "info"

[RefreshdObserveOnlyLeftOn]
off = true
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from deploy.prometheus.rules.rule import Alert, Group, Recording, Severity

DEFAULT_RUNBOOKS = "https://git.example.com/refreshd/docs/runbooks"
"""Only the installation knows where its people read; a sample, as every example.com."""

_SPAN = re.compile(r"(\d+(ms|[smhdwy]))+")
_NUMBER = re.compile(r"\d+(\.\d+)?|(\d+(ms|[smhdwy]))+")


class WrongOverride(Exception):
    """One sentence that says what is wrong with the overrides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    job: str = "refreshd"
    runbooks: str = DEFAULT_RUNBOOKS
    grafana: str = ""
    alerts: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: MappingProxyType({}))


def read(text: str) -> Overrides:
    """Raises WrongOverride for what is no TOML, or no override."""
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise WrongOverride(f"the overrides are no TOML: {error}") from error
    alerts = {name: value for name, value in given.items() if isinstance(value, dict)}
    general = {name: value for name, value in given.items() if name not in alerts}
    unknown = sorted(general.keys() - {"job", "runbooks", "grafana"})
    if unknown:
        raise WrongOverride(f"{', '.join(unknown)}: only job, runbooks and grafana stand outside an alert")
    return Overrides(**general, alerts=MappingProxyType(alerts))


def changed(groups: tuple[Group, ...], overrides: Overrides) -> tuple[Group, ...]:
    """The table as the installation wants it. A group that is left empty is dropped."""
    known = {rule.name for group in groups for rule in group.rules if isinstance(rule, Alert)}
    unknown = sorted(overrides.alerts.keys() - known)
    if unknown:
        raise WrongOverride(f"{', '.join(unknown)}: there is no such alert; there are {', '.join(sorted(known))}")
    after = (replace(group, rules=_kept(group, overrides)) for group in groups)
    return tuple(group for group in after if group.rules)


def _kept(group: Group, overrides: Overrides) -> tuple[Recording | Alert, ...]:
    after = (_changed(rule, overrides.alerts.get(rule.name, {})) for rule in group.rules)
    return tuple(rule for rule in after if rule is not None)


def _changed(rule: Recording | Alert, own: Mapping[str, Any]) -> Recording | Alert | None:
    """None when the installation does without it."""
    if isinstance(rule, Recording):
        return rule
    _check(rule, own)
    if own.get("off", False):
        return None
    return replace(
        rule,
        severity=Severity(own.get("severity", rule.severity)),
        lasts=own.get("for", rule.lasts),
        lingers=own.get("keep_firing_for", rule.lingers),
        numbers={name: str(own.get(name, default)) for name, default in rule.numbers.items()},
    )


def _check(alert: Alert, own: Mapping[str, Any]) -> None:
    allowed = {"off", "severity", "for", "keep_firing_for", *alert.numbers}
    unknown = sorted(own.keys() - allowed)
    if unknown:
        raise WrongOverride(f"{alert.name} has no {', '.join(unknown)}; it has {', '.join(sorted(allowed))}")
    wrong = [f"{name} = {value!r}" for name, value in own.items() if not _fits(name, str(value))]
    if wrong:
        raise WrongOverride(f"{alert.name}: {', '.join(wrong)} is not understood")


def _fits(name: str, value: str) -> bool:
    match name:
        case "off":
            return value in {"True", "False"}  # as Python writes a boolean of TOML
        case "severity":
            return value in set(Severity)
        case "for" | "keep_firing_for":
            return _SPAN.fullmatch(value) is not None
        case _:
            return _NUMBER.fullmatch(value) is not None
