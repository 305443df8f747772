"""The one reader of wall time. Dates only: durations come from the event loop, which no clock change can bend."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class SystemClock:
    """The machine's own time, in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class ScaledClock:
    """Dates that pass `factor` times as fast from `start` on: a day of the demo takes two minutes at 720.

    `monotonic` (seconds) is what it scales; a clock that is set back does not reach it.
    """

    def __init__(self, *, start: datetime, factor: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        if start.tzinfo is None:
            message = f"a clock starts at an aware date, not {start}"
            raise ValueError(message)
        if factor <= 0:
            message = f"a clock runs forward, not at {factor}"
            raise ValueError(message)
        self._start = start.astimezone(UTC)
        self._factor = factor
        self._monotonic = monotonic
        self._started = monotonic()

    @classmethod
    def joined(cls, *, start: datetime, factor: float, since: float) -> "ScaledClock":
        """The same clock as another process has, where `start` was at `since`, in seconds of Unix time."""
        return cls(start=start + timedelta(seconds=(time.time() - since) * factor), factor=factor)

    def now(self) -> datetime:
        return self._start + timedelta(seconds=(self._monotonic() - self._started) * self._factor)
