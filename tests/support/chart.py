"""What a daemon shows of itself while its database is sick: looked at all the while, so that nothing between two looks is missed."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from refreshd.postgres import Connection
from refreshd.simulator.calls import Operation
from tests.support.announcements import ANNOUNCED, unannounced
from tests.support.process import Process
from tests.support.world import PATIENCE_SECONDS, World, until

ROUTINE = 150
"""Active logins: enough for a sickness to come in the middle of their routine."""
CONCURRENCY = 8
PACE = {
    "REFRESHD_RATE_PER_MINUTE": "2400",
    "REFRESHD_CONCURRENCY": str(CONCURRENCY),
    "REFRESHD_PASS_INTERVAL": "1s",
}

_LOOK_SECONDS = 0.03
_OF_LOGINS = ("refreshd_logins{", "refreshd_leaking_logins", "refreshd_active_logins", "refreshd_stale_logins{")


@dataclass(frozen=True, slots=True)
class Look:
    """One moment. `up` is refreshd_database_up, None before the first attempt."""

    alive: bool
    ready: bool
    words: str
    up: float | None
    of_logins: bool


class Chart:
    """The looks, in order; `seen` waits for one of a kind."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._news = asyncio.Condition()
        self.looks: list[Look] = []

    async def keep(self) -> None:
        async with aiohttp.ClientSession(self._address) as session:
            while True:
                self.looks.append(await _look(session))
                async with self._news:
                    self._news.notify_all()
                await asyncio.sleep(_LOOK_SECONDS)

    async def seen(self, what: str, is_it: Callable[[Look], bool]) -> Look:
        """The next look of this kind."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS), self._news:
                await self._news.wait_for(lambda: bool(self.looks) and is_it(self.looks[-1]))
        except TimeoutError:
            raise AssertionError(f"never {what}; last seen: {self.looks[-1:]}") from None
        return self.looks[-1]

    async def is_well(self) -> None:
        await self.seen("well", lambda look: look.ready and look.up == 1)

    async def is_ill(self, said: str) -> None:
        """Not ready, for a reason that a person can read."""
        await self.seen(f"ill because of {said}", lambda look: not look.ready and look.up == 0 and said in look.words)

    def was_ill_once(self) -> None:
        """Never dead; ill, then well; and never well for a moment between two tries. A look before the illness may have been too late."""
        assert all(look.alive for look in self.looks)
        assert _turns(look.up for look in self.looks if look.up is not None) in ([1, 0, 1], [0, 1]), self._story()
        begun = itertools.dropwhile(lambda look: not look.ready, self.looks)
        assert _turns(look.ready for look in begun) in ([True, False, True], [True]), self._story()

    def _story(self) -> str:
        told = [f"up {look.up}, {' '.join(look.words.split())}" for look in self.looks]
        return "\n".join(f"{len(list(looks))} x {each}" for each, looks in itertools.groupby(told))

    def was_ill_at_first(self) -> None:
        """Ill from the beginning, and well since."""
        assert all(look.alive for look in self.looks)
        assert _turns(look.up for look in self.looks if look.up is not None) == [0, 1]
        assert _turns(look.ready for look in self.looks) == [False, True]


def _turns(values: Iterable[object]) -> list[object]:
    return [value for value, _ in itertools.groupby(values)]


async def _look(session: aiohttp.ClientSession) -> Look:
    async with session.get("/livez") as response:
        alive = response.status == 200
    async with session.get("/readyz") as response:
        ready, words = response.status == 200, await response.text()
    async with session.get("/metrics") as response:
        lines = (await response.text()).splitlines()
    up = next((float(line.split()[-1]) for line in lines if line.startswith("refreshd_database_up ")), None)
    return Look(alive, ready, words, up, any(line.startswith(_OF_LOGINS) for line in lines))


@asynccontextmanager
async def charted(daemon: Process) -> AsyncIterator[Chart]:
    """Look at the daemon for as long as the block runs."""
    chart = Chart(str((await daemon.logged("serving"))["address"]))
    async with asyncio.TaskGroup() as group:
        keeping = group.create_task(chart.keep())
        yield chart
        keeping.cancel()


async def accept_first_plan(here: World) -> None:
    """As if an operator had looked at the ledger before: a plan within the caps goes by itself."""
    await here.sql.execute(
        "UPDATE landmark SET accepted_at = $1, accepted_logins = $2, accepted_active = $3",
        here.dates.now(),
        len(here.active | here.inactive),
        len(here.active),
    )


async def under_way(here: World) -> None:
    await until("disables to be under way", lambda: here.calls(Operation.SET_SCHEDULED_REFRESH) >= 3)
    await until("the routine to be under way", lambda: here.calls(Operation.AUTHORIZE) >= 10)


async def comes_to_its_end(here: World) -> None:
    """All that was due is done, without a restart."""
    await until("the routine to end", lambda: here.calls_by_login(Operation.AUTHORIZE).keys() == here.active)
    await until("the leaks to be off", lambda: here.switched_on() == here.active)


async def goes_on(here: World, chart: Chart) -> None:
    """Well again after one illness, and at the end of all that was due."""
    await comes_to_its_end(here)
    await chart.is_well()
    chart.was_ill_once()


async def everything_sent_was_announced(here: World, sql: Connection) -> None:
    """Each change that reached Flinks stands in the ledger as intended and as sent, both before it arrived."""
    announced = [(row["login_id"], row["at"]) for row in await sql.fetch(ANNOUNCED)]
    assert not unannounced(here.flinks.audit.calls, announced), "stands nowhere in the ledger"


async def nothing_is_left_or_double(here: World, sql: Connection, *, again: int) -> None:
    """No leak, no open intent, no call against the rules; at most `again` Authorizes are of a login that had one: what was in hand."""
    assert here.switched_on() == here.active
    assert await sql.fetchval("SELECT count(*) FROM login WHERE intent IS NOT NULL") == 0
    assert not here.flinks.audit.breaches_by_rule
    surplus = {login_id: calls - 1 for login_id, calls in here.calls_by_login(Operation.AUTHORIZE).items() if calls > 1}
    assert sum(surplus.values()) <= again, surplus
    await everything_sent_was_announced(here, sql)
