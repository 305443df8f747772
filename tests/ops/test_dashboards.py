"""The committed dashboards: what the code makes of them, the linter's rules, and names that exist."""

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import promql_parser as promql
import pytest
import yaml

from grafana.__main__ import DIRECTORY, texts
from grafana.runbooks import RUNBOOKS, alerts_of
from tests.support import observed
from tests.support.dashboard_rules import RULES, Json, nodes, panels, parsed, prometheus_targets, selectors

ROOT = DIRECTORY.parents[1]
DASHBOARDS: dict[str, Json] = {
    path.stem: json.loads(path.read_text("utf-8")) for path in sorted(DIRECTORY.glob("*.json"))
}
WITH_PROMETHEUS = [uid for uid in DASHBOARDS if uid != "refreshd-logins"]
PROVISIONING = DIRECTORY.parent / "provisioning"
OF_PROMETHEUS = frozenset({"up", "scrape_duration_seconds", "scrape_samples_scraped", "ALERTS"})
OF_TARGETS = frozenset({"job", "instance"})


@pytest.fixture(params=sorted(DASHBOARDS))
def dashboard(request: pytest.FixtureRequest) -> Json:
    return deepcopy(DASHBOARDS[request.param])


def test_the_committed_dashboards_are_those_that_the_code_makes() -> None:
    assert {f"{uid}.json" for uid in DASHBOARDS} == texts().keys()
    for name, text in texts().items():
        assert (DIRECTORY / name).read_text("utf-8") == text, f"{name}: run `make dashboards`"


@pytest.mark.parametrize("rule", RULES)
def test_a_dashboard_keeps_every_rule_of_the_linter(dashboard: Json, rule: str) -> None:
    assert list(RULES[rule](dashboard)) == []


def _first(dashboard: Json, kind: str = "timeseries") -> Json:
    return next(each for each in panels(dashboard) if each["type"] == kind)


def _variable(dashboard: Json, name: str) -> Json:
    found: Json = next(each for each in dashboard["templating"]["list"] if each["name"] == name)
    return found


def _set(place: dict[str, Any], **values: object) -> None:
    place.update(values)


