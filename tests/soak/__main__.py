"""`make soak`: the long campaigns, and the figures that docs/reliability.md shows.

python -m tests.soak --kills 2000 --takeovers 20 --weeks 50 --seconds 300 --seed 1 --shards 3 --json FILE
python -m tests.soak --replay 10004              one company again, as a failure names it

Companies whose refreshd is killed again and again, so many at a time as there are shards: `--kills` times at random moments, and at named
points on top of them; random weeks in virtual time; the fuzzer; and
takeovers between real processes. What fails is told with the command that plays it again, all else goes on, and the end is 1. Who
interrupts it gets the figures so far.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.soak.company import TIGHT_ROUND, whole_round
from tests.soak.figures import Figures
from tests.support.documents import ROOT

COMPANY, WEEKS, TAKEOVERS = "tests.soak.company", "tests.soak.weeks", "tests.soak.takeovers"
FUZZING = "tests.soak.fuzzing"
TIGHT_SHARE = 0.05
"""Of all random moments, in companies under a tight rate: their lives are long."""
WEEKS_AT_ONCE = 5
PATIENCE_SECONDS = 20.0
_SEEDS, _TIGHT = 10_000, 5_000


@dataclass(frozen=True, kw_only=True)
class Job:
    """One process."""

    module: str
    argv: tuple[str, ...]

    @property
    def command(self) -> str:
        return f"python -m {self.module} {' '.join(self.argv)}"


def jobs(asked: argparse.Namespace) -> Iterator[Job]:
    """What takes longest and works least comes first."""
    first = asked.seed * _SEEDS
    tight = round(asked.kills * TIGHT_SHARE)
    if asked.takeovers:
        yield Job(module=TAKEOVERS, argv=("--times", str(asked.takeovers)))
    for number, moments in enumerate(shares(tight, TIGHT_ROUND)):
        yield Job(module=COMPANY, argv=("--seed", str(first + _TIGHT + number), "--moments", str(moments), "--tight"))
    if asked.seconds:
        yield Job(module=FUZZING, argv=("--seconds", str(asked.seconds), "--seed", str(asked.seed)))
    for number, moments in enumerate(shares(asked.kills - tight, whole_round())):
        yield Job(module=COMPANY, argv=("--seed", str(first + number), "--moments", str(moments)))
    begins = first
    for count in shares(asked.weeks, WEEKS_AT_ONCE):
        yield Job(module=WEEKS, argv=("--seed", str(begins), "--count", str(count)))
        begins += count


def shares(whole: int, size: int) -> list[int]:
    """A number in parts of a size, the last one smaller."""
    return [min(size, whole - begins) for begins in range(0, whole, size)]


class Soak:
    """All processes of a soak, and what they tell."""

    def __init__(self, figures: Figures, shards: int) -> None:
        self.figures = figures
        self._places = asyncio.Semaphore(shards)
        self._began = time.monotonic()

    async def run(self, work: Sequence[Job]) -> bool:
        """Whether it came to its end."""
        async with asyncio.TaskGroup() as group:
            everything = group.create_task(self._all(work))
            for sign in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(sign, everything.cancel)
        return not everything.cancelled()

    async def _all(self, work: Sequence[Job]) -> None:
        async with asyncio.TaskGroup() as group:
            for each in work:
                group.create_task(self._one(each))

    async def _one(self, job: Job) -> None:
        async with self._places:
            self._say(f"begins: {job.command}")
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", job.module, *job.argv, stdout=PIPE, cwd=ROOT, limit=1 << 24
            )
            try:
                assert process.stdout is not None
                async for line in process.stdout:
                    self._hear(line, job)
                code = await process.wait()
            finally:
                await _stop(process)
            self._say(f"ends with {code}: {job.command}; {self.figures.kills:,} kills survived so far")
            if code not in {0, 1}:
                self._hear(json.dumps({"failed": f"its process, with {code}", "seed": 0, "told": ""}).encode(), job)

    def _hear(self, line: bytes, job: Job) -> None:
        failures = len(self.figures.failures)
        self.figures.hear(json.loads(line), job.command)
        for failure in self.figures.failures[failures:]:
            self._say(f"FAILED: seed {failure.seed}, {failure.when}\n{failure.told}\nplay it again: {failure.replay}")

    def _say(self, text: str) -> None:
        sys.stderr.write(f"{time.monotonic() - self._began:6.0f} s  {text}\n")


async def _stop(process: asyncio.subprocess.Process) -> None:
    """One that still runs is told to end, so that its Postgres goes with it; if it does not listen, it is killed."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()


def commit() -> str:
    asked = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(asked, capture_output=True, text=True, check=False, cwd=ROOT).stdout.strip()  # noqa: S603


def soak(asked: argparse.Namespace) -> Figures:
    began = time.monotonic()
    figures = Figures(
        seed=asked.seed,
        began_at=datetime.now(UTC).isoformat(timespec="seconds"),  # noqa: TID251 - when a person ran it
        commit=commit(),
        cores=os.cpu_count() or 0,
    )
    figures.interrupted = not asyncio.run(Soak(figures, asked.shards).run(list(jobs(asked))))
    figures.seconds = round(time.monotonic() - began, 1)
    return figures


def show(figures: Figures) -> None:
    table = Table(title=f"{figures.commit}, {figures.began_at}, {figures.cores} cores, {figures.seconds:,.0f} s")
    table.add_column("what")
    table.add_column("figure")
    for what, figure in figures.rows():
        table.add_row(what, figure)
    Console().print(table)


def played_again(seed: int) -> list[str]:
    """The arguments of the company of this seed."""
    return ["--seed", str(seed), *(["--tight"] if seed % _SEEDS >= _TIGHT else [])]


def replay(seed: int) -> int:
    argv = [sys.executable, "-m", COMPANY, *played_again(seed)]
    return subprocess.run(argv, check=False, cwd=ROOT).returncode  # noqa: S603 - our own module


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--kills", type=int, default=2_000, help="at random moments; those at named points come on top")
    parser.add_argument("--weeks", type=int, default=50, help="so many random weeks, in virtual time")
    parser.add_argument("--takeovers", type=int, default=20, help="of each kind, between real processes")
    parser.add_argument("--seconds", type=int, default=300, help="for the fuzzer")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shards", type=int, default=3)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--replay", type=int, metavar="SEED", help="one company again, and nothing else")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    asked = arguments(argv)
    if asked.replay is not None:
        return replay(asked.replay)
    figures = soak(asked)
    show(figures)
    if asked.json:
        asked.json.write_text(json.dumps(figures.as_json(), indent=2) + "\n", encoding="utf-8")
    return 1 if figures.failures or figures.interrupted else 0


if __name__ == "__main__":
    raise SystemExit(main())
