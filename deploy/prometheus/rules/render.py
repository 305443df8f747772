"""The table as files: rules for Prometheus, and the same as a PrometheusRule for Kubernetes."""

from textwrap import fill, indent
from typing import Any

import yaml

from deploy.prometheus.rules.overrides import Overrides, changed
from deploy.prometheus.rules.rule import Alert, Group, Recording, filled
from deploy.prometheus.rules.table import GROUPS

_HEAD = (
    "# Written by `make rules` from the table in deploy/prometheus/rules.\n"
    "# Change that, or override a number: deploy/prometheus/README.md.\n"
)
_WIDTH = 130

Document = dict[str, Any]


class _Lines(yaml.SafeDumper):
    """Texts of several lines as blocks, so that an expression is read as it was written."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Lines.add_representer(str, _text)


def rules_file(overrides: Overrides | None = None) -> str:
    """`rules.yml`, each alert below the reason for its numbers."""
    wanted = overrides or Overrides()
    groups = "".join(_group(group, wanted) for group in changed(GROUPS, wanted))
    return f"{_HEAD}groups:\n{groups}"


def prometheus_rule(overrides: Overrides | None = None) -> str:
    """The custom resource that the Prometheus operator reads."""
    groups = yaml.safe_load(rules_file(overrides))["groups"]
    resource = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "refreshd", "labels": {"app.kubernetes.io/name": "refreshd"}},
        "spec": {"groups": groups},
    }
    return _HEAD + _dumped(resource)


def _group(group: Group, overrides: Overrides) -> str:
    rules = "".join(indent(_rule(rule, overrides), " " * 6) for rule in group.rules)
    return f"  - name: {group.name}\n    rules:\n{rules}"


def _rule(rule: Recording | Alert, overrides: Overrides) -> str:
    if isinstance(rule, Recording):
        return _dumped([{"record": rule.name, "expr": filled(rule.expr, overrides.job)}])
    why = fill(rule.why, _WIDTH, initial_indent="# ", subsequent_indent="# ")
    return f"{why}\n{_dumped([_alert(rule, overrides)])}"


def _alert(rule: Alert, overrides: Overrides) -> Document:
    lingers = {} if rule.lingers is None else {"keep_firing_for": rule.lingers}
    window = {} if rule.window is None else {"window": rule.window}
    return {
        "alert": rule.name,
        "expr": filled(rule.expr, overrides.job, rule.numbers),
        "for": rule.lasts,
        **lingers,
        "labels": {"severity": rule.severity.value, **window},
        "annotations": {
            "summary": rule.summary,
            "description": rule.description,
            "run_first": rule.first,
            "runbook_url": f"{overrides.runbooks}/{rule.name}.md",
            "dashboard_url": f"{overrides.grafana}/d/{rule.panel}",
        },
    }


def _dumped(value: object) -> str:
    return yaml.dump(value, Dumper=_Lines, sort_keys=False, width=_WIDTH, allow_unicode=True)
