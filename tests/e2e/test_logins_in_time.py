"""Single logins over days and weeks: flags that come back, clients who return, partners who stay, refusals, old disables."""

from datetime import timedelta

from refreshd.simulator.calls import Operation
from tests.support.world import World, world

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


async def _all_settled(here: World) -> None:
    """The first plan approved and carried out."""
    await here.once()
    await here.approve_all()
    await here.once()
    assert here.switched_on() == here.active


async def test_a_flag_that_comes_back_by_itself_is_a_leak_again_and_disabled_again(database_url: str) -> None:
    async with world(database_url, active=20, inactive=2) as here:
        await _all_settled(here)
        login_id = min(here.inactive)
        here.flinks.set_flag(login_id, scheduled=True)
        here.flinks.afflict(login_id, "INVALID_PASSWORD")
        here.forward(HOUR)
        result = await here.once()

        assert result.confirmed == 1
        assert here.calls(Operation.SET_SCHEDULED_REFRESH, login_id) == 2
        assert here.switched_on() == here.active
        reasons = "SELECT reason FROM schedule_change WHERE event = 'intended' ORDER BY event_id DESC LIMIT 1"
        assert await here.sql.fetchval(reasons) == "flag_came_back"


async def test_a_flag_that_comes_back_unseen_is_found_by_the_disable_that_is_repeated_after_30_days(
    database_url: str,
) -> None:
    async with world(database_url, active=10, inactive=3) as here:
        await _all_settled(here)
        here.flinks.set_flag(min(here.inactive), scheduled=True)
        here.forward(29 * DAY)
        here.flinks.reconnect(min(here.inactive))
        await here.once(flinks_api_secret="")
        assert here.calls(Operation.SET_SCHEDULED_REFRESH) == 3

        here.forward(2 * DAY)
        await here.once(flinks_api_secret="")
        assert here.calls_by_login(Operation.SET_SCHEDULED_REFRESH) == dict.fromkeys(here.inactive, 2)
        assert here.switched_on() == here.active
        assert not set(here.calls_by_login(Operation.AUTHORIZE)) & here.inactive


async def test_a_login_whose_client_returns_is_enabled_and_authorized_again(database_url: str) -> None:
    async with world(database_url, active=20) as here:
        (client,) = here.company.sole_clients(1)
        (login_id,) = here.company.logins_of([client])
        await here.leave(client)
        await _all_settled(here)
        assert here.calls(Operation.AUTHORIZE, login_id) == 0

        here.forward(DAY)
        await here.come_back(client)
        result = await here.once()
        assert result.confirmed == 1
        assert login_id in here.switched_on()
        assert here.calls(Operation.AUTHORIZE, login_id) == 1
        assert await here.verdict(login_id) in {"fresh", "stale"}


async def test_a_client_who_returns_before_the_disable_is_sent_is_not_disabled(database_url: str) -> None:
    async with world(database_url, active=20) as here:
        (client,) = here.company.sole_clients(1)
        (login_id,) = here.company.logins_of([client])
        await here.leave(client)
        assert (await here.once()).held == 1
        await here.approve_all()
        await here.come_back(client)
        await here.once()

        assert here.calls(Operation.SET_SCHEDULED_REFRESH) == 0
        assert here.calls(Operation.AUTHORIZE, login_id) == 1


async def test_a_shared_login_stays_on_until_the_last_client_leaves(database_url: str) -> None:
    async with world(database_url, active=120) as here:
        await _all_settled(here)
        login_id, owners = _shared(here)
        for owner in owners[:-1]:
            await here.leave(owner)
            await here.once()
            assert login_id in here.switched_on()
        await here.leave(owners[-1])
        await here.once()
        await here.approve_all()
        await here.once()

        assert login_id not in here.switched_on()
        assert here.switched_on() == here.active


def _shared(here: World) -> tuple[str, list[str]]:
    """A login with several active clients, and those clients."""
    for login_id in sorted(here.active):
        owners = [link.client_id for link in here.company.links if link.login_id == login_id and link.active]
        if len(owners) > 1:
            return login_id, owners
    message = "no login is shared in this fleet"
    raise AssertionError(message)


async def test_a_login_that_flinks_does_not_know_is_tried_once_a_week(database_url: str) -> None:
    async with world(database_url, active=10, inactive=1) as here:
        await _all_settled(here)
        (client,) = here.company.sole_clients(1)
        (left,) = here.company.logins_of([client])
        await here.leave(client)
        gone = min(here.active)
        here.flinks.forget(gone)
        here.flinks.forget(left)
        here.flinks.audit.reset()
        for day in range(8):
            here.forward(DAY)
            await here.once()
            tries = 1 if day < 7 else 2
            assert here.calls(Operation.AUTHORIZE, gone) == tries
            assert here.calls(Operation.SET_SCHEDULED_REFRESH, left) == tries
            assert await here.verdict(gone) == "quarantined"
            assert await here.verdict(left) == "quarantined"


async def test_an_approval_that_was_not_used_within_a_day_is_asked_for_again(database_url: str) -> None:
    async with world(database_url, active=10, inactive=8) as here:
        await here.once()
        await here.approve_all()
        here.forward(DAY + HOUR)
        assert (await here.once()).held == 8
        assert here.calls(Operation.SET_SCHEDULED_REFRESH) == 0

        await here.approve_all()
        await here.once()
        assert here.switched_on() == here.active


async def test_the_plan_that_nobody_approves_stops_nothing_else(database_url: str) -> None:
    async with world(database_url, active=10, inactive=3) as here:
        for _ in range(3):
            result = await here.once()
            assert result.held == 3
            here.forward(DAY)
        assert here.calls_by_login(Operation.AUTHORIZE) == dict.fromkeys(here.active, 3)
        assert here.calls(Operation.SET_SCHEDULED_REFRESH) == 0


async def test_in_observe_mode_flinks_never_sees_a_schedule_change(database_url: str) -> None:
    async with world(database_url, active=10, inactive=3) as here:
        ran = await here.command("once", env={"REFRESHD_MODE": "observe"})
        assert ran.code == 0, ran.words
        here.forward(DAY)
        await here.leave(*here.company.sole_clients(2))
        await here.once(mode="observe")

        assert here.calls(Operation.SET_SCHEDULED_REFRESH) == 0
        assert await here.events("intended") == 0
        assert here.calls(Operation.AUTHORIZE) == 10 + 8


async def test_a_login_that_flinks_has_switched_off_by_itself_is_reported_and_left_alone(database_url: str) -> None:
    async with world(database_url, active=6) as here:
        login_id = min(here.active)
        here.flinks.set_flag(login_id, scheduled=False)
        await here.once()

        assert await here.verdict(login_id) == "drifted"
        assert here.calls(Operation.SET_SCHEDULED_REFRESH) == 0