SPOILT = {
    "template-datasource-rule": lambda board: _set(_variable(board, "datasource"), label="Source"),
    "template-job-rule": lambda board: _set(_variable(board, "job"), allValue=".*"),
    "template-instance-rule": lambda board: _set(_variable(board, "instance"), multi=False),
    "template-label-promql-rule": lambda board: _set(_variable(board, "job"), query="label_values(a{, job)"),
    "template-on-time-change-reload-rule": lambda board: _set(_variable(board, "job"), refresh=1),
    "uneditable-dashboard": lambda board: _set(board, editable=True),
    "panel-datasource-rule": lambda board: _set(_first(board)["datasource"], uid="prometheus-1"),
    "panel-title-description-rule": lambda board: _set(_first(board), description=""),
    "panel-units-rule": lambda board: _set(_first(board)["fieldConfig"]["defaults"], unit="logins"),
    "panel-no-targets-rule": lambda board: _set(_first(board), targets=[]),
    "target-promql-rule": lambda board: _set(_first(board)["targets"][0], expr="sum(up"),
    "target-rate-interval-rule": lambda board: _set(
        _first(board)["targets"][0], expr='rate(refreshd_disables_total{job=~"$job",instance=~"$instance"}[5m])'
    ),
    "target-job-rule": lambda board: _set(_first(board)["targets"][0], expr='up{instance=~"$instance"}'),
    "target-instance-rule": lambda board: _set(_first(board)["targets"][0], expr='up{job=~"$job",instance="a"}'),
    "target-counter-agg-rule": lambda board: _set(_first(board)["targets"][0], expr="sum(refreshd_disables_total)"),
    "target-logql-rule": lambda board: _set(_first(board)["targets"][0]["datasource"], type="loki"),
    "target-logql-auto-rule": lambda board: _set(_first(board)["targets"][0]["datasource"], type="loki"),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_dashboard_that_breaks_a_rule_is_found(rule: str) -> None:
    spoilt = deepcopy(DASHBOARDS["refreshd-reconcile"])
    SPOILT[rule](spoilt)
    assert list(RULES[rule](spoilt))


def _queries(board: Json) -> Iterator[str]:
    yield from (expr for _, expr in prometheus_targets(board))
    yield from (each["expr"] for each in board["annotations"]["list"])
    for each in board["templating"]["list"]:
        if each["type"] == "query" and each["datasource"]["type"] == "prometheus":
            yield re.fullmatch(r"label_values\((.+), \w+\)", each["query"])[1]  # type: ignore[index]


def _exported() -> dict[str, set[str]]:
    """Sample name -> its label names, of a daemon to which everything has happened."""
    shown = observed.metrics(observed.RICHEST_TERMS, manual_refresh=True)
    observed.everything_happens(shown)
    names: dict[str, set[str]] = {}
    for family in shown.registry.collect():
        for sample in family.samples:
            names.setdefault(sample.name, set()).update(sample.labels)
    return names


@pytest.mark.parametrize("uid", WITH_PROMETHEUS)
def test_every_metric_and_every_label_in_a_dashboard_exists(uid: str) -> None:
    exported = _exported()
    for expr in _queries(DASHBOARDS[uid]):
        tree = parsed(expr)
        assert tree is not None, expr
        known: set[str] = set(OF_TARGETS)
        for selector in selectors(tree):
            if selector.name in OF_PROMETHEUS:
                continue
            assert selector.name in exported, selector.name
            matched = {each.name for each in selector.matchers.matchers}
            assert matched <= exported[selector.name] | OF_TARGETS, expr
            known |= exported[selector.name]
        assert set(_grouped(tree)) <= known, expr


def _grouped(tree: promql.Expr) -> Iterator[str]:
    """The labels that its aggregations name."""
    for node in nodes(tree):
        if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            yield from node.modifier.labels


def test_uids_titles_and_panels_are_told_apart() -> None:
    assert [board["uid"] for board in DASHBOARDS.values()] == list(DASHBOARDS)
    for board in DASHBOARDS.values():
        ids = [each["id"] for each in board["panels"]]
        titles = [each["title"] for each in panels(board)]
        assert len(ids) == len(set(ids))
        assert len(titles) == len(set(titles))


def test_panels_neither_overlap_nor_leave_the_screen(dashboard: Json) -> None:
    taken: set[tuple[int, int]] = set()
    for place in (each["gridPos"] for each in dashboard["panels"]):
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not taken & cells
        taken |= cells


def test_every_link_leads_to_a_dashboard_and_a_panel_that_exist() -> None:
    for board in DASHBOARDS.values():
        for uid, panel in re.findall(r"/d/([\w-]+)(?:\?[^\"]*?viewPanel=(\d+))?", json.dumps(board)):
            assert uid in DASHBOARDS
            if panel:
                assert int(panel) in {each["id"] for each in panels(DASHBOARDS[uid])}


def test_every_dashboard_links_to_the_others_and_to_the_runbooks(dashboard: Json) -> None:
    links = {each["title"]: each for each in dashboard["links"]}
    assert links["refreshd"]["tags"] == ["refreshd"] == dashboard["tags"]
    assert links["Runbooks"]["url"] == RUNBOOKS
    assert dashboard["timezone"] == "utc"


def test_no_dashboard_shows_who_somebody_is() -> None:
    for uid, board in DASHBOARDS.items():
        words = json.dumps(board)
        assert not re.search(r"client_id|username|\bbody\b|request_id", words), uid
        assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", words), uid


def test_provisioning_names_the_data_sources_and_the_directory_of_the_dashboards() -> None:
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards" / "refreshd.yaml").read_text("utf-8"))["providers"]
    assert provider["options"]["path"].endswith("/dashboards")
    sources = yaml.safe_load((PROVISIONING / "datasources" / "refreshd.yaml").read_text("utf-8"))["datasources"]
    asked = {
        each["query"]
        for board in DASHBOARDS.values()
        for each in board["templating"]["list"]
        if each["type"] == "datasource"
    }
    assert {each["type"] for each in sources} == asked
    (postgres,) = (each for each in sources if each["type"] != "prometheus")
    assert postgres["secureJsonData"]["password"].startswith("$"), "a password comes from the environment"


NOT_SHOWN = {
    "refreshd_snapshot_interval_seconds": "what alerts on the snapshot's age multiply",
    "refreshd_stale_threshold_seconds": "a setting",
    "refreshd_oldest_refresh_timestamp_seconds": "the buckets of refresh_age say more",
    "refreshd_oldest_inactive_scheduled_timestamp_seconds": "an alert's; the Logins dashboard lists the longest first",
    "refreshd_reconcile_interval_seconds": "a setting, which alerts multiply",
    "refreshd_reconcile_last_completion_timestamp_seconds": "passes and failures are shown as rates",
    "refreshd_reconcile_next_start_timestamp_seconds": "the page at / says it",
    "refreshd_reconcile_running": "too short to be seen at the pace of scrapes",
    "refreshd_leader_transitions": "the timeline of who leads shows each of them",
    "refreshd_cost_per_login_day": "a setting, already in the costs",
    "refreshd_config_last_reload_success_timestamp_seconds": "whether the last reload was taken is what matters",
}
"""Metrics that no panel needs, and why."""


def test_every_metric_is_on_a_dashboard_or_need_not_be() -> None:
    shown = {
        selector.name or ""
        for uid in WITH_PROMETHEUS
        for expr in _queries(DASHBOARDS[uid])
        for selector in selectors(parsed(expr))
    }
    families = {family.name for family in observed.metrics().registry.collect() if family.name.startswith("refreshd_")}
    suffix = re.compile(r"_(total|bucket|sum|count)$")
    missing = families - {suffix.sub("", name) for name in shown}
    assert missing == NOT_SHOWN.keys()


RULES_FILE = yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yml").read_text("utf-8"))
ALERTS = [rule for group in RULES_FILE["groups"] for rule in group["rules"] if "alert" in rule]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_every_alert_leads_to_a_panel_and_that_panel_back_to_its_runbook(alert: Json) -> None:
    uid, panel_id = re.findall(r"/d/([\w-]+)\?viewPanel=(\d+)$", alert["annotations"]["dashboard_url"])[0]
    panel = next(each for each in panels(DASHBOARDS[uid]) if each["id"] == int(panel_id))
    assert alert["annotations"]["runbook_url"] in {each["url"] for each in panel["links"]}
    assert alert["alert"] in alerts_of(uid, int(panel_id))


def test_every_alert_is_annotated_on_the_dashboard_that_it_leads_to() -> None:
    for alert in ALERTS:
        uid = re.findall(r"/d/([\w-]+)", alert["annotations"]["dashboard_url"])[0]
        (note,) = (each for each in DASHBOARDS[uid]["annotations"]["list"] if each["name"] == "Pages")
        (names,) = re.findall(r'alertname=~"([^"]+)"', note["expr"])
        assert re.fullmatch(names, alert["alert"]), (uid, alert["alert"])
