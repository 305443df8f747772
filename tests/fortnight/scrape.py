"""Scrapes at simulated times: what Prometheus would have stored, as OpenMetrics text with timestamps.

Prometheus adds `job`, `instance`, `up` and what it notes about the scrape. A process that is dead answers no scrape. What the Python
client reads of its own process is that of the test, which has lived for a minute, so the start of the process and its CPU time are told as
the story has them; memory and file descriptors are left as they are.
"""

import asyncio
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter, process_time

from prometheus_client.samples import Sample

from tests.fortnight.copy import Copy
from tests.fortnight.town import Town

JOB = "refreshd"
SUFFIX = ".om"
INTERVAL = timedelta(minutes=5)


@dataclass
class Scraper:
    """Writes the answers of all copies into one file a day, in the order of time."""

    town: Town
    directory: Path
    scrapes: int = 0

    async def run(self) -> None:
        """Scrape for ever."""
        while True:
            await asyncio.sleep(INTERVAL.total_seconds())
            self.once()

    def once(self) -> None:
        now = self.town.clock.now()
        with self._file(now).open("a", encoding="utf-8") as file:
            for copy in self.town.copies:
                file.writelines(_lines(copy, now.timestamp()))
        self.scrapes += 1

    def close(self) -> None:
        """Say that nothing follows, as the format wants it."""
        for path in self.directory.glob(f"*{SUFFIX}"):
            with path.open("a", encoding="utf-8") as file:
                file.write("# EOF\n")

    def _file(self, now: datetime) -> Path:
        return self.directory / f"{now:%Y-%m-%d}{SUFFIX}"


def _lines(copy: Copy, at: float) -> Iterator[str]:
    target = {"job": JOB, "instance": copy.instance}
    if copy.watch is None:
        yield _line("up", target, 0.0, at)
        return
    began = perf_counter()
    samples = list(_samples(copy))
    seconds = perf_counter() - began
    for sample in samples:
        yield _line(sample.name, {**sample.labels, **target}, sample.value, at)
    yield _line("up", target, 1.0, at)
    yield _line("scrape_duration_seconds", target, seconds, at)
    yield _line("scrape_samples_scraped", target, float(len(samples)), at)


def _samples(copy: Copy) -> Iterable[Sample]:
    if copy.watch is None:
        return
    for family in copy.watch.metrics.registry.collect():
        yield from (_retold(copy, each) for each in family.samples)


def _retold(copy: Copy, sample: Sample) -> Sample:
    match sample.name:
        case "process_start_time_seconds":
            return sample._replace(value=copy.started_at.timestamp())
        case "process_cpu_seconds_total":
            return sample._replace(value=max(0.0, process_time() - copy.cpu_before))
        case _:
            return sample


def _line(name: str, labels: Mapping[str, str], value: float, at: float) -> str:
    inside = ",".join(f'{key}="{text}"' for key, text in labels.items())
    return f"{name}{{{inside}}} {_number(value)} {at:.3f}\n"


def _number(value: float) -> str:
    return "+Inf" if math.isinf(value) else repr(value)
