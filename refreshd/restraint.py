"""What refreshd holds itself back with, kept for whoever leads next: the rate that Flinks lets us call, and credentials it refuses.

Both are found out by being refused, so forgetting them at every start would mean to be refused at every start: a daemon that crashes
in a loop, or a `refreshd once` of every minute, would probe for ever. The decisions are `core.throttle` and `core.breaker`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import structlog

from refreshd.core.breaker import Breaker
from refreshd.core.model import Credential, Term
from refreshd.pacing import Budget
from refreshd.ports import Leadership

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppedCredential:
    """A credential that Flinks refuses; `fingerprint` says which one it was, `rest_seconds` how long it still rests (0 or less: not)."""

    credential: Credential
    fingerprint: str
    rest_seconds: float


class RestraintLedger(Protocol):
    """What outlives the process that held itself back."""

    async def keep_rate(self, rate: int | None, *, rest_seconds: float, term: Term) -> None:
        """The rate in force (None: all that the setting allows), and how long nobody calls at all."""
        ...

    async def stopped_credentials(self) -> Sequence[StoppedCredential]: ...

    async def stop_credential(
        self, credential: Credential, fingerprint: str, *, rest_seconds: float, term: Term
    ) -> None: ...

    async def release_credential(self, credential: Credential, *, term: Term) -> None: ...


async def recalled(ledger: RestraintLedger, fingerprints: Mapping[Credential, str]) -> Breaker:
    """The breaker as a predecessor left it. A credential that is another one by now is not the one that was refused."""
    at = asyncio.get_running_loop().time()
    stopped = {
        each.credential: at + each.rest_seconds
        for each in await ledger.stopped_credentials()
        if fingerprints.get(each.credential) == each.fingerprint
    }
    return Breaker(stopped=MappingProxyType(stopped))


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
        self._stopped = breaker.stopped
        self._ledger = ledger
        self._leadership = leadership
        self._fingerprints = fingerprints

    async def keep(self, breaker: Breaker) -> None:
        """Store what has changed since the last time; nothing, most of the time."""
        if self._budget.throttle != self._kept:
            await self._keep_rate()
        if breaker.stopped != self._stopped:
            await self._keep_stops(breaker)

    async def _keep_rate(self) -> None:
        before, self._kept = self._kept, self._budget.throttle
        now, rest_seconds = self._kept, self._budget.rests_for()
        rate = now.rate if now.lowered else None
        await self._ledger.keep_rate(rate, rest_seconds=rest_seconds, term=self._leadership.term)
        if now.lowered_at != before.lowered_at:
            _log.warning("rate_lowered", rate=now.rate, setting=now.setting, rest_seconds=round(rest_seconds, 1))
        else:
            _log.info("rate_raised", rate=now.rate, setting=now.setting)

    async def _keep_stops(self, breaker: Breaker) -> None:
        before, self._stopped = self._stopped, breaker.stopped
        at, term = asyncio.get_running_loop().time(), self._leadership.term
        for credential, until in breaker.stopped.items():
            if until != before.get(credential):
                which = self._fingerprints[credential]
                await self._ledger.stop_credential(credential, which, rest_seconds=until - at, term=term)
        for credential in before.keys() - breaker.stopped.keys():
            await self._ledger.release_credential(credential, term=term)
