"""One company of a soak, in a process of its own with a Postgres of its own: lives by the dozen, told as JSON, an object a line.

`--seed` decides how each life ends, so the same seed plays the same company again.
`--tight`: under a rate at which the budget is what everything waits for.
"""

import argparse
import asyncio
import json
import logging
import signal
import sys
import tempfile
import traceback
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from random import Random
from unittest.mock import patch

import structlog

from refreshd.core import turn
from refreshd.crash import POINTS
from tests.support.kills import RATE, Campaign, Fate, campaign, fate_at, random_fate
from tests.support.postgres import PostgresServer, throwaway_postgres

TIGHT_RATES = (60, 120, 240)
"""Calls a minute; a life makes no more than a few dozen of them, however much there is to do."""
TIGHT_LIFE_SECONDS = 20.0
LAST_WORDS = 60


def whole_round() -> int:
    """Lives in which every named point is come to once, and as many random moments."""
    return 2 * len(POINTS)


def fates(seed: int, lives: int, *, tight: bool) -> deque[Fate]:
    """Named points in an order of this seed, alternating with random moments; where the rate is tight, random moments alone."""
    chance = Random(f"fates of {seed}")  # noqa: S311 - repeatable chance is the point
    if tight:
        return deque(random_fate(chance, longest_seconds=TIGHT_LIFE_SECONDS) for _ in range(lives))
    points = chance.sample(POINTS, k=len(POINTS))
    pairs = chain.from_iterable((fate_at(point, chance), random_fate(chance)) for point in points)
    return deque(islice(pairs, lives))


def rate_of(seed: int, *, tight: bool) -> int:
    return TIGHT_RATES[seed % len(TIGHT_RATES)] if tight else RATE


async def live(server: PostgresServer, seed: int, lives: int, *, tight: bool) -> int:
    """All of its lives; after one that failed, those that are left are lived in a company founded anew. Returns how many failed."""
    waiting, failed = fates(seed, lives, tight=tight), 0
    rate = rate_of(seed, tight=tight)
    while waiting:
        now = "its foundation"
        try:
            with server.database(migrated=True) as url:
                async with campaign(url, seed, rate_per_minute=rate) as killing:
                    while waiting:
                        fate = waiting.popleft()
                        now = f"life {lives - len(waiting)}, {fate}"
                        await _one_life(killing, fate)
                        _tell_books(killing, f"company {seed}, founded {failed + 1} times")
                    now = "healing"
        except Exception:  # noqa: BLE001 - whatever it was, it is told, and the other lives are lived
            failed += 1
            tell({"failed": now, "seed": seed, "told": traceback.format_exc()})
    return failed


async def _one_life(killing: Campaign, fate: Fate) -> None:
    before = killing.deaths.copy()
    try:
        await killing.one_life(fate)
    except BaseException as error:
        error.add_note("\n".join(killing.last_words.splitlines()[-LAST_WORDS:]))
        raise
    [how] = killing.deaths - before
    tell({"survived": how, "fate": str(fate)})


def _tell_books(killing: Campaign, of: str) -> None:
    audit = killing.here.flinks.audit
    tell(
        {
            "books": of,
            "rate": killing.promises.rate_per_minute,
            "calls": audit.calls_counted,
            "most_in_60s": killing.promises.most_in_60s,
            "faults": dict(audit.faults),
            "untraced": killing.promises.missing,
        }
    )


def tell(news: Mapping[str, object]) -> None:
    print(json.dumps(news), flush=True)  # noqa: T201 - whoever started us reads it


@contextmanager
def hurried() -> Iterator[None]:
    """For refreshd in this process, which heals: tries in a row and polls follow each other at once."""
    with patch.object(turn, "_TRY_AGAIN_SECONDS", 0.05), patch.object(turn, "POLL_SECONDS", 0.1):
        yield


@contextmanager
def quiet_server() -> Iterator[PostgresServer]:
    """A Postgres of this process's own, which logs no calls, and goes with it also when it is told to end (SIGTERM)."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory(prefix="refreshd-soak-") as directory:
        Path(directory).chmod(0o755)  # a server that root starts runs as somebody else
        with throwaway_postgres(Path(directory) / "postgres") as server:
            yield server


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.company")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--lives", type=int, default=whole_round())
    parser.add_argument("--tight", action="store_true")
    asked = parser.parse_args()
    with hurried(), quiet_server() as server:
        failed = asyncio.run(live(server, asked.seed, asked.lives, tight=asked.tight))
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
