"""What refreshd holds itself back with is kept where the next leader finds it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from pydantic import SecretStr

from refreshd import policies
from refreshd.core import breaker as breakers
from refreshd.core.breaker import PROBE_AFTER_SECONDS, Breaker
from refreshd.core.errors import LeaseLost
from refreshd.core.model import Credential, Term
from refreshd.lease import Lease
from refreshd.ledger import Ledger
from refreshd.pacing import Budget
from refreshd.postgres import Connection
from refreshd.restraint import Restraint, recalled
from refreshd.settings import Settings
from tests.support.postgres import SCHEMA

PRINTS = dict.fromkeys(Credential, "11111111")


class _Leader:
    def __init__(self, term: Term) -> None:
        self.term = term


@pytest.fixture
async def lease(database_url: str) -> AsyncIterator[Lease]:
    lease = Lease(database_url, schema=SCHEMA)
    assert await lease.acquire()
    yield lease
    await lease.release()


def restraint(ledger: Ledger, term: Term, budget: Budget, breaker: Breaker | None = None) -> Restraint:
    return Restraint(budget, breaker or Breaker(), ledger=ledger, leadership=_Leader(term), fingerprints=PRINTS)


async def test_a_lowered_rate_and_the_time_that_flinks_named_are_there_for_the_next_leader(
    ledger: Ledger, lease: Lease
) -> None:
    await lease.take_budget(30)
    budget = Budget(30)
    mine = restraint(ledger, lease.term, budget)
    budget.throttled(timedelta(seconds=300), 0.0)
    await mine.keep(Breaker())

    taken = await lease.take_budget(30)
    assert taken.rate_in_force == 15
    assert 290 < taken.rest_seconds < 320


async def test_a_rate_that_is_whole_again_is_kept_as_such(ledger: Ledger, lease: Lease) -> None:
    budget = Budget(1)
    mine = restraint(ledger, lease.term, budget)
    budget.resume(None)
    budget.throttled(timedelta(), 0.0)
    await mine.keep(Breaker())
    assert (await lease.take_budget(1)).rate_in_force is None, "one call a minute is the floor"


async def test_a_stopped_credential_rests_over_a_restart_until_it_is_another_one(ledger: Ledger, term: Term) -> None:
    stopped = breakers.refused(Breaker(), Credential.API_KEY, _now())
    await restraint(ledger, term, Budget(30)).keep(stopped)

    again = await recalled(ledger, PRINTS)
    assert again.open
    assert not again.allows(Credential.API_KEY, _now() + PROBE_AFTER_SECONDS - 60)
    assert again.allows(Credential.API_KEY, _now() + PROBE_AFTER_SECONDS)
    assert await recalled(ledger, {**PRINTS, Credential.API_KEY: "another1"}) == Breaker()


async def test_a_credential_that_works_again_is_forgotten(ledger: Ledger, term: Term) -> None:
    stopped = breakers.refused(Breaker(), Credential.API_KEY, _now())
    mine = restraint(ledger, term, Budget(30))
    await mine.keep(stopped)
    await mine.keep(breakers.accepted(stopped, Credential.API_KEY))
    assert await ledger.stops() == []


async def test_suspect_settings_rest_over_a_restart_until_they_are_others_and_the_next_unknown_login_renews_it(
    ledger: Ledger, term: Term
) -> None:
    mine = restraint(ledger, term, Budget(30))
    suspect = breakers.suspected(Breaker(), _now() + PROBE_AFTER_SECONDS)
    await mine.keep(suspect)
    found = await recalled(ledger, PRINTS)
    assert found.suspects_settings(_now())
    assert not found.suspects_settings(_now() + PROBE_AFTER_SECONDS + 60)
    later = _now() + 2 * PROBE_AFTER_SECONDS
    assert breakers.unknown_login(found, later).suspects_settings(later), "one is enough"
    elsewhere = PRINTS | {Credential.NONE: "22222222"}
    assert not (await recalled(ledger, elsewhere)).open

    await mine.keep(breakers.knew_login(suspect))
    assert not (await recalled(ledger, PRINTS)).open


async def test_nothing_is_written_where_nothing_changed(ledger: Ledger) -> None:
    """A term that nobody ever had: the first write would be refused."""
    await restraint(ledger, Term(99), Budget(30)).keep(Breaker())


async def test_only_the_leader_keeps_anything(ledger: Ledger, connection: Connection) -> None:
    budget = Budget(30)
    budget.throttled(None, 0.0)
    mine = restraint(ledger, Term(99), Budget(30))
    with pytest.raises(LeaseLost):
        await mine.keep(breakers.refused(Breaker(), Credential.API_KEY, _now()))
    assert await connection.fetchval("SELECT count(*) FROM credential_stop") == 0


def test_a_fingerprint_changes_with_the_key_and_the_address_and_tells_nothing_else() -> None:
    def prints(**values: object) -> dict[Credential, str]:
        base = {"flinks_base_url": "https://a.example/v3", "flinks_api_key": SecretStr("one")}
        return dict(policies.fingerprints(Settings.model_validate({**base, **values})))

    before, key, place = (
        prints(),
        prints(flinks_api_key=SecretStr("two")),
        prints(flinks_base_url="https://b.example/v3"),
    )
    assert {each for each in Credential if before[each] != key[each]} == {Credential.API_KEY}
    assert all(before[each] != place[each] for each in Credential)
    assert all(len(each) == 8 for each in before.values())


def _now() -> float:
    return asyncio.get_running_loop().time()
