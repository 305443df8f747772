"""`make fuzz SECONDS=60`: the wire codec under a coverage-guided fuzzer, from the vendor's own samples on.

Whatever bytes arrive, there is a value or a `FlinksError`, and what is kept of them is short and printable; anything else ends the run
with the input that did it (libFuzzer writes it to `crash-...`). Time and memory of one input are limited by libFuzzer itself.
"""

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args
from uuid import UUID

import atheris  # type: ignore[import-untyped] # it ships none

with atheris.instrument_imports(include=["refreshd.core"]):
    from refreshd.core import wire
    from refreshd.core.errors import MESSAGE_LIMIT, FlinksError, FlinksThrottled
    from refreshd.core.model import Change, Credential, FetchDepth, Flag, LoginId

NOW = datetime(2026, 6, 18, 15, 0, tzinfo=UTC)
LOGIN = LoginId(UUID("d12c531b-9622-4477-38c5-08d779b6f27e"))
REQUESTS = (
    wire.mint_token(),
    wire.authorize(LOGIN, live=False, token=None),
    wire.authorize(LOGIN, live=True, token=None),
    wire.fetch_accounts("r-1", FetchDepth.DETAIL, login_id=LOGIN),
    wire.poll_accounts("r-1", FetchDepth.SUMMARY, login_id=LOGIN),
    wire.read_report(),
    wire.set_scheduled_refresh(LOGIN, Change.DISABLE, credential=Credential.NONE, token=None),
    wire.set_scheduled_refresh(LOGIN, Change.ENABLE, credential=Credential.NONE, token=None),
)
STATUSES = (200, 201, 202, 203, 204, 302, 400, 401, 403, 404, 405, 429, 500, 503)
SAMPLES = Path(__file__).parents[1] / "samples"
HEADER_BYTES = 40
LARGEST_BYTES = 16_384
ANSWERS = get_args(wire.VendorAnswer)
LONGEST_WAIT = timedelta(days=1)


def one_input(data: bytes) -> None:
    """The first bytes choose the call, its status and a Retry-After; all others are the body."""
    head, body = data[:HEADER_BYTES].ljust(HEADER_BYTES, b"\0"), data[HEADER_BYTES:]
    request = REQUESTS[head[0] % len(REQUESTS)]
    status = STATUSES[head[1] % len(STATUSES)]
    headers = {"Retry-After": head[2:].rstrip(b"\0").decode("latin-1")}
    facts = wire.facts(status, body)
    for text in (facts.flinks_code, facts.message, facts.request_id):
        expect(text is None or (len(text) <= MESSAGE_LIMIT and text.isprintable()), text)
    try:
        check(wire.interpret(request, status, headers, body, received_at=NOW), body)
    except FlinksThrottled as error:
        expect(error.retry_after is None or timedelta() <= error.retry_after <= LONGEST_WAIT, error.retry_after)
    except FlinksError as error:
        expect(len(error.message) <= MESSAGE_LIMIT, error.message)


def check(answer: object, body: bytes) -> None:
    """An answer is one of the documented values; a change is confirmed by the very words, about the very login."""
    expect(isinstance(answer, ANSWERS), answer)
    if isinstance(answer, wire.ScheduleSet):
        said = b"deactivated" if answer.flag is Flag.OFF else b"activated"
        expect(said in body.lower(), answer)
        expect(str(LOGIN).encode() in body.lower(), answer)


def expect(holds: bool, what: object) -> None:  # noqa: FBT001 - a sentence that must be true
    """Not an assert: those can be switched off."""
    if not holds:
        raise AssertionError(what)


def seeds() -> Iterator[bytes]:
    """Each sample of the vendor's as the answer to each call, with a good status and a bad one."""
    for path in sorted(SAMPLES.glob("*-*-*")):
        for call in range(len(REQUESTS)):
            for status in (0, 7, 11):
                yield bytes([call, status]) + b"30".ljust(HEADER_BYTES - 2, b"\0") + path.read_bytes()


@contextlib.contextmanager
def corpus() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="refreshd-fuzz-") as directory:
        for number, seed in enumerate(seeds()):
            (Path(directory) / f"seed-{number:04}").write_bytes(seed)
        yield directory


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    limits = [f"-max_total_time={asked.seconds}", f"-max_len={LARGEST_BYTES}", "-timeout=5", "-rss_limit_mb=1024"]
    with corpus() as directory:
        told = [sys.argv[0], *limits, f"-seed={asked.seed}", "-print_final_stats=1", directory]
        atheris.Setup(told, one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
