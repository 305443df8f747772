"""Flinks falls ill, and people hear of it: the daemon, a real Prometheus, a real Alertmanager and whoever it tells.

Rules and routing are those of `deploy/prometheus`, their spans shortened by the overrides that every installation can write. Nothing
here looks at a clock: each step waits for the notice that the step before it must lead to.
"""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession

from deploy.prometheus.rules.overrides import read
from deploy.prometheus.rules.render import rules_file
from deploy.prometheus.rules.table import alerts
from tests.support.documents import ROOT, document
from tests.support.monitoring import Receiver, alertmanager, prometheus, receiver
from tests.support.process import Process
from tests.support.world import World, world

EXAMPLES = ROOT / "deploy" / "prometheus"
QUICK = {"REFRESHD_PASS_INTERVAL": "1s", "REFRESHD_REPORT_INTERVAL": "2s"}


def at_once() -> str:
    """The rules without patience: what holds is said, and what is over is forgotten."""
    spans = {"window": "10s", "memory": "1m"}
    tables = []
    for alert in alerts():
        own = {name: spans[name] for name in alert.numbers if name in spans}
        lines = (f'{name} = "{value}"' for name, value in {"for": "0s", "keep_firing_for": "0s", **own}.items())
        tables.append("\n".join([f"[{alert.name}]", *lines]))
    return rules_file(read("\n".join(dict.fromkeys(tables))))


def scraping(daemon: str, teller: str) -> str:
    """The example of Prometheus, in a hurry, for this daemon and this Alertmanager."""
    text = (EXAMPLES / "prometheus.yml").read_text(encoding="utf-8")
    text = re.sub(r"_interval: \d+s", "_interval: 1s", text)
    text = text.replace("127.0.0.1:9877", daemon.removeprefix("http://").rstrip("/"))
    return text.replace("127.0.0.1:9093", teller.removeprefix("http://"))


def telling(people: str) -> str:
    """The example of Alertmanager, in a hurry, for these receivers."""
    text = (EXAMPLES / "alertmanager.yml").read_text(encoding="utf-8")
    text = re.sub(r"group_wait: \w+", "group_wait: 0s", text)
    text = re.sub(r"group_interval: \w+", "group_interval: 1s", text)
    return text.replace("http://127.0.0.1:9095", people)


@asynccontextmanager
async def watched(daemon: Process, directory: Path) -> AsyncIterator[tuple[Receiver, str]]:
    """Everything between a daemon and the people who are told: those, and Prometheus' address."""
    (directory / "rules.yml").write_text(at_once(), encoding="utf-8")
    address = str((await daemon.logged("serving"))["address"])
    async with AsyncExitStack() as stack:
        people, url = await stack.enter_async_context(receiver())
        teller = await stack.enter_async_context(alertmanager(directory, telling(url)))
        yield people, await stack.enter_async_context(prometheus(directory, scraping(address, teller)))


@pytest.mark.slow
async def test_each_severity_reaches_its_people_when_flinks_is_ill_and_again_when_it_is_well(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, active=12, inactive=3) as here:
        stranger = min(here.active)
        here.flinks.add_faults([f"code(A_CODE_OF_TOMORROW)@Authorize/{stranger}"])
        async with here.started("run", env=QUICK) as daemon, watched(daemon, tmp_path) as (people, watcher):
            mail = await people.told("mail", "RefreshdUnknownErrorCode", "firing")
            assert mail["annotations"]["description"].startswith("1 logins fail with a code")

            page = await people.told("pager", "RefreshdGuardHolding", "firing")
            assert page["annotations"]["run_first"] == "refreshd plans"
            assert page["annotations"]["description"].startswith("3 logins would be switched off")
            await here.approve_all()
            await people.told("pager", "RefreshdGuardHolding", "resolved")

            (first, *others) = here.company.sole_clients(3)
            await falls_ill_and_recovers(here, people, first)

            here.flinks.add_faults(["deny@any"])
            await here.leave(*others)
            refused = await people.told("pager", "RefreshdFlinksAuthRejected", "firing")
            assert refused["annotations"]["run_first"] == "refreshd doctor"
            await every_rule_and_every_query_of_a_runbook_works(watcher)


async def every_rule_and_every_query_of_a_runbook_works(prometheus_address: str) -> None:
    books = (document(path.relative_to(ROOT).as_posix()) for path in (ROOT / "docs" / "runbooks").glob("Refreshd*.md"))
    queries = {fence.text for book in books for fence in book.fences if fence.language == "promql"}
    assert len(queries) > len(alerts())
    async with ClientSession(prometheus_address) as http:
        async with http.get("/api/v1/rules") as answer:
            groups = (await answer.json())["data"]["groups"]
        assert {rule["health"] for group in groups for rule in group["rules"]} == {"ok"}
        for query in queries:
            async with http.get("/api/v1/query", params={"query": query}) as answer:
                assert answer.status == 200, (query, await answer.text())


async def falls_ill_and_recovers(here: World, people: Receiver, client: str) -> None:
    """The client who leaves meanwhile makes the call that shows that Flinks is well again."""
    here.flinks.add_faults(["html_502@any"])
    ticket = await people.told("tickets", "RefreshdFlinksDown", "firing")
    labels = {"alertname": "RefreshdFlinksDown", "job": "refreshd", "ledger": "main", "severity": "warning"}
    assert ticket["labels"] == labels
    here.flinks.faults.clear()
    await here.leave(client)
    await people.told("tickets", "RefreshdFlinksDown", "resolved")
