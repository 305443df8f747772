"""The control API under `/_simulator/`: what a test or an operator in another process may see and do.

GET  summary                      calls, most_in_60s, bills, breaches, logins, institutions
GET  calls?since=0&limit=1000     calls after that number, and the number to go on from
GET  logins?after=&limit=1000     logins in the order of their ids, and the id to go on from
GET  login?login_id=              one login
GET  date                         the date now, and the scale
GET  faults                       the rules in force
POST faults       {"rules": ["garbage@Authorize:0.1"], "replace": true}
POST afflict      {"login_id": ..., "code": "INVALID_PASSWORD", "status": 401}
POST reconnect    {"login_id": ..., "scheduled": true}
POST stuck        {"login_id": ..., "stuck": true}
POST flag         {"login_id": ..., "scheduled": true}
POST forget       {"login_id": ...}
POST institution  {"name": ..., "down_for_hours": 6, "code": "DISABLED_INSTITUTION"}; 0 hours brings it up
POST inactive     {"set": [...]} or {"add": [...], "remove": [...]}; {"set": null} withdraws the company's word
POST date         {"date": "2026-01-05T09:00"} or {"forward_hours": 24}, at most 400 days on
POST reset-counters
"""

import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta

from refreshd.simulator.dates import ScaledClock
from refreshd.simulator.faults import FaultRuleError
from refreshd.simulator.messages import Response, json_response
from refreshd.simulator.simulator import Simulator, parse_faults
from refreshd.simulator.state import UnknownNameError
from refreshd.simulator.summary import calls_since, login_row, summary

PREFIX = "/_simulator/"
_PAGE = 1_000
_LONGEST_LEAP = timedelta(days=400)
"""Every night of it is lived through before the answer."""

Fields = Mapping[str, object]


class BadOrderError(ValueError):
    """A request to the control API that cannot be understood."""


