"""Who may call what: the customer in the path, the credential that each endpoint asks for, and the rate.

https://docs.flinks.com/guides/connect/authentication-reference
"""

from collections import deque
from datetime import timedelta
from email.utils import format_datetime
from math import ceil

from refreshd.simulator.calls import Call, Operation
from refreshd.simulator.config import RetryAfter, ScheduleAuth
from refreshd.simulator.messages import Moment, Response, refusal
from refreshd.simulator.sessions import TokenState
from refreshd.simulator.state import World

_MINUTE_SECONDS = 60.0

_DATA_CALLS = frozenset(
    {
        Operation.ACCOUNTS_DETAIL,
        Operation.ACCOUNTS_DETAIL_ASYNC,
        Operation.ACCOUNTS_SUMMARY,
        Operation.ACCOUNTS_SUMMARY_ASYNC,
    }
)

_TOKEN_TROUBLE = {
    TokenState.MISSING: "An authorize token is required.",
    TokenState.UNKNOWN: "The authorize token is not valid.",
    TokenState.USED: "The authorize token has already been used.",
    TokenState.EXPIRED: "The authorize token has expired.",
}


def denied(message: str = "You are not authorized to access this resource.") -> Response:
    """Return what every endpoint but GenerateAuthorizeToken says to a wrong credential."""
    return refusal(401, "ACCESS_DENIED", message)


def takes_token(world: World, call: Call) -> bool:
    """Tell whether the endpoint reads an authorize token."""
    if call.operation is Operation.SET_SCHEDULED_REFRESH:
        return world.config.schedule_auth is ScheduleAuth.AUTHORIZE_TOKEN
    return call.operation is Operation.AUTHORIZE


def token_of(call: Call) -> str:
    """Return the authorize token, or "" if none was sent."""
    return call.headers.get("flinks-auth-key", "").lower()


def check_customer(world: World, call: Call) -> Response | None:
    """Refuse a customer id that is not ours; its status is in no table."""
    if call.customer_id == world.config.customer_id.lower():
        return None
    return refusal(world.config.customer_status, "CUSTOMER_NOT_FOUND", "The customer was not found.")


def check_credential(world: World, call: Call, now: Moment) -> Response | None:
    """Refuse a call whose credential is missing or wrong; a token that is looked at is used up."""
    config = world.config
    if call.operation is Operation.GENERATE_TOKEN:
        return _check_secret_key(world, call)
    if call.operation is Operation.AUTHORIZE:
        return _check_token(world, call, now, required=config.require_token)
    if call.operation is Operation.SET_SCHEDULED_REFRESH:
        return _check_schedule(world, call, now)
    if call.operation in _DATA_CALLS:
        return _check_header(call, "x-api-key", config.api_key)
    return _check_header(call, "authorization", f"Bearer {config.api_secret}")


def _check_secret_key(world: World, call: Call) -> Response | None:
    if call.headers.get("flinks-auth-key") == world.config.secret_key:
        return None
    return refusal(401, "UNAUTHORIZED", "A valid flinks-auth-key must be provided.")


def _check_header(call: Call, name: str, expected: str) -> Response | None:
    return None if call.headers.get(name) == expected else denied()


def _check_schedule(world: World, call: Call, now: Moment) -> Response | None:
    match world.config.schedule_auth:
        case ScheduleAuth.X_API_KEY:
            return _check_header(call, "x-api-key", world.config.api_key)
        case ScheduleAuth.BEARER:
            return _check_header(call, "authorization", f"Bearer {world.config.api_secret}")
        case ScheduleAuth.AUTHORIZE_TOKEN:
            return _check_token(world, call, now, required=True)
        case ScheduleAuth.NONE:
            return None


def _check_token(world: World, call: Call, now: Moment, *, required: bool) -> Response | None:
    state = world.tokens.spend(token_of(call), now.seconds)
    if state is TokenState.GOOD or (state is TokenState.MISSING and not required):
        return None
    return denied(_TOKEN_TROUBLE[state])


class Throttle:
    """The optional rate limit: so many answered calls in any 60 real seconds."""

    def __init__(self) -> None:
        """Begin with no call answered."""
        self._answered: deque[float] = deque()

    def check(self, world: World, now: Moment) -> Response | None:
        """Refuse a call above the limit; a refused one does not count."""
        limit = world.config.rate_limit_per_minute
        if limit is None:
            return None
        while self._answered and self._answered[0] <= now.seconds - _MINUTE_SECONDS:
            self._answered.popleft()
        if len(self._answered) < limit:
            self._answered.append(now.seconds)
            return None
        oldest = self._answered[0] if self._answered else now.seconds
        return throttled(world, now, ceil(oldest + _MINUTE_SECONDS - now.seconds))


def throttled(world: World, now: Moment, wait_seconds: int) -> Response:
    """Return TOO_MANY_REQUESTS as configured: 401 in the current table, 403 in a client of 2019, 429 nowhere.

    https://docs.flinks.com/api/authorize/error-codes
    """
    headers = {}
    if world.config.retry_after is RetryAfter.SECONDS:
        headers["Retry-After"] = str(wait_seconds)
    elif world.config.retry_after is RetryAfter.HTTP_DATE:
        headers["Retry-After"] = format_datetime(now.date + timedelta(seconds=wait_seconds), usegmt=True)
    return refusal(world.config.throttle_status, "TOO_MANY_REQUESTS", "Too many requests.", headers=headers)
