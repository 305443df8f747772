"""What a person asks of a running daemon by signals: new settings, a stop, a stop at once."""

import re
from datetime import datetime
from pathlib import Path

import aiohttp
import pytest

from refreshd.simulator.calls import Operation
from tests.support.lateness import lateness
from tests.support.postgres import SCHEMA
from tests.support.process import LogLine, Process
from tests.support.world import World, until, world

pytestmark = pytest.mark.slow


def _write(file: Path, **settings: object) -> dict[str, str]:
    """Settings in a TOML file; the environment that leads to it."""
    file.write_text("".join(f"{name} = {value!r}\n" for name, value in settings.items()), "utf-8")
    return {"REFRESHD_CONFIG": str(file)}


def _without(here: World, *names: str) -> None:
    """What the file is to say must not be said by the environment, which wins."""
    for name in names:
        del here.env[name]


async def _metric(daemon: Process, name: str) -> float:
    address = (await daemon.logged("serving"))["address"]
    async with aiohttp.ClientSession() as session, session.get(f"{address}/metrics") as response:
        found = re.search(rf"^{name} (\S+)$", await response.text(), re.MULTILINE)
    assert found, name
    return float(found[1])


async def _read(daemon: Process, path: str) -> str:
    address = (await daemon.logged("serving"))["address"]
    async with aiohttp.ClientSession() as session, session.get(f"{address}{path}") as response:
        assert response.status == 200
        return await response.text()


async def _shown(daemon: Process, setting: str) -> str:
    """What the page says of a setting."""
    (row,) = [each for each in (await _read(daemon, "/config")).split("<tr") if setting in each]
    return " ".join(re.sub(r"<[^>]+>", " ", row).split())


async def test_new_settings_are_in_force_under_the_same_lease_after_a_hangup(database_url: str, tmp_path: Path) -> None:
    """Observe mode and a slow rate first; then the operator lets it write, faster: what was planned goes out, and nobody else has led."""
    file = tmp_path / "refreshd.toml"
    async with world(database_url, active=20, inactive=3) as here:
        _without(here, "REFRESHD_RATE_PER_MINUTE")
        env = _write(file, mode="observe", rate_per_minute=600)
        async with here.started("run", env=env) as daemon:
            await until("the routine to be under way", lambda: here.calls(Operation.AUTHORIZE) >= 2)
            before = await here.sql.fetchval("SELECT term FROM lease")
            _write(file, mode="enforce", rate_per_minute=6000, max_disable_count=100)
            daemon.hang_up()
            reloaded = await daemon.logged("settings_reloaded")
            assert reloaded["changed"] == ["rate_per_minute", "mode", "max_disable_count"]
            await until("the routine to end", lambda: len(here.calls_by_login(Operation.AUTHORIZE)) == 20)
            assert await here.approve_all() == 1
            await until("the inactive ones to be off", lambda: here.switched_on() == here.active)

            assert await here.sql.fetchval("SELECT term FROM lease") == before
            assert await _metric(daemon, "refreshd_flinks_limiter_capacity_requests") == 6000
            assert await _metric(daemon, "refreshd_observe_only") == 0
            assert len(daemon.lines("leading")) == 1
            daemon.terminate()
            assert (await daemon.ended()).code == 0
        assert here.calls_by_login(Operation.AUTHORIZE) == dict.fromkeys(here.active, 1)
        assert await here.traced() == here.flinks.audit.calls_by_operation


async def test_a_new_key_is_used_after_a_hangup_and_the_refusal_of_the_old_one_is_forgotten(
    database_url: str, tmp_path: Path
) -> None:
    key = tmp_path / "api_key"
    async with world(database_url, active=2, inactive=4) as here:
        right = here.env.pop("REFRESHD_FLINKS_API_KEY")
        key.write_text("an-old-key", "utf-8")
        async with here.started(
            "run", env={"REFRESHD_FLINKS_API_KEY_FILE": str(key), "REFRESHD_CONCURRENCY": "1"}
        ) as daemon:
            await daemon.logged("leading")
            await until("the routine to end", lambda: len(here.calls_by_login(Operation.AUTHORIZE)) == 2)
            await here.approve_all()
            await daemon.logged("credential_refused")
            assert here.switched_on() > here.active

            key.write_text(right, "utf-8")
            daemon.hang_up()
            assert (await daemon.logged("settings_reloaded"))["changed"] == ["flinks_api_key"]
            await until(
                "those that were not tried with the old key to be off", lambda: len(here.switched_on()) == 2 + 2
            )
            assert not any(right in line or "an-old-key" in line for line in daemon.err)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"rate_per_minute": 0, "mode": "perhaps"}, "2 faults"),
        ({"rate_per_minute": 60, "database_schema": "elsewhere"}, "only a restart can change REFRESHD_DATABASE_SCHEMA"),
    ],
)
async def test_settings_with_a_fault_are_refused_as_a_whole_and_the_old_ones_stay_in_force(
    database_url: str, tmp_path: Path, settings: dict[str, object], said: str
) -> None:
    file = tmp_path / "refreshd.toml"
    async with world(database_url, active=3) as here:
        _without(here, "REFRESHD_RATE_PER_MINUTE", "REFRESHD_DATABASE_SCHEMA")
        env = _write(file, rate_per_minute=6000, database_schema=SCHEMA)
        async with here.started("run", env=env) as daemon:
            await daemon.logged("leading")
            _write(file, **{"database_schema": SCHEMA, **settings})
            daemon.hang_up()
            refused = await daemon.logged("settings_refused")
            assert said in str(refused["error"])
            assert await _metric(daemon, "refreshd_config_last_reload_successful") == 0
            assert "6000" in await _shown(daemon, "REFRESHD_RATE_PER_MINUTE")
            assert "the old ones are in force" in await _read(daemon, "/")
            assert await _metric(daemon, "refreshd_flinks_limiter_capacity_requests") == 6000
            assert "the old ones are in force" in await _read(daemon, "/readyz")

            _write(file, rate_per_minute=3000, database_schema=SCHEMA)
            daemon.hang_up()
            await daemon.logged("settings_reloaded")
            assert await _metric(daemon, "refreshd_config_last_reload_successful") == 1
            assert "refused" not in await _read(daemon, "/readyz")
            assert "3000" in await _shown(daemon, "REFRESHD_RATE_PER_MINUTE")
            assert not daemon.lines("standing_by")[1:]


