"""Settings as the values and the clock that the core and the edges decide by. No defaults: those are the settings' own."""

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from pydantic import SecretStr

from refreshd.clock import ScaledClock, SystemClock
from refreshd.core import timing
from refreshd.core.agenda import Agenda
from refreshd.core.caps import GuardPolicy
from refreshd.core.conversation import Terms
from refreshd.core.errors import SettingsError
from refreshd.core.judge import JudgePolicy
from refreshd.core.model import Credential, Operation
from refreshd.core.retention import Retention
from refreshd.metrics import MetricsPolicy, operations_used
from refreshd.operators import Operators, read_operators
from refreshd.ports import Clock
from refreshd.reconcile import PassPolicy
from refreshd.settings import CrashPoint, Integration, ManualRefresh, Mode, ScheduleAuth, Settings
from refreshd.skew import Skew
from refreshd.story import StoryTerms

_SCHEDULE_CREDENTIALS = {
    ScheduleAuth.API_KEY: Credential.API_KEY,
    ScheduleAuth.BEARER: Credential.API_SECRET,
    ScheduleAuth.AUTHORIZE_TOKEN: Credential.AUTHORIZE_TOKEN,
    ScheduleAuth.NONE: Credential.NONE,
}

_THIS_MACHINE = frozenset({"127.0.0.1", "localhost", "::1"})


def clock(settings: Settings) -> Clock:
    """The dates that this installation lives by."""
    scaled = settings.scaled_dates
    if scaled is None:
        return SystemClock()
    return ScaledClock.joined(start=scaled.start, factor=scaled.factor, since=scaled.since)


def skew(settings: Settings, clock: Clock, *, on_measured: Callable[[timedelta], None] = lambda _: None) -> Skew:
    """What is to be known of how this clock and the database's differ: nothing, where dates are scaled."""
    return Skew(clock if settings.scaled_dates is None else None, on_measured=on_measured)


def crash_point(settings: Settings) -> CrashPoint | None:
    """Where this process is to kill itself. Raises SettingsError where that could harm somebody."""
    if settings.crash_at is not None and urlsplit(str(settings.flinks_base_url)).hostname not in _THIS_MACHINE:
        raise SettingsError(
            "REFRESHD_CRASH_AT is for tests against a simulated Flinks on this machine",
            hint="take it out, or let REFRESHD_FLINKS_BASE_URL lead to `refreshd simulator`",
        )
    return settings.crash_at


def as_dates(duration: timedelta, settings: Settings) -> timedelta:
    """The span of dates that passes in a real duration: the same, unless dates are scaled."""
    return duration if settings.scaled_dates is None else duration * settings.scaled_dates.factor


def terms(settings: Settings) -> Terms:
    """How this installation talks to Flinks; without a secret key Authorize goes without a token."""
    return Terms(
        mints_tokens=settings.flinks_secret_key is not None,
        fetch=settings.fetch,
        schedule_credential=_SCHEDULE_CREDENTIALS[settings.flinks_schedule_auth],
    )


def agenda(settings: Settings, *, at_once: bool) -> Agenda:
    """What may be done, and when; without an API secret there is no report to read."""
    return Agenda(
        terms=terms(settings),
        writes=settings.mode is Mode.ENFORCE,
        reads_report=settings.flinks_api_secret is not None,
        report_interval=settings.report_interval,
        routine_at=settings.routine_at,
        routine_zone=settings.routine_timezone,
        manual_refresh=settings.manual_refresh is ManualRefresh.STALE,
        polling=settings.integration is Integration.POLLING,
        at_once=at_once,
    )


def judge_policy(settings: Settings) -> JudgePolicy:
    """The spans that turn evidence into verdicts."""
    return JudgePolicy(
        stale_after=settings.stale_after,
        unobserved_after=settings.unobserved_after,
        reassert_after=settings.reassert_after,
    )


