"""The manual refresh of a silently stale login, and account data that is stored once for each refresh."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import pytest

from refreshd.simulator import Rule, SimulatorConfig
from refreshd.simulator.calls import Operation
from tests.support.world import World, world

DAY = timedelta(days=1)


@asynccontextmanager
async def _one_gone_quiet(database_url: str, *, asks: bool = False) -> AsyncIterator[tuple[World, str]]:
    """A fleet in which the job has passed one login over for two days, without an error; `asks`: its bank wants to speak to its user."""
    async with world(database_url, active=6) as here:
        login_id = min(here.active)
        here.flinks.set_stuck(login_id)
        here.flinks.world.login(login_id).asks_mfa = asks
        here.forward(2 * DAY)
        yield here, login_id


def _live(here: World) -> int:
    return here.flinks.audit.breaches_by_rule[Rule.LIVE_AUTHORIZE]


async def test_a_stale_login_is_only_reported_where_a_manual_refresh_is_not_allowed(database_url: str) -> None:
    async with _one_gone_quiet(database_url) as (here, login_id):
        await here.once()
        assert await here.verdict(login_id) == "stale"
        assert _live(here) == 0


async def test_a_stale_login_gets_one_live_refresh_where_that_is_allowed(database_url: str) -> None:
    async with _one_gone_quiet(database_url) as (here, login_id):
        await here.once(manual_refresh="stale")

        assert _live(here) == 1
        assert await here.verdict(login_id) == "fresh"
        assert here.calls(Operation.ACCOUNTS_SUMMARY, login_id) == 1, "the vendor's procedure asks for the data"
        assert set(here.calls_by_login(Operation.ACCOUNTS_SUMMARY)) == {login_id}
        live = "SELECT body ->> 'MostRecentCached' FROM call WHERE operation = 'authorize_live'"
        assert [row[0] for row in await here.sql.fetch(live)] == ["false"]


async def test_a_live_refresh_that_changes_nothing_is_not_repeated_in_the_same_episode(database_url: str) -> None:
    async with _one_gone_quiet(database_url) as (here, login_id):
        here.flinks.add_faults([f"code(RETRY_LATER)@GetAccountsSummary/{login_id}"])
        here.flinks.institution_down("Boreal Bank", here.dates.now() + 20 * DAY)
        for _ in range(3):
            await here.once(manual_refresh="stale")
            here.forward(DAY)
        assert _live(here) == 1


async def test_the_next_stale_episode_has_a_live_refresh_of_its_own(database_url: str) -> None:
    async with _one_gone_quiet(database_url) as (here, login_id):
        await here.once(manual_refresh="stale")
        here.flinks.set_stuck(login_id)
        here.forward(3 * DAY)
        await here.once(manual_refresh="stale")
        assert _live(here) == 2


async def test_a_bank_that_asks_its_user_ends_the_episode_as_reconnect(database_url: str) -> None:
    async with _one_gone_quiet(database_url, asks=True) as (here, login_id):
        for _ in range(3):
            await here.once(manual_refresh="stale")
            assert await here.verdict(login_id) == "reconnect"
            here.forward(DAY)
        assert _live(here) == 1
        must = "SELECT must_reconnect FROM login_status WHERE login_id = $1"
        assert await here.sql.fetchval(must, UUID(login_id))


async def test_a_user_who_has_connected_again_is_noticed(database_url: str) -> None:
    async with _one_gone_quiet(database_url, asks=True) as (here, login_id):
        await here.once(manual_refresh="stale")
        here.flinks.reconnect(login_id)
        here.forward(DAY)
        await here.once(manual_refresh="stale")
        assert await here.verdict(login_id) == "fresh"


@pytest.mark.usefixtures("quick_tries")
@pytest.mark.parametrize("depth", ["summary", "detail"])
async def test_data_that_is_ready_later_is_collected_and_stored_once(database_url: str, depth: str) -> None:
    config = SimulatorConfig(pending_ratio=1.0, pending_seconds=0.3)
    asked = Operation.ACCOUNTS_DETAIL if depth == "detail" else Operation.ACCOUNTS_SUMMARY
    polled = Operation.ACCOUNTS_DETAIL_ASYNC if depth == "detail" else Operation.ACCOUNTS_SUMMARY_ASYNC
    async with world(database_url, active=5, inactive=2, config=config) as here:
        await here.once(fetch=depth)

        assert here.calls_by_login(asked) == dict.fromkeys(here.active, 1)
        assert set(here.calls_by_login(polled)) == here.active
        stored = await here.sql.fetch("SELECT login_id::text, depth, body -> 'Accounts' AS accounts FROM account_data")
        assert {row["login_id"] for row in stored} == here.active
        assert len(stored) == 5
        assert all(row["depth"] == depth and row["accounts"] for row in stored)


async def test_a_refresh_is_fetched_once_and_the_next_one_again(database_url: str) -> None:
    config = SimulatorConfig(pending_ratio=0.0)
    async with world(database_url, active=4, config=config) as here:
        quiet = min(here.active)
        here.flinks.set_stuck(quiet)
        for _ in range(3):
            await here.once(fetch="summary")
            here.forward(DAY)

        assert here.calls(Operation.ACCOUNTS_SUMMARY, quiet) == 1
        others = dict.fromkeys(here.active - {quiet}, 3)
        assert here.calls_by_login(Operation.ACCOUNTS_SUMMARY) == {**others, quiet: 1}
        assert await here.sql.fetchval("SELECT count(*) FROM account_data") == 10
        assert here.calls_by_login(Operation.AUTHORIZE) == dict.fromkeys(here.active, 3)
