"""PostgreSQL servers that a test has for itself: to stop, to restart, to run out of sessions, to copy into a standby and to promote.

Commits are written before they are answered, as in production; only fsync is off, since no test pulls the plug of this machine.
"""

import asyncio
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import asyncpg

from refreshd import migrate
from refreshd.postgres import Connection
from tests.support.postgres import MIGRATED_AT, SCHEMA

SUPERUSER = "postgres"
_CONFIG = """
unix_socket_directories = '{home}'
listen_addresses = ''
fsync = off
max_connections = 40
shared_buffers = 16MB
"""


@dataclass(frozen=True, kw_only=True)
class Programs:
    """The programs of one version of PostgreSQL, and who runs them where we are root: they refuse to run as that."""

    directory: Path
    owner: str

    def run(self, name: str, *words: str | Path) -> None:
        before = ("runuser", "-u", self.owner, "--") if os.geteuid() == 0 else ()
        ran = subprocess.run(  # noqa: S603 - PostgreSQL's own programs
            [*before, str(self.directory / name), *map(str, words)],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # a pipe would be inherited by the server, and never end
            stderr=subprocess.DEVNULL,
        )
        assert ran.returncode == 0, f"{name} {' '.join(map(str, words))} ended with {ran.returncode}"

    @contextmanager
    def home(self) -> Iterator[Path]:
        """A directory of the owner's, with a name that is short enough for a socket."""
        home = Path(tempfile.mkdtemp(prefix="refreshd-own-"))
        try:
            if os.geteuid() == 0:
                os.chown(home, pwd.getpwnam(self.owner).pw_uid, -1)
            yield home
        finally:
            shutil.rmtree(home)

    @classmethod
    async def of(cls, url: str) -> "Programs":
        """Those of the server that runs there."""
        session = await asyncpg.connect(url)
        try:
            directory = await session.fetchval("SELECT setting FROM pg_config WHERE name = 'BINDIR'")
            data = Path(await session.fetchval("SELECT current_setting('data_directory')"))
            return cls(directory=Path(directory), owner=await asyncio.to_thread(data.owner))
        finally:
            await session.close()


class OwnServer:
    """One server under one directory."""

    def __init__(self, programs: Programs, home: Path) -> None:
        self._programs = programs
        self.home = home

    @property
    def url(self) -> str:
        return self.url_of(SUPERUSER)

    def url_of(self, database: str, *, role: str = SUPERUSER) -> str:
        return f"postgresql://{role}@/{database}?host={quote(str(self.home))}"

    @property
    def log(self) -> str:
        return (self.home / "log").read_text(encoding="utf-8")

    def create(self, more: str = "") -> None:
        self._programs.run(
            "initdb", "-D", self._data, "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"
        )
        (self._data / "postgresql.auto.conf").write_text(_CONFIG.format(home=self.home) + more, encoding="utf-8")

    def copy_from(self, primary: "OwnServer") -> None:
        """A copy that follows the primary: a standby once it runs."""
        self._programs.run(
            "pg_basebackup", "-h", primary.home, "-U", SUPERUSER, "-D", self._data, "-R", "-c", "fast", "--no-sync"
        )
        with (self._data / "postgresql.auto.conf").open("a", encoding="utf-8") as config:
            config.write(f"unix_socket_directories = '{self.home}'\n")

    def start(self) -> None:
        self._control("start", "-l", self.home / "log")

    def stop(self, mode: str = "immediate") -> None:
        self._control("stop", "-m", mode)

    def restart(self, mode: str) -> None:
        self._control("restart", "-m", mode, "-l", self.home / "log")

    def promote(self) -> None:
        self._control("promote")

    async def new_database(self, name: str) -> str:
        """The URL of a migrated database; an ordinary role of the same name owns it."""
        admin = await asyncpg.connect(self.url)
        await admin.execute(f"CREATE ROLE {name} LOGIN")
        await admin.execute(f"CREATE DATABASE {name} OWNER {name}")
        await admin.close()
        owner = await asyncpg.connect(self.url_of(name, role=name))
        await migrate.apply(owner, schema=SCHEMA, now=MIGRATED_AT)
        await owner.close()
        return self.url_of(name)

    @property
    def _data(self) -> Path:
        return self.home / "data"

    def _control(self, verb: str, *words: str | Path) -> None:
        self._programs.run("pg_ctl", verb, "-D", self._data, "-w", "-s", *words)


@contextmanager
def own_server(programs: Programs, *, standby_of: OwnServer | None = None, more: str = "") -> Iterator[OwnServer]:
    """A running server of one's own, with `more` settings; it may have been stopped when the block ends."""
    with programs.home() as home:
        server = OwnServer(programs, home)
        if standby_of is None:
            server.create(more)
        else:
            server.copy_from(standby_of)
        server.start()
        try:
            yield server
        finally:
            if (home / "data" / "postmaster.pid").exists():
                server.stop()


async def reconnected(url: str) -> Connection:
    """A session on the ledger's schema, for a test whose own was ended with the server."""
    return await asyncpg.connect(url, server_settings={"search_path": SCHEMA})
