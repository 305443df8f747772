"""What may be done at all in this installation, and since when it is due."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo

from refreshd.core import timing
from refreshd.core.conversation import Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Agenda:
    """What may be done at all, and when. `writes` False: observe mode, where nobody holds the write gate.

    `polling`: the company polls, so a login without a cached call for seven days is lost.
    `at_once`: the routine is due from the end of the last vendor night on, instead of from its hour (`refreshd once`).
    """

    terms: Terms
    writes: bool
    reads_report: bool
    report_interval: timedelta
    routine_at: time
    routine_zone: tzinfo
    manual_refresh: bool
    polling: bool = True
    at_once: bool = False

    def routine_start(self, now: datetime) -> datetime:
        """Since when a login must have had its Authorize for today's routine to be done."""
        if self.at_once:
            return timing.latest_window_end(now)
        return timing.latest_routine_start(now, self.routine_at, self.routine_zone)
