"""What an examination comes to: one sentence for each thing that was tried, and what to do about it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from refreshd.core.errors import CredentialRefused, FlinksThrottled, FlinksUnreachable, RefreshdError, SettingsError


class Outcome(StrEnum):
    """How it stands. UNPROVEN: nothing speaks against it, and nothing harmless could prove it."""

    GOOD = "good"
    WARNING = "warning"
    UNPROVEN = "unproven"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was tried; `exit_code` is what it makes of the whole, 0 unless it is BAD."""

    subject: str
    outcome: Outcome
    sentence: str
    hint: str = ""
    exit_code: int = 0


Tell = Callable[[Finding], None]


def good(subject: str, sentence: str) -> Finding:
    return Finding(subject=subject, outcome=Outcome.GOOD, sentence=sentence)


def warning(subject: str, sentence: str, hint: str = "") -> Finding:
    return Finding(subject=subject, outcome=Outcome.WARNING, sentence=sentence, hint=hint)


def unproven(subject: str, sentence: str, hint: str = "") -> Finding:
    return Finding(subject=subject, outcome=Outcome.UNPROVEN, sentence=sentence, hint=hint)


def bad(subject: str, sentence: str, hint: str = "", *, exit_code: int = 1) -> Finding:
    return Finding(subject=subject, outcome=Outcome.BAD, sentence=sentence, hint=hint, exit_code=exit_code)


def of_error(subject: str, error: RefreshdError) -> Finding:
    """A refused key is a fault of the settings; a Flinks that does not answer is a dependency that is down; a throttle passes."""
    match error:
        case FlinksThrottled():
            return warning(subject, error.message, "try again in a minute; lower REFRESHD_RATE_PER_MINUTE if it lasts")
        case CredentialRefused():
            return bad(subject, error.message, error.hint, exit_code=SettingsError.exit_code)
        case FlinksUnreachable():
            return bad(
                subject, error.message, error.hint or "check REFRESHD_FLINKS_BASE_URL and the way out", exit_code=4
            )
        case _:
            return bad(subject, error.message, error.hint, exit_code=error.exit_code)
