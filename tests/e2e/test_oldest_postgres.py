"""The oldest Postgres that refreshd promises to run on: the system's own server, where it is that old, and everything once over."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from refreshd import migrate
from refreshd.postgres import connect
from tests.support.postgres import SCHEMA
from tests.support.world import NOON, world

pytestmark = pytest.mark.slow

_PROGRAMS = Path("/usr/lib/postgresql")
_OWNER = "postgres"


def _programs() -> Path:
    found = sorted(each for each in _PROGRAMS.glob("*/bin") if int(each.parent.name) >= migrate.OLDEST_POSTGRES)
    if not found:
        pytest.skip("no PostgreSQL server of the system: apt-get install postgresql")
    return found[0]


def _run(*command: str | Path) -> None:
    """As the server's own user where we are root: PostgreSQL refuses to run as that."""
    before = ("runuser", "-u", _OWNER, "--") if os.getuid() == 0 else ()
    subprocess.run([*before, *map(str, command)], check=True, capture_output=True)  # noqa: S603 - the system's own programs


@pytest.fixture
def oldest_database_url() -> Iterator[str]:
    programs, home = _programs(), Path(tempfile.mkdtemp(prefix="refreshd-oldest-"))
    try:
        if os.getuid() == 0:
            os.chown(home, pwd.getpwnam(_OWNER).pw_uid, -1)
        _run(programs / "initdb", "--pgdata", home / "data", "--auth", "trust", "--username", _OWNER, "--no-sync")
        _run(
            programs / "pg_ctl", "--pgdata", home / "data", "-w", "-l", home / "log", "-o", f"-k {home} -h ''", "start"
        )
        try:
            yield f"postgresql://{_OWNER}@/postgres?host={home}"
        finally:
            _run(programs / "pg_ctl", "--pgdata", home / "data", "--mode", "immediate", "stop")
    finally:
        shutil.rmtree(home)


async def test_a_plan_and_a_routine_come_to_their_end_on_the_oldest_postgres(oldest_database_url: str) -> None:
    session = await connect(oldest_database_url, schema=SCHEMA, name="test")
    try:
        await migrate.apply(session, schema=SCHEMA, now=NOON)
    finally:
        await session.close()
    async with world(oldest_database_url, active=12, inactive=4, well=False) as here:
        assert (await here.once()).held == 4
        assert await here.approve_all() == 1
        done = await here.once()

        assert done.confirmed == 4
        assert here.switched_on() == here.active
        assert set(await here.verdicts()) == here.active | here.inactive
        assert await here.traced() == here.flinks.audit.calls_by_operation
        assert not here.flinks.audit.breaches_by_rule
