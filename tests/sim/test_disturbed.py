"""A routine of many, disturbed: restarts, departures, thousands of disables, a login that hangs."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from refreshd.core.backoff import LADDERS, REPORT, Cause, Ladder
from refreshd.core.conversation import TRIES_IN_A_ROW
from refreshd.simulator import ScheduleAuth, SimulatorConfig
from refreshd.simulator.calls import Operation
from tests.support.virtual_world import DAY, RATE, Cast, VirtualWorld, play, until

pytestmark = pytest.mark.slow

NOON = datetime(2026, 1, 5, 16, tzinfo=UTC)
SLOT_SECONDS = 60.5 / RATE
WIDTH = 4


def _seen(world: VirtualWorld) -> int:
    return world.flinks.audit.total_calls


def test_a_routine_that_was_cut_off_goes_on_where_it_was(database_url: str) -> None:
    """Three processes, each of which dies in the middle of things, do what one would have done."""

    async def story(world: VirtualWorld) -> None:
        for share in (20, 45, 60):
            async with world.leading():
                await until(lambda share=share: world.calls(Operation.AUTHORIZE) >= share)  # type: ignore[misc]
        await world.lead_for(timedelta(minutes=5))

        calls = world.calls_by_login(Operation.AUTHORIZE)
        assert set(calls) == world.active
        assert calls.total() <= 80 + 3 * WIDTH, "only what was in flight is done again"
        assert await world.count("SELECT count(*) FROM call") == world.flinks.audit.calls_counted
        world.rules_were_kept()

    config = SimulatorConfig(latency_seconds=1.5)
    play(database_url, Cast(start=NOON, active=80, config=config), story)


def test_restarts_one_after_the_other_do_not_break_the_budget(database_url: str) -> None:
    async def story(world: VirtualWorld) -> None:
        for tenths in range(80):
            await world.lead_for(timedelta(seconds=0.5 + tenths % 27 / 4))
        world.rules_were_kept()
        assert world.flinks.audit.calls_counted > 10

    play(database_url, Cast(start=NOON, active=100), story)


def test_a_disable_that_arrives_amid_a_routine_of_thousands_goes_out_next(database_url: str) -> None:
    async def story(world: VirtualWorld) -> None:
        async with world.leading() as leading:
            await until(lambda: world.calls(Operation.AUTHORIZE) >= 10)
            await world.approve_all()
            await _left_long_ago_are_off(world, leading.engine.trigger)
            for client in world.company.sole_clients(3):
                before = _seen(world)
                await world.leave(client)
                leading.engine.trigger()
                (login_id,) = world.company.logins_of([client])
                await until(lambda gone=login_id: gone not in world.switched_on())  # type: ignore[misc]
                assert _set_number(world, login_id) - before <= WIDTH
            assert world.calls(Operation.GENERATE_TOKEN) < 1_000, "most of the routine still waits"
        world.rules_were_kept()

    play(database_url, Cast(start=NOON, active=2_000, inactive=1), story)


async def _left_long_ago_are_off(world: VirtualWorld, trigger: Callable[[], None]) -> None:
    trigger()
    await until(lambda: world.switched_on() == world.active)


def _set_number(world: VirtualWorld, login_id: str) -> int:
    """The number that Flinks gave to the call that switched this login off."""
    return next(
        call.number
        for call in world.flinks.audit.calls
        if call.login_id == login_id and call.operation == Operation.SET_SCHEDULED_REFRESH
    )


def test_a_pause_stops_the_disables_and_nothing_else_and_a_resume_brings_them_all(database_url: str) -> None:
    async def story(world: VirtualWorld) -> None:
        async with world.leading() as leading:
            await asyncio.sleep(10)
            await world.approve_all()
            leading.engine.trigger()
            await until(lambda: world.calls(Operation.SET_SCHEDULED_REFRESH) >= 2)
            await world.ledger.pause_writes(by="test", reason="test", now=world.clock.now())
            await asyncio.sleep(30)
            sent, seen = world.calls(Operation.SET_SCHEDULED_REFRESH), world.calls(Operation.AUTHORIZE)
            await asyncio.sleep(timedelta(minutes=50).total_seconds())
            assert world.calls(Operation.SET_SCHEDULED_REFRESH) == sent
            assert world.calls(Operation.AUTHORIZE) > seen
            await world.ledger.resume_writes(by="test", reason="test", now=world.clock.now())
            leading.engine.trigger()
            await until(lambda: world.switched_on() == world.active)
        assert await world.count("SELECT count(*) FROM schedule_change WHERE event = 'failed'") == 0
        world.rules_were_kept()

    play(database_url, Cast(start=NOON, active=600, inactive=40), story)


@pytest.mark.parametrize("auth", ["x-api-key", "authorize-token"])
def test_thousands_of_disables_leave_the_savable_logins_half_of_the_budget(database_url: str, auth: str) -> None:
    async def story(world: VirtualWorld) -> None:
        async with world.leading() as leading:
            await asyncio.sleep(10)
            await world.approve_all()
            leading.engine.trigger()
            await world.past_the_canary(leading.engine.trigger)
            await asyncio.sleep(10)
            world.flinks.audit.reset()
            await asyncio.sleep(10 * 60)

        audit = world.flinks.audit
        to_change = world.calls(Operation.SET_SCHEDULED_REFRESH) * (2 if auth == "authorize-token" else 1)
        assert 0.45 <= to_change / audit.calls_counted <= 0.55
        assert audit.calls_counted >= 0.95 * 10 * RATE, "nothing of the budget is lost"
        world.rules_were_kept()

    settings: dict[str, object] = {"flinks_schedule_auth": auth}
    config = SimulatorConfig(schedule_auth=ScheduleAuth(auth))
    play(database_url, Cast(start=NOON, active=1_000, inactive=2_000, settings=settings, config=config), story)


def test_logins_that_hang_never_hold_the_others(database_url: str) -> None:
    """Two of four workers are taken by them at any time; the others keep the pace of the budget."""

    async def story(world: VirtualWorld) -> None:
        slow = sorted(world.active)[:2]
        world.flinks.add_faults([f"hang@Authorize/{each}" for each in slow])
        async with world.leading():
            others = world.active - set(slow)
            calls = 2 * len(others) + 2 * 2 * 3 + 1
            await asyncio.sleep(calls * SLOT_SECONDS * 1.1)
            assert set(world.calls_by_login(Operation.AUTHORIZE)) >= others
        assert {each: world.calls_by_login(Operation.AUTHORIZE)[each] for each in others} == dict.fromkeys(others, 1)
        world.rules_were_kept()

    play(database_url, Cast(start=NOON, active=60), story)


def test_a_login_that_hangs_is_put_off_after_three_tries_and_tried_again_later(database_url: str) -> None:
    async def story(world: VirtualWorld) -> None:
        slow = min(world.active)
        world.flinks.add_faults([f"hang@Authorize/{slow}"])
        async with world.leading():
            await asyncio.sleep(12 * 60)
            assert world.calls_by_login(Operation.AUTHORIZE)[slow] == 3
            world.flinks.faults.clear()
            await asyncio.sleep(60 * 60)
        assert world.calls_by_login(Operation.AUTHORIZE)[slow] == 4
        assert (await world.verdicts())[slow] == "fresh"
        world.rules_were_kept()

    play(database_url, Cast(start=NOON, active=5), story)


def test_an_outage_of_flinks_is_outlived_without_a_flood(database_url: str) -> None:
    """A few rounds for each login and a few readings of the report, further and further apart, are all that leaves."""
    outage = timedelta(hours=2)

    async def story(world: VirtualWorld) -> None:
        world.flinks.add_faults(["html_502@any"])
        async with world.leading():
            await asyncio.sleep(outage.total_seconds())
            rounds, readings = _rounds(LADDERS[Cause.NO_ANSWER], outage), _rounds(REPORT, outage)
            mints = world.calls(Operation.GENERATE_TOKEN)
            assert TRIES_IN_A_ROW * len(world.active) < mints <= TRIES_IN_A_ROW * rounds * len(world.active)
            reports = world.calls(Operation.NIGHTLY_REFRESH_STATUS)
            assert TRIES_IN_A_ROW < reports <= TRIES_IN_A_ROW * readings
            assert _seen(world) == mints + reports
            world.flinks.faults.clear()
            await asyncio.sleep(4 * 3600)
        assert set(world.calls_by_login(Operation.AUTHORIZE)) == world.active
        assert set((await world.verdicts()).values()) == {"fresh"}
        world.rules_were_kept()

    every_minute: dict[str, object] = {"pass_interval": timedelta(minutes=1)}
    play(database_url, Cast(start=NOON, active=60, settings=every_minute), story)


def _rounds(ladder: Ladder, span: timedelta) -> int:
    """How many fruitless rounds there are in this span at the most: the first at once, each of no length, no wait spread."""
    rounds, at, wait = 0, timedelta(), ladder.first
    while at < span:
        rounds, at, wait = rounds + 1, at + wait, min(2 * wait, ladder.last)
    return rounds


def test_a_throttled_client_finds_the_vendors_rate_and_ends_its_routine(database_url: str) -> None:
    """The vendor allows half of what the operator believes; every climb beyond it costs a refusal, hence a few an hour."""

    async def story(world: VirtualWorld) -> None:
        hours = 3
        await world.lead_for(timedelta(hours=hours))
        assert set((await world.verdicts()).values()) == {"fresh"}
        assert 1 <= _refusals(world) <= 1 + 7 * hours
        world.rules_were_kept()

    config = SimulatorConfig(rate_limit_per_minute=RATE // 2, throttle_status=429)
    play(database_url, Cast(start=NOON, active=100, config=config), story)


def test_the_rate_that_was_found_outlives_a_takeover(database_url: str) -> None:
    async def story(world: VirtualWorld) -> None:
        world.flinks.add_faults(["throttle@any:x1"])
        async with world.leading():
            await until(lambda: _refusals(world) == 1)
            await asyncio.sleep(1)
        assert await world.ledger.rate_in_force() == RATE // 2
        world.flinks.audit.reset()
        await world.lead_for(timedelta(seconds=60))
        assert 10 <= world.flinks.audit.calls_counted <= RATE // 2
        await world.lead_for(timedelta(minutes=20))
        assert await world.ledger.rate_in_force() is None, (
            "after a quarter of an hour of good answers it is all there again"
        )

    play(database_url, Cast(start=NOON, active=400), story)


def _refusals(world: VirtualWorld) -> int:
    return sum(call.flinks_code == "TOO_MANY_REQUESTS" for call in world.flinks.audit.calls)


def test_a_daemon_that_starts_over_and_over_does_not_try_a_refused_key_at_each_start(database_url: str) -> None:
    async def story(world: VirtualWorld) -> None:
        world.flinks.add_faults(["deny@GenerateAuthorizeToken"])
        for _ in range(10):
            await world.lead_for(timedelta(seconds=30))
        assert world.calls(Operation.GENERATE_TOKEN) <= WIDTH
        assert world.calls(Operation.NIGHTLY_REFRESH_STATUS) >= 1, "what needs another key goes on"

    play(database_url, Cast(start=NOON, active=60), story)


def test_a_refused_key_is_probed_by_one_call_in_a_quarter_of_an_hour(database_url: str) -> None:
    async def story(world: VirtualWorld) -> None:
        world.flinks.add_faults(["deny@GenerateAuthorizeToken"])
        async with world.leading():
            await asyncio.sleep(60)
            at_first = world.calls(Operation.GENERATE_TOKEN)
            assert at_first <= WIDTH
            await asyncio.sleep(4 * 3600)
            probes = world.calls(Operation.GENERATE_TOKEN) - at_first
            assert 8 <= probes <= 16
            world.flinks.faults.clear()
            await asyncio.sleep(3600)
        assert set((await world.verdicts()).values()) == {"fresh"}

    play(database_url, Cast(start=NOON, active=60), story)


def test_a_disable_that_took_effect_without_an_answer_is_undone_when_its_client_returns(database_url: str) -> None:
    """Flinks has switched it off, the answer was lost, and before another try the client is back: nobody else is to blame."""

    async def story(world: VirtualWorld) -> None:
        (client,) = world.company.sole_clients(1)
        (login_id,) = world.company.logins_of([client])
        async with world.leading() as leading:
            await asyncio.sleep(60)
            await world.approve_all()
            leading.engine.trigger()
            await until(lambda: world.switched_on() == world.active)
            world.flinks.add_faults(["garbage@SetScheduledRefresh"])
            await world.leave(client)
            leading.engine.trigger()
            await asyncio.sleep(120)
            assert login_id not in world.switched_on()

            await world.come_back(client)
            world.flinks.faults.clear()
            await asyncio.sleep(3 * DAY.total_seconds())
        assert world.switched_on() == world.active
        assert (await world.verdicts())[login_id] == "fresh"
        world.rules_were_kept()

    play(database_url, Cast(start=NOON, active=10, inactive=1), story)
