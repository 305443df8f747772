"""`refreshd demo`: a day of a company in two minutes, with the real daemon, a real Postgres and the simulated Flinks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rich.console import Console

from refreshd.access import database_url, open_ledger
from refreshd.daemon import Daemon
from refreshd.demo.bill import sum_up
from refreshd.demo.day import Day
from refreshd.demo.stage import Stage, stage
from refreshd.ledger import Ledger
from refreshd.orders import Orders

__all__ = ["run_demo"]


async def run_demo(*, keep: bool) -> int:
    """Play the day; with `keep`, leave everything running afterwards until interrupted. Returns the exit code."""
    console = Console(highlight=False)
    console.print("Setting the stage: a Postgres, a simulated Flinks, a company ...")
    async with stage() as built, _daemon(built) as address:
        url = database_url(built.settings)
        async with open_ledger(url, built.settings, size=2, name="refreshd demo") as database:
            ledger = Ledger(database)
            day = Day(built, ledger, console)
            day.introduce(address)
            await day.play()
            code = await sum_up(built, ledger, console)
        if keep:
            console.print("\n[bold]Still running[/] (DEMO_KEEP=1). Look around; Ctrl-C ends it.")
            await asyncio.Event().wait()
    return code


@asynccontextmanager
async def _daemon(built: Stage) -> AsyncIterator[str]:
    """The real daemon, in this process, for as long as the block runs; yields the address of its page."""
    orders = Orders()
    daemon = Daemon(built.settings, clock=built.clock)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(daemon.run(orders))
        try:
            yield await daemon.address()
        finally:
            orders.ask_to_stop()
            await running
