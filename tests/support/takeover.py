"""Two real copies of refreshd on one ledger, and the ways in which the leader can go; the other one takes over.

Each copy has a line to Postgres of its own, which can go silent, and a door of its own at Flinks, by which the audit tells who called.
What is right is held against the lease's row, whose times are those of the one clock that all copies share.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from math import isinf
from typing import Self

import aiohttp

from refreshd.clock import SystemClock
from refreshd.simulator.audit import CallSeen
from refreshd.simulator.http import running
from tests.support.cut_line import Line, line_to
from tests.support.lateness import Lateness, lateness
from tests.support.process import Process
from tests.support.world import PATIENCE_SECONDS, World, until, world

RATE = 120
"""Calls a minute: slower than the work wants, so the budget binds."""
SLOT_SECONDS = 60.5 / RATE
PERMIT_SECONDS = 1.0

_ENV = {
    "REFRESHD_RATE_PER_MINUTE": str(RATE),
    "REFRESHD_PASS_INTERVAL": "1s",
    "REFRESHD_GRACE_SECONDS": "2",
}
_PROBE = aiohttp.ClientTimeout(total=3.0)
_LOGINS_PER_TAKEOVER = 40
"""More than are authorized between two takeovers at this rate: the routine is always under way."""


class Kind(StrEnum):
    """How a leader goes."""

    KILLED = "killed"
    """SIGKILL."""
    STOPPED = "stopped"
    """SIGTERM."""
    FROZEN = "frozen"
    """SIGSTOP; it wakes up later and does not know."""
    SILENCED = "silenced"
    """Its line to Postgres swallows every byte, and says nothing."""


TAKEN_WITHIN_SECONDS: Mapping[Kind, float] = {
    Kind.KILLED: 1.0,
    Kind.STOPPED: 0.5,
    Kind.FROZEN: 1.0,
    Kind.SILENCED: 1.0,
}
"""A standby knows when a lease runs out; it may have to wait for a write that holds it, and has that ended. Of a goodbye it is told; deaf
to it, it would look once a second."""
LONGEST_SECONDS: Mapping[Kind, float] = {
    Kind.KILLED: 5.0,
    Kind.STOPPED: 1.0,
    Kind.FROZEN: 5.0,
    Kind.SILENCED: 5.0,
}
"""What is promised of a takeover, from the strike to the word of the new leader, on a machine that does nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRow:
    """The lease as the database has it, in seconds of its clock."""

    holder: str
    term: int
    acquired_at: float
    expires_at: float


