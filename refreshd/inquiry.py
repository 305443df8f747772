"""What people ask of the ledger through the page: each question bounded in time and in number, none of them in the daemon's way."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from refreshd.core.errors import LedgerUnavailable
from refreshd.core.model import CallTrace, LoginId, PassId, VerdictName
from refreshd.core.standing import Standing
from refreshd.core.totals import LedgerTotals
from refreshd.handle import EVERY, Handle, Span, handle_of
from refreshd.reading import ReadingLedger, ScheduleEvent, StoredPass
from refreshd.undoing import Disabled

READ_SECONDS = 4.0
"""A page waits no longer for the ledger; the statement is cancelled at the server too."""

PAGE = 50

L = TypeVar("L")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedLogin:
    """A login as a list shows it; its `code` as in `StoredLogin`."""

    login_id: LoginId
    verdict: VerdictName
    reason: str
    verdict_since: datetime
    institution: str | None
    code: str | None
    refreshed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstitutionRow:
    """One bank; `never`: billed and not once refreshed. `name` None: of these logins Flinks has not said whose they are."""

    name: str | None
    logins: int
    active: int
    fresh: int
    failed: int
    reconnect: int
    stale: int
    never: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PassStory:
    """One pass with all that is stored of it. `withheld`: what the guard held back, one sentence each."""

    stored: StoredPass
    phase_seconds: Mapping[str, float]
    withheld: Sequence[str]
    calls: Sequence[CallTrace]
    events: Sequence[ScheduleEvent]


class PageLedger(ReadingLedger, Disabled, Protocol):
    """What the page reads beyond what commands do. Nothing of it writes."""

    async def listed(
        self, search: "Search", verdict: VerdictName, *, after: LoginId | None, limit: int
    ) -> Sequence[ListedLogin]:
        """The next ones of a verdict by LoginId."""
        ...

    async def by_handle(self, handle: Handle) -> LoginId | None: ...

    async def institutions(self, *, limit: int) -> Sequence[InstitutionRow]:
        """The ones with the most logins first."""
        ...

    async def standings(self) -> Sequence[Standing]:
        """Of each institution that anything was heard of."""
        ...

    async def pass_story(self, pass_id: PassId, *, limit: int) -> PassStory | None: ...

    async def totals(self, *, now: datetime) -> LedgerTotals: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which logins are wanted, worst verdict first; `begins` narrows by the beginning of the LoginId."""

    verdicts: tuple[VerdictName, ...]
    institution: str | None = None
    code: str | None = None
    begins: Span = EVERY


class Place(Protocol):
    """Where a list goes on: after a login of a verdict."""

    @property
    def verdict(self) -> VerdictName: ...

    @property
    def login_id(self) -> LoginId: ...


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list; `goes_on` is where the next one begins, as an address carries it, "" at the end."""

    rows: Sequence[ListedLogin]
    goes_on: str


async def look_up(ledger: PageLedger, search: Search, after: Place | None, *, limit: int = PAGE) -> Page:
    """The next logins of a search: verdict by verdict, and by LoginId within each, so that every step is a walk along one index."""
    rows: list[ListedLogin] = []
    verdicts = search.verdicts
    if after is not None and after.verdict in verdicts:
        verdicts = verdicts[verdicts.index(after.verdict) :]
    for verdict in verdicts:
        begin = after.login_id if after is not None and after.verdict is verdict else None
        rows += await ledger.listed(search, verdict, after=begin, limit=limit + 1 - len(rows))
        if len(rows) > limit:
            last = rows[limit - 1]
            return Page(rows[:limit], f"{last.verdict}.{handle_of(last.login_id)}")
    return Page(rows, "")


class Reach(Generic[L]):
    """A way to the ledger for as long as there is one, and for no longer than a reader should wait."""

    def __init__(self, seconds: float = READ_SECONDS) -> None:
        self._seconds = seconds
        self._ledger: L | None = None

    def attach(self, ledger: L) -> None:
        self._ledger = ledger

    @asynccontextmanager
    async def ledger(self) -> AsyncIterator[L]:
        """Raises LedgerUnavailable where there is no way, or when the time is over."""
        if self._ledger is None:
            raise LedgerUnavailable("this daemon has not reached its database yet", hint="reload in a moment")
        try:
            async with asyncio.timeout(self._seconds):
                yield self._ledger
        except TimeoutError as error:
            raise LedgerUnavailable(
                f"the ledger did not answer within {self._seconds:g} s", hint="look at Postgres, and reload"
            ) from error


class Kept(Generic[T]):
    """An answer that is costly to get: asked for once at a time, and kept for a while whoever wants it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = asyncio.Lock()
        self._kept: tuple[float, T] | None = None

    async def get(self, ask: Callable[[], Awaitable[T]]) -> T:
        async with self._lock:
            at = asyncio.get_running_loop().time()
            if self._kept is None or at - self._kept[0] >= self._seconds:
                self._kept = (at, await ask())
            return self._kept[1]
