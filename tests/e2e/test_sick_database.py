"""Whatever ails the database, the daemon waits, shows nothing that it does not know, sends nothing unrecorded, and goes on."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from refreshd import migrate
from refreshd.postgres import Connection
from refreshd.simulator.calls import Operation
from tests.e2e.test_two_daemons import asked
from tests.support.postgres import MIGRATED_AT, SCHEMA, PostgresServer
from tests.support.process import Process
from tests.support.world import World, until, world

pytestmark = pytest.mark.slow

SICKNESSES = {
    "read-only": (
        "ALTER DATABASE {database} SET default_transaction_read_only = on",
        "ALTER DATABASE {database} RESET default_transaction_read_only",
        "read-only",
    ),
    "closed to everybody": (
        "ALTER DATABASE {database} ALLOW_CONNECTIONS false",
        "ALTER DATABASE {database} ALLOW_CONNECTIONS true",
        "refuses us",
    ),
    "our role may not log in any more": ("ALTER ROLE {role} NOLOGIN", "ALTER ROLE {role} LOGIN", "refuses us"),
    "too many connections": (
        "ALTER ROLE {role} CONNECTION LIMIT 0",
        "ALTER ROLE {role} CONNECTION LIMIT -1",
        "no more sessions",
    ),
}


class Patient:
    """The database under a daemon whose role is an ordinary one that owns its schema; `admin` looks after it from next door."""

    def __init__(self, admin: Connection, url: str) -> None:
        self._admin = admin
        self._database = urlsplit(url).path[1:]
        self._role = f"role_{self._database}"
        self.url = urlunsplit(urlsplit(url)._replace(netloc=f"{self._role}@"))

    async def run(self, statement: str) -> None:
        await self._admin.execute(statement.format(database=self._database, role=self._role))

    async def throw_out(self) -> None:
        """End every session of the role: what it is told next, it is told when it comes again."""
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1"
        await self._admin.execute(ended, self._role)


@pytest.fixture
async def patient(postgres: PostgresServer, empty_database_url: str) -> AsyncIterator[Patient]:
    admin = await asyncpg.connect(postgres.url_of("postgres"))
    body = Patient(admin, empty_database_url)
    await body.run("CREATE ROLE {role} LOGIN; GRANT CREATE ON DATABASE {database} TO {role}")
    owner = await asyncpg.connect(body.url)
    await migrate.apply(owner, schema=SCHEMA, now=MIGRATED_AT)
    await owner.close()
    yield body
    await admin.close()  # the role goes with the server: it owns what is dropped only after this


async def shows(daemon: Process) -> dict[str, str]:
    _, text = await asked(daemon, "/metrics")
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))


async def waits(daemon: Process, said: str) -> None:
    """The daemon is alive, not ready, and shows no login: it knows of none."""
    over = await daemon.logged("leadership_over", count=2)
    assert said in str(over["error"])
    assert (await asked(daemon, "/livez"))[0] == 200
    assert (await asked(daemon, "/readyz"))[0] == 503
    shown = await shows(daemon)
    assert shown["refreshd_database_up"] == "0.0"
    assert not [
        name for name in shown if name.startswith(("refreshd_logins", "refreshd_leaking", "refreshd_active_logins"))
    ]


async def goes_on(here: World, daemon: Process) -> None:
    await until("the routine to end", lambda: len(here.calls_by_login(Operation.AUTHORIZE)) == len(here.active))
    assert (await shows(daemon))["refreshd_database_up"] == "1.0"
    assert (await asked(daemon, "/readyz"))[0] == 200


@pytest.mark.parametrize("sickness", SICKNESSES)
async def test_a_database_that_is(sickness: str, patient: Patient, empty_database_url: str) -> None:
    sick, well, said = SICKNESSES[sickness]
    async with (
        world(empty_database_url, active=400) as here,
        here.started("run", env={"REFRESHD_DATABASE_URL": patient.url}) as daemon,
    ):
        await until("the routine to be under way", lambda: here.calls(Operation.AUTHORIZE) >= 20)
        await patient.run(sick)
        await patient.throw_out()
        try:
            await waits(daemon, said)
            assert here.calls(Operation.AUTHORIZE) < 400
        finally:
            await patient.run(well)
        await goes_on(here, daemon)


async def test_a_database_without_room_lets_no_change_leave_whose_intent_it_could_not_store(
    patient: Patient, empty_database_url: str
) -> None:
    async with world(empty_database_url, active=5, inactive=3) as here:
        accepted = "UPDATE landmark SET accepted_at = $1, accepted_logins = 8, accepted_active = 5"
        await here.sql.execute(accepted, here.dates.now())  # so the plan is not the first one, and goes by itself
        async with (
            full_disk(here.sql, "schedule_change") as free,
            here.started("run", env={"REFRESHD_DATABASE_URL": patient.url}) as daemon,
        ):
            over = await daemon.logged("leadership_over", count=2)
            assert "no room" in str(over["error"])
            assert here.calls(Operation.SET_SCHEDULED_REFRESH) == 0
            free()
            await until("the leaks to be off", lambda: here.switched_on() == here.active)
            assert (await shows(daemon))["refreshd_database_up"] == "1.0"
        assert here.calls(Operation.SET_SCHEDULED_REFRESH) == await here.events("sent") == 3


@asynccontextmanager
async def full_disk(sql: Connection, table: str) -> AsyncIterator[Callable[[], None]]:
    """A disk without room under one empty table, until the yielded function is called: /dev/full takes the place of its file."""
    root = await sql.fetchval("SELECT current_setting('data_directory')")
    file = Path(root, await sql.fetchval("SELECT pg_relation_filepath($1::text::regclass)", table))
    aside = file.with_name(f"{file.name}_aside")

    def fill() -> None:
        file.rename(aside)
        file.symlink_to("/dev/full")

    def free() -> None:
        if aside.exists():
            file.unlink()
            aside.rename(file)

    fill()
    try:
        yield free
    finally:
        free()


async def test_a_table_that_somebody_locks_keeps_everything_waiting_and_nothing_undone(
    patient: Patient, empty_database_url: str
) -> None:
    async with (
        world(empty_database_url, active=300) as here,
        here.started("run", env={"REFRESHD_DATABASE_URL": patient.url}) as daemon,
    ):
        await until("the routine to be under way", lambda: here.calls(Operation.AUTHORIZE) >= 20)
        locker = await asyncpg.connect(empty_database_url, server_settings={"search_path": SCHEMA})
        await locker.execute("BEGIN; LOCK TABLE login IN ACCESS EXCLUSIVE MODE")
        await daemon.logged("leadership_over")
        stopped_at = here.calls(Operation.AUTHORIZE)
        assert stopped_at < 300
        await locker.close()
        await until("the routine to end", lambda: len(here.calls_by_login(Operation.AUTHORIZE)) == 300)
        assert (await asked(daemon, "/readyz"))[0] == 200
