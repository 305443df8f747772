"""Random weeks of a soak, in a process of its own with a Postgres of its own; told as `company` tells its lives."""

import argparse
import traceback

from tests.soak.company import quiet_server, tell
from tests.support.postgres import PostgresServer
from tests.support.virtual_world import RATE
from tests.support.weeks import live_through


def live(server: PostgresServer, seed: int) -> bool:
    """Whether the weeks of this seed went well."""
    try:
        with server.database(migrated=True) as url:
            audit = live_through(url, seed)
    except Exception:  # noqa: BLE001 - whatever it was, it is told, and other weeks are lived through
        tell({"failed": "weeks", "seed": seed, "told": traceback.format_exc()})
        return False
    tell({"weeks": 1})
    tell(
        {
            "books": f"weeks of {seed}",
            "rate": RATE,
            "calls": audit.calls_counted,
            "most_in_60s": audit.most_in_60s,
            "faults": dict(audit.faults),
        }
    )
    return True


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.weeks")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--count", type=int, default=1)
    asked = parser.parse_args()
    with quiet_server() as server:
        well = [live(server, seed) for seed in range(asked.seed, asked.seed + asked.count)]
    return 0 if all(well) else 1


if __name__ == "__main__":
    raise SystemExit(main())
