"""The fuzzer of a soak, in a process that reads its last words; told as `company` tells its lives."""

import argparse
import re
import subprocess
import sys
import time

from tests.soak.company import tell

_LAST_WORDS = 4_000


def last_words(said: str, *, seconds: float) -> dict[str, float]:
    """The figures in libFuzzer's final statistics; a whole second is the least that it calls slow."""

    def stat(name: str) -> int:
        found = re.search(rf"stat::{name}:\s*(\d+)", said)
        return int(found[1]) if found else 0

    return {
        "executions": stat("number_of_executed_units"),
        "seconds": round(seconds, 1),
        "slowest_seconds": stat("slowest_unit_time_sec"),
        "peak_mb": stat("peak_rss_mb"),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.fuzzing")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    began = time.monotonic()
    argv = [sys.executable, "-m", "tests.fuzz", "--seconds", str(asked.seconds), "--seed", str(asked.seed)]
    ran = subprocess.run(argv, stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603 - our own module
    tell({"fuzzed": last_words(ran.stderr, seconds=time.monotonic() - began)})
    if ran.returncode:
        tell({"failed": "an input to the wire codec", "seed": asked.seed, "told": ran.stderr[-_LAST_WORDS:]})
    return 1 if ran.returncode else 0


if __name__ == "__main__":
    raise SystemExit(main())
