"""Weighs the institutions before logins are judged, so that one bank's bad night puts nobody on the reconnect list.

The decision is `core.institution`; what grows with the logins stays in SQL.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from refreshd.core import institution, timing
from refreshd.core.institution import Outcome, Tally
from refreshd.core.model import Term
from refreshd.core.standing import Standing

_log = structlog.get_logger(__name__)

WEIGHED_EVERY = timedelta(minutes=5)
PROBED_EVERY = timedelta(hours=1)

_FRESH = timedelta(hours=36)
"""Back from the beginning of a night: the night before it, and what was refreshed by hand since."""


class BankLedger(Protocol):
    """What is needed of the ledger."""

    async def last_report_at(self) -> datetime | None: ...

    async def night_outcomes(
        self, *, night: datetime, fresh_since: datetime, eligible_since: datetime
    ) -> Sequence[Outcome]:
        """Of the logins that were eligible since `eligible_since`, those heard of since the night began; by institution and outcome."""
        ...

    async def standings(self) -> Sequence[Standing]: ...

    async def store_standings(
        self, standings: Sequence[Standing], *, forget: Sequence[str], rejudge: Sequence[str], term: Term
    ) -> None:
        """All or nothing; the failing logins of the institutions in `rejudge` become due for the judge."""
        ...

    async def choose_probes(self, *, now: datetime, before: datetime, eligible_since: datetime, term: Term) -> None:
        """One login for each held institution whose last probe was chosen before then."""
        ...


class Banks:
    """Remembers when it last weighed, and nothing else."""

    def __init__(self, ledger: BankLedger) -> None:
        self._ledger = ledger
        self._weighed_at: datetime | None = None
        self._report_weighed: datetime | None = None

    async def weigh_if_news(self, *, now: datetime, term: Term) -> bool:
        """Weigh when the last time is a while ago, or a report has come since. True: what was drawn for the judge is out of date."""
        report_at = await self._ledger.last_report_at()
        recent = self._weighed_at is not None and now - self._weighed_at < WEIGHED_EVERY
        if recent and report_at == self._report_weighed:
            return False
        self._weighed_at, self._report_weighed = now, report_at
        changed = await self._weigh(now, term)
        eligible_since = timing.latest_night_start(now) - timing.ELIGIBILITY
        await self._ledger.choose_probes(now=now, before=now - PROBED_EVERY, eligible_since=eligible_since, term=term)
        return changed

    async def _weigh(self, now: datetime, term: Term) -> bool:
        night = timing.latest_night_start(now)
        outcomes = await self._ledger.night_outcomes(
            night=night, fresh_since=night - _FRESH, eligible_since=night - timing.ELIGIBILITY
        )
        tallies = institution.tallies(outcomes)
        before = {each.institution: each for each in await self._ledger.standings()}
        stand = {
            name: institution.weigh(name, before.get(name), tallies.get(name, Tally()), night=night, now=now)
            for name in sorted(tallies.keys() | before.keys())
        }
        turned = [name for name, after in stand.items() if _trouble(before.get(name)) != _trouble(after)]
        await self._ledger.store_standings(
            [each for each in stand.values() if each is not None],
            forget=[name for name, each in stand.items() if each is None],
            rejudge=turned,
            term=term,
        )
        for name in turned:
            _tell(name, before.get(name), stand[name])
        return bool(turned)


def _trouble(standing: Standing | None) -> str:
    """As far as verdicts rest on it."""
    return standing.state.value if standing is not None and standing.in_trouble else ""


def _tell(name: str, before: Standing | None, after: Standing | None) -> None:
    if after is not None and after.in_trouble:
        _log.warning("institution_in_trouble", institution=name, state=after.state.value, numbers=after.numbers)
    else:
        since = before.since.isoformat() if before is not None else None
        _log.info("institution_recovered", institution=name, since=since)
