"""Runs both programs in turn, each time on a fresh database and fresh counters, and prints both and their ratio.

make bench                        5 pairs of 3,000 logins
make bench PAIRS=9 LOGINS=10000
BENCH_PROFILE=/tmp/ours.prof make bench PAIRS=1     and then: python -m pstats /tmp/ours.prof
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from refreshd.demo.company import application
from refreshd.simulator import SimulatorConfig, company_links
from tests.bench.figures import Figures
from tests.support.commands import environment
from tests.support.postgres import SCHEMA, PostgresServer, throwaway_postgres
from tests.support.world import Dates, fleet

PAIRS = int(os.environ.get("PAIRS") or "5")
LOGINS = int(os.environ.get("LOGINS") or "3000")


@contextmanager
def vendor(logins: int = LOGINS) -> Iterator[str]:
    """The simulated Flinks in a process of its own; ends when its standard input does."""
    command = [sys.executable, "-m", "tests.bench.vendor", str(logins)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        assert process.stdin is not None
        yield process.stdout.readline().strip()
        process.stdin.close()


async def _open_books(url: str) -> None:
    async with application(url, SCHEMA, Dates(), company_links(fleet(LOGINS))) as company:
        await company.open_books()


def settings_of(url: str, address: str) -> dict[str, str]:
    config = SimulatorConfig()
    return {
        "REFRESHD_DATABASE_URL": url,
        "REFRESHD_FLINKS_BASE_URL": f"{address}/v3",
        "REFRESHD_FLINKS_CUSTOMER_ID": config.customer_id,
        "REFRESHD_FLINKS_SECRET_KEY": config.secret_key,
        "REFRESHD_FLINKS_API_KEY": config.api_key,
        "REFRESHD_RATE_PER_MINUTE": "1000000",
        "REFRESHD_CONCURRENCY": "32",
    }


def _run(program: str, env: Mapping[str, str]) -> Figures:
    command = [sys.executable, "-m", f"tests.bench.{program}"]
    ran = subprocess.run(command, env=environment(env), capture_output=True, text=True, check=False)  # noqa: S603
    if ran.returncode:
        raise SystemExit(f"{program} failed:\n{ran.stderr[-3000:]}")
    return Figures(**json.loads(ran.stdout))


def _calls(address: str) -> int:
    with urlopen(f"{address}/_simulator/summary") as answer:  # noqa: S310 - our own, on this machine
        return int(json.load(answer)["calls"]["total"])


def _measure(server: PostgresServer, address: str, program: str) -> Figures:
    with server.database(migrated=True) as url:
        asyncio.run(_open_books(url))
        before = _calls(address)
        figures = _run(program, settings_of(url, address))
    made = _calls(address) - before
    assert figures.logins == LOGINS
    assert made == 2 * LOGINS, f"{program} made {made} calls for {LOGINS} logins"
    return figures


def _show(name: str, runs: list[Figures]) -> None:
    speed = statistics.median(each.per_second for each in runs)
    cpu = statistics.median(each.cpu_per_1k for each in runs)
    slowest, fastest = min(each.per_second for each in runs), max(each.per_second for each in runs)
    peak = max(each.peak_mib for each in runs)
    print(  # noqa: T201 - the result
        f"{name:10} {speed:8.0f} logins/s ({slowest:.0f} to {fastest:.0f})   {cpu:6.3f} CPU s per 1,000   {peak:5.0f} MiB"
    )


def main() -> None:
    """Pairs in turn, so that what the machine does meanwhile meets both."""
    ours: list[Figures] = []
    bare: list[Figures] = []
    with tempfile.TemporaryDirectory(prefix="refreshd-bench-") as name:
        Path(name).chmod(0o755)
        with throwaway_postgres(Path(name) / "postgres") as server, vendor() as address:
            for pair in range(PAIRS):
                for program, runs in (("ours", ours), ("bare", bare))[:: 1 if pair % 2 else -1]:
                    runs.append(_measure(server, address, program))
    ratios = [mine.per_second / least.per_second for mine, least in zip(ours, bare, strict=True)]
    cpus = [mine.cpu_per_1k / least.cpu_per_1k for mine, least in zip(ours, bare, strict=True)]
    _show("refreshd", ours)
    _show("bare", bare)
    print(  # noqa: T201 - the result
        f"refreshd has {statistics.median(ratios):.2f} of the speed ({min(ratios):.2f} to {max(ratios):.2f})"
        f" and {statistics.median(cpus):.2f} x the CPU of the bare program; {PAIRS} pairs, {LOGINS} logins, 2 calls each"
    )


if __name__ == "__main__":
    main()
