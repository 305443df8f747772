"""How long a scrape takes while the first pass judges a large ledger, in turn with one of the bare handler in an idle process, so that
what the machine does meanwhile meets both.

make bench                        both benches
SCRAPED=1000000                   logins in the ledger
"""

import asyncio
import os
import statistics
import sys
import tempfile
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import asyncpg
from aiohttp import web
from prometheus_client.aiohttp import make_aiohttp_handler

from tests.bench.__main__ import settings_of, vendor
from tests.support import observed
from tests.support.commands import environment
from tests.support.postgres import SCHEMA, throwaway_postgres
from tests.support.process import Process

SCRAPED = int(os.environ.get("SCRAPED") or "1000000")
EVERY_SECONDS = 0.05
FOR_SECONDS = 60.0

_FILL = (
    "INSERT INTO client SELECT 'c' || each, each % 5 > 0 FROM generate_series(1, $1::int) AS each",
    "ALTER TABLE client_login DISABLE TRIGGER USER",
    "INSERT INTO client_login SELECT 'c' || each, lpad(to_hex(each), 32, '0')::uuid FROM generate_series(1, $1::int) AS each",
    "ALTER TABLE client_login ENABLE TRIGGER USER",
    """
    INSERT INTO login (
        login_id, created_at, active, inactive_since, flag, flag_seen_at, refreshed_at, answered_at, cached_call_at, institution, verdict,
        reason, verdict_since
    )
    SELECT
        lpad(to_hex(each), 32, '0')::uuid, now() - interval '90 days', each % 5 > 0,
        CASE WHEN each % 5 = 0 THEN now() - random() * interval '60 days' END, 'on', now(), now() - random() * interval '9 days',
        now() - random() * interval '1 day', now() - random() * interval '2 days', 'Bank ' || each % 300,
        CASE WHEN each % 5 > 0 THEN 'unseen' ELSE 'leaking' END, 'new', now()
    FROM generate_series(1, $1::int) AS each
    """,
    "VACUUM ANALYZE login",
)


async def fill(url: str) -> None:
    session = await asyncpg.connect(url, server_settings={"search_path": SCHEMA})
    for statement in _FILL:
        await session.execute(statement, *((SCRAPED,) if "$1" in statement else ()), timeout=600)
    await session.close()


async def _scrape(urls: Sequence[str], seconds: float) -> tuple[list[list[float]], list[str]]:
    """The durations of each in milliseconds, and what the first of them showed."""
    loop = asyncio.get_running_loop()
    took: list[list[float]] = [[] for _ in urls]
    shown: list[str] = []
    async with aiohttp.ClientSession() as session:
        end = loop.time() + seconds
        while loop.time() < end:
            for number, url in enumerate(urls):
                began = loop.time()
                async with session.get(url) as response:
                    text = await response.text()
                took[number].append(1_000 * (loop.time() - began))
                shown += [text] if number == 0 else []
                await asyncio.sleep(EVERY_SECONDS)
    return took, shown


@asynccontextmanager
async def _bare() -> AsyncIterator[str]:
    """The library's handler over a full registry, in a process that has nothing else to do."""
    command = [sys.executable, "-m", "tests.bench.scrapes", "bare"]
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    assert process.stdout is not None
    assert process.stdin is not None
    yield (await process.stdout.readline()).decode().strip()
    process.stdin.close()
    await process.wait()


async def _serve_bare() -> None:
    shown = observed.metrics()
    observed.everything_happens(shown)
    app = web.Application()
    app.router.add_get("/metrics", make_aiohttp_handler(shown.registry))
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}/metrics", flush=True)  # noqa: T201 - read by the bench
    stop = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, stop.set)
    await stop.wait()
    await runner.cleanup()


@asynccontextmanager
async def _daemon(env: Mapping[str, str]) -> AsyncIterator[Process]:
    command = [sys.executable, "-m", "refreshd", "run"]
    started = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, env=environment(env))
    process = Process(started)
    async with asyncio.TaskGroup() as group:
        following = group.create_task(process.follow())
        yield process
        process.terminate()
        await following


def _show(name: str, took: list[float]) -> None:
    cuts = statistics.quantiles(took, n=100)
    print(  # noqa: T201 - the result
        f"{name:24} {len(took):5} scrapes   median {cuts[49]:6.1f} ms   p99 {cuts[98]:6.1f} ms   worst {max(took):6.1f} ms"
    )


async def _measure(url: str, address: str) -> None:
    await fill(url)
    env = {**settings_of(url, address), "REFRESHD_RATE_PER_MINUTE": "30", "REFRESHD_LISTEN": "127.0.0.1:0"}
    async with _bare() as bare, _daemon(env) as daemon:
        metrics = f"{(await daemon.logged('serving'))['address']}/metrics"
        await daemon.logged("leading")
        (busy, alone), shown = await _scrape([metrics, bare], FOR_SECONDS)
    _show(f"a pass over {SCRAPED:,}", busy)
    _show("the bare handler", alone)
    running = sum("\nrefreshd_reconcile_running 1.0" in each for each in shown) / len(shown)
    blank = sum("\nrefreshd_logins{" not in each for each in shown)
    print(  # noqa: T201 - the result
        f"{statistics.median(busy) / statistics.median(alone):.1f} times the bare handler, on a machine at load {os.getloadavg()[0]:.1f};"
        f" a pass ran in {running:.0%} of them;"
        f" the first {blank} ({2 * blank * EVERY_SECONDS:.1f} s) had no totals yet"
    )


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="refreshd-bench-") as name:
        Path(name).chmod(0o755)
        with (
            throwaway_postgres(Path(name) / "postgres") as server,
            vendor(logins=100) as address,
            server.database(migrated=True) as url,
        ):
            asyncio.run(_measure(url, address))


if __name__ == "__main__":
    if "bare" in sys.argv:
        asyncio.run(_serve_bare())
    else:
        main()
