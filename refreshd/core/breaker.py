"""When to stop calling: a credential that Flinks refuses, and settings that a mass of unknown LoginIds makes suspect.

The breaker is a frozen value; each event gives a new one. Times are loop seconds, since all of this is about durations.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from refreshd.core.model import Credential, LoginId

PROBE_AFTER_SECONDS = 900.0
"""How long a stopped credential, or suspect settings, rest before calls are tried again."""

SUSPECT_AFTER = 5
SUSPECT_AFTER_GOOD = 20
"""Unknown LoginIds in a row that make the settings suspect: before, and after, Flinks knew any login of ours in this process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """Which calls rest, until when."""

    stopped: Mapping[Credential, float] = field(default_factory=lambda: MappingProxyType({}))
    doubted: Mapping[Credential, LoginId] = field(default_factory=lambda: MappingProxyType({}))
    unknown_in_a_row: int = 0
    knew_any: bool = False
    suspect_until: float | None = None

    def allows(self, credential: Credential, at: float) -> bool:
        """Whether a call with this credential may be made; once the rest is over, until Flinks refuses it again."""
        return at >= self.stopped.get(credential, at)

    def suspects_settings(self, at: float) -> bool:
        """Whether the mass of unknown LoginIds speaks against base URL or customer id rather than against the logins."""
        return self.suspect_until is not None and at < self.suspect_until

    def allows_about_logins(self, credentials: Collection[Credential], at: float) -> bool:
        """Whether calls about logins may be made with all of these."""
        return not self.suspects_settings(at) and all(self.allows(each, at) for each in credentials)

    @property
    def open(self) -> bool:
        """Whether anything rests (`refreshd_flinks_breaker_open`)."""
        return bool(self.stopped) or self.suspect_until is not None


def refused(breaker: Breaker, credential: Credential, at: float, *, login_id: LoginId | None = None) -> Breaker:
    """Flinks does not accept this credential: all calls that need it stop.

    A refusal about one login may mean that login and nobody else, so the credential stops with the second login that is refused in a
    row; a refusal about no login (a mint, the report) speaks for itself.
    """
    if (
        login_id is not None
        and breaker.doubted.get(credential, login_id) == login_id
        and breaker.allows(credential, at)
    ):
        return replace(breaker, doubted=MappingProxyType({**breaker.doubted, credential: login_id}))
    stopped = {**breaker.stopped, credential: at + PROBE_AFTER_SECONDS}
    return replace(breaker, stopped=MappingProxyType(stopped))


def probed(breaker: Breaker, credential: Credential, at: float) -> Breaker:
    """A call with this credential goes out: where it had been stopped, this one is the probe, and the others rest for another span.

    An answer releases all of them at once; a probe that is never answered costs a span, not a loop.
    """
    if credential not in breaker.stopped:
        return breaker
    stopped = {**breaker.stopped, credential: at + PROBE_AFTER_SECONDS}
    return replace(breaker, stopped=MappingProxyType(stopped))


def accepted(breaker: Breaker, credential: Credential) -> Breaker:
    """A call with this credential led to an answer, so it works (again)."""
    if credential not in breaker.stopped and credential not in breaker.doubted:
        return breaker
    stopped = {each: until for each, until in breaker.stopped.items() if each is not credential}
    doubted = {each: login_id for each, login_id in breaker.doubted.items() if each is not credential}
    return replace(breaker, stopped=MappingProxyType(stopped), doubted=MappingProxyType(doubted))


def knew_login(breaker: Breaker) -> Breaker:
    """Flinks knows a login of ours: the settings are right."""
    return replace(breaker, unknown_in_a_row=0, knew_any=True, suspect_until=None)


def suspected(breaker: Breaker, until: float) -> Breaker:
    """A predecessor suspected the settings until then: once that is over, the next unknown login renews it."""
    return replace(breaker, unknown_in_a_row=SUSPECT_AFTER, suspect_until=until)


def unknown_login(breaker: Breaker, at: float) -> Breaker:
    """Flinks does not know a login; a mass of them makes the settings suspect."""
    in_a_row = breaker.unknown_in_a_row + 1
    limit = SUSPECT_AFTER_GOOD if breaker.knew_any else SUSPECT_AFTER
    if in_a_row < limit:
        return replace(breaker, unknown_in_a_row=in_a_row)
    return replace(breaker, unknown_in_a_row=in_a_row, suspect_until=at + PROBE_AFTER_SECONDS)
