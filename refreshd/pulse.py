"""Which loops a daemon has, and for how long each may make no progress before it counts as stuck: `/livez` fails then.

A loop that waits beats: for the database by each try, for the vendor by the limit of each call, for the lease by each look at it. So what
is away makes nobody late, and a loop that is stuck does, whatever the others do. Each deadline is several times what can be explained.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from refreshd.health import Health

EVENT_LOOP_SECONDS = 30.0

LEASE_SECONDS = 90.0
"""The loop that stands by, leads and stands by again. Each look at the lease beats; between two leaderships one schema is checked."""

LISTENER_SECONDS = 120.0
"""It pings every 15 s, gives each try a few seconds, and rests for ten at most."""

PASS_GRACE_SECONDS = 300.0
"""How much longer than its interval a pass may take: a first pass judges every login."""

CALL_GRACE_SECONDS = 300.0
"""How much longer than the longest limit of a call one may be in hand: its answer waits for the recorder, and that for the database."""

FEED_SECONDS = 3600.0
"""A source query that takes longer would overlap its own next reading."""


class Pulse:
    """Keeps the deadlines in `health`, in loop time."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def begin(self) -> None:
        """The loops of every daemon, leader or not."""
        self._expect("event_loop", EVENT_LOOP_SECONDS)
        self._expect("lease", LEASE_SECONDS)
        self._expect("listener", LISTENER_SECONDS)

    def lead(self, *, pass_interval_seconds: float, feeds: bool) -> None:
        """The loops of a leader, from now on."""
        self._expect("passes", pass_interval_seconds + PASS_GRACE_SECONDS)
        self._expect("totals", PASS_GRACE_SECONDS)
        self._health.forget("feed")
        if feeds:
            self._expect("feed", FEED_SECONDS)

    def follow(self) -> None:
        for loop in ("passes", "totals", "feed"):
            self._health.forget(loop)

    def counted(self, again_in_seconds: float) -> None:
        """The totals were counted, and will be again."""
        self._expect("totals", again_in_seconds + PASS_GRACE_SECONDS)

    def beat(self, loop: str) -> None:
        self._health.beat(loop, at=loop_seconds())

    @contextmanager
    def working(self, name: str, *, longest_call_seconds: float) -> Iterator[None]:
        """A piece of work is in hand; it counts as stuck when it is so for longer than anything in it may take."""
        self._expect(name, longest_call_seconds + CALL_GRACE_SECONDS)
        try:
            yield
        finally:
            self._health.forget(name)

    def _expect(self, loop: str, seconds: float) -> None:
        self._health.expect(loop, within_seconds=seconds, at=loop_seconds())


def loop_seconds() -> float:
    """The time by which loops are late or not."""
    return asyncio.get_running_loop().time()
