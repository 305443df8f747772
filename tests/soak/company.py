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
from pathlib import Path
from random import Random
from unittest.mock import patch

import structlog

from refreshd.core import turn
from refreshd.crash import POINTS
from tests.support.kills import AT_RANDOM, RATE, Campaign, Fate, campaign, fate_at, random_fate
from tests.support.postgres import PostgresServer, throwaway_postgres

TIGHT_RATES = (60, 120, 240)
"""Calls a minute; a life makes no more than a few dozen of them, however much there is to do."""
TIGHT_LIFE_SECONDS = 20.0
TIGHT_ROUND = 12
LAST_WORDS = 60


MOMENTS_PER_POINT = 2
"""Random moments to each named point; two of them make enough companies for ten lives and more at every point of a long campaign."""


def whole_round() -> int:
    """Random moments of a company that comes to every named point once."""
    return MOMENTS_PER_POINT * len(POINTS)


def fates(seed: int, moments: int, *, tight: bool) -> deque[Fate]:
    """So many random moments, and on top of them, where the rate is not tight, named points in an order of this seed.

    The same seed with fewer moments is the beginning of the same company.
    """
    chance = Random(f"fates of {seed}")  # noqa: S311 - repeatable chance is the point
    if tight:
        return deque(random_fate(chance, longest_seconds=TIGHT_LIFE_SECONDS) for _ in range(moments))
    waiting: deque[Fate] = deque()
    points = chance.sample(POINTS, k=len(POINTS))
    for number in range(moments):
        if number % MOMENTS_PER_POINT == 0:
            waiting.append(fate_at(points[number // MOMENTS_PER_POINT % len(POINTS)], chance))
        waiting.append(random_fate(chance))
    return waiting


def rate_of(seed: int, *, tight: bool) -> int:
    return TIGHT_RATES[seed % len(TIGHT_RATES)] if tight else RATE


async def live(server: PostgresServer, seed: int, moments: int, *, tight: bool) -> int:
    """All of its lives; after one that failed, those that are left are lived in a company founded anew. Returns how many failed."""
    waiting, failed = fates(seed, moments, tight=tight), 0
    rate, lives = rate_of(seed, tight=tight), len(waiting)
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
    before, missed = killing.deaths.copy(), killing.missed.total()
    try:
        await killing.one_life(fate)
    except BaseException as error:
        error.add_note("\n".join(killing.last_words.splitlines()[-LAST_WORDS:]))
        raise
    if killing.missed.total() > missed:
        tell({"missed": fate.point or AT_RANDOM})
        return
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
    parser.add_argument("--moments", type=int, help="kills at random moments; named points come on top")
    parser.add_argument("--tight", action="store_true")
    asked = parser.parse_args()
    moments = asked.moments or (TIGHT_ROUND if asked.tight else whole_round())
    with hurried(), quiet_server() as server:
        failed = asyncio.run(live(server, asked.seed, moments, tight=asked.tight))
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
