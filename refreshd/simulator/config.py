"""What can be chosen about one simulated Flinks. Values only; the defaults suit a test."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class ScheduleAuth(StrEnum):
    """Which credential SetScheduledRefresh asks for. Its page lists none, clients send all of these.

    https://docs.flinks.com/api/connect/endpoints/account-linking/set-scheduled-refresh
    """

    X_API_KEY = "x-api-key"
    BEARER = "bearer"
    AUTHORIZE_TOKEN = "authorize-token"  # noqa: S105 - the name of a profile, not a secret
    NONE = "none"


class AnswerForm(StrEnum):
    """How the bare string of SetScheduledRefresh travels."""

    JSON = "json"
    TEXT = "text"


class AnswerPrefix(StrEnum):
    """Whether the bare string opens with "LoginId ": documented for on, absent for off."""

    DOCUMENTED = "documented"
    ALWAYS = "always"
    NEVER = "never"


class RetryAfter(StrEnum):
    """What a throttled answer says about coming back. Flinks documents nothing."""

    ABSENT = "absent"
    SECONDS = "seconds"
    HTTP_DATE = "http-date"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorConfig:
    """One Flinks customer's set-up.

    The keys are made up and public: they open nothing but this simulator.
    All durations are real seconds; only the nightly job and the seven-day clocks follow dates.
    """

    seed: int = 7
    """Decides every GUID, every draw of the nightly job and every draw of the fault script."""
    customer_id: str = "43387ca6-0391-4c82-857d-70d95f087ecb"
    """The default of Flinks' own OpenAPI text."""
    secret_key: str = "simulated-secret-key"  # noqa: S105 - opens only the simulator
    """Asked for by GenerateAuthorizeToken, as `flinks-auth-key`."""
    api_key: str = "simulated-api-key"
    """Asked for by the data calls, as `x-api-key`."""
    api_secret: str = "simulated-api-secret"  # noqa: S105 - opens only the simulator
    """Asked for by GetNightlyRefreshStatus, as `Authorization: Bearer`."""
    schedule_auth: ScheduleAuth = ScheduleAuth.X_API_KEY
    require_token: bool = True
    """Mandatory for integrations since October 2024; False accepts an Authorize without a token."""
    webhooks: bool = False
    """True: the cached-call rule of the nightly job does not apply."""
    bill_ineligible: bool = True
    """True: on = billed. False: only a night on which Flinks really tried is billed (unpublished)."""
    schedule_answer: AnswerForm = AnswerForm.JSON
    schedule_prefix: AnswerPrefix = AnswerPrefix.DOCUMENTED
    refusal_status: Literal[400, 401] = 401
    """Status of INVALID_LOGIN and INVALID_REQUEST: 401 in the current table, 400 in the older one."""
    customer_status: Literal[401, 404] = 401
    """Status of CUSTOMER_NOT_FOUND, which no table gives."""
    pending_ratio: float = 0.1
    """Share of data calls that answer 202 first."""
    pending_seconds: float = 5.0
    """How long such a call stays pending."""
    latency_seconds: float = 0.0
    """Added to every answer."""
    rate_limit_per_minute: int | None = None
    """Calls answered in any 60 s before TOO_MANY_REQUESTS; None = no limit."""
    throttle_status: Literal[401, 403, 429] = 401
    retry_after: RetryAfter = RetryAfter.ABSENT
    retry_after_seconds: int = 5
    """Said by the `throttle` fault; the real limit says when there is room again."""
    token_life_seconds: float = 30 * 60.0
    session_life_seconds: float = 8 * 60.0
    processing_life_seconds: float = 30 * 60.0
    inactive_grace_seconds: float = 0.0
    """How long after the company called a login inactive a call already on its way is forgiven."""
    calls_kept: int = 1_000_000
    """Newest calls kept in full; the counts stay exact beyond it."""
    huge_body_bytes: int = 16 * 1024 * 1024
    """Size of the `huge_body` fault."""
