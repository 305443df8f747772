"""The source query: the client list as the company's own tables have it, read on an interval and merged as a full import.

A list that cannot be taken (it does not run, runs too long, has bad rows, or lost more logins than the caps allow) is refused as a
whole and told; nothing changes, and a minute later it is tried again: but one that ran too long only when its interval has passed, so
that a query that hangs does not occupy its server for ever. A new leadership tries at once: who has mended a query reloads.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import structlog

from refreshd.core import timing
from refreshd.core.caps import GuardPolicy, allowance
from refreshd.core.errors import DependencyDown, HeldByGuard, InputRejected, LeaseLost
from refreshd.core.model import Term
from refreshd.importer import ImportTerms, import_source
from refreshd.ledger import Ledger
from refreshd.ports import Clock, Leadership
from refreshd.settings import Settings

_log = structlog.get_logger(__name__)

_LOOK_SECONDS = 5.0
_RETRY_SECONDS = 60.0

LEAST_LIMIT_SECONDS, MOST_LIMIT_SECONDS = 60.0, 1_800.0
"""A source query may take as long as its interval, within these; the most is less than what a loop of ours may keep silent for."""

_SLOW = "look at its plan and at its locks; the interval (one minute to half an hour) is its limit"


class Feed:
    """Reads the source query whenever its interval has passed, by the ledger's own memory of the last time."""

    def __init__(
        self, settings: Settings, *, url: str, ledger: Ledger, leadership: Leadership, clock: Clock, policy: GuardPolicy
    ) -> None:
        self._settings = settings
        self._url = url
        self._ledger = ledger
        self._leadership = leadership
        self._clock = clock
        self._policy = policy
        self._gave_up_at: datetime | None = None

    async def run(self, on_look: Callable[[bool], None]) -> None:
        """For as long as the leadership lasts; `on_look` hears of each look that came to its end: False when the list was not taken."""
        while True:
            taken = await self.read_if_due()
            on_look(taken)
            await asyncio.sleep(_LOOK_SECONDS if taken else _RETRY_SECONDS)

    async def read_if_due(self) -> bool:
        """Read unless the ledger remembers a reading within the interval, or we gave one up; False when the list was not taken."""
        if not self._has_passed_since(self._gave_up_at):
            return False
        due = self._has_passed_since(await self._ledger.source_read_at())
        return not due or await self.read()

    def _has_passed_since(self, moment: datetime | None) -> bool:
        """The interval."""
        return timing.has_passed(self._settings.source_interval, since=moment, now=self._clock.now())

    async def read(self) -> bool:
        """Read and merge now; False when the list was not taken, which is told in the log."""
        file = self._settings.source_query_file
        if file is None:
            return True
        now, term = self._clock.now(), self._leadership.term
        try:
            await self._merge(file, now, term)
        except LeaseLost:
            raise
        except TimeoutError:
            self._gave_up_at = self._clock.now()
            self._refuse(
                file, f"the source query took longer than {self._limit_seconds:g} s; nothing was changed", _SLOW
            )
            return False
        except (InputRejected, HeldByGuard, DependencyDown, OSError) as error:
            self._refuse(file, str(error), getattr(error, "hint", ""))
            return False
        return True

    def _refuse(self, file: Path, error: str, hint: str) -> None:
        _log.error("source_refused", file=str(file), error=error, hint=hint)

    @property
    def _limit_seconds(self) -> float:
        return min(MOST_LIMIT_SECONDS, max(LEAST_LIMIT_SECONDS, self._settings.source_interval.total_seconds()))

    async def _merge(self, file: Path, now: datetime, term: Term) -> None:
        query = await asyncio.to_thread(_text, file)
        totals = await self._ledger.plan_totals(now=now)
        source = self._settings.source_database_url
        async with asyncio.timeout(self._limit_seconds):
            result = await import_source(
                query,
                source_url=self._url if source is None else source.get_secret_value(),
                url=self._url,
                schema=self._settings.database_schema,
                terms=ImportTerms(now=now, full=True, allowance=allowance(self._policy, totals.not_confirmed_off)),
                term=term,
                limit_seconds=self._limit_seconds,
            )
        _log.info("source_merged", rows=result.rows, logins_deactivated=result.logins_deactivated)


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise InputRejected("the source query is not UTF-8", hint="save REFRESHD_SOURCE_QUERY_FILE as UTF-8") from error
