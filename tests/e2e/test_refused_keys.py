"""A credential that Flinks refuses stops the calls that need it, after one fresh token at most; all others go on."""

from datetime import timedelta
from uuid import UUID

import pytest

from refreshd.once import OnceResult
from refreshd.simulator import ScheduleAuth, SimulatorConfig
from refreshd.simulator.calls import Operation
from tests.support.world import World, world

WIDTH = 8
WRONG = "not-the-right-key"


async def _disabling(here: World, **more: str) -> OnceResult:
    """A run after the plan was approved, so that disables are due together with everything else."""
    await here.once()
    await here.approve_all()
    here.flinks.audit.reset()
    return await here.once(**more)


async def test_a_wrong_secret_key_stops_the_authorizes_and_nothing_else(database_url: str) -> None:
    async with world(database_url, active=30, inactive=4) as here:
        await here.once(flinks_secret_key=WRONG)
        await here.approve_all()
        result = await here.once(flinks_secret_key=WRONG)

        assert result.breaker_open
        assert 1 <= here.calls(Operation.GENERATE_TOKEN) <= 2 * WIDTH, "two runs, each with what was in flight at most"
        assert here.calls(Operation.AUTHORIZE) == 0
        assert here.calls(Operation.NIGHTLY_REFRESH_STATUS) == 1
        assert here.switched_on() == here.active


async def test_a_wrong_api_key_stops_the_schedule_changes_and_nothing_else(database_url: str) -> None:
    async with world(database_url, active=20, inactive=12) as here:
        await here.once(flinks_api_key=WRONG)
        await here.approve_all()
        result = await here.once(flinks_api_key=WRONG)

        assert result.breaker_open
        assert 1 <= here.calls(Operation.SET_SCHEDULED_REFRESH) <= WIDTH
        assert here.switched_on() == here.active | here.inactive
        assert here.calls_by_login(Operation.AUTHORIZE) == dict.fromkeys(here.active, 1)
        assert set((await here.verdicts()).values()) == {"fresh", "leaking"}


async def test_a_wrong_api_secret_stops_the_report_and_nothing_else(database_url: str) -> None:
    async with world(database_url, active=10, inactive=2) as here:
        result = await here.once(flinks_api_secret=WRONG)
        assert result.breaker_open
        assert here.calls(Operation.NIGHTLY_REFRESH_STATUS) == 1
        assert here.calls_by_login(Operation.AUTHORIZE) == dict.fromkeys(here.active, 1)

        await here.approve_all()
        await here.once(flinks_api_secret=WRONG)
        assert here.switched_on() == here.active


async def test_a_refused_token_is_made_anew_once_and_then_the_authorizes_stop(database_url: str) -> None:
    async with world(database_url, active=30, inactive=3) as here:
        here.flinks.add_faults(["deny@Authorize"])
        result = await here.once(concurrency="1")

        assert result.breaker_open
        assert here.calls(Operation.AUTHORIZE) == 4, (
            "for each of two logins one token, and one fresh one: then it is not the login"
        )
        assert here.calls(Operation.GENERATE_TOKEN) == 4
        await here.approve_all()
        await here.once()
        assert here.switched_on() == here.active


@pytest.mark.parametrize("auth", ScheduleAuth)
async def test_each_way_to_prove_a_schedule_change_works(database_url: str, auth: ScheduleAuth) -> None:
    async with world(database_url, active=4, inactive=3, config=SimulatorConfig(schedule_auth=auth)) as here:
        result = await _disabling(here, flinks_schedule_auth=auth.value)

        assert result.confirmed == 3
        assert here.switched_on() == here.active
        assert not here.flinks.audit.breaches_by_rule


async def test_refused_keys_end_once_with_4_and_a_hint(database_url: str) -> None:
    async with world(database_url, active=3) as here:
        ran = await here.command("once", env={"REFRESHD_FLINKS_SECRET_KEY": WRONG})

        assert ran.code == 4
        assert "refreshd doctor" in ran.words
        assert WRONG not in ran.words


async def test_a_key_that_works_again_is_used_by_the_next_run(database_url: str) -> None:
    async with world(database_url, active=10) as here:
        await here.once(flinks_secret_key=WRONG)
        result = await here.once()

        assert not result.breaker_open
        assert here.calls_by_login(Operation.AUTHORIZE) == dict.fromkeys(here.active, 1)


@pytest.mark.parametrize("status", [401, 404])
async def test_a_customer_id_that_flinks_does_not_know_stops_everything(database_url: str, status: int) -> None:
    config = SimulatorConfig(customer_status=401 if status == 401 else 404)
    async with world(database_url, active=20, inactive=3, config=config) as here:
        stranger = "00000000-1111-4222-8333-444444444444"
        await here.once(flinks_customer_id=stranger)
        await here.approve_all()
        result = await here.once(flinks_customer_id=stranger)

        assert result.breaker_open
        assert here.flinks.audit.calls_counted <= 5 * WIDTH
        assert here.calls(Operation.AUTHORIZE) == 0
        assert set((await here.verdicts()).values()) == {"unseen", "leaking"}


async def test_a_mass_of_unknown_logins_speaks_against_the_settings_and_not_against_the_logins(
    database_url: str,
) -> None:
    """As when the base URL is that of another instance: nobody is quarantined, nobody is disabled, and it is said."""
    async with world(database_url, active=40, inactive=20) as here:
        await here.once()
        for login_id in list(here.flinks.world.logins):
            here.flinks.forget(login_id)
        await here.approve_all()
        here.flinks.audit.reset()
        ran = await here.command("once")

        assert ran.code == 4
        assert "settings_suspected" in ran.err
        assert here.flinks.audit.calls_counted <= 5 + 2 * WIDTH
        verdicts = await here.verdicts()
        assert "quarantined" not in verdicts.values()
        assert "disabled" not in verdicts.values()


async def test_suspect_settings_stay_so_over_a_restart_and_the_logins_that_a_killed_predecessor_blamed_are_released(
    database_url: str,
) -> None:
    async with world(database_url, active=40, inactive=20) as here:
        await here.once()
        here.forward(timedelta(days=1))
        known = dict(here.flinks.world.logins)
        here.flinks.world.logins.clear()
        blamed = "UPDATE login SET refused_at = $1, refused_code = 'INVALID_LOGIN', verdict_until = '-infinity' WHERE login_id = $2"
        await here.sql.execute(blamed, here.dates.now() - timedelta(hours=1), UUID(min(here.active)))
        await here.approve_all()
        here.flinks.audit.reset()
        assert (await here.once()).breaker_open
        first = _about_logins(here)
        assert 0 < first <= 5 + 2 * WIDTH

        assert (await here.once()).breaker_open
        assert _about_logins(here) == first, "nobody was asked again after the restart"
        await here.sql.execute("UPDATE credential_stop SET rests_until = clock_timestamp()")
        here.forward(timedelta(hours=7))
        assert (await here.once()).breaker_open
        assert 0 < _about_logins(here) - first <= 1 + 2 * WIDTH, "the rest was over, and one answer renewed it"
        assert not set((await here.verdicts()).values()) & {"quarantined", "disabled"}

        here.flinks.world.logins.update(known)
        await here.sql.execute("UPDATE credential_stop SET rests_until = clock_timestamp()")
        here.forward(timedelta(hours=7))
        assert not (await here.once()).breaker_open
        assert here.switched_on() == here.active


def _about_logins(here: World) -> int:
    return here.calls(Operation.AUTHORIZE) + here.calls(Operation.SET_SCHEDULED_REFRESH)
