"""What a candidate says while its clock keeps it from leading."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from structlog.testing import capture_logs

from refreshd.candidate import Candidate, Means
from refreshd.clock import SystemClock
from refreshd.core.errors import ClocksDisagree
from refreshd.settings import Settings
from refreshd.watching import Watch

BEHIND = "our clock is 75 s behind the database's"


class _Lease:
    """One wait for each item: `wrong` is ended by our clock, `taken` too, after the lease was found taken."""

    holder = "us"

    def __init__(self, *waits: str) -> None:
        self._waits = iter(waits)

    async def wait_for_turn(self, stop: asyncio.Event, _woken: asyncio.Event, on_taken: Callable[[], None]) -> bool:
        wait = next(self._waits, None)
        if wait is None:
            stop.set()
            return False
        if wait == "taken":
            on_taken()
        raise ClocksDisagree(BEHIND)


class _Means:
    clock = SystemClock()

    def __init__(self, lease: _Lease) -> None:
        self.lease = lease

    async def check_schema(self, _: Settings) -> Any:
        return type("Status", (), {"version": 1, "expected": 1})()


async def _said(*waits: str) -> list[tuple[str, str | None]]:
    watch = Watch(Settings(), SystemClock())
    watch.begin()
    candidate = Candidate(Settings(), cast("Means", _Means(_Lease(*waits))), watch, pause_seconds=0.001)
    with capture_logs() as logs:
        await candidate.run(asyncio.Event())
    return [(each["event"], each.get("reason")) for each in logs]


async def test_one_whose_clock_is_wrong_says_so_once_and_not_that_it_had_led() -> None:
    assert await _said("wrong", "wrong", "wrong") == [("standing_by", None), ("standing_by", BEHIND)]


async def test_one_whose_clock_was_right_in_between_says_it_again() -> None:
    assert await _said("wrong", "wrong", "taken") == [("standing_by", None), *[("standing_by", BEHIND)] * 2]