def story_terms(settings: Settings) -> StoryTerms:
    """What a login's story is told by."""

    def follows(now: datetime) -> datetime:
        return timing.next_routine_start(now, settings.routine_at, settings.routine_timezone)

    return StoryTerms(
        judge=judge_policy(settings),
        reassert_after=settings.reassert_after,
        routine_began=agenda(settings, at_once=False).routine_start,
        routine_follows=follows,
        polling=settings.integration is Integration.POLLING,
        observes=settings.mode is Mode.OBSERVE,
    )


def guard_policy(settings: Settings) -> GuardPolicy:
    """The caps."""
    return GuardPolicy(max_fraction=settings.max_disable_fraction, max_count=settings.max_disable_count)


def pass_policy(settings: Settings) -> PassPolicy:
    """What a pass decides by."""
    return PassPolicy(
        judge=judge_policy(settings),
        guard=guard_policy(settings),
        observe=settings.mode is Mode.OBSERVE,
    )


def metrics_policy(settings: Settings) -> MetricsPolicy:
    """The thresholds and limits that stand beside what is measured."""
    manual = settings.manual_refresh is ManualRefresh.STALE
    return MetricsPolicy(
        stale_after_seconds=settings.stale_after.total_seconds(),
        pass_interval_seconds=settings.pass_interval.total_seconds(),
        guard=guard_policy(settings),
        rate_per_minute=settings.rate_per_minute,
        observe=settings.mode is Mode.OBSERVE,
        cost_per_login_day=None if settings.cost_per_login_day is None else float(settings.cost_per_login_day),
        operations=operations_used(terms(settings), manual_refresh=manual),
    )


def retention(settings: Settings) -> Retention:
    """How long the ledger keeps what it need not keep for ever."""
    return Retention(trace=settings.trace_retention, account_data=settings.fetch_retention)


def credentials(settings: Settings) -> Mapping[Credential, SecretStr]:
    """The secrets that were given; a call that needs another one is refused before it leaves."""
    given = {
        Credential.SECRET_KEY: settings.flinks_secret_key,
        Credential.API_KEY: settings.flinks_api_key,
        Credential.API_SECRET: settings.flinks_api_secret,
    }
    return {name: secret for name, secret in given.items() if secret is not None}


def fingerprints(settings: Settings) -> Mapping[Credential, str]:
    """Whether a credential is still the same one, and nothing more: 32 bits of a hash, which many secrets share.

    Base URL and customer id are part of it: a key that is refused at one address is not refused at another. A token is only as good as
    the key that mints it.
    """
    given = credentials(settings)
    where = f"{settings.flinks_base_url} {settings.flinks_customer_id}"

    def fingerprint(credential: Credential) -> str:
        secret = given.get(Credential.SECRET_KEY if credential is Credential.AUTHORIZE_TOKEN else credential)
        text = f"{where} {'' if secret is None else secret.get_secret_value()}"
        return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()

    return {each: fingerprint(each) for each in Credential}


def timeouts(settings: Settings) -> Mapping[Operation, float]:
    """Seconds that each operation may take."""
    fetch = settings.timeout_fetch.total_seconds()
    return {
        Operation.GENERATE_AUTHORIZE_TOKEN: settings.timeout_token.total_seconds(),
        Operation.AUTHORIZE: settings.timeout_authorize.total_seconds(),
        Operation.AUTHORIZE_LIVE: settings.timeout_authorize_live.total_seconds(),
        Operation.GET_NIGHTLY_REFRESH_STATUS: settings.timeout_report.total_seconds(),
        Operation.SET_SCHEDULED_REFRESH: settings.timeout_schedule.total_seconds(),
        Operation.GET_ACCOUNTS_DETAIL: fetch,
        Operation.GET_ACCOUNTS_DETAIL_ASYNC: fetch,
        Operation.GET_ACCOUNTS_SUMMARY: fetch,
        Operation.GET_ACCOUNTS_SUMMARY_ASYNC: fetch,
    }


def operators(settings: Settings) -> Operators | None:
    """Who may decide on the page; None where nobody may."""
    return None if settings.operators is None else read_operators(settings.operators.get_secret_value())