async def test_a_second_sigterm_cuts_off_what_hangs_and_says_so(database_url: str) -> None:
    """The grace is long, the vendor silent, and the operator in a hurry."""
    async with world(database_url, active=30) as here:
        here.flinks.add_faults(["hang@Authorize"])
        async with here.started("run", env={"REFRESHD_GRACE_SECONDS": "600"}) as daemon:
            await until("calls to hang", lambda: here.calls(Operation.AUTHORIZE) >= 8)
            daemon.terminate()
            await daemon.logged("draining")
            daemon.terminate()
            ran = await daemon.ended()
            left = await daemon.logged("drained")
        assert ran.code == 1
        assert left["cut_off"] == left["in_flight"] == 8
        assert await here.sql.fetchval("SELECT expires_at = '-infinity' FROM lease"), "the lease is free at once"


async def test_a_frozen_daemon_does_not_answer_the_probe_that_would_restart_it(database_url: str) -> None:
    async with world(database_url, active=1) as here, here.started("run") as daemon:
        address = (await daemon.logged("serving"))["address"]
        patience = aiohttp.ClientTimeout(total=1)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{address}/livez") as response:
                assert response.status == 200
            daemon.freeze()
            with pytest.raises(TimeoutError):
                await session.get(f"{address}/livez", timeout=patience)
            daemon.thaw()
            async with session.get(f"{address}/livez") as response:
                assert response.status == 200


async def test_what_outlives_the_grace_is_cut_off_and_tried_again_by_the_next(database_url: str) -> None:
    """It is no failure of its login: nothing is counted, and nothing rests."""
    grace_seconds = 0.5
    async with world(database_url, active=10) as here:
        here.flinks.add_faults(["hang@Authorize"])
        async with (
            here.started("run", env={"REFRESHD_GRACE_SECONDS": str(grace_seconds)}) as daemon,
            lateness() as late,
        ):
            await until("calls to hang", lambda: here.calls(Operation.AUTHORIZE) >= 8)
            daemon.terminate()
            assert (await daemon.ended()).code == 1
            draining, drained = await daemon.logged("draining"), await daemon.logged("drained")
        assert drained["cut_off"] == drained["in_flight"] == draining["in_flight"] == 8
        took_seconds = (_at(drained) - _at(draining)).total_seconds()
        assert grace_seconds / 2 < took_seconds < grace_seconds + 1.0 + late.longest_seconds
        assert await here.sql.fetchval("SELECT count(*) FROM login WHERE attempts > 0 OR not_before IS NOT NULL") == 0
        here.flinks.faults.clear()
        assert (await here.once()).failures == 0
        assert set((await here.verdicts()).values()) == {"fresh"}


def _at(line: LogLine) -> datetime:
    return datetime.fromisoformat(str(line["timestamp"]))


async def test_no_hangup_arms_the_kill_switch_of_the_tests(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "refreshd.toml"
    async with world(database_url, active=3) as here:
        env = _write(file, max_disable_count=7) | {"REFRESHD_PASS_INTERVAL": "1s"}
        async with here.started("run", env=env) as daemon:
            await daemon.logged("pass_finished")
            _write(file, max_disable_count=7, crash_at="finish_pass.committed")
            daemon.hang_up()
            assert "REFRESHD_CRASH_AT" in str((await daemon.logged("settings_refused"))["error"])
            await daemon.logged("pass_finished", count=len(daemon.lines("pass_finished")) + 2)
            daemon.terminate()
            assert (await daemon.ended()).code == 0
