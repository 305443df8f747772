"""The conventions of Prometheus, held against a registry in which everything has happened."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from refreshd.core.totals import RefreshValue
from refreshd.metrics import Metrics
from refreshd.metrics.labels import CALL_FAILURES, REFRESH_AGES, SCHEDULES
from tests.support import observed

TOTALS = Path(__file__).parents[2] / "sql" / "queries" / "totals.sql"
PROMTOOL = shutil.which("promtool")
MOST_SERIES = 300
"""Of one instance."""

# Labels that scrapers and rules set themselves, that say nothing, or that would name a person or a login.
# https://prometheus.io/docs/instrumenting/writing_exporters/#labels, and what prometheus-operator adds.
TAKEN = frozenset(
    {"job", "instance", "endpoint", "pod", "container", "namespace", "service", "customer", "stage", "env", "region"}
    | {"zone", "cluster", "owner", "team", "type", "le", "quantile", "alertname", "severity", "prometheus"}
)
PERSONAL = frozenset(
    {"login", "login_id", "client", "client_id", "request_id", "plan_id", "message", "user", "account"}
)
INSTITUTION = r"[\w .&+-]{1,40}"
"""The one label whose values are the vendor's text: bounded in signs, length and number."""
GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-")


@pytest.fixture
def busy() -> Metrics:
    shown = observed.metrics()
    observed.everything_happens(shown)
    return shown


@pytest.mark.skipif(PROMTOOL is None, reason="promtool not found: apt-get install prometheus")
@pytest.mark.parametrize("happened", [False, True], ids=["at the start", "after everything"])
def test_promtool_has_nothing_to_say(happened: bool) -> None:  # noqa: FBT001 # a case of the table
    shown = observed.metrics(observed.RICHEST_TERMS, manual_refresh=True)
    if happened:
        observed.everything_happens(shown)
    scrape = generate_latest(shown.registry)
    lint = subprocess.run([str(PROMTOOL), "check", "metrics"], input=scrape, capture_output=True, check=False)  # noqa: S603
    assert (lint.stdout + lint.stderr).decode() == ""
    assert lint.returncode == 0


def test_no_label_is_one_that_others_set_or_that_names_somebody(busy: Metrics) -> None:
    for family in busy.registry.collect():
        for sample in family.samples:
            own = sample.labels.keys() - ({"le"} if family.type == "histogram" else set())
            assert own.isdisjoint(TAKEN | PERSONAL), sample.name


def test_no_label_value_is_free_text_or_an_id(busy: Metrics) -> None:
    for family in busy.registry.collect():
        for sample in family.samples:
            for name, label in sample.labels.items():
                form = INSTITUTION if name == "institution" else r"[\w.+]{1,64}"
                assert re.fullmatch(form, label), (sample.name, label)
                assert not GUID.search(label)


def test_every_metric_is_ours_by_prefix_or_the_client_librarys_own_and_has_help_of_one_sentence_or_more() -> None:
    for family in observed.metrics().registry.collect():
        assert family.name.startswith(("refreshd_", "process_", "python_")), family.name
        if family.name.startswith("refreshd_"):
            assert family.documentation.endswith("."), family.name


def test_every_metric_is_defined_once() -> None:
    names = [family.name for family in observed.metrics().registry.collect()]
    assert len(names) == len(set(names))


def test_the_ledger_counts_under_the_labels_that_metrics_show() -> None:
    counted = set(re.findall(r"(?:THEN|ELSE) '(\w+)'", TOTALS.read_text("utf-8")))
    assert counted == {*REFRESH_AGES, *SCHEDULES, *map(str, RefreshValue)}


def test_base_units_stand_last() -> None:
    for family in observed.metrics().registry.collect():
        assert not re.search(r"_(ms|milliseconds|minutes|hours|kb|mb|percent)(_|$)", family.name)
        if "timestamp" in family.name or "duration" in family.name:
            assert family.name.endswith("_seconds")


@pytest.mark.parametrize("settings", ["the default installation", "every call that there is"])
def test_no_more_series_than_promised_exist_from_the_start(settings: str) -> None:
    terms = observed.RICHEST_TERMS if settings == "every call that there is" else observed.DEFAULT_TERMS
    shown = observed.metrics(terms, manual_refresh=terms is observed.RICHEST_TERMS)
    observed.everything_happens(shown)
    shown.publish(observed.widest_totals(), observed.prospects())
    assert _own(shown) <= MOST_SERIES, _own(shown)


def test_the_default_installation_stays_within_its_series_whatever_flinks_answers() -> None:
    shown = observed.metrics()
    observed.everything_happens(shown)
    shown.publish(observed.widest_totals(), observed.prospects())
    for operation in observed.policy().operations:
        for status in (*range(200, 210), *range(300, 310), *range(400, 431), *range(500, 506), 999, None):
            shown.on_call(observed.trace(operation, status))
        for failure in CALL_FAILURES:
            shown.on_call(observed.trace(operation, None, failure))
    assert _own(shown) <= MOST_SERIES, _own(shown)


def _own(shown: Metrics) -> int:
    """Series that are refreshd's; the client library's own are a handful."""
    return sum(name.startswith("refreshd_") for name, _ in observed.series(shown.registry))