class Copy:
    """One refreshd."""

    def __init__(self, here: World, line: Line, url: str, door: str) -> None:
        self.process: Process
        self.host = door.removeprefix("http://")
        self._here = here
        self._line = line
        self._env = {**_ENV, "REFRESHD_DATABASE_URL": url, "REFRESHD_FLINKS_BASE_URL": f"{door}/v3"}
        self._lives = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._lives.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._lives.aclose()

    async def start(self) -> None:
        """A new life, up to the moment in which it stands by."""
        await self._lives.aclose()
        self.process = await self._lives.enter_async_context(self._here.started("run", env=self._env))
        await self.process.logged("standing_by")

    async def leads(self, times: int = 1) -> None:
        """Wait until it has said so for the `times`-th time in this life."""
        await self.process.logged("leading", times)

    def times(self, event: str) -> int:
        """How often it has logged this in its present life."""
        return len(self.process.lines(event))

    def strike(self, kind: Kind) -> None:
        match kind:
            case Kind.KILLED:
                self.process.kill()
            case Kind.STOPPED:
                self.process.terminate()
            case Kind.FROZEN:
                self.process.freeze()
            case Kind.SILENCED:
                self._line.freeze()

    async def come_back(self, kind: Kind) -> None:
        """As a standby, whatever it was struck by."""
        stood_by = self.times("standing_by")
        match kind:
            case Kind.KILLED | Kind.STOPPED:
                await self.process.ended()
                await self.start()
            case Kind.FROZEN:
                self.process.thaw()
                await self.process.logged("standing_by", stood_by + 1)
            case Kind.SILENCED:
                self._line.mend()
                await self.process.logged("standing_by", stood_by + 1)

    async def becomes_ready(self) -> str:
        """Its words once it is: a standby has asked for the lease by then, and found it taken."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (answer := await self.answers("/readyz"))[0] != 200:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)
        return answer[1]

    async def shows(self) -> dict[str, str]:
        """Every sample of its metrics."""
        _, text = await self.answers("/metrics")
        return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))

    async def lag_seconds(self) -> float:
        """By how much its event loop was late in its present life, all in all."""
        return float((await self.shows())["refreshd_event_loop_lag_seconds_sum"])

    async def said_goodbye_at(self) -> float:
        """On the clock of the wall, which is the database's here: its work was over, and it let the lease go."""
        return datetime.fromisoformat(str((await self.process.logged("drained"))["timestamp"])).timestamp()

    async def answers(self, path: str) -> tuple[int, str]:
        """What it says at its own address, as a probe hears it."""
        address = (await self.process.logged("serving"))["address"]
        async with aiohttp.ClientSession() as session, session.get(f"{address}{path}", timeout=_PROBE) as response:
            return response.status, await response.text()

    def calls(self, since: float = 0.0) -> Sequence[CallSeen]:
        """What Flinks has seen of it from this moment of loop time on."""
        seen = self._here.flinks.audit.calls
        return [each for each in seen if each.host == self.host and each.seconds > since]


@dataclass(frozen=True, slots=True, kw_only=True)
class Takeover:
    """`seconds` passed from the strike until the new leader said that it leads.

    The lease before the strike, as it was last renewed under the old term, and under the new one. `freed_at`: when it had run out, or
    was let go, in seconds of the database's clock. `lag_seconds`: what the new leader was late meanwhile, or this process.
    """

    kind: Kind
    seconds: float
    old: Copy
    new: Copy
    before: LeaseRow
    last: LeaseRow
    after: LeaseRow
    freed_at: float
    lag_seconds: float

    def was_in_order(self) -> None:
        """One term follows the other. Who says goodbye frees the lease; who does not has it until it runs out. Then it is taken at once."""
        assert self.after.term == self.before.term + 1
        if self.kind is Kind.STOPPED:
            assert self.after.acquired_at < self.last.expires_at
        waited = self.after.acquired_at - self.freed_at
        assert waited >= 0, f"a leader that was {self.kind} led still, for {-waited:.2f} s"
        assert waited < TAKEN_WITHIN_SECONDS[self.kind] + self.lag_seconds, (
            f"{waited:.2f} s after the lease of a leader that was {self.kind} was free; late by {self.lag_seconds:.2f} s"
        )

    @property
    def taken_at(self) -> float:
        """In loop time, by which the audit counts."""
        return self.after.acquired_at - SystemClock().now().timestamp() + asyncio.get_running_loop().time()


