"""The look at a call that had to wait: goes on only what is wanted at this moment."""

from dataclasses import dataclass, replace
from datetime import datetime

import pytest

from refreshd.core import conversation as conversations
from refreshd.core.conversation import Conversation, Step
from refreshd.core.errors import CallAbandoned, WritesPaused
from refreshd.core.guard import Withdrawn
from refreshd.core.model import Change, LoginId
from refreshd.lastlook import look_again
from tests.support.builders import NOW, TERMS, guarded, login

NIGHT = NOW.replace(hour=4)

DISABLE = conversations.set_schedule(guarded(Change.DISABLE), TERMS, attempts=0)
ENABLE = conversations.set_schedule(guarded(Change.ENABLE), TERMS, attempts=0)
MINT = conversations.routine(login(), TERMS, attempts=0, fetched_refresh_at=None)
AUTHORIZE = replace(MINT, step=Step.AUTHORIZE)
FETCH = replace(MINT, step=Step.FETCH, request_id="a-request")

GONE = Withdrawn(reason="a client of this login is active again")


@dataclass(frozen=True, kw_only=True)
class Now:
    """The ledger and the date at the moment of the look."""

    active: bool = True
    withdrawn: Withdrawn | None = None
    paused: bool = False
    date: datetime = NOW

    async def is_active(self, _: LoginId) -> bool:
        return self.active

    async def look_again(self, _: LoginId, __: Change, *, now: datetime) -> Withdrawn | None:
        assert now == self.date
        if self.paused:
            raise WritesPaused("vendor writes are paused")
        return self.withdrawn

    def now(self) -> datetime:
        return self.date


@pytest.mark.parametrize(
    ("call", "now"),
    [
        pytest.param(DISABLE, Now(active=False), id="a disable that is wanted"),
        pytest.param(DISABLE, Now(active=False, date=NIGHT), id="a disable at night"),
        pytest.param(ENABLE, Now(), id="an enable that is wanted"),
        pytest.param(AUTHORIZE, Now(paused=True), id="an authorize in a pause"),
        pytest.param(FETCH, Now(date=NIGHT), id="data at night"),
        pytest.param(MINT, Now(active=False), id="a token, which is about nobody"),
        pytest.param(conversations.read_report(TERMS), Now(active=False, paused=True), id="the report"),
    ],
)
async def test_what_is_wanted_goes_on(call: Conversation, now: Now) -> None:
    await look_again(now, call, now)


@pytest.mark.parametrize(
    ("call", "now", "why"),
    [
        (DISABLE, Now(withdrawn=GONE), "a client of this login is active again"),
        (DISABLE, Now(paused=True), "vendor writes are paused"),
        (ENABLE, Now(withdrawn=GONE), "a client of this login is active again"),
        (ENABLE, Now(paused=True), "vendor writes are paused"),
        (AUTHORIZE, Now(active=False), "no client of this login is active any more"),
        (AUTHORIZE, Now(date=NIGHT), "the vendor's night has begun"),
        (FETCH, Now(active=False), "no client of this login is active any more"),
    ],
)
async def test_what_is_not_wanted_any_more_is_given_up_and_says_why(call: Conversation, now: Now, why: str) -> None:
    with pytest.raises(CallAbandoned) as abandoned:
        await look_again(now, call, now)
    assert abandoned.value.message.startswith(f"not sent: {why}")
