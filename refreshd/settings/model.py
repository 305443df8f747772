"""Every setting: its name, default, and what it means to the operator. Nothing is read here; `load` does that."""

from datetime import time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from typing_extensions import override

from refreshd.core.model import FetchDepth
from refreshd.settings.values import (
    BaseUrl,
    CrashAt,
    DatabaseUrl,
    Duration,
    HeaderSecret,
    Integration,
    Listen,
    ListenAddress,
    LogFormat,
    LoginIds,
    LogLevel,
    ManualRefresh,
    Mode,
    OperatorLines,
    RoutineTime,
    Scaled,
    ScheduleAuth,
    Schema,
    ServerUrl,
    Zone,
)

PREFIX = "REFRESHD_"

SECRETS = frozenset(
    {
        "database_url",
        "database_direct_url",
        "flinks_secret_key",
        "flinks_api_key",
        "flinks_api_secret",
        "source_database_url",
        "operators",
    }
)
"""The settings that may come from a file, and whose value is never shown."""


class Settings(BaseSettings):
    """Read with `load_settings`, which reports all faults at once. A field named x is `REFRESHD_X`, and `x` in TOML."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid")

    database_url: DatabaseUrl | None = Field(
        None, description="The ledger: `postgresql://...`, or `embedded:PATH` for the embedded server."
    )
    database_direct_url: ServerUrl | None = Field(
        None,
        description="The database itself, where `DATABASE_URL` leads to a pooler (PgBouncer) in transaction mode.",
    )
    database_schema: Schema = Field("refreshd", description="The ledger's schema; one per Flinks customer.")
    flinks_base_url: BaseUrl | None = Field(None, description="Base of every Flinks address, up to and with `/v3`.")
    flinks_customer_id: UUID | None = Field(None, description="The GUID that Flinks puts into the path.")
    flinks_secret_key: HeaderSecret | None = Field(
        None, description="Mints authorize tokens (`flinks-auth-key`); when unset, Authorize goes without a token."
    )
    flinks_api_key: HeaderSecret | None = Field(None, description="`x-api-key` on data calls.")
    flinks_api_secret: HeaderSecret | None = Field(
        None, description="`Authorization: Bearer` on the call that reads the nightly report."
    )
    flinks_schedule_auth: ScheduleAuth = Field(
        ScheduleAuth.API_KEY,
        description="How SetScheduledRefresh proves itself: `x-api-key`, `bearer`, `authorize-token` or `none`.",
    )
    integration: Integration = Field(
        Integration.POLLING,
        description="`polling`, or `webhooks`: then the rule that a cached call keeps a login alive does not apply.",
    )
    rate_per_minute: int = Field(30, ge=1, description="HTTP calls to Flinks in any 60 seconds, at most.")
    concurrency: int = Field(4, ge=1, le=256, description="Calls in flight, at most.")
    mode: Mode = Field(Mode.ENFORCE, description="`enforce`, or `observe`: plans and reports, never writes at Flinks.")
    max_disable_fraction: float = Field(
        0.10,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Share of the logins not confirmed off that may be disabled in 24 hours without approval.",
    )
    max_disable_count: int = Field(
        500, ge=0, description="Logins that may be disabled in 24 hours without approval, whatever the share."
    )
    pass_interval: Duration = Field(timedelta(seconds=60), description="A pass runs this often, and when notified.")
    report_interval: Duration = Field(
        timedelta(minutes=15), description="The nightly report is read at most this often."
    )
    routine_at: RoutineTime = Field(time(11), description="When the daily round of cached calls begins.")
    routine_timezone: Zone = Field(ZoneInfo("America/Toronto"), description="The time zone of `ROUTINE_AT`.")
    stale_after: Duration = Field(timedelta(hours=36), description="A last refresh older than this is stale.")
    unobserved_after: Duration = Field(
        timedelta(hours=48), description="A login that Flinks has not spoken of for this long is stale too."
    )
    reassert_after: Duration = Field(
        timedelta(days=30), description="A disable is sent again after this, because a flag can come back unseen."
    )
    fetch: FetchDepth = Field(
        FetchDepth.OFF, description="What the routine stores of each refresh: `off`, `summary` or `detail`."
    )
    manual_refresh: ManualRefresh = Field(
        ManualRefresh.OFF,
        description="`stale` = one live Authorize per stale episode, for stale logins that are not in the report.",
    )
    cost_per_login_day: Annotated[Decimal, Field(ge=0, allow_inf_nan=False)] | None = Field(
        None,
        description="What Flinks charges for a scheduled login and day, in your currency; metrics then say what leaks and what is saved.",
    )
    source_query_file: Path | None = Field(
        None, description="An SQL file whose rows (client_id, login_id, active) are the whole client list."
    )
    source_interval: Duration = Field(
        timedelta(hours=1),
        description="How often the source query runs; one that takes longer, or half an hour, is given up.",
    )
    source_database_url: ServerUrl | None = Field(
        None, description="Where the source query runs; when unset, on the ledger's own database."
    )
    listen: Listen = Field(
        ListenAddress("127.0.0.1", 9877), description="Where the page, `/metrics` and the probes are served."
    )
    page_login_ids: LoginIds = Field(
        LoginIds.MASKED,
        description="`masked`: the page shows how a LoginId begins, and no client; `whole`: it shows both.",
    )
    operators: OperatorLines | None = Field(
        None,
        description="Who may decide on the page (approve, undo, pause ...): lines that `refreshd password NAME` prints; unset: nobody.",
    )
    log_format: LogFormat | None = Field(
        None, description="`json` or `console`; when unset, `console` on a terminal and `json` off it."
    )
    log_level: LogLevel | None = Field(
        None, description="`debug` (a line for every call), `info`, `warning` or `error`; when unset, `info`."
    )
    grace_seconds: float = Field(
        30, ge=0, allow_inf_nan=False, description="After SIGTERM, calls in flight may take this many seconds."
    )
    trace_retention: Duration = Field(
        timedelta(days=30), description="How long the trace of calls, and the passes that made them, are kept."
    )
    fetch_retention: Duration = Field(timedelta(days=90), description="How long fetched account data are kept.")
    timeout_token: Duration = Field(timedelta(seconds=30), description="Limit of GenerateAuthorizeToken.")
    timeout_authorize: Duration = Field(timedelta(seconds=60), description="Limit of a cached Authorize.")
    timeout_authorize_live: Duration = Field(
        timedelta(seconds=240), description="Limit of a live Authorize; Flinks itself gives up after 210 seconds."
    )
    timeout_report: Duration = Field(timedelta(seconds=120), description="Limit of GetNightlyRefreshStatus.")
    timeout_schedule: Duration = Field(timedelta(seconds=60), description="Limit of SetScheduledRefresh.")
    timeout_fetch: Duration = Field(
        timedelta(seconds=240), description="Limit of GetAccountsSummary and GetAccountsDetail."
    )
    max_body_bytes: Annotated[int, Field(ge=1024)] = Field(
        64 * 1024 * 1024, description="An answer larger than this is refused."
    )

    scaled_dates: Scaled | None = Field(
        None, description="Dates that pass faster, for a simulated Flinks only; `refreshd demo` writes it by itself."
    )

    crash_at: CrashAt | None = Field(
        None, description="Where the process kills itself, for tests against a simulated Flinks on this machine only."
    )

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what the caller gives: `load` reads the sources one by one, so that it can say where a fault lies."""
        return (init_settings,)
