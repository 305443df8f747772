"""A day at 30 calls a minute, begun at each of its hours, and on the days when clocks change."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest

from refreshd.simulator.calls import Operation
from tests.support.virtual_world import DAY, RATE, Cast, VirtualWorld, play, until

pytestmark = [pytest.mark.slow, pytest.mark.first]

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
ROUTINE_HOUR = 16
"""Eleven in Toronto, in winter."""


@pytest.mark.parametrize("hour", range(24))
def test_begun_at_any_hour_a_day_sees_every_active_login_authorized_and_no_inactive_one(
    database_url: str, hour: int
) -> None:
    async def story(world: VirtualWorld) -> None:
        async with world.leading() as leading:
            await asyncio.sleep(60)
            assert world.calls(Operation.SET_SCHEDULED_REFRESH) == 0
            assert await world.approve_all() == 1
            leading.engine.trigger()
            await asyncio.sleep((DAY - timedelta(minutes=2)).total_seconds())

        rounds = 1 if hour == ROUTINE_HOUR else 2
        assert world.calls_by_login(Operation.AUTHORIZE) == dict.fromkeys(world.active, rounds)
        assert world.calls_by_login(Operation.SET_SCHEDULED_REFRESH) == dict.fromkeys(world.inactive, 1)
        assert world.switched_on() == world.active
        verdicts = await world.verdicts()
        assert {verdicts[each] for each in world.inactive} == {"disabled"}
        assert {verdicts[each] for each in world.active} == {"fresh"}
        assert await world.count("SELECT count(*) FROM call") == world.flinks.audit.calls_counted
        world.rules_were_kept()

    play(database_url, Cast(start=MONDAY + timedelta(hours=hour), active=20, inactive=8), story)


def test_three_hundred_and_one_hundred_logins_are_done_within_the_hours_that_the_budget_needs(
    database_url: str,
) -> None:
    async def story(world: VirtualWorld) -> None:
        async with world.leading() as leading:
            await until(lambda: world.calls(Operation.AUTHORIZE) >= 50)
            assert await world.approve_all() == 1
            leading.engine.trigger()
            await asyncio.sleep(60 * (2 * 300 + 100) / RATE * 1.1)

        assert world.calls_by_login(Operation.AUTHORIZE) == dict.fromkeys(world.active, 1)
        assert world.calls_by_login(Operation.SET_SCHEDULED_REFRESH) == dict.fromkeys(world.inactive, 1)
        assert world.flinks.audit.most_calls_in(60) == RATE, "the budget is used, not only kept"
        world.rules_were_kept()

    play(database_url, Cast(start=MONDAY + timedelta(hours=ROUTINE_HOUR), active=300, inactive=100), story)


def test_a_routine_that_meets_the_vendors_night_rests_and_goes_on_after_it(database_url: str) -> None:
    async def story(world: VirtualWorld) -> None:
        await world.lead_for(timedelta(hours=6))

        dates = world.dates_of(Operation.AUTHORIZE)
        before = [each for each in dates if each < MONDAY + timedelta(hours=4)]
        after = [each for each in dates if each >= MONDAY + timedelta(hours=8)]
        assert len(before) + len(after) == len(dates) == 150
        assert len(before) > 100
        assert after
        assert world.calls_by_login(Operation.AUTHORIZE) == dict.fromkeys(world.active, 1)
        world.rules_were_kept()

    play(database_url, Cast(start=MONDAY + timedelta(hours=3, minutes=51), active=150), story)


@pytest.mark.parametrize(
    ("first_day", "utc_hours"),
    [
        pytest.param(date(2026, 3, 7), (16, 15, 15), id="spring"),
        pytest.param(date(2026, 10, 31), (15, 16, 16), id="autumn"),
    ],
)
def test_the_routine_begins_at_eleven_in_toronto_on_the_days_when_clocks_change(
    database_url: str, first_day: date, utc_hours: tuple[int, ...]
) -> None:
    """On 8 March 2026 clocks go forward, on 1 November back."""
    noon = datetime(first_day.year, first_day.month, first_day.day, 12, tzinfo=UTC)

    async def story(world: VirtualWorld) -> None:
        await world.lead_for(timedelta(hours=1))
        world.flinks.audit.reset()
        await world.lead_for(3 * DAY)

        dates = world.dates_of(Operation.AUTHORIZE)
        for day, hour in enumerate(utc_hours):
            began = min(each for each in dates if each.date() == first_day + timedelta(days=day))
            assert began.hour == hour
            assert began.minute <= 10, "a pass later at most"
        assert world.calls_by_login(Operation.AUTHORIZE) == dict.fromkeys(world.active, 3)
        world.rules_were_kept()

    settings: dict[str, object] = {"pass_interval": timedelta(minutes=10)}
    play(database_url, Cast(start=noon, active=5, settings=settings), story)
