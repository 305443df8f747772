"""`refreshd simulator`: served until stopped, pointed at by settings that it prints."""

import json
import signal
import socket
from pathlib import Path
from urllib.request import urlopen

from tests.support.commands import refreshd, start_refreshd


def test_it_serves_says_how_to_reach_it_and_writes_a_client_list(tmp_path: Path) -> None:
    file = tmp_path / "clients.csv"
    argv = ["simulator", "--port", "0", "--logins", "8", "--inactive", "2", "--write-ledger", str(file), "--json"]
    with start_refreshd(*argv) as process:
        assert process.stdout is not None
        text = ""
        while not text.endswith("}\n") or text.count("{") != text.count("}"):
            text += process.stdout.readline()
        greeting = json.loads(text)
        with urlopen(f"{greeting['address']}/_simulator/summary") as answer:  # noqa: S310 - our own loopback address
            assert json.load(answer)["logins"]["known"] == 8
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert err == ""
    assert json.loads(out)["calls"]["total"] == 0
    assert greeting["settings"]["REFRESHD_FLINKS_BASE_URL"] == f"{greeting['address']}/v3"
    assert file.read_text().startswith("client_id,login_id,active\n")


def test_a_taken_port_is_exit_4_with_a_hint() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ran = refreshd("simulator", "--port", str(taken.getsockname()[1]), "--logins", "1")
    assert ran.code == 4
    assert "choose another --port" in ran.err


def test_options_that_make_no_sense_are_one_sentence(tmp_path: Path) -> None:
    for argv, words in (
        (["--fault", "meteor@any"], "is no fault"),
        (["--start", "tomorrow"], "--start tomorrow is no date"),
        (["--inactive", "3"], "add --write-ledger FILE"),
        (["--logins", "2", "--inactive", "3"], "more than there are logins"),
        (["--write-ledger", str(tmp_path / "no" / "where.csv")], "cannot be written"),
    ):
        ran = refreshd("simulator", "--port", "0", *argv)
        assert ran.code == 2, ran
        assert words in ran.err
