"""The real PgBouncer in transaction mode in front of the test server, with fewer server sessions than it has customers."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit, urlunsplit

import pytest

_CONFIG = """
[databases]
* = host={socket} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
{more}
"""
_PATIENCE_SECONDS = 20.0


def require_pgbouncer() -> str:
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        pytest.skip("pgbouncer not found: apt-get install pgbouncer")
    return found


@contextmanager
def pooled(database_url: str, path: Path, *, more: str = "") -> Iterator[str]:
    """A URL that leads to the database through PgBouncer; `more` are lines of its configuration. Works in `path`, open to all users."""
    program, port = require_pgbouncer(), free_port()
    sockets = Path(parse_qs(urlsplit(database_url).query)["host"][0])
    path.chmod(0o755)
    config = path / "pgbouncer.ini"
    config.write_text(_CONFIG.format(socket=sockets, port=port, more=more))
    config.chmod(0o644)
    user = ["-u", sockets.owner()] if os.geteuid() == 0 else []  # the server's own user, who can open its sockets
    with (path / "pgbouncer.log").open("wb") as log:
        process = subprocess.Popen([program, *user, str(config)], stdout=log, stderr=log)  # noqa: S603 # found above
        try:
            _wait_for(port, path / "pgbouncer.log")
            yield urlunsplit(urlsplit(database_url)._replace(netloc=f"postgres@127.0.0.1:{port}", query=""))
        finally:
            process.kill()
            process.wait()


def _wait_for(port: int, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(f"PgBouncer did not start:\n{log.read_text()}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
