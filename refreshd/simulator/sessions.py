"""What Flinks hands out and takes back once: authorize tokens and sessions. Lives are counted in real seconds."""

from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum

from refreshd.simulator.draws import guid

_REMEMBERED_SECONDS = 2 * 3600.0
"""Long after every life has run out; only the wording of a refusal depends on it."""


class TokenState(StrEnum):
    """What Flinks thinks of a token that was sent."""

    GOOD = "good"
    MISSING = "missing"
    UNKNOWN = "unknown"
    USED = "used"
    EXPIRED = "expired"


@dataclass(slots=True)
class _Token:
    minted_seconds: float
    used: bool = False


class Tokens:
    """Authorize tokens: single use, thirty minutes if unused.

    https://docs.flinks.com/guides/connect/authentication-reference
    """

    def __init__(self, *, seed: int, life_seconds: float) -> None:
        """Start with none."""
        self._seed = seed
        self._life_seconds = life_seconds
        self._minted = 0
        self._tokens: OrderedDict[str, _Token] = OrderedDict()

    def mint(self, seconds: float) -> str:
        """Return a new token."""
        self._minted += 1
        token = guid("token", self._seed, self._minted)
        self._tokens[token] = _Token(seconds)
        while self._tokens and next(iter(self._tokens.values())).minted_seconds < seconds - _REMEMBERED_SECONDS:
            self._tokens.popitem(last=False)
        return token

    def spend(self, token: str, seconds: float) -> TokenState:
        """Use `token` up and tell whether it was good."""
        if not token:
            return TokenState.MISSING
        known = self._tokens.get(token.lower())
        if known is None:
            return TokenState.UNKNOWN
        if known.used:
            return TokenState.USED
        known.used = True
        if seconds - known.minted_seconds >= self._life_seconds:
            return TokenState.EXPIRED
        return TokenState.GOOD


@dataclass(slots=True)
class Session:
    """What a RequestId stands for. A 203 or a refusal carries a RequestId too, but not an authorized one."""

    request_id: str
    login_id: str
    opened_seconds: float
    authorized: bool
    taken_by: str = ""
    """The data operation that has used it; a session serves one."""
    ready_seconds: float | None = None
    """When the background work is done; None unless the answer was 202."""


class Sessions:
    """All sessions, by RequestId (https://docs.flinks.com/guides/getting-started/key-concepts)."""

    def __init__(self, *, seed: int) -> None:
        """Start with none."""
        self._seed = seed
        self._opened = 0
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def open(self, login_id: str, *, authorized: bool, seconds: float) -> Session:
        """Begin a session and name it."""
        self._opened += 1
        session = Session(guid("session", self._seed, self._opened), login_id, seconds, authorized)
        self._sessions[session.request_id] = session
        while next(iter(self._sessions.values())).opened_seconds < seconds - _REMEMBERED_SECONDS:
            self._sessions.popitem(last=False)
        return session

    def find(self, request_id: str) -> Session | None:
        """Return the session, if it is still remembered."""
        return self._sessions.get(request_id.lower())

    def login_of(self, request_id: str) -> str:
        """Return the login that a RequestId is about, or "" if unknown."""
        session = self.find(request_id)
        return session.login_id if session else ""
