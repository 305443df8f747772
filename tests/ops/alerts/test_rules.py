"""The rules are what the table says, Prometheus likes them, and every alert speaks when it should and only then."""

import re
from pathlib import Path

import promql_parser
import pytest
import yaml

from deploy.prometheus.rules.__main__ import MANIFEST, RULES
from deploy.prometheus.rules.overrides import Overrides, WrongOverride, changed, read
from deploy.prometheus.rules.render import prometheus_rule, rules_file
from deploy.prometheus.rules.rule import Severity
from deploy.prometheus.rules.table import GROUPS, alerts
from tests.ops.alerts.about_recordings import FIGURES, Figure
from tests.ops.alerts.promtool import PROOFS, Rule, files_of, key, needs_promtool, played, promtool, rules
from tests.ops.alerts.story import Proof
from tests.support import observed

KNOWN = rules()
BY_KEY = {key(rule): rule for rule in KNOWN}
ALERTING = [rule for rule in KNOWN if "alert" in rule]
MOST_PAGES = 8

each_rule = pytest.mark.parametrize("rule", KNOWN, ids=lambda rule: " ".join(filter(None, key(rule))))
each_alert = pytest.mark.parametrize("rule", ALERTING, ids=lambda rule: " ".join(filter(None, key(rule))))


# What is committed ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "text"), [(RULES, rules_file()), (MANIFEST, prometheus_rule())])
def test_the_files_are_what_make_rules_writes(path: Path, text: str) -> None:
    assert path.read_text(encoding="utf-8") == text, "run make rules"


@needs_promtool
def test_promtool_has_nothing_to_say_about_the_rules() -> None:
    ran = promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)
    assert ran.returncode == 0, ran.stdout
    assert f"SUCCESS: {len(KNOWN)} rules found" in ran.stdout


def test_the_manifest_carries_the_same_rules_and_no_key_that_the_operator_does_not_know() -> None:
    resource = yaml.safe_load(prometheus_rule())
    assert resource["spec"]["groups"] == yaml.safe_load(rules_file())["groups"]
    allowed = {"record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations"}
    assert {name for group in resource["spec"]["groups"] for rule in group["rules"] for name in rule} <= allowed
    assert {name for group in resource["spec"]["groups"] for name in group} == {"name", "rules"}


# Conventions ------------------------------------------------------------------------------------------------------------------------


def metrics_shown() -> set[str]:
    """Every sample name of a daemon to which everything has happened, and what Prometheus itself adds to a scrape."""
    shown = observed.metrics(observed.RICHEST_TERMS, manual_refresh=True)
    observed.everything_happens(shown)
    families = {family.name for family in shown.registry.collect()}
    counters = {f"{name}_total" for name in families}
    buckets = {f"{name}_bucket" for name in families}
    return families | counters | buckets | {"up"} | {each.record for each in FIGURES}


def names_in(expr: str) -> set[str]:
    """Every series that an expression reads, by the real parser."""
    found: set[str] = set()

    def visit(node: object) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.add(str(node.name))
        for child in ("lhs", "rhs", "expr", "vector_selector", "args"):
            inner = getattr(node, child, None)
            for each in inner if isinstance(inner, list) else [inner]:
                if each is not None and not isinstance(each, str | int | float):
                    visit(each)

    visit(promql_parser.parse(expr))
    return found


@each_rule
def test_a_rule_reads_only_series_that_exist_each_of_this_job(rule: Rule) -> None:
    names = names_in(rule["expr"])
    assert names
    assert names <= metrics_shown()
    assert len(re.findall(r'\{job="refreshd"', rule["expr"])) == len(re.findall(r"(?<!\w)[a-z_:]+\w*\{", rule["expr"]))


@each_rule
def test_aggregations_name_what_they_drop_and_counters_are_read_by_their_change(rule: Rule) -> None:
    expr = rule["expr"]
    assert not re.search(r"\bby\b", expr)
    assert len(re.findall(r"\b(?:sum|max|min|count|group) ", expr)) == len(re.findall(r"without", expr))
    for counter in re.findall(r"(?:^|.)(?:\w+\()?refreshd_\w+_(?:total|bucket)\{[^}]*\}(.?)", expr):
        assert counter == "[", "a counter by itself says how long the process has run"


@each_rule
def test_a_recording_is_named_for_its_level_its_metric_and_its_operation(rule: Rule) -> None:
    if "record" in rule:
        assert re.fullmatch(r"job:refreshd_\w+:(sum|ratio|ratio_rate\d+[mhd])", rule["record"])


