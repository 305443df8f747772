"""A clock that somebody sets."""

from datetime import datetime, timedelta

from refreshd.ports import Clock


class SetClock:
    """Another clock's time, and what it was set by since."""

    def __init__(self, true: Clock, ahead: timedelta = timedelta(0)) -> None:
        self.ahead = ahead
        self._true = true

    def now(self) -> datetime:
        return self._true.now() + self.ahead
