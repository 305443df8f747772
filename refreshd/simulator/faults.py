"""The fault script: which call goes wrong, how, and how often. What a fault then does is in `misbehaviour`.

A rule is written in one line:

    garbage@Authorize:0.1                     one call of Authorize in ten
    hang@any:x2                               the next two calls
    contrary@SetScheduledRefresh:0.5x3        every other one, three in all
    code(RETRY_LATER)@Authorize               every Authorize; code(TOO_MANY_REQUESTS,429) sets the status as well
    slow(2.5)@any/<login id>                  every call about one login, after 2.5 s
    deny@any;2026-01-05T09:00..2026-01-05T10:00     in that hour of the simulated date (UTC)
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from random import Random

from refreshd.simulator.calls import Call, Operation


class FaultKind(StrEnum):
    """Everything that can go wrong with one call."""

    HANG = "hang"
    RESET = "reset"
    SLOW = "slow"
    DRIP = "drip"
    TRUNCATED = "truncated"
    GARBAGE = "garbage"
    EMPTY_BODY = "empty_body"
    HUGE_BODY = "huge_body"
    GZIP_BOMB = "gzip_bomb"
    NESTED = "nested"
    WRONG_CONTENT_TYPE = "wrong_content_type"
    HTML_502 = "html_502"
    REDIRECT = "redirect"
    DENY = "deny"
    THROTTLE = "throttle"
    CODE = "code"
    ERROR_TEXT_AT_200 = "error_text_at_200"
    WRONG_LOGIN = "wrong_login"
    CONTRARY = "contrary"
    FLAG_COMES_BACK = "flag_comes_back"
    PENDING_202 = "pending_202"
    STATUS_LIST_EMPTY = "status_list_empty"
    STATUS_LIST_HALF = "status_list_half"
    STATUS_LIST_MISSING = "status_list_missing"
    STATUS_LIST_MIXED = "status_list_mixed"
    STATUS_LIST_NULL = "status_list_null"


_SCHEDULE = frozenset({Operation.SET_SCHEDULED_REFRESH})
_REPORT = frozenset({Operation.NIGHTLY_REFRESH_STATUS})
_DATA = frozenset(
    {
        Operation.ACCOUNTS_DETAIL,
        Operation.ACCOUNTS_DETAIL_ASYNC,
        Operation.ACCOUNTS_SUMMARY,
        Operation.ACCOUNTS_SUMMARY_ASYNC,
    }
)

FITS: Mapping[FaultKind, frozenset[Operation]] = {
    FaultKind.WRONG_LOGIN: _SCHEDULE | {Operation.AUTHORIZE},
    FaultKind.CONTRARY: _SCHEDULE,
    FaultKind.FLAG_COMES_BACK: _SCHEDULE,
    FaultKind.PENDING_202: _DATA,
    FaultKind.STATUS_LIST_EMPTY: _REPORT,
    FaultKind.STATUS_LIST_HALF: _REPORT,
    FaultKind.STATUS_LIST_MISSING: _REPORT,
    FaultKind.STATUS_LIST_MIXED: _REPORT,
    FaultKind.STATUS_LIST_NULL: _REPORT,
}
"""Kinds that make sense for some operations only; a rule for "any" passes the others over."""

_LINE = re.compile(
    r"(?P<kind>\w+)(?:\((?P<detail>[^)]*)\))?"
    r"@(?P<operation>\w+)(?:/(?P<login_id>[0-9A-Fa-f-]+))?"
    r"(?::(?P<chance>\d*\.?\d+)?(?:x(?P<count>\d+))?)?"
    r"(?:;(?P<begins>[^.;]*)\.\.(?P<ends>[^.;]*))?"
)


class FaultRuleError(ValueError):
    """A line of the fault script cannot be understood."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRule:
    """One line of the fault script."""

    kind: FaultKind
    operation: Operation | None = None
    """None = any."""
    probability: float = 1.0
    count: int | None = None
    """How often at most; None = without end."""
    login_id: str | None = None
    begins: datetime | None = None
    ends: datetime | None = None
    code: str = ""
    """The FlinksCode of `code`."""
    status: int | None = None
    """The status of `code`, if not the usual one."""
    seconds: float = 1.0
    """The delay of `slow`, in real seconds."""

    @staticmethod
    def parse(line: str) -> "FaultRule":
        """Read a line in the form shown at the top of this module."""
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise FaultRuleError(f"{line!r} is no fault rule; write for example garbage@Authorize:0.1")
        operation = _operation(match["operation"])
        kind = _kind(match["kind"])
        if operation and operation not in FITS.get(kind, {operation}):
            raise FaultRuleError(f"{kind} does not fit {operation}; it fits {', '.join(sorted(FITS[kind]))}.")
        code, status, seconds = _detail(kind, match["detail"])
        return FaultRule(
            kind=kind,
            operation=operation,
            probability=_probability(match["chance"]),
            count=int(match["count"]) if match["count"] else None,
            login_id=match["login_id"].lower() if match["login_id"] else None,
            begins=_date(match["begins"]),
            ends=_date(match["ends"]),
            code=code,
            status=status,
            seconds=seconds,
        )

    def fits(self, call: Call, date: datetime) -> bool:
        """Tell whether the rule may touch this call at all."""
        return (
            self.operation in {None, call.operation}
            and call.operation in FITS.get(self.kind, {call.operation})
            and self.login_id in {None, call.login_id}
            and (self.begins is None or self.begins <= date)
            and (self.ends is None or date < self.ends)
        )


