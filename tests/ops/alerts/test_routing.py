"""Who is told and what is kept quiet: the example for Alertmanager, asked with its own tools and run by the real one."""

import asyncio
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import ClientSession

from deploy.prometheus.rules.table import alerts
from tests.ops.alerts.promtool import needs_promtool, promtool
from tests.support.documents import ROOT
from tests.support.monitoring import alertmanager

DEPLOY = ROOT / "deploy"
CONFIG = DEPLOY / "prometheus" / "alertmanager.yml"
AMTOOL = shutil.which("amtool")
NAMES = {alert.name for alert in alerts()}

needs_amtool = pytest.mark.skipif(AMTOOL is None, reason="amtool not found: apt-get install prometheus-alertmanager")


def amtool(*argv: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([str(AMTOOL), *argv], capture_output=True, text=True, check=False)  # noqa: S603


@needs_amtool
def test_alertmanager_understands_the_example() -> None:
    ran = amtool("check-config", str(CONFIG))
    assert ran.returncode == 0, ran.stdout + ran.stderr


@needs_amtool
@pytest.mark.parametrize(("severity", "receiver"), [("critical", "pager"), ("warning", "tickets"), ("info", "mail")])
def test_each_severity_reaches_whom_it_is_for(severity: str, receiver: str) -> None:
    ran = amtool(
        "config", "routes", "test", f"--config.file={CONFIG}", f"--verify.receivers={receiver}", f"severity={severity}"
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@needs_promtool
def test_prometheus_understands_the_example() -> None:
    ran = promtool("check", "config", DEPLOY / "prometheus" / "prometheus.yml")
    assert ran.returncode == 0, ran.stdout


def inhibitions() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["inhibit_rules"]
    return found


def named(matchers: list[str]) -> set[str]:
    """The alerts that the matchers select."""
    selected = set(NAMES)
    for matcher in matchers:
        found = re.fullmatch(r'alertname(=~|!=|=)"(.+)"', matcher)
        assert found is not None, matcher
        fitting = {name for name in NAMES if re.fullmatch(found[2], name)}
        selected = selected - fitting if found[1] == "!=" else selected & fitting
    return selected


def test_every_name_in_an_inhibition_is_an_alert_and_none_mutes_itself() -> None:
    for rule in inhibitions():
        sources, targets = named(rule["source_matchers"]), named(rule["target_matchers"])
        assert sources
        assert targets
        assert not sources & targets
        words = re.findall(r"Refreshd\w+(?!\.\+|\w)", " ".join(rule["source_matchers"] + rule["target_matchers"]))
        assert {word for word in words if f"{word}.+" not in str(rule)} <= NAMES


def test_no_page_is_muted_but_by_a_page_or_by_what_tells_more() -> None:
    severity = {alert.name: str(alert.severity) for alert in alerts()}
    muted = {
        (source, target)
        for rule in inhibitions()
        for source in named(rule["source_matchers"])
        for target in named(rule["target_matchers"])
        if severity[target] == "critical" and severity[source] != "critical"
    }
    assert muted == {
        (source, "RefreshdStaleLoginsHigh")
        for source in ("RefreshdNoLeader", "RefreshdDatabaseDown", "RefreshdFlinksDown")
    }


async def test_the_real_alertmanager_mutes_what_is_explained_and_nothing_of_another_installation(
    tmp_path: Path,
) -> None:
    async with alertmanager(tmp_path, CONFIG.read_text(encoding="utf-8")) as address, ClientSession() as http:
        firing = [
            ("RefreshdReconcileOverdue", "refreshd"),
            ("RefreshdStaleLogins", "refreshd"),
            ("RefreshdReconcileLate", "refreshd"),
            ("RefreshdGuardHolding", "refreshd"),
            ("RefreshdStaleLogins", "refreshd-of-another-customer"),
        ]
        now = datetime.now(UTC)  # noqa: TID251 # a real Alertmanager lives by the real clock
        labels = [{"alertname": name, "job": job} for name, job in firing]
        until = (now + timedelta(hours=1)).isoformat()
        alerts_sent = [{"labels": each, "startsAt": now.isoformat(), "endsAt": until} for each in labels]
        async with http.post(f"{address}/api/v2/alerts", json=alerts_sent) as answer:
            assert answer.status == 200
        muted = await muted_once_all_are_known(http, address, len(firing))
    assert muted == {("RefreshdStaleLogins", "refreshd"), ("RefreshdReconcileLate", "refreshd")}


async def muted_once_all_are_known(http: ClientSession, address: str, count: int) -> set[tuple[str, str]]:
    """Alertmanager marks what it mutes when it dispatches, which is a moment after it was told."""
    async with asyncio.timeout(60):
        while True:
            async with http.get(f"{address}/api/v2/alerts") as answer:
                known = await answer.json()
            muted = {
                (each["labels"]["alertname"], each["labels"]["job"]) for each in known if each["status"]["inhibitedBy"]
            }
            states = {each["status"]["state"] for each in known}
            if len(known) == count and "unprocessed" not in states:
                return muted
            await asyncio.sleep(0.1)


# Kubernetes -------------------------------------------------------------------------------------------------------------------------


def test_the_manifests_for_the_operator_build_and_scrape_the_service_under_the_job_of_the_rules() -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl not found: apt-get install kubernetes-client")
    built = subprocess.run(  # noqa: S603
        [kubectl, "kustomize", str(DEPLOY / "kubernetes" / "monitoring")], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    by_kind = {each["kind"]: each for each in yaml.safe_load_all(built.stdout)}
    assert by_kind.keys() == {"ServiceMonitor", "PrometheusRule"}
    service = yaml.safe_load((DEPLOY / "kubernetes" / "service.yaml").read_text(encoding="utf-8"))
    monitor = by_kind["ServiceMonitor"]["spec"]
    assert monitor["selector"]["matchLabels"] == service["metadata"]["labels"]
    assert [each["port"] for each in monitor["endpoints"]] == [each["name"] for each in service["spec"]["ports"]]
    assert service["metadata"]["name"] == "refreshd", "the operator makes the service's name the job"
    assert monitor.keys() <= {"selector", "endpoints", "sampleLimit", "labelLimit"}
