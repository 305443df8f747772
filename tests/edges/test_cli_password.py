"""`refreshd password`: what it prints opens the doors, and the password itself appears nowhere."""

import json
import os
import pty
import subprocess
import sys
from typing import IO

import pytest

from refreshd.operators import read_operators
from tests.support.commands import environment, refreshd

PASSWORD = "correct horse battery"


def test_the_line_that_it_prints_lets_that_operator_in_and_does_not_hold_the_password() -> None:
    ran = refreshd("password", "alice", stdin=f"{PASSWORD}\n".encode())
    assert ran.code == 0
    assert len(ran.out.splitlines()) == 1
    assert PASSWORD not in ran.out + ran.err
    operators = read_operators(ran.out)
    assert operators.knows("alice", PASSWORD)
    assert not operators.knows("alice", PASSWORD.upper())


def test_json_holds_the_same_line() -> None:
    ran = refreshd("password", "alice", "--json", stdin=f"{PASSWORD}\n".encode())
    assert read_operators(json.loads(ran.out)["line"]).knows("alice", PASSWORD)


@pytest.mark.parametrize(
    ("name", "password", "said"),
    [
        ("alice", "eleven char", "this password is too short"),
        ("alice", "", "this password is too short"),
        ("a:b", PASSWORD, "an operator's name has letters"),
    ],
    ids=["short", "none", "a name that cannot stand in a line"],
)
def test_what_cannot_be_an_operator_is_refused_and_nothing_is_printed(name: str, password: str, said: str) -> None:
    ran = refreshd("password", name, stdin=f"{password}\n".encode())
    assert ran.code == 2
    assert ran.out == ""
    assert said in ran.err
    assert password not in ran.err or not password


def _until(stream: IO[bytes], end: bytes) -> bytes:
    """All that comes up to these words."""
    read = b""
    while not read.endswith(end):
        letter = stream.read(1)
        assert letter, read
        read += letter
    return read


@pytest.mark.parametrize(("again", "works"), [(PASSWORD, True), ("something else", False)])
def test_on_a_terminal_it_is_asked_for_twice_and_unseen(again: str, works: bool) -> None:  # noqa: FBT001 # a column of the table
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "refreshd", "password", "alice"]
    with subprocess.Popen(  # noqa: S603 - our own program
        command,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        env=environment(None),
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for question, answer in ((b"Password: ", PASSWORD), (b"Repeat for confirmation: ", again)):
            _until(process.stderr, question)
            os.write(ours, f"{answer}\n".encode())
        if works:
            assert read_operators(process.stdout.read().decode()).knows("alice", PASSWORD)
        else:
            _until(process.stderr, b"Password: ")
            process.terminate()
            assert process.stdout.read() == b""
    os.close(theirs)
    os.set_blocking(ours, False)
    try:
        seen = os.read(ours, 1024)
    except OSError:  # the other end is closed, and nothing was echoed
        seen = b""
    os.close(ours)
    assert PASSWORD.encode() not in seen
