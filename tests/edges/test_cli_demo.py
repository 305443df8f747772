"""`refreshd demo`, told to stop in the middle of its day."""

import signal
import tomllib
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.commands import start_refreshd


@pytest.mark.slow
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_told_to_stop_leaves_neither_its_server_nor_its_directory(sign: signal.Signals) -> None:
    process = start_refreshd("demo")
    assert process.stdout is not None
    line = next(line for line in process.stdout if "REFRESHD_CONFIG=" in line)
    config = Path(line.partition("REFRESHD_CONFIG=")[2].strip())
    url = str(tomllib.loads(config.read_text(encoding="utf-8"))["database_url"])
    (socket_directory,) = parse_qs(urlsplit(url).query)["host"]
    assert list(Path(socket_directory).glob(".s.PGSQL.*"))
    process.send_signal(sign)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert not config.parent.exists()
