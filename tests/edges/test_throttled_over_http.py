"""Over a real socket, too, TOO_MANY_REQUESTS is throttling whatever its status, and is waited for however it says for how long."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Literal
from uuid import UUID

import pytest

from refreshd.core import wire
from refreshd.core.errors import FlinksThrottled
from refreshd.core.guard import GuardedChange
from refreshd.core.model import Change, Credential, FetchDepth, LoginId, Operation
from refreshd.flinks import AiohttpTransport, FlinksConnection, FlinksReader, ScheduleWriter
from refreshd.pacing import Budget
from refreshd.simulator import RetryAfter, Simulator, SimulatorConfig, populate
from refreshd.simulator.calls import Operation as SeenOperation
from refreshd.simulator.http import running
from tests.support.world import world

Status = Literal[401, 403, 429]

THEIRS = datetime(2026, 1, 6, 16, 0, tzinfo=UTC)
OURS = THEIRS + timedelta(hours=3)
"""Our clock and theirs disagree, so a date that is not measured from their own would be hours away."""
LOGIN = LoginId(UUID(int=1))
DEPTHS = (FetchDepth.SUMMARY, FetchDepth.DETAIL)
REQUEST_ID = "46d5f682-e9dd-46ba-8cf6-3e5eff34f600"
WISHES = [
    (RetryAfter.ABSENT, None),
    (RetryAfter.SECONDS, timedelta(seconds=7)),
    (RetryAfter.HTTP_DATE, timedelta(seconds=7)),
]


@pytest.mark.parametrize(("form", "wish"), WISHES)
@pytest.mark.parametrize("status", [401, 403, 429])
async def test_every_kind_of_call_that_is_throttled_says_so_and_for_how_long(
    status: Status, form: RetryAfter, wish: timedelta | None
) -> None:
    config = SimulatorConfig(throttle_status=status, retry_after=form, retry_after_seconds=7)
    flinks = Simulator(config, populate(7, 5, start=THEIRS), faults=["throttle@any"])
    async with running(flinks, lambda: THEIRS) as address, calls_to(address, config) as calls:
        assert set(calls) == set(Operation)
        for operation, call in calls.items():
            with pytest.raises(FlinksThrottled) as caught:
                await call()
            assert (caught.value.status, caught.value.retry_after) == (status, wish), operation
        assert flinks.audit.calls_by_status == {status: len(calls)}
        assert flinks.audit.faults["throttle"] == len(calls)


@pytest.mark.slow
@pytest.mark.parametrize(("status", "form"), [(401, RetryAfter.HTTP_DATE), (403, RetryAfter.SECONDS)])
async def test_a_run_that_is_throttled_rests_for_as_long_as_was_wished_and_stops_no_key(
    database_url: str, status: Status, form: RetryAfter
) -> None:
    """What else comes with 401 and 403 is a key that is refused."""
    wish = 2
    config = SimulatorConfig(throttle_status=status, retry_after=form, retry_after_seconds=wish)
    async with world(database_url, active=6, config=config) as here:
        here.flinks.add_faults(["throttle@Authorize:x1"])
        await here.once(concurrency="1", rate_per_minute="6000")
        seconds = [(each.seconds, each.flinks_code == "TOO_MANY_REQUESTS") for each in here.flinks.audit.calls]
        (next_after,) = (later - at for (at, refused), (later, _) in pairwise(seconds) if refused)
        assert next_after >= wish
        assert await here.sql.fetchval("SELECT count(*) FROM credential_stop") == 0
        here.forward(timedelta(minutes=5))
        await here.once()
        assert set((await here.verdicts()).values()) == {"fresh"}
        assert here.calls_by_login(SeenOperation.AUTHORIZE).total() == len(here.active) + 1
        assert not here.flinks.audit.breaches_by_rule


class Ours:
    """Our clock stands still."""

    def now(self) -> datetime:
        return OURS


@asynccontextmanager
async def calls_to(
    address: str, config: SimulatorConfig
) -> AsyncIterator[dict[Operation, Callable[[], Awaitable[wire.VendorAnswer]]]]:
    """One call of every kind, as the client makes it."""
    budget = Budget(60_000)
    async with AiohttpTransport.opened() as transport:
        connection = FlinksConnection(
            transport,
            base_url=f"{address}/v3",
            customer_id=config.customer_id,
            credentials={
                Credential.SECRET_KEY: config.secret_key,
                Credential.API_KEY: config.api_key,
                Credential.API_SECRET: config.api_secret,
            },
            timeouts=dict.fromkeys(Operation, 30.0),
            max_body=1 << 20,
            clock=Ours(),
        )
        reader, writer = FlinksReader(connection), ScheduleWriter(connection, Credential.API_KEY)

        async def read(request: wire.Request) -> wire.VendorAnswer:
            return await reader.call(request, await budget.permit(), attempt=1, pass_id=None)

        async def switch_off() -> wire.VendorAnswer:
            change = GuardedChange(login_id=LOGIN, change=Change.DISABLE)
            return await writer.set_schedule(change, await budget.permit(), token=None, attempt=1, pass_id=None)

        token = wire.AuthorizeToken("a-token")
        requests = [
            wire.mint_token(),
            wire.authorize(LOGIN, live=False, token=token),
            wire.authorize(LOGIN, live=True, token=token),
            *(wire.fetch_accounts(REQUEST_ID, depth, login_id=LOGIN) for depth in DEPTHS),
            *(wire.poll_accounts(REQUEST_ID, depth, login_id=LOGIN) for depth in DEPTHS),
            wire.read_report(),
        ]
        calls = {each.operation: partial(read, each) for each in requests}
        yield {**calls, Operation.SET_SCHEDULED_REFRESH: switch_off}
