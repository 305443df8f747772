"""A shell session as a document tells it: its commands one after the other in one bash, each with its exit code and output."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_MARK = "=== refreshd test ==="
_SPAN = re.compile(r"\b\d+ (?:d|h|min|s)\b(?: \d+ (?:h|min|s)\b)?")


@dataclass(frozen=True, slots=True)
class Step:
    """One command: what was typed, how it ended, what it said."""

    command: str
    code: int
    output: str


def commands(text: str) -> list[str]:
    """The lines of a shell block that do something."""
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def expected_code(line: str) -> int:
    """0, unless the comment behind the command says `exits N`."""
    found = re.search(r"#.*\bexits (\d)\b", line)
    return int(found[1]) if found else 0


def play(lines: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> list[Step]:
    """Run the lines; a failure does not stop the session, as it would not stop a reader."""
    bash = shutil.which("bash")
    assert bash is not None, "the documents speak to bash"
    script = "\n".join(f"{line}\ncode=$?; echo; echo '{_MARK}' $code" for line in lines)
    ran = subprocess.run(  # noqa: S603 # our own documents
        [bash, "-c", script],
        cwd=cwd,
        env=dict(env),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    parts = re.split(rf"\n{_MARK} (\d+)\n", ran.stdout)
    outputs, codes = parts[:-1:2], parts[1::2]
    assert len(codes) == len(lines), ran.stdout
    return [Step(line, int(code), output) for line, code, output in zip(lines, codes, outputs, strict=True)]


def normal(line: str) -> str:
    """A line without what differs from run to run: its spans, and how wide they make their column."""
    return " ".join(_SPAN.sub("(a while)", line).split())


def unsaid(expected: Sequence[str], output: str) -> list[str]:
    """The expected lines that do not stand in the output, in their order; `…` stands for any lines."""
    said = iter(normal(line) for line in output.splitlines())
    return [line for line in expected if line.strip() not in {"", "…"} and normal(line) not in said]
