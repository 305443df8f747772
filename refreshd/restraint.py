"""What refreshd holds itself back with, kept for whoever leads next: the rate that Flinks allows, credentials and settings it refuses.

All are found out by being refused, so forgetting them at every start would mean to be refused at every start: a daemon that crashes
in a loop, or a `refreshd once` of every minute, would probe for ever, and blame a few more logins for a wrong address each time. The
decisions are `core.throttle` and `core.breaker`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import structlog

from refreshd.core import breaker as breakers
from refreshd.core.breaker import Breaker
from refreshd.core.model import Credential, Term
from refreshd.pacing import Budget
from refreshd.ports import Leadership

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A credential that Flinks refuses, or (None) settings that are suspect; `fingerprint` says which ones these were.

    `rest_seconds`: how long that rests still; 0 or less: it may be tried.
    """

    credential: Credential | None
    fingerprint: str
    rest_seconds: float


class RestraintLedger(Protocol):
    """What outlives the process that held itself back."""

    async def keep_rate(self, rate: int | None, *, rest_seconds: float, term: Term) -> None:
        """The rate in force (None: all that the setting allows), and how long nobody calls at all."""
        ...

    async def stops(self) -> Sequence[Stop]: ...

    async def stop(
        self, credential: Credential | None, fingerprint: str, *, rest_seconds: float, term: Term
    ) -> None: ...

    async def release(self, credential: Credential | None, *, term: Term) -> None: ...


async def recalled(ledger: RestraintLedger, fingerprints: Mapping[Credential, str]) -> Breaker:
    """The breaker as a predecessor left it. A credential, or an address, that is another one by now is not the one that was refused."""
    at = asyncio.get_running_loop().time()
    stops = {
        each.credential: at + each.rest_seconds
        for each in await ledger.stops()
        if _fingerprint(each.credential, fingerprints) == each.fingerprint
    }
    suspect_until = stops.pop(None, None)
    stopped = {credential: until for credential, until in stops.items() if credential is not None}
    breaker = Breaker(stopped=MappingProxyType(stopped))
    return breaker if suspect_until is None else breakers.suspected(breaker, suspect_until)


def _stops(breaker: Breaker) -> Mapping[Credential | None, float]:
    """All that rests, until when; None: the settings."""
    stops: dict[Credential | None, float] = dict(breaker.stopped.items())
    if breaker.suspect_until is not None:
        stops[None] = breaker.suspect_until
    return stops


def _fingerprint(credential: Credential | None, fingerprints: Mapping[Credential, str]) -> str | None:
    """Without a credential it is that of base URL and customer id."""
    return fingerprints.get(credential or Credential.NONE)


class Restraint:
    """Compares what is in force with what is kept, and stores the difference."""

    def __init__(
        self,
        budget: Budget,
        breaker: Breaker,
        *,
        ledger: RestraintLedger,
        leadership: Leadership,
        fingerprints: Mapping[Credential, str],
    ) -> None:
        self._budget = budget
        self._kept = budget.throttle
        self._stops = _stops(breaker)
        self._ledger = ledger
        self._leadership = leadership
        self._fingerprints = fingerprints

    async def keep(self, breaker: Breaker) -> None:
        """Store what has changed since the last time; nothing, most of the time."""
        if self._budget.throttle != self._kept:
            await self._keep_rate()
        if _stops(breaker) != self._stops:
            await self._keep_stops(_stops(breaker))

    async def _keep_rate(self) -> None:
        before, self._kept = self._kept, self._budget.throttle
        now, rest_seconds = self._kept, self._budget.rests_for()
        rate = now.rate if now.lowered else None
        await self._ledger.keep_rate(rate, rest_seconds=rest_seconds, term=self._leadership.term)
        if now.lowered_at != before.lowered_at:
            _log.warning("rate_lowered", rate=now.rate, setting=now.setting, rest_seconds=round(rest_seconds, 1))
        else:
            _log.info("rate_raised", rate=now.rate, setting=now.setting)

    async def _keep_stops(self, stops: Mapping[Credential | None, float]) -> None:
        before, self._stops = self._stops, stops
        at, term = asyncio.get_running_loop().time(), self._leadership.term
        for credential, until in stops.items():
            if until != before.get(credential):
                which = _fingerprint(credential, self._fingerprints) or ""
                await self._ledger.stop(credential, which, rest_seconds=until - at, term=term)
        for credential in before.keys() - stops.keys():
            await self._ledger.release(credential, term=term)
