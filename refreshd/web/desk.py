"""What stands behind the doors for operators: who they are, their sessions, and the ledger's deciding side. No HTTP.

Sessions live in the process and end with it. Times are seconds of loop time and come in as arguments.
"""

import secrets
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Protocol

from refreshd.core.model import PlanId
from refreshd.core.undo import Undo
from refreshd.inquiry import Reach
from refreshd.operators import Operators

SESSION_SECONDS = 3600.0
MOST_SESSIONS = 64
FAILURES_OF_ONE, FAILURES_OF_ALL, WITHIN_SECONDS = 5, 30, 60.0


class DecidingLedger(Protocol):
    """What an operator may do to the ledger from the page."""

    async def approve_plan(self, plan_id: PlanId, *, by: str, reason: str, now: datetime, until: datetime) -> int: ...

    async def reject_plan(self, plan_id: PlanId, *, by: str, reason: str, now: datetime) -> int: ...

    async def ask_undo(self, undone: PlanId, *, by: str, reason: str, now: datetime) -> Undo: ...

    async def pause_writes(self, *, by: str, reason: str, now: datetime) -> bool: ...

    async def resume_writes(self, *, by: str, reason: str, now: datetime) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """An operator who has signed in. Every form of the session carries `csrf`."""

    name: str
    csrf: str = field(repr=False)
    ends_at: float


class Sessions:
    """Found by a token that only the browser keeps; here lies its hash."""

    def __init__(self) -> None:
        self._by_hash: dict[bytes, Session] = {}

    def begin(self, name: str, *, at: float) -> str:
        """The token. Where there are too many sessions the oldest ends."""
        self._by_hash = {key: each for key, each in self._by_hash.items() if each.ends_at > at}
        while len(self._by_hash) >= MOST_SESSIONS:
            self._by_hash.pop(next(iter(self._by_hash)))
        token = secrets.token_urlsafe(32)
        self._by_hash[_hash(token)] = Session(name=name, csrf=secrets.token_urlsafe(32), ends_at=at + SESSION_SECONDS)
        return token

    def of(self, token: str, *, at: float) -> Session | None:
        session = self._by_hash.get(_hash(token))
        return session if session is not None and session.ends_at > at else None

    def end(self, token: str) -> None:
        self._by_hash.pop(_hash(token), None)

    def end_all(self) -> None:
        self._by_hash.clear()


def _hash(token: str) -> bytes:
    return sha256(token.encode()).digest()


class Attempts:
    """Sign-ins that failed lately, by address and in all: nobody may guess at leisure."""

    def __init__(self) -> None:
        self._failed: deque[tuple[float, str]] = deque(maxlen=FAILURES_OF_ALL)

    def is_open(self, address: str, *, at: float) -> bool:
        while self._failed and self._failed[0][0] <= at - WITHIN_SECONDS:
            self._failed.popleft()
        of_one = sum(other == address for _, other in self._failed)
        return of_one < FAILURES_OF_ONE and len(self._failed) < FAILURES_OF_ALL

    def failed(self, address: str, *, at: float) -> None:
        self._failed.append((at, address))

    def forgive(self, address: str) -> None:
        """This address knows a password."""
        kept = [each for each in self._failed if each[1] != address]
        self._failed = deque(kept, maxlen=FAILURES_OF_ALL)


@dataclass(slots=True, kw_only=True)
class Desk:
    """All that the doors need. Where nobody may decide there is no desk, and so no door."""

    operators: Operators = field(repr=False)
    reach: Reach[DecidingLedger]
    sessions: Sessions = field(default_factory=Sessions)
    attempts: Attempts = field(default_factory=Attempts)

    def follow(self, operators: Operators) -> None:
        """These may decide from now on. Whoever has signed in does so again: a name may be gone, or its password have leaked."""
        self.operators = operators
        self.sessions.end_all()
