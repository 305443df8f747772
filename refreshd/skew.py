"""How far our clock is ahead of the database's, and the end of a leadership where that is too far.

All that is stored carries our dates, while the lease, the budget and the application's `inactive_since` go by the database's clock. Where
the two part, the ledger fills with dates that stay wrong after the clock was mended: a report that was read next week is not read until
then, and a login whose routine was done in ten days is asked again in ten days. So nobody leads whose clock disagrees, and no such date
comes to be: whoever makes one has to ask for the term before it is stored, and is refused.

The database tells its time with each look at the lease, once a second. In between, a clock that nobody sets (it counts the seconds since
boot, asleep or awake) tells by how much ours was set.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from refreshd.core.errors import ClocksDisagree
from refreshd.ports import Clock

LIMIT = timedelta(seconds=60)
"""Many times what an answer of the database's may take, and what clocks differ by that are kept by NTP."""

_AWAKE_AND_ASLEEP = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def seconds_since_boot() -> float:
    """Goes on while a process is stopped (SIGSTOP), as loop time does, and on Linux also while the machine sleeps, as that does not."""
    return time.clock_gettime(_AWAKE_AND_ASLEEP)


def fault(ahead: timedelta) -> str | None:
    """What is wrong with clocks that differ by so much, in a sentence; None: nothing."""
    if abs(ahead) <= LIMIT:
        return None
    where = "ahead of" if ahead > timedelta(0) else "behind"
    return f"our clock is {abs(ahead).total_seconds():.0f} s {where} the database's: mend the time of this host"


class Skew:
    """What is known of it. `clock` None: dates do not run as the database's do (the demo scales them), so nothing is compared."""

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        on_measured: Callable[[timedelta], None] = lambda _: None,
        seconds: Callable[[], float] = seconds_since_boot,
    ) -> None:
        """`on_measured` hears of every measurement."""
        self._clock = clock
        self._on_measured = on_measured
        self._seconds = seconds
        self._ahead = timedelta(0)
        self._measured: tuple[datetime, float] | None = None

    def date(self) -> datetime | None:
        """Ours, at this moment, for a question to the database."""
        return None if self._clock is None else self._clock.now()

    def compare(self, asked: datetime | None, theirs: datetime) -> None:
        """The database told its time in answer to a question: that is held against the middle of the two moments. Raises ClocksDisagree."""
        if self._clock is None or asked is None:
            return
        answered = self._clock.now()
        self._ahead = asked - theirs + (answered - asked) / 2
        self._measured = answered, self._seconds()
        self._on_measured(self._ahead)
        self.require_agreement()

    def require_agreement(self) -> None:
        """Raises ClocksDisagree where no date of ours may be stored at this moment."""
        said = fault(self._now())
        if said is not None:
            raise ClocksDisagree(
                said,
                hint="nothing is done under dates that would stay wrong; it goes on by itself when the clocks agree",
            )

    def _now(self) -> timedelta:
        """As measured, and what was done to our clock since."""
        if self._clock is None or self._measured is None:
            return self._ahead
        date, seconds = self._measured
        return self._ahead + (self._clock.now() - date) - timedelta(seconds=self._seconds() - seconds)
