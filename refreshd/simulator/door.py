"""The in-process door: calls a simulator without a socket, so that a test can run in virtual time."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime

from refreshd.simulator.messages import DeliveryKind, Moment, Request
from refreshd.simulator.simulator import Simulator

HANG_SECONDS = 3600.0
"""How long a hanging call keeps its caller, who should have left long before."""

DRIP_SECONDS = 1.0
"""Between two bytes of a body that drips."""


class InProcessDoor:
    """Sends requests straight to a simulator, with its latencies, hangs, resets and half answers."""

    def __init__(self, simulator: Simulator, clock: Callable[[], datetime], monotonic: Callable[[], float]) -> None:
        """Take the date from `clock` and real seconds from `monotonic`, such as the time of the running loop."""
        self._simulator = simulator
        self._clock = clock
        self._monotonic = monotonic

    async def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Return status, headers and body.

        A reset raises ConnectionResetError, a body that breaks off IncompleteReadError; a hang waits an hour, then resets.
        """
        request = Request(method, path, {name.lower(): value for name, value in headers.items()}, body or b"")
        response = self._simulator.respond(request, Moment(self._clock(), self._monotonic()))
        if response.delivery.delay_seconds:
            await asyncio.sleep(response.delivery.delay_seconds)
        match response.delivery.kind:
            case DeliveryKind.WHOLE:
                return response.status, response.headers, response.body
            case DeliveryKind.DRIP:
                await asyncio.sleep(len(response.body) * DRIP_SECONDS)
                return response.status, response.headers, response.body
            case DeliveryKind.TRUNCATED:
                raise asyncio.IncompleteReadError(response.body[: len(response.body) // 2], len(response.body))
            case DeliveryKind.HANG:
                await asyncio.sleep(HANG_SECONDS)
                raise ConnectionResetError("The simulated Flinks hung.")
            case DeliveryKind.RESET:
                raise ConnectionResetError("The simulated Flinks reset the connection.")
