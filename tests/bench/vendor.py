"""The simulated Flinks in a process of its own; says its address on standard output and serves until its standard input ends."""

import asyncio
import sys

from refreshd.simulator import Simulator, SimulatorConfig
from refreshd.simulator.http import serve
from tests.support.world import NOON, fleet


async def _serve(logins: int) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, stop.set)
    flinks = Simulator(SimulatorConfig(calls_kept=0), fleet(logins))
    await serve(flinks, lambda: NOON, port=0, stop=stop, started=lambda address: print(address, flush=True))  # noqa: T201


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
