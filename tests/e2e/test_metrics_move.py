"""Each metric moves because its path ran: a real daemon, a real Postgres, and a Flinks that answers well at first and then not at all."""

import shutil
import subprocess

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from refreshd.simulator.calls import Operation
from tests.e2e.test_two_daemons import asked
from tests.support.process import Process
from tests.support.world import until, world

pytestmark = pytest.mark.slow

# What only a trouble of its own moves (a second daemon, a lost database, a key that is refused ...), which other tests bring about, and
# what is the same in every run.
NOT_HERE = {
    "refreshd_leader_transitions",
    "refreshd_task_failures",
    "refreshd_disable_failures",
    "refreshd_database_query_failures",
    "refreshd_reconcile_failures",
}

Shown = dict[str, float]


async def shown_by(daemon: Process) -> Shown:
    """The sum of every metric's samples, by the name of its family."""
    _, text = await asked(daemon, "/metrics")
    sums: Shown = {}
    for family in read_text(text):
        if family.name.startswith("refreshd_"):
            sums[family.name] = sum(sample.value for sample in family.samples if not sample.name.endswith("_bucket"))
    return sums


async def test_counters_and_gauges_move_with_what_the_daemon_does(database_url: str) -> None:
    settings = {"REFRESHD_COST_PER_LOGIN_DAY": "0.3", "REFRESHD_PASS_INTERVAL": "500ms"}
    async with world(database_url, active=60, inactive=4) as here, here.started("run", env=settings) as daemon:
        await daemon.logged("standing_by")
        begin = await shown_by(daemon)
        await until("the routine to end", lambda: len(here.calls_by_login(Operation.AUTHORIZE)) == 60)
        await here.approve_all()
        await until("the held ones to be off", lambda: here.switched_on() == here.active)
        await daemon.logged("pass_finished", count=len(daemon.lines("pass_finished")) + 3)
        end = await shown_by(daemon)
        for name in (
            "refreshd_reconcile_passes", "refreshd_reconcile_duration_seconds", "refreshd_guard_holds", "refreshd_disables",
            "refreshd_flinks_requests", "refreshd_flinks_request_duration_seconds", "refreshd_flinks_limiter_wait_seconds",
            "refreshd_event_loop_lag_seconds", "refreshd_log_messages", "refreshd_database_query_duration_seconds",
            "refreshd_database_pool_wait_seconds",
        ):  # fmt: skip
            assert end[name] > begin.get(name, 0), name
        assert end["refreshd_logins"] == 64
        assert end["refreshd_active_logins"] == 60
        assert end["refreshd_snapshot_timestamp_seconds"] > 0
        assert end["refreshd_cost_per_login_day"] == 0.3
        assert end["refreshd_saved_cost"] == pytest.approx(end["refreshd_saved_login_seconds"] / 86_400 * 0.3)
        assert end["refreshd_institution_logins"] <= 64
        assert end["refreshd_database_schema_version"] == end["refreshd_database_schema_expected_version"] >= 1
        assert end["refreshd_config_last_reload_successful"] == 1
        assert 0 < end["refreshd_database_pool_connections"] <= end["refreshd_database_pool_max_connections"]
        assert end["refreshd_routine_remaining_logins"] == 0
        assert {name for name in NOT_HERE if end[name] > 1} == set()
        await _speaks_openmetrics(daemon)
        await _promtool_has_nothing_to_say(daemon)


async def test_a_sick_flinks_shows_in_failures_retries_and_up(database_url: str) -> None:
    async with world(database_url, active=12) as here:
        here.flinks.add_faults(["html_502@any"])
        async with here.started("run") as daemon:
            await daemon.logged("work_put_off")
            shown = await shown_by(daemon)
            assert shown["refreshd_flinks_request_failures"] > 0
            assert shown["refreshd_flinks_retries"] > 0
            assert shown["refreshd_flinks_up"] == 0
            assert shown["refreshd_log_messages"] > 0


async def _promtool_has_nothing_to_say(daemon: Process) -> None:
    """Of a live scrape; with `extended` it lists the families, and its sum is what the scrape costs."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool not found: apt-get install prometheus")
    _, text = await asked(daemon, "/metrics")
    for more in ((), ("--extended",)):
        lint = subprocess.run(  # noqa: S603, ASYNC221 - the daemon is a process of its own and does not wait for us
            [promtool, "check", "metrics", *more], input=text, capture_output=True, text=True, check=False
        )
        assert (lint.returncode, lint.stderr) == (0, "")
        assert lint.stdout == "" if not more else lint.stdout.startswith("Metric ")


async def _speaks_openmetrics(daemon: Process) -> None:
    """The strict parser takes a live scrape, and its exemplars name passes and nobody else."""
    _, text = await asked(daemon, "/metrics", accept="application/openmetrics-text; version=1.0.0")
    families = list(read_openmetrics(text))  # type: ignore[no-untyped-call]
    exemplars = [each.exemplar.labels for family in families for each in family.samples if each.exemplar]
    assert exemplars
    assert all(set(labels) == {"pass_id"} for labels in exemplars)