class Control:
    """The control API of one simulator. Nights are lived through up to now before anything is shown or changed."""

    def __init__(self, simulator: Simulator, clock: Callable[[], datetime], monotonic: Callable[[], float]) -> None:
        """Dates can be set only if `clock` is a `ScaledClock`."""
        self._simulator = simulator
        self._clock = clock
        self._monotonic = monotonic
        self._shows: Mapping[str, Callable[[Mapping[str, str]], object]] = {
            "summary": lambda _query: summary(simulator),
            "calls": self._calls,
            "logins": self._logins,
            "login": lambda query: login_row(simulator, simulator.login(query.get("login_id", ""))),
            "date": lambda _query: self._date(),
            "faults": lambda _query: self._faults(),
        }
        self._orders: Mapping[str, Callable[[Fields], object]] = {
            "faults": self._set_faults,
            "afflict": self._afflict,
            "reconnect": self._reconnect,
            "stuck": lambda said: simulator.set_stuck(
                _text(said, "login_id"), stuck=_flag(said, "stuck", default=True)
            ),
            "flag": lambda said: simulator.set_flag(_text(said, "login_id"), scheduled=_flag(said, "scheduled")),
            "forget": lambda said: simulator.forget(_text(said, "login_id")),
            "institution": self._institution,
            "inactive": self._inactive,
            "date": self._set_date,
            "reset-counters": lambda _said: simulator.audit.reset(),
        }

    def answer(self, method: str, path: str, query: Mapping[str, str], body: bytes) -> Response:
        """Answer one request; errors say in "error" what was wrong."""
        name = path.removeprefix(PREFIX).rstrip("/")
        self._simulator.advance(self._clock())
        try:
            if method == "GET" and name in self._shows:
                return json_response(200, self._shows[name](query))
            if method == "POST" and name in self._orders:
                result = self._orders[name](_read(body))
                return json_response(200, {"ok": True} if result is None else result)
        except UnknownNameError as error:
            return json_response(404, {"error": str(error)})
        except (BadOrderError, FaultRuleError) as error:
            return json_response(400, {"error": str(error)})
        known = [f"GET {one}" for one in self._shows] + [f"POST {one}" for one in self._orders]
        return json_response(404, {"error": f"There is no {method} {path}; there are {', '.join(known)}."})

    def _calls(self, query: Mapping[str, str]) -> object:
        since = _whole_number(query, "since", 0)
        calls = calls_since(self._simulator, since, limit=_whole_number(query, "limit", _PAGE))
        return {"calls": calls, "next": calls[-1]["number"] if calls else since}

    def _logins(self, query: Mapping[str, str]) -> object:
        logins = self._simulator.world.logins
        ids = sorted(logins)
        first = bisect_right(ids, query.get("after", ""))
        page = ids[first : first + _whole_number(query, "limit", _PAGE)]
        rows = [login_row(self._simulator, logins[login_id]) for login_id in page]
        return {"logins": rows, "next": page[-1] if page and page[-1] != ids[-1] else None, "total": len(ids)}

    def _date(self) -> object:
        scale = self._clock.scale if isinstance(self._clock, ScaledClock) else 1.0
        return {"date": self._clock().isoformat(), "scale": scale}

    def _faults(self) -> object:
        rules = self._simulator.faults.remaining()
        return {
            "rules": [
                {
                    "kind": rule.kind,
                    "operation": rule.operation or "any",
                    "login_id": rule.login_id,
                    "probability": rule.probability,
                    "left": left,
                }
                for rule, left in rules
            ]
        }

    def _set_faults(self, said: Fields) -> object:
        rules = _texts(said, "rules") or []
        parsed = parse_faults(rules)
        if _flag(said, "replace", default=True):
            self._simulator.faults.clear()
        self._simulator.add_faults(parsed)
        return self._faults()

    def _afflict(self, said: Fields) -> None:
        status = said.get("status")
        if status is not None and not isinstance(status, int):
            raise BadOrderError("status must be a number.")
        self._simulator.afflict(_text(said, "login_id"), _text(said, "code"), status=status)

    def _reconnect(self, said: Fields) -> None:
        scheduled = _flag(said, "scheduled") if "scheduled" in said else None
        self._simulator.reconnect(_text(said, "login_id"), scheduled=scheduled)

    def _institution(self, said: Fields) -> None:
        name, hours = _text(said, "name"), _number(said, "down_for_hours")
        if hours <= 0:
            self._simulator.institution_up(name)
            return
        code = _text(said, "code") if "code" in said else "DISABLED_INSTITUTION"
        self._simulator.institution_down(name, self._simulator.world.date + timedelta(hours=hours), code=code)

    def _inactive(self, said: Fields) -> object:
        known: Iterable[str] = self._simulator.audit.inactive_logins or ()
        whole = _texts(said, "set") if "set" in said else [*known, *(_texts(said, "add") or [])]
        removed = {one.lower() for one in _texts(said, "remove") or []}
        kept = None if whole is None else [one for one in whole if one.lower() not in removed]
        self._simulator.company_inactive(kept, seconds=self._monotonic())
        inactive = self._simulator.audit.inactive_logins
        return {"inactive": None if inactive is None else len(inactive)}

    def _set_date(self, said: Fields) -> object:
        if not isinstance(self._clock, ScaledClock):
            raise BadOrderError("The clock of this simulator cannot be set.")
        now = self._clock()
        forward = "forward_hours" in said
        date = now + timedelta(hours=_number(said, "forward_hours")) if forward else _moment(_text(said, "date"))
        if date - now > _LONGEST_LEAP:
            raise BadOrderError(f"A leap of more than {_LONGEST_LEAP.days} days takes too long; leap several times.")
        self._clock.set(date)
        self._simulator.advance(date)
        return self._date()


def _read(body: bytes) -> Fields:
    try:
        said: object = json.loads(body) if body else {}
    except ValueError:
        raise BadOrderError("The body must be JSON.") from None
    if not isinstance(said, dict):
        raise BadOrderError("The body must be a JSON object.")
    return said


def _text(said: Fields, name: str) -> str:
    value = said.get(name)
    if not isinstance(value, str):
        raise BadOrderError(f"{name} must be a string.")
    return value


def _texts(said: Fields, name: str) -> list[str] | None:
    value = said.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise BadOrderError(f"{name} must be a list of strings.")
    return value


def _flag(said: Fields, name: str, *, default: bool | None = None) -> bool:
    value = said.get(name, default)
    if not isinstance(value, bool):
        raise BadOrderError(f"{name} must be true or false.")
    return value


def _number(said: Fields, name: str) -> float:
    value = said.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadOrderError(f"{name} must be a number.")
    return float(value)


def _whole_number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not text.isdecimal():
        raise BadOrderError(f"{name} must be a whole number.")
    return int(text)


def _moment(text: str) -> datetime:
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        raise BadOrderError("date must be written as 2026-01-05T09:00.") from None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