def _operation(name: str) -> Operation | None:
    if name == "any":
        return None
    try:
        return Operation(name)
    except ValueError:
        raise FaultRuleError(f"{name!r} is no operation; there are any, {', '.join(Operation)}.") from None


def _kind(name: str) -> FaultKind:
    try:
        return FaultKind(name)
    except ValueError:
        raise FaultRuleError(f"{name!r} is no fault; there are {', '.join(FaultKind)}.") from None


def _probability(text: str | None) -> float:
    probability = float(text) if text else 1.0
    if not 0.0 <= probability <= 1.0:
        raise FaultRuleError(f"{text} is no probability; write how often at most as x{text}.")
    return probability


def _detail(kind: FaultKind, text: str | None) -> tuple[str, int | None, float]:
    if kind is FaultKind.CODE:
        code, _, status = (text or "").partition(",")
        if not code.strip() and not status.strip():
            raise FaultRuleError("code wants a FlinksCode, for example code(RETRY_LATER).")
        return code.strip(), _status(status.strip()), 1.0
    if kind is FaultKind.SLOW and text:
        return "", None, _seconds(text)
    if text:
        raise FaultRuleError(f"{kind} takes nothing in parentheses.")
    return "", None, 1.0


def _status(text: str) -> int | None:
    if text and not re.fullmatch(r"[2-5]\d\d", text):
        raise FaultRuleError(f"{text!r} is no HTTP status.")
    return int(text) if text else None


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise FaultRuleError(f"{text!r} is no number of seconds.") from None


def _date(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        date = datetime.fromisoformat(text.strip())
    except ValueError:
        raise FaultRuleError(f"{text!r} is no date; write 2026-01-05T09:00.") from None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


class FaultScript:
    """The rules in force, and the one seeded sequence of draws that decides when they strike."""

    def __init__(self, *, seed: int, rules: Iterable[FaultRule] = ()) -> None:
        """Begin with `rules`; the first that strikes wins."""
        self._random = Random(seed)  # noqa: S311 - repeatable chance is the point
        self._rules: list[FaultRule] = []
        self._left: list[int | None] = []
        self.add(rules)

    def add(self, rules: Iterable[FaultRule]) -> None:
        """Append rules."""
        for rule in rules:
            self._rules.append(rule)
            self._left.append(rule.count)

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        self._rules.clear()
        self._left.clear()

    def remaining(self) -> list[tuple[FaultRule, int | None]]:
        """Return the rules with how often each may still strike."""
        return list(zip(self._rules, self._left, strict=True))

    def draw(self, call: Call, date: datetime) -> FaultRule | None:
        """Return the rule that strikes this call, or None."""
        for index, rule in enumerate(self._rules):
            if self._left[index] == 0 or not rule.fits(call, date):
                continue
            if rule.probability < 1.0 and self._random.random() >= rule.probability:
                continue
            left = self._left[index]
            self._left[index] = None if left is None else left - 1
            return rule
        return None

    def coin(self) -> bool:
        """Return heads or tails."""
        return self._random.random() < 0.5  # noqa: PLR2004 - a fair coin
