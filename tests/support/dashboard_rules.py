"""The seventeen rules of Grafana's dashboard linter, in our own words: dashboard in, complaints out. There are no exclusions.

The original is a Go program that no package registry of ours has. Its rules are described at
https://github.com/grafana/dashboard-linter/tree/main/docs/rules; where it looks at less than its description says, this looks at all.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import promql_parser as promql

Json = dict[str, Any]
Complaints = Iterator[str]
Rule = Callable[[Json], Complaints]

PROMETHEUS = "prometheus"
_VARIABLES: Mapping[str, str] = {"$__rate_interval": "11h22m33s", "$__interval": "11h22m32s", "$__range": "11h22m31s"}
"""Durations that nobody writes by hand."""
_LABEL_VALUES = re.compile(r"label_values\((?:(?P<series>.+),\s*)?(?P<label>\w+)\)")
_WITHOUT_QUERIES = frozenset({"row", "text", "alertlist"})
_UNITS = frozenset(
    {
        "none",
        "short",
        "s",
        "m",
        "ms",
        "bytes",
        "percentunit",
        "percent",
        "dtdurations",
        "currencyUSD",
        "reqps",
        "ops",
        "cps",
    }
)
"""Of Grafana's units, those that these dashboards may use; see categories.ts of @grafana/data for all."""
_RATES = frozenset({"rate", "irate"})
_OF_COUNTERS = frozenset({"rate", "irate", "increase"})


def panels(dashboard: Json) -> Iterator[Json]:
    """All panels, those inside of rows too, without the rows."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panels({"panels": panel.get("panels") or []})
        else:
            yield panel


def prometheus_targets(dashboard: Json) -> Iterator[tuple[Json, str]]:
    """Every PromQL query with its panel."""
    for panel in panels(dashboard):
        for target in panel.get("targets") or []:
            if "expr" in target:
                yield panel, target["expr"]


def parsed(expr: str) -> promql.Expr | None:
    """The query with Grafana's variables filled in; None for one that cannot be read."""
    for name, value in _VARIABLES.items():
        expr = expr.replace(name, value)
    try:
        return promql.parse(expr)
    except ValueError:
        return None


def nodes(expr: promql.Expr) -> list[promql.Expr]:
    """Every part of a query, from the outside in."""
    found: list[promql.Expr] = []
    promql.walk(expr, found.append)
    return found


def selectors(expr: promql.Expr | None) -> Iterator[promql.VectorSelector]:
    """Those of ranges too. None: there are none in a query that cannot be read."""
    return (node for node in (nodes(expr) if expr else ()) if isinstance(node, promql.VectorSelector))


def _variables(dashboard: Json, kind: str) -> list[Json]:
    return [each for each in dashboard["templating"]["list"] if each["type"] == kind]


def _asks_prometheus(dashboard: Json) -> bool:
    return any(each["query"] == PROMETHEUS for each in _variables(dashboard, "datasource"))


def _template_datasource(dashboard: Json) -> Complaints:
    sources = _variables(dashboard, "datasource")
    if not sources:
        yield "no variable chooses the data source"
    for each in sources:
        if len(sources) == 1 and (each["name"], each["label"]) == ("datasource", "Data source"):
            continue
        if each["name"] != f"{each['query']}_datasource" or each["label"] != f"{each['query'].title()} data source":
            yield f"the data source variable {each['name']} is neither called nor labelled as it should be"


def _template_matcher(name: str) -> Rule:
    def rule(dashboard: Json) -> Complaints:
        if not _asks_prometheus(dashboard):
            return
        variable = next((each for each in _variables(dashboard, "query") if each["name"] == name), None)
        if variable is None:
            yield f"no variable {name}"
            return
        wanted = {"label": name.capitalize(), "multi": True, "allValue": ".+", "includeAll": True}
        for key, value in wanted.items():
            if variable.get(key) != value:
                yield f"variable {name}: {key} is {variable.get(key)!r}, not {value!r}"
        if variable["datasource"]["uid"] not in {"$datasource", "${datasource}"}:
            yield f"variable {name} does not ask the chosen data source"

    return rule


def _template_label_promql(dashboard: Json) -> Complaints:
    for each in _variables(dashboard, "query"):
        if each["datasource"]["type"] == PROMETHEUS:
            match = _LABEL_VALUES.fullmatch(each["query"])
            if match is None or (match["series"] and parsed(match["series"]) is None):
                yield f"variable {each['name']}: {each['query']} is no label_values() of a query"


def _template_reload(dashboard: Json) -> Complaints:
    for each in _variables(dashboard, "query"):
        if each.get("refresh") != 2:
            yield f"variable {each['name']} is not read anew when the time changes"


