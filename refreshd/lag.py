"""How late the event loop runs its timers: the one number that shows that something blocks it."""

import asyncio
from collections.abc import Callable

PERIOD_SECONDS = 1.0


async def watch_lag(on_lag: Callable[[float], None], *, period_seconds: float = PERIOD_SECONDS) -> None:
    """Tell `on_lag`, once a period and for ever, by how many seconds the loop was late."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + period_seconds
        await asyncio.sleep(period_seconds)
        on_lag(max(0.0, loop.time() - due))
