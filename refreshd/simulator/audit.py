"""What the vendor saw: every call, what it billed, and which of the integration's own rules were broken.

The counts are exact for ever; the calls themselves are kept up to a limit, the newest ones.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

_BREACHES_KEPT = 1_000
_TOKENS_KEPT = 100_000
_WINDOW_SECONDS = 60.0


class Rule(StrEnum):
    """What an integration that follows the vendor's guide, and its own promises, never does."""

    AUTHORIZE_ON_INACTIVE = "authorize_on_inactive"
    """A cached call keeps the login alive, hence refreshed, hence billed."""
    TOKEN_REUSED = "token_reused"  # noqa: S105 - a name, not a secret
    LIVE_AUTHORIZE = "live_authorize"
    """A real bank login, which may prompt the end user or lock the account."""
    CACHED_FLAG_MISSING = "cached_flag_missing"
    """MostRecentCached left out; its default is false, which is live."""
    AUTHORIZE_IN_WINDOW = "authorize_in_window"
    """While the vendor's job runs, 04:00 to 08:00 UTC."""
    DISABLE_OF_ACTIVE = "disable_of_active"


@dataclass(frozen=True, slots=True)
class CallSeen:
    """One call as it arrived and what became of it. Status 0: it was never answered. `host`: the door it came to."""

    number: int
    operation: str
    login_id: str
    date: datetime
    seconds: float
    status: int
    flinks_code: str
    fault: str
    host: str = ""


@dataclass(frozen=True, slots=True)
class Breach:
    """One rule broken by one call."""

    rule: Rule
    operation: str
    login_id: str
    date: datetime
    seconds: float


class Audit:
    """The vendor's books. Owned by the world; tests and the control API read it."""

    def __init__(self, *, calls_kept: int, grace_seconds: float) -> None:
        """Begin with empty books and without the company's word on who is inactive."""
        self._grace_seconds = grace_seconds
        self._inactive_since: dict[str, float] | None = None
        self._tokens_presented: OrderedDict[str, None] = OrderedDict()
        self.calls: deque[CallSeen] = deque(maxlen=calls_kept)
        self.breaches: deque[Breach] = deque(maxlen=_BREACHES_KEPT)
        self.total_calls = 0
        self.reset()

    def reset(self) -> None:
        """Set every count to zero. Call numbers go on, and the company's word stays."""
        self.calls.clear()
        self.breaches.clear()
        self.first_number = self.total_calls + 1
        self.calls_by_operation: Counter[str] = Counter()
        self.calls_by_status: Counter[int] = Counter()
        self.calls_by_code: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.breaches_by_rule: Counter[Rule] = Counter()
        self.bills: Counter[str] = Counter()
        self.billed_nights = 0
        self.most_in_60s = 0
        self._recent: deque[float] = deque()

    @property
    def calls_counted(self) -> int:
        """Calls since the last reset."""
        return self.total_calls - self.first_number + 1

    def arrived(self, seconds: float) -> None:
        """Count a call towards the most in any 60 s, [t, t + 60)."""
        self._recent.append(seconds)
        while self._recent[0] <= seconds - _WINDOW_SECONDS:
            self._recent.popleft()
        self.most_in_60s = max(self.most_in_60s, len(self._recent))

    def presented(self, token: str) -> bool:
        """Remember that a call carried `token`, and tell whether an earlier one had."""
        if not token:
            return False
        before = token in self._tokens_presented
        self._tokens_presented[token] = None
        if len(self._tokens_presented) > _TOKENS_KEPT:
            self._tokens_presented.popitem(last=False)
        return before

    def seen(
        self,
        operation: str,
        login_id: str,
        date: datetime,
        seconds: float,
        *,
        status: int,
        flinks_code: str,
        fault: str = "",
        host: str = "",
    ) -> None:
        """Write one call into the books."""
        self.total_calls += 1
        call = CallSeen(self.total_calls, operation, login_id, date, seconds, status, flinks_code, fault, host)
        self.calls.append(call)
        self.calls_by_operation[operation] += 1
        self.calls_by_status[status] += 1
        if flinks_code:
            self.calls_by_code[flinks_code] += 1
        if fault:
            self.faults[fault] += 1

    def breach(self, breach: Breach) -> None:
        """Write down that a rule was broken."""
        self.breaches_by_rule[breach.rule] += 1
        self.breaches.append(breach)

    def bill(self, login_id: str) -> None:
        """Charge one login-night."""
        self.bills[login_id] += 1
        self.billed_nights += 1

    def company_inactive(self, login_ids: Iterable[str] | None, *, seconds: float) -> None:
        """Take the company's whole word on who is inactive; None withdraws it, and the rules about it rest."""
        known = self._inactive_since or {}
        lowered = None if login_ids is None else [one.lower() for one in login_ids]
        self._inactive_since = None if lowered is None else {one: known.get(one, seconds) for one in lowered}

    @property
    def inactive_logins(self) -> frozenset[str] | None:
        """The company's word, or None if it never gave it."""
        return None if self._inactive_since is None else frozenset(self._inactive_since)

    def is_inactive(self, login_id: str, *, seconds: float) -> bool:
        """Tell whether the company had called `login_id` inactive, long enough ago for a call under way to be none."""
        since = (self._inactive_since or {}).get(login_id)
        return since is not None and seconds - since >= self._grace_seconds

    def is_active(self, login_id: str) -> bool:
        """Tell whether the company's word is known and does not call `login_id` inactive."""
        return self._inactive_since is not None and login_id not in self._inactive_since

    def most_calls_in(self, span_seconds: float) -> int:
        """Return the most calls in any span of that many real seconds, [t, t + span), among the calls kept."""
        window: deque[float] = deque()
        most = 0
        for call in self.calls:
            window.append(call.seconds)
            while window[0] <= call.seconds - span_seconds:
                window.popleft()
            most = max(most, len(window))
        return most
