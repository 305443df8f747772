"""How times, spans and counts read to a person. The one place of it; `--json` has none of this."""

from datetime import UTC, datetime, timedelta

NEVER = "never"

_MINUTE = 60
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def stamp(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def span(length: timedelta) -> str:
    """The two largest units that say something: `2 d 4 h`, `1 min 5 s`, `0 s`."""
    left = abs(round(length.total_seconds()))
    for index, (seconds, unit) in enumerate(_UNITS[:-1]):
        whole, rest = divmod(left, seconds)
        if whole:
            smaller_seconds, smaller = _UNITS[index + 1]
            part = rest // smaller_seconds
            return f"{whole} {unit} {part} {smaller}" if part else f"{whole} {unit}"
    return f"{left} s"


def took(seconds: float) -> str:
    """`180 ms`, `1.9 s`, `2 min 5 s`: as exact as a reader wants it."""
    if round(seconds, 3) < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if round(seconds, 1) < _MINUTE else span(timedelta(seconds=seconds))


def age(moment: datetime, now: datetime) -> str:
    """`3 h ago`, or `in 3 h` for a moment to come."""
    return f"in {span(moment - now)}" if moment > now else f"{span(now - moment)} ago"


def when(moment: datetime | None, now: datetime) -> str:
    """The moment and how long ago it was; `never` where there is none."""
    return NEVER if moment is None else f"{stamp(moment)} ({age(moment, now)})"


def number(count: int) -> str:
    return f"{count:,}"


def counted(count: int, noun: str, plural: str = "") -> str:
    """`1 login`, `2,000 logins`."""
    return f"{number(count)} {noun if count == 1 else plural or noun + 's'}"


def listed(words: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."
