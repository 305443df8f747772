"""Takeovers of a soak between two real copies, in a process of its own with a Postgres of its own; told as `company` tells its lives."""

import argparse
import asyncio
import traceback

from tests.soak.company import quiet_server, tell
from tests.support.takeover import takeover_times


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.takeovers")
    parser.add_argument("--times", type=int, default=1, help="so many of each kind")
    asked = parser.parse_args()
    try:
        with quiet_server() as server, server.database(migrated=True) as url:
            seen = asyncio.run(takeover_times(url, asked.times))
    except Exception:  # noqa: BLE001 - whatever it was, it is told
        tell({"failed": "takeovers", "seed": 0, "told": traceback.format_exc()})
        return 1
    tell({"takeovers": seen.seconds})
    tell(
        {
            "books": "takeovers",
            "rate": seen.rate_per_minute,
            "most_in_60s": seen.most_calls_in_60s,
            "calls": 0,
            "faults": {},
        }
    )
    broken = list(seen.broken_promises())
    for each in broken:
        tell({"failed": each, "seed": 0, "told": f"{each}\nall of its kind: {seen.seconds}"})
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
