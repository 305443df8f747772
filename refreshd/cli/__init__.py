"""The commands. They ask, format and print; decisions are the core's, and SQL is the ledger's."""

import sys
from collections.abc import Sequence
from typing import NoReturn

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """The entry point. The real work is imported here, so that Ctrl-C during the imports is as clean as at any other moment."""
    try:
        from refreshd.cli.app import run_command  # noqa: PLC0415 - see above

        code = run_command(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:
        code = INTERRUPTED
    if code == INTERRUPTED:
        sys.stderr.write("interrupted; what was recorded stays, and the next run goes on from there\n")
    sys.exit(code)
