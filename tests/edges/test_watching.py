"""Liveness is progress: what is stuck is late by its own deadline; what waits for a database, a vendor or a lease is not."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from unittest.mock import patch

import pytest

from refreshd import lease as lease_module
from refreshd import listener as listener_module
from refreshd.candidate import PAUSE_SECONDS
from refreshd.core.errors import ClocksDisagree, LeaseRanOut, LedgerUnavailable, RowsLocked, SettingsError
from refreshd.engine import Counted
from refreshd.health import Condition, Role
from refreshd.lag import watch_lag
from refreshd.lease import Lease
from refreshd.listener import Listener
from refreshd.migrate import MigrationStatus
from refreshd.settings import Settings
from refreshd.tracing import NoSpans
from refreshd.watching import Watch
from tests.support.observed import totals
from tests.support.virtual_loop import VirtualClock, run_virtual

NOW = datetime(2026, 6, 18, 15, 0, tzinfo=UTC)


def _watch() -> Watch:
    watch = Watch(Settings(), VirtualClock(NOW))
    watch.begin()
    return watch


def _late(watch: Watch) -> list[str]:
    """The loops that are, by name."""
    return [each.split(":")[0] for each in watch.health.late(asyncio.get_running_loop().time())]


OF_EVERYBODY = ("event_loop", "lease", "listener")
OF_A_LEADER = (*OF_EVERYBODY, "passes", "totals")


async def _hours(watch: Watch, count: int, *loops: str) -> None:
    """So many hours pass in which only these loops beat."""
    for _ in range(count * 180):
        await asyncio.sleep(20)
        for loop in loops:
            watch.beat(loop)


def _counted() -> Counted:
    return Counted(totals=totals(), deadlines=watching_deadlines(), plans=())


def watching_deadlines() -> Any:
    return cast("Any", type("Deadlines", (), {"lapsing": {}, "routine_due": {}})())


def _played(story: Any) -> None:
    async def main(_: VirtualClock) -> None:
        await story()

    run_virtual(main, NOW)


def test_a_call_that_is_stuck_is_late_whatever_the_others_do() -> None:
    async def story() -> None:
        watch = _watch()
        watch.lead()
        with watch.working("call 1"):
            for number in range(2, 12):
                with watch.working(f"call {number}"):
                    await asyncio.sleep(60)
                for loop in OF_A_LEADER:
                    watch.beat(loop)
            assert _late(watch) == ["call 1"]
        assert _late(watch) == []

    _played(story)


@pytest.mark.parametrize("loop", OF_A_LEADER)
def test_each_loop_of_a_leader_has_a_deadline(loop: str) -> None:
    async def story() -> None:
        watch = _watch()
        watch.lead()
        await _hours(watch, 1, *(each for each in OF_A_LEADER if each != loop))
        assert _late(watch) == [loop]

    _played(story)


@pytest.mark.parametrize("loop", OF_EVERYBODY)
def test_each_loop_of_a_standby_has_a_deadline(loop: str) -> None:
    async def story() -> None:
        watch = _watch()
        watch.lead()
        watch.follow()
        await _hours(watch, 1, *(each for each in OF_EVERYBODY if each != loop))
        assert _late(watch) == [loop]

    _played(story)


def test_a_source_query_that_never_ends_is_late() -> None:
    async def story() -> None:
        watch = Watch(Settings.model_validate({"source_query_file": "clients.sql"}), VirtualClock(NOW))
        watch.lead()
        await _hours(watch, 2, *OF_A_LEADER)
        assert _late(watch) == ["feed"]

    _played(story)


@pytest.mark.parametrize("where", ["nobody is there", "somebody is silent"])
def test_loops_that_wait_for_a_database_that_is_away_are_alive(where: str) -> None:
    """Each try is a beat, not each success."""

    async def story() -> None:
        watch = _watch()
        away = _Away(silent=where == "somebody is silent")
        with (
            patch.object(lease_module, "connect", away.connect),
            patch.object(listener_module, "connect", away.connect),
        ):
            lease = Lease("", schema="", on_look=lambda: watch.beat("lease"))
            listener = Listener("", schema="", writers=unused, signal=lambda: None, on_path=watch.on_notify_path)
            async with asyncio.TaskGroup() as group:
                loops = [
                    group.create_task(each) for each in (_stands_by(lease), listener.run(), watch_lag(watch.on_lag))
                ]
                for _ in range(60):
                    await asyncio.sleep(60)
                    assert _late(watch) == []
                for each in loops:
                    each.cancel()
        assert away.tries > 100
        assert watch.health.readiness().role is not Role.LEADER

    _played(story)


class _Away:
    """A database that is not there, or takes every question and answers none."""

    def __init__(self, *, silent: bool) -> None:
        self._silent = silent
        self.tries = 0

    async def connect(self, *_: object, **__: object) -> Any:
        self.tries += 1
        if self._silent:
            await asyncio.Event().wait()
        raise LedgerUnavailable("gone")


async def _stands_by(lease: Lease) -> None:
    """As a candidate does."""
    while True:
        with suppress(LedgerUnavailable):
            await lease.wait_for_turn(asyncio.Event(), asyncio.Event())
        await asyncio.sleep(PAUSE_SECONDS)


def unused() -> Any:
    raise AssertionError


def test_who_has_lost_the_lease_is_no_leader_from_that_moment_on_and_is_told_of_once() -> None:
    async def story() -> None:
        watch = _watch()
        watch.database_answers(MigrationStatus(applied=(), missing=(), altered=(), newer=()))
        watch.lead()
        for _ in range(2):
            watch.leadership_failed(LeaseRanOut("the database did not answer"))
            assert watch.health.readiness().role is Role.STANDBY
            assert watch.health.readiness().faults[Condition.DATABASE] == "the database did not answer"
        value = watch.metrics.registry.get_sample_value
        assert value("refreshd_leader") == 0
        assert value("refreshd_database_up") == 0
        assert value("refreshd_task_failures_total", {"task": "lease"}) == 1

    _played(story)


def test_a_pass_that_a_lost_database_breaks_off_ends_its_span_with_the_reason() -> None:
    class Heard(NoSpans):
        def __init__(self) -> None:
            self.told: list[object] = []

        def on_pass_started(self, at: datetime) -> None:
            self.told.append(at)

        def on_pass_broken(self, reason: str, at: datetime) -> None:
            self.told += [reason, at]

    async def story() -> None:
        watch = _watch()
        watch.spans = heard = Heard()
        watch.lead()
        watch.on_pass_started()
        began = heard.told[0]
        await asyncio.sleep(3)
        watch.leadership_failed(LedgerUnavailable("it is away"))
        watch.leadership_failed(LedgerUnavailable("it is away"))
        assert isinstance(began, datetime)
        reason, at = heard.told[1:]
        assert (reason, isinstance(at, datetime) and round((at - began).total_seconds())) == ("database", 3)

    _played(story)


def test_a_pass_that_a_lock_cuts_short_counts_as_failed_and_neither_role_nor_database_is_called_in_doubt() -> None:
    async def story() -> None:
        watch = _watch()
        watch.lead()
        watch.on_pass_started()
        watch.on_pass_failed(RowsLocked("another transaction holds a row of the ledger"))
        value = watch.metrics.registry.get_sample_value
        assert value("refreshd_reconcile_failures_total", {"reason": "database"}) == 1
        assert value("refreshd_leader") == 1
        assert value("refreshd_database_up") == 1

    _played(story)


def test_a_source_query_that_is_taken_out_of_the_settings_is_waited_for_no_more() -> None:
    async def story() -> None:
        watch = Watch(Settings.model_validate({"source_query_file": "clients.sql"}), VirtualClock(NOW))
        watch.lead()
        watch.follow_settings(Settings())
        watch.lead()
        await _hours(watch, 2, *OF_A_LEADER)
        assert _late(watch) == []

    _played(story)


# The clock ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leads", [True, False])
@pytest.mark.parametrize(("seconds", "said"), [(75.4, "75 s ahead of"), (-120.0, "120 s behind")])
def test_a_clock_that_disagrees_with_the_databases_takes_readiness_away_until_it_is_mended(
    seconds: float, said: str, *, leads: bool
) -> None:
    async def story() -> None:
        watch = _watch()
        watch.on_skew(timedelta(seconds=seconds))
        if leads:
            watch.lead()
        watch.follow()
        assert said in watch.health.readiness().faults[Condition.CLOCK]
        assert watch.metrics.registry.get_sample_value("refreshd_clock_skew_seconds") == seconds
        assert _late(watch) == [], "another start would not mend it"
        watch.on_skew(timedelta(seconds=0.3))
        assert Condition.CLOCK not in watch.health.readiness().faults

    _played(story)


def test_a_leadership_that_ends_by_our_clock_says_nothing_against_the_database() -> None:
    async def story() -> None:
        watch = _watch()
        watch.leadership_failed(ClocksDisagree("our clock is ahead"))
        assert watch.metrics.registry.get_sample_value("refreshd_database_up") == 1
        assert Condition.DATABASE not in watch.health.readiness().faults

    _played(story)


# Settings -------------------------------------------------------------------------------------------------------------------------------


def test_refused_settings_are_told_to_whoever_looks_until_good_ones_are_loaded() -> None:
    async def story() -> None:
        watch = _watch()
        watch.settings_refused(SettingsError("REFRESHD_RATE_PER_MINUTE: must be 1 or more"))
        assert any("the old ones are in force" in each for each in watch.health.readiness().remarks.values())
        watch.follow_settings(Settings(rate_per_minute=60))
        assert not watch.health.readiness().remarks
        assert watch.metrics.registry.get_sample_value("refreshd_flinks_limiter_capacity_requests") == 60

    _played(story)


def test_a_client_list_that_is_refused_is_told_to_whoever_looks_until_one_is_taken() -> None:
    async def story() -> None:
        watch = _watch()
        watch.lead()
        watch.on_feed(taken=False)
        assert "source_refused" in watch.health.readiness().remarks["source"]
        watch.on_feed(taken=True)
        assert not watch.health.readiness().remarks
        watch.on_feed(taken=False)
        watch.follow()
        assert not watch.health.readiness().remarks

    _played(story)


def test_a_client_list_that_was_refused_is_told_no_more_once_the_source_query_is_taken_out_of_the_settings() -> None:
    async def story() -> None:
        with_source = Settings.model_validate({"source_query_file": "clients.sql"})
        watch = Watch(with_source, VirtualClock(NOW))
        watch.lead()
        watch.on_feed(taken=False)
        watch.follow_settings(with_source)
        watch.lead()
        assert "source" in watch.health.readiness().remarks, "it is the same list still"
        watch.follow_settings(Settings())
        watch.lead()
        assert not watch.health.readiness().remarks

    _played(story)


def test_the_limit_of_a_call_follows_the_settings() -> None:
    async def story() -> None:
        watch = _watch()
        watch.follow_settings(Settings.model_validate({"timeout_fetch": "20m"}))
        with watch.working("call 1"):
            for minutes, late in ((20, []), (6, ["call 1"])):
                await asyncio.sleep(minutes * 60)
                for loop in OF_EVERYBODY:
                    watch.beat(loop)
                assert _late(watch) == late

    _played(story)
