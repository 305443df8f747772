"""The wire codec meets a coverage-guided fuzzer for a few seconds, in a process of its own; `make fuzz` gives it longer."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.documents import ROOT

pytestmark = pytest.mark.slow

SECONDS = 10
AT_LEAST = 1_000
"""Executions, on the slowest machine; usually it is ten thousands."""

needs_atheris = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris not found: it is for Linux and Python before 3.14"
)


@needs_atheris
def test_whatever_bytes_arrive_there_is_a_value_or_a_typed_error(tmp_path: Path) -> None:
    ran = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "tests.fuzz", "--seconds", str(SECONDS)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    executed = re.search(r"number_of_executed_units: (\d+)", ran.stderr)
    assert executed is not None, ran.stderr[-4000:]
    assert int(executed[1]) >= AT_LEAST
    assert list(tmp_path.iterdir()) == [], "no input that crashed it"
