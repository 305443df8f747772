"""A sleep that events end."""

import asyncio
from contextlib import suppress


async def first_of(*events: asyncio.Event, seconds: float) -> None:
    """Sleep until one of the events is set, or the time is over."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            waits = [group.create_task(event.wait()) for event in events]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for each in waits:
                each.cancel()
