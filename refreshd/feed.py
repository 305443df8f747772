"""The source query: the client list as the company's own tables have it, read on an interval and merged as a full import.

A list that cannot be taken (it does not run, has bad rows, or lost more logins than the caps allow) is refused as a whole and told;
nothing changes, and the next interval tries again.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

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

    async def run(self, on_look: Callable[[bool], None]) -> None:
        """For as long as the leadership lasts; `on_look` hears of each look that came to its end: False when the list was not taken."""
        while True:
            taken = await self.read_if_due()
            on_look(taken)
            await asyncio.sleep(_LOOK_SECONDS if taken else _RETRY_SECONDS)

    async def read_if_due(self) -> bool:
        """Read unless the ledger remembers a reading within the interval; False when the list was not taken."""
        last = await self._ledger.source_read_at()
        due = last is None or self._clock.now() - last >= self._settings.source_interval
        return not due or await self.read()

    async def read(self) -> bool:
        """Read and merge now; False when the list was not taken, which is told in the log."""
        file = self._settings.source_query_file
        if file is None:
            return True
        term = self._leadership.term
        try:
            await self._merge(file, term)
        except LeaseLost:
            raise
        except (InputRejected, HeldByGuard, DependencyDown, OSError) as error:
            hint = getattr(error, "hint", "")
            _log.error("source_refused", file=str(file), error=str(error), hint=hint)
            return False
        return True

    async def _merge(self, file: Path, term: Term) -> None:
        query = await asyncio.to_thread(_text, file)
        now = self._clock.now()
        totals = await self._ledger.plan_totals(now=now)
        source = self._settings.source_database_url
        result = await import_source(
            query,
            source_url=self._url if source is None else source.get_secret_value(),
            url=self._url,
            schema=self._settings.database_schema,
            term=term,
            terms=ImportTerms(now=now, full=True, allowance=allowance(self._policy, totals.not_confirmed_off)),
        )
        _log.info("source_merged", rows=result.rows, logins_deactivated=result.logins_deactivated)


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise InputRejected("the source query is not UTF-8", hint="save REFRESHD_SOURCE_QUERY_FILE as UTF-8") from error