def _uneditable(dashboard: Json) -> Complaints:
    if dashboard.get("editable") is not False:
        yield "it can be edited in Grafana, where the next provisioning undoes it"


def _panel_datasource(dashboard: Json) -> Complaints:
    names = {
        form for each in _variables(dashboard, "datasource") for form in (f"${each['name']}", f"${{{each['name']}}}")
    }
    for panel in panels(dashboard):
        asked = [panel.get("datasource"), *(target.get("datasource") for target in panel.get("targets") or [])]
        if any((each or {}).get("uid") not in names for each in asked):
            yield f"{panel['title']}: asks a data source that nobody chose"


def _panel_title_description(dashboard: Json) -> Complaints:
    for panel in panels(dashboard):
        if not panel.get("title") or not panel.get("description"):
            yield f"panel {panel.get('id')} lacks a title or a description"


def _panel_units(dashboard: Json) -> Complaints:
    for panel in panels(dashboard):
        config = panel["fieldConfig"]
        stated = [config["defaults"].get("unit")]
        stated += [each["value"] for over in config["overrides"] for each in over["properties"] if each["id"] == "unit"]
        if not _UNITS.issuperset(each for each in stated if not str(each).startswith("time:")):
            yield f"{panel['title']}: unit {stated}"


def _panel_no_targets(dashboard: Json) -> Complaints:
    for panel in panels(dashboard):
        if panel["type"] not in _WITHOUT_QUERIES and not panel.get("targets"):
            yield f"{panel['title']}: asks nothing"


def _target_promql(dashboard: Json) -> Complaints:
    for panel, expr in prometheus_targets(dashboard):
        if parsed(expr) is None:
            yield f"{panel['title']}: cannot be read: {expr}"


def _target_rate_interval(dashboard: Json) -> Complaints:
    for panel, expr in prometheus_targets(dashboard):
        for call in _calls(expr):
            (range_,) = (each for each in call.args if isinstance(each, promql.MatrixSelector))
            if call.func.name in _RATES and promql.display_duration(range_.range) != _VARIABLES["$__rate_interval"]:
                yield f"{panel['title']}: a rate over a fixed span: {expr}"


def _target_matcher(name: str) -> Rule:
    def rule(dashboard: Json) -> Complaints:
        for panel, expr in prometheus_targets(dashboard):
            for selector in selectors(parsed(expr)):
                wanted = (name, promql.MatchOp.Re, f"${name}")
                if wanted not in [(each.name, each.op, each.value) for each in selector.matchers.matchers]:
                    yield f'{panel["title"]}: {selector.name} without {name}=~"${name}"'

    return rule


def _target_counter_agg(dashboard: Json) -> Complaints:
    for panel, expr in prometheus_targets(dashboard):
        counters = [name for each in selectors(parsed(expr)) if (name := each.name or "").endswith("_total")]
        handled = [
            name
            for call in _calls(expr)
            for arg in call.args
            if isinstance(arg, promql.MatrixSelector) and call.func.name in _OF_COUNTERS
            if (name := arg.vector_selector.name or "").endswith("_total")
        ]
        if sorted(counters) != sorted(handled):
            yield f"{panel['title']}: a counter as it stands: {expr}"


def _target_logql(dashboard: Json) -> Complaints:
    """Nothing here asks Loki; a query that did would need its own two rules (syntax, and $__auto for its spans)."""
    for panel in panels(dashboard):
        if any((target.get("datasource") or {}).get("type") == "loki" for target in panel.get("targets") or []):
            yield f"{panel['title']}: asks Loki, which no rule here understands"


def _calls(expr: str) -> Iterator[promql.Call]:
    """Functions over a range."""
    tree = parsed(expr)
    for node in nodes(tree) if tree else ():
        if isinstance(node, promql.Call) and any(isinstance(arg, promql.MatrixSelector) for arg in node.args):
            yield node


RULES: Mapping[str, Rule] = {
    "template-datasource-rule": _template_datasource,
    "template-job-rule": _template_matcher("job"),
    "template-instance-rule": _template_matcher("instance"),
    "template-label-promql-rule": _template_label_promql,
    "template-on-time-change-reload-rule": _template_reload,
    "uneditable-dashboard": _uneditable,
    "panel-datasource-rule": _panel_datasource,
    "panel-title-description-rule": _panel_title_description,
    "panel-units-rule": _panel_units,
    "panel-no-targets-rule": _panel_no_targets,
    "target-promql-rule": _target_promql,
    "target-rate-interval-rule": _target_rate_interval,
    "target-job-rule": _target_matcher("job"),
    "target-instance-rule": _target_matcher("instance"),
    "target-counter-agg-rule": _target_counter_agg,
    "target-logql-rule": _target_logql,
    "target-logql-auto-rule": _target_logql,
}
