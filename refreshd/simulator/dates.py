"""Dates that run faster than life, or are set. Durations are not in here: they are real, everywhere."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def wall_date() -> datetime:
    """Return the real date: the one place where the simulator asks for it."""
    return datetime.now(UTC)


class ScaledClock:
    """A date that begins at `start` and runs `scale` times as fast as `monotonic`."""

    def __init__(
        self,
        start: datetime,
        *,
        scale: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin now. A scale of 0 stands still until `set`."""
        if start.tzinfo is None:
            raise ValueError("The start of a clock must be an aware date.")
        if scale < 0:
            raise ValueError("A clock cannot run backwards.")
        self.scale = scale
        self._monotonic = monotonic
        self.set(start)

    def __call__(self) -> datetime:
        """Return the date now, in UTC."""
        return self._start + timedelta(seconds=(self._monotonic() - self._since) * self.scale)

    def set(self, date: datetime) -> None:
        """Go on from `date`. Nights that were lived through are not lived through again."""
        self._start = date.astimezone(UTC)
        self._since = self._monotonic()
