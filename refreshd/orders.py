"""What a person asks of a running daemon through signals: stop, stop at once, read the settings anew. Nothing is done here."""

import asyncio


class Orders:
    """Orders given so far. `hurry` follows a stop that somebody is tired of waiting for."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.hurry = asyncio.Event()
        self.reload = asyncio.Event()

    def ask_to_stop(self) -> None:
        """The first time: take no new work, and let what is in flight end. Once more: let nothing end, either."""
        if self.stop.is_set():
            self.hurry.set()
        self.stop.set()

    def ask_to_reload(self) -> None:
        """Read the settings anew, and work by them if all of them can be had."""
        self.reload.set()
