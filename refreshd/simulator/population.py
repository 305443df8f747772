"""A fleet of logins out of a seed: mostly well, some in trouble, some silently stale, some never refreshed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from refreshd.simulator.codes import KEEPS_ELIGIBLE
from refreshd.simulator.draws import fraction, guid, number, pick
from refreshd.simulator.institutions import INSTITUTIONS, Institution
from refreshd.simulator.login import NEVER_TRIED, NIGHT_LENGTH, Login, failed, succeeded
from refreshd.simulator.nightly import ELIGIBILITY, night_of

DEFAULT_START = datetime(2026, 1, 5, tzinfo=UTC)
"""A Monday at midnight: four hours before the first night."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """How much of a fleet starts in which condition; what is left over is well. Trouble is the institution's own share."""

    stuck: float = 0.03
    """Silently stale: no error, not refreshed for two to six days."""
    never_refreshed: float = 0.01
    dormant: float = 0.02
    """No cached call for more than seven days, so no refresh either."""


@dataclass(frozen=True, slots=True)
class Population:
    """Logins as they are at `start`. A value: simulators copy it and leave it as it is."""

    seed: int
    start: datetime
    institutions: tuple[Institution, ...]
    logins: tuple[Login, ...]


def populate(
    seed: int,
    logins: int,
    institutions: Sequence[Institution] | None = None,
    start: datetime = DEFAULT_START,
    *,
    shares: Shares | None = None,
) -> Population:
    """Return `logins` logins over `institutions`. The first logins of a larger fleet are those of a smaller one."""
    banks = tuple(INSTITUTIONS if institutions is None else institutions)
    if not banks:
        raise ValueError("A population needs an institution.")
    made = (_login(seed, index, banks, start.astimezone(UTC), shares or Shares()) for index in range(logins))
    return Population(seed, start.astimezone(UTC), banks, tuple(made))


def _login(seed: int, index: int, banks: Sequence[Institution], start: datetime, shares: Shares) -> Login:
    login_id = guid("login", seed, index)
    bank = banks[number("bank", login_id) % len(banks)]
    language: Literal["en", "fr"] = "fr" if fraction("language", login_id) < 0.2 else "en"  # noqa: PLR2004
    login = Login(
        login_id=login_id,
        institution=bank,
        username=f"user{index + 1:06d}",
        language=language,
        asks_mfa=fraction("mfa", login_id) < bank.asks_mfa_share,
    )
    last_night = _last_night(login, start)
    login.last_refresh = last_night
    login.attempt = succeeded(last_night)
    login.last_cached_call = start - timedelta(hours=8 + 4 * fraction("cached", login_id))
    _afflict(login, start, shares)
    return login


def _last_night(login: Login, start: datetime) -> datetime:
    night = night_of(start.date())
    return (night if start >= night + NIGHT_LENGTH else night - timedelta(days=1)) + login.turn


_Change = Callable[[Login, datetime], None]


def _afflict(login: Login, start: datetime, shares: Shares) -> None:
    at = fraction("condition", login.login_id)
    for share, change in _conditions(login, shares):
        at -= share
        if at < 0:
            change(login, _last_night(login, start))
            return


def _conditions(login: Login, shares: Shares) -> Iterator[tuple[float, _Change]]:
    yield login.institution.needs_user_share, _needs_user
    yield shares.stuck, _is_stuck
    yield shares.never_refreshed, _never_refreshed
    yield shares.dormant, _is_dormant


def _days(login: Login, what: str, least: int, most: int) -> timedelta:
    return timedelta(days=least + number(what, login.login_id) % (most - least + 1))


def _needs_user(login: Login, last_night: datetime) -> None:
    login.last_refresh = last_night - _days(login, "trouble", 1, 60)
    codes = [(code, weight) for code, weight in login.institution.failures if code not in KEEPS_ELIGIBLE]
    code = pick(codes or [("QUESTION_NOT_FOUND", 1.0)], fraction("trouble", login.login_id))
    login.attempt = failed(login.last_refresh + timedelta(days=1), code)


def _is_stuck(login: Login, last_night: datetime) -> None:
    login.stuck = True
    login.last_refresh = last_night - _days(login, "stuck", 2, 5)
    login.attempt = succeeded(login.last_refresh)


def _never_refreshed(login: Login, _last_night: datetime) -> None:
    login.last_refresh = None
    login.attempt = NEVER_TRIED


def _is_dormant(login: Login, last_night: datetime) -> None:
    login.last_refresh = last_night - _days(login, "dormant", 2, 60)
    login.attempt = succeeded(login.last_refresh)
    login.last_cached_call = login.last_refresh - ELIGIBILITY + timedelta(hours=6)