@dataclass(kw_only=True)
class Pair:
    """A leader and a standby."""

    here: World
    leader: Copy
    standby: Copy
    late: Lateness

    async def lease(self) -> LeaseRow:
        row = await self.here.sql.fetchrow(
            """
            SELECT holder, term, EXTRACT(epoch FROM acquired_at)::double precision AS acquired_at,
                EXTRACT(epoch FROM expires_at)::double precision AS expires_at
            FROM lease
            """
        )
        assert row is not None
        return LeaseRow(**dict(row))

    async def at_work(self) -> None:
        """Wait until the leader has called Flinks in its present term."""
        seen = len(self.leader.calls())
        await until("the leader to call", lambda: len(self.leader.calls()) > seen)

    async def takeover(self, kind: Kind) -> Takeover:
        """The leader is struck, and the standby leads. The old one stays as the strike left it: see `come_back`."""
        old, new, loop = self.leader, self.standby, asyncio.get_running_loop()
        before, led, lag = await self.lease(), new.times("leading"), await new.lag_seconds()
        began = loop.time()
        old.strike(kind)
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(self._until_taken(before))
            await new.leads(led + 1)
            seconds = loop.time() - began
        self.leader, self.standby = new, old
        last, after = watching.result()
        return Takeover(
            kind=kind,
            seconds=seconds,
            old=old,
            new=new,
            before=before,
            last=last,
            after=after,
            freed_at=await old.said_goodbye_at() if kind is Kind.STOPPED else last.expires_at,
            lag_seconds=max(self.late.longest_seconds, await new.lag_seconds() - lag),
        )

    async def _until_taken(self, before: LeaseRow) -> tuple[LeaseRow, LeaseRow]:
        last = before
        while (row := await self.lease()).term == before.term:
            last = last if isinf(row.expires_at) else row  # released
            await asyncio.sleep(0.02)
        return last, row

    def keeps_the_budget(self) -> None:
        """By the vendor's books: over a minute, and over shorter spans as even as a permit's second allows.

        The vendor lives in this process: what came while that was held up was written down later.
        """
        audit = self.here.flinks.audit
        assert audit.most_calls_in(60) <= RATE
        for span in (2.0, 5.0, 15.0):
            late = PERMIT_SECONDS + self.late.longest_seconds
            assert audit.most_calls_in(span) <= (span + late) / SLOT_SECONDS + 1, f"in {span} seconds"


@asynccontextmanager
async def pair(database_url: str, *, active: int, inactive: int = 0) -> AsyncIterator[Pair]:
    """The first copy leads and calls, the second one stands by. The totals were accepted before, so a small plan goes by itself."""
    async with (
        world(database_url, active=active, inactive=inactive) as here,
        _copy(here, database_url) as first,
        _copy(here, database_url) as second,
    ):
        accepted = "UPDATE landmark SET accepted_at = $1, accepted_logins = $2, accepted_active = $3"
        await here.sql.execute(accepted, here.dates.now(), active + inactive, active)
        await first.start()
        await first.leads()
        await second.start()
        async with lateness() as late:
            both = Pair(here=here, leader=first, standby=second, late=late)
            await both.at_work()
            yield both


@asynccontextmanager
async def _copy(here: World, database_url: str) -> AsyncIterator[Copy]:
    async with (
        line_to(database_url) as (line, url),
        running(here.flinks, here.dates.now) as door,
        Copy(here, line, url, door) as copy,
    ):
        yield copy


@dataclass(kw_only=True)
class TakeoverTimes:
    """Figures of many takeovers, by kind; and the most calls that Flinks has seen in any minute meanwhile, at `RATE`."""

    seconds: dict[Kind, list[float]] = field(default_factory=lambda: {each: [] for each in Kind})
    most_calls_in_60s: int = 0
    rate_per_minute: int = RATE

    def broken_promises(self) -> Iterator[str]:
        """The takeovers that took too long, in words."""
        for kind, times in self.seconds.items():
            for seconds in times:
                if seconds >= (promised := LONGEST_SECONDS[kind]):
                    yield f"the takeover from a leader that was {kind} took {seconds:.2f} s; promised are less than {promised:.0f} s"


async def takeover_times(database_url: str, times: int, kinds: Sequence[Kind] = tuple(Kind)) -> TakeoverTimes:
    """So many takeovers of each kind, one after the other between the same two copies, on a migrated database with nothing in it."""
    figures = TakeoverTimes()
    async with pair(database_url, active=_LOGINS_PER_TAKEOVER * (times * len(kinds) + 1)) as both:
        for _ in range(times):
            for kind in kinds:
                seen = await both.takeover(kind)
                seen.was_in_order()
                figures.seconds[kind].append(seen.seconds)
                await seen.old.come_back(kind)
                await both.at_work()
        both.keeps_the_budget()
        figures.most_calls_in_60s = both.here.flinks.audit.most_in_60s
    return figures
