"""What holds the event loop for how long, in CPU time, so that it says the same on a busy machine: the daemon in this process.

python -m tests.bench.stretches     the longest stretches of a first pass, by the place where the task had waited before
SCRAPED=1000000                     logins in the ledger
"""

import asyncio
import gc
import logging
import os
import tempfile
import time
from asyncio.events import Handle
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from refreshd.daemon import Daemon
from refreshd.logs import configure_logging
from refreshd.orders import Orders
from refreshd.settings import load_settings
from tests.bench.__main__ import settings_of, vendor
from tests.bench.scrapes import fill
from tests.support.postgres import throwaway_postgres

FOR_SECONDS = 60.0
SHOWN = 8
Stretches = dict[str, list[float]]


def _place(handle: Handle) -> str:
    """The innermost frames of the task that goes on, or the callback itself."""
    callback: object = getattr(handle, "_callback", None)
    task = getattr(callback, "__self__", None)
    frames: list[str] = []
    waiting = task.get_coro() if isinstance(task, asyncio.Task) else None
    while (frame := getattr(waiting, "cr_frame", None)) is not None:
        frames.append(f"{frame.f_code.co_name}:{frame.f_lineno}")
        waiting = getattr(waiting, "cr_await", None)
    return " > ".join(frames[-5:]) or getattr(callback, "__qualname__", type(callback).__name__)


@contextmanager
def _watched() -> Iterator[Stretches]:
    """Every turn of a task of this process, in milliseconds."""
    found: Stretches = defaultdict(list)
    run = getattr(Handle, "_run")  # noqa: B009 - there is no public place where every callback passes

    def timed(handle: Handle) -> None:
        place, began = _place(handle), time.thread_time()
        run(handle)
        found[place].append(1_000 * (time.thread_time() - began))

    setattr(Handle, "_run", timed)  # noqa: B010 - likewise
    try:
        yield found
    finally:
        setattr(Handle, "_run", run)  # noqa: B010 - likewise


async def _live(url: str, address: str) -> Stretches:
    await fill(url)
    os.environ.update({**settings_of(url, address), "REFRESHD_RATE_PER_MINUTE": "30", "REFRESHD_LISTEN": "127.0.0.1:0"})
    configure_logging(level=logging.ERROR)
    orders, daemon = Orders(), Daemon(load_settings(require_flinks=True))
    async with asyncio.TaskGroup() as group:
        group.create_task(daemon.run(orders))
        await daemon.address()
        await asyncio.sleep(1)  # what only the start does is no part of a pass
        gc.collect()
        gc.freeze()  # as `refreshd run` does
        with _watched() as found:
            await asyncio.sleep(FOR_SECONDS)
        orders.ask_to_stop()
    return found


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="refreshd-bench-") as name:
        Path(name).chmod(0o755)
        with (
            throwaway_postgres(Path(name) / "postgres") as server,
            vendor(logins=100) as address,
            server.database(migrated=True) as url,
        ):
            found = asyncio.run(_live(url, address))
    for place, took in sorted(found.items(), key=lambda each: -max(each[1]))[:SHOWN]:
        print(f"{max(took):6.1f} ms at most   {sum(took) / len(took):5.2f} on average   {len(took):6} times   {place}")  # noqa: T201 - the result


if __name__ == "__main__":
    main()
