import asyncio

import pytest

from refreshd.health import NOT_CHECKED, Condition, Health, Role
from refreshd.lag import watch_lag


def healthy(role: Role = Role.LEADER) -> Health:
    health = Health()
    health.become(role)
    for condition in Condition:
        health.holds(condition)
    return health


# Alive ----------------------------------------------------------------------------------------------------------------------------------


def test_a_loop_is_late_once_its_own_deadline_has_passed_and_not_before() -> None:
    health = Health()
    health.expect("passes", within_seconds=120, at=1000)
    assert health.late(1120) == ()
    assert health.late(1150.25) == ("passes: no progress for 150.2 s, expected every 120 s",)


def test_a_beat_begins_the_deadline_anew() -> None:
    health = Health()
    health.expect("passes", within_seconds=120, at=1000)
    health.beat("passes", at=1100)
    assert health.late(1200) == ()


def test_each_loop_has_a_deadline_of_its_own_and_all_late_ones_are_named() -> None:
    health = Health()
    health.expect("totals", within_seconds=30, at=0)
    health.expect("passes", within_seconds=120, at=0)
    assert [each.split(":")[0] for each in health.late(60)] == ["totals"]
    assert [each.split(":")[0] for each in health.late(600)] == ["passes", "totals"]


def test_a_loop_that_ended_on_purpose_is_never_late() -> None:
    health = Health()
    health.expect("passes", within_seconds=120, at=0)
    health.forget("passes")
    health.forget("passes")
    assert health.late(1e9) == ()


def test_the_beat_of_a_loop_that_nobody_expects_says_nothing() -> None:
    health = Health()
    health.expect("passes", within_seconds=120, at=0)
    health.beat("pases", at=600)
    assert len(health.late(600)) == 1


def test_a_daemon_with_no_loop_to_expect_is_alive() -> None:
    assert Health().late(0) == ()


# Ready ----------------------------------------------------------------------------------------------------------------------------------


def test_nothing_holds_before_it_was_checked() -> None:
    readiness = Health().readiness()
    assert not readiness.ready
    assert readiness.faults == dict.fromkeys(Condition, NOT_CHECKED)
    assert not any(readiness.conditions.values())


@pytest.mark.parametrize(("role", "ready"), [(Role.LEADER, True), (Role.STANDBY, True), (Role.STARTING, False)])
def test_a_leader_and_a_standby_are_ready_and_a_daemon_that_starts_is_not(role: Role, ready: bool) -> None:  # noqa: FBT001
    assert healthy(role).readiness().ready is ready


@pytest.mark.parametrize("condition", Condition)
def test_each_condition_alone_takes_readiness_away_and_gives_it_back(condition: Condition) -> None:
    health = healthy()
    health.fails(condition, "it is broken")
    assert health.readiness().faults == {condition: "it is broken"}
    assert not health.readiness().ready
    assert health.readiness().conditions[condition] is False
    health.holds(condition)
    assert health.readiness().ready


def test_a_snapshot_does_not_change_any_more() -> None:
    health = healthy()
    before = health.readiness()
    health.fails(Condition.DATABASE, "gone")
    assert before.ready


# The event loop ---------------------------------------------------------------------------------------------------------------------------


async def test_a_loop_that_is_blocked_shows_as_lag() -> None:
    lags: list[float] = []
    measured = asyncio.Event()

    def on_lag(seconds: float) -> None:
        lags.append(seconds)
        measured.set()

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        watching = group.create_task(watch_lag(on_lag, period_seconds=0.01))
        await asyncio.sleep(0)
        _block(0.1)
        await measured.wait()
        watching.cancel()
    assert lags[0] >= 0.05


def _block(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while loop.time() < until:
        pass