@each_alert
def test_an_alert_waits_speaks_in_sentences_and_leads_to_a_runbook_and_a_panel(rule: Rule) -> None:
    notes = rule["annotations"]
    assert rule["for"]
    assert rule["labels"].keys() - {"window"} == {"severity"}
    assert "{{" not in str(rule["labels"]), "a value in a label makes a new alert of every change"
    assert notes.keys() == {"summary", "description", "run_first", "runbook_url", "dashboard_url"}
    assert notes["summary"].endswith(".")
    assert "{{" not in notes["summary"], "a summary that changes is a new subject line for every value"
    assert re.search(r"[.?]$", notes["description"])
    assert not re.search(r"\{\{ \$value \}\}", notes["description"]), "a bare float is not for people"
    assert notes["runbook_url"].endswith(f"/{rule['alert']}.md")
    assert re.fullmatch(r"/d/refreshd-[a-z]+\?viewPanel=\d+", notes["dashboard_url"])


def test_few_alerts_page_and_none_of_them_because_some_logins_fail() -> None:
    pages = [rule for rule in ALERTING if rule["labels"]["severity"] == "critical"]
    assert len(pages) <= MOST_PAGES
    assert {rule["labels"]["severity"] for rule in ALERTING} == set(Severity)
    assert not [rule["alert"] for rule in pages if "refreshd_failed_logins" in rule["expr"]]
    assert not [rule["alert"] for rule in ALERTING if "login_id" in rule["expr"]]


def test_every_number_of_an_alert_has_its_reason() -> None:
    assert all(alert.why.endswith(".") for alert in alerts())


# Stories ----------------------------------------------------------------------------------------------------------------------------


def test_every_alert_is_proved_firing_and_quiet() -> None:
    assert {proof.key for proof in PROOFS} == {key(rule) for rule in ALERTING}
    assert len({proof.key for proof in PROOFS}) == len(PROOFS)
    for proof in PROOFS:
        assert any(story.fires for story in proof.stories), proof.key
        assert any(story.quiet and not story.fires for story in proof.stories), proof.key


def test_every_recording_is_proved() -> None:
    assert {figure.key for figure in FIGURES} == {key(rule) for rule in KNOWN if "record" in rule}


@needs_promtool
@pytest.mark.parametrize("test", [*PROOFS, *FIGURES], ids=lambda test: " ".join(filter(None, test.key)))
def test_it_speaks_when_it_should_and_only_then(tmp_path: Path, test: Proof | Figure) -> None:
    said = played(tmp_path, files_of(test, tmp_path, "rule", BY_KEY[test.key], KNOWN))
    assert said
    assert "".join(said.values()) == ""


# Overrides --------------------------------------------------------------------------------------------------------------------------


def rule_named(name: str, text: str) -> Rule:
    groups = yaml.safe_load(rules_file(read(text)))["groups"]
    return next(rule for group in groups for rule in group["rules"] if rule.get("alert") == name)


def test_an_installation_changes_numbers_spans_severity_job_and_addresses_by_the_alerts_name() -> None:
    rule = rule_named(
        "RefreshdStaleLogins",
        """
        job = "billing-refreshd"
        runbooks = "https://wiki.example.org/r"
        grafana = "https://grafana.example.org"

        [RefreshdStaleLogins]
        share = "0.1"
        for = "2h"
        keep_firing_for = "1h"
        severity = "info"
        """,
    )
    assert '{job="billing-refreshd"} > 0.1' in rule["expr"]
    assert (rule["for"], rule["keep_firing_for"], rule["labels"]["severity"]) == ("2h", "1h", "info")
    assert rule["annotations"]["runbook_url"] == "https://wiki.example.org/r/RefreshdStaleLogins.md"
    assert rule["annotations"]["dashboard_url"].startswith("https://grafana.example.org/d/refreshd-overview?")


def test_an_alert_can_be_left_out_and_nothing_else_changes() -> None:
    after = yaml.safe_load(rules_file(read("[RefreshdVersionSkew]\noff = true")))["groups"]
    left = [rule for group in after for rule in group["rules"]]
    assert left == [rule for rule in KNOWN if rule.get("alert") != "RefreshdVersionSkew"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[RefreshdStale]\noff = true", "RefreshdStale: there is no such alert; there are RefreshdAbsent"),
        ("[RefreshdStaleLogins]\nratio = 1", "RefreshdStaleLogins has no ratio; it has for, keep_firing_for, logins"),
        ('[RefreshdStaleLogins]\nseverity = "page"', "severity = 'page' is not understood"),
        ('[RefreshdStaleLogins]\nfor = "soon"', "for = 'soon' is not understood"),
        ('[RefreshdStaleLogins]\nshare = "a lot"', "share = 'a lot' is not understood"),
        ("[RefreshdStaleLogins]\noff = 1", "off = 1 is not understood"),
        ('interval = "1m"', "interval: only job, runbooks and grafana stand outside an alert"),
        ("job =", "the overrides are no TOML"),
    ],
)
def test_an_override_that_means_nothing_is_refused_in_one_sentence(text: str, said: str) -> None:
    with pytest.raises(WrongOverride, match=re.escape(said)):
        changed(GROUPS, read(text))


def test_without_overrides_the_table_stands_as_it_is() -> None:
    assert changed(GROUPS, Overrides()) == GROUPS
