"""Whatever ails the database, the daemon waits, shows nothing that it does not know, sends nothing unrecorded, and goes on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from refreshd import migrate
from refreshd.postgres import Connection
from refreshd.simulator.calls import Operation
from tests.support.chart import (
    CONCURRENCY,
    PACE,
    accept_first_plan,
    charted,
    comes_to_its_end,
    goes_on,
    nothing_is_left_or_double,
    under_way,
)
from tests.support.postgres import MIGRATED_AT, SCHEMA, PostgresServer
from tests.support.world import until, world

pytestmark = pytest.mark.slow

MANY = 250
"""Active logins: enough for several sicknesses to come in the middle of one routine."""

SICKNESSES = {
    "read-only": (
        "ALTER DATABASE {database} SET default_transaction_read_only = on",
        "ALTER DATABASE {database} RESET default_transaction_read_only",
        "read-only",
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
        """End every session of the role: what it is told next, it is told when it comes again. Also one that was just coming."""
        for _ in range(5):
            ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1"
            await self._admin.execute(ended, self._role)
            await asyncio.sleep(0.05)


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


async def test_a_database_that_serves_nobody_any_more_for_whatever_reason_is_waited_for_each_time(
    patient: Patient, empty_database_url: str
) -> None:
    async with world(empty_database_url, active=MANY, inactive=10) as here:
        await accept_first_plan(here)
        async with here.started("run", env=PACE | {"REFRESHD_DATABASE_URL": patient.url}) as daemon:
            for sick, well, said in SICKNESSES.values():
                async with charted(daemon) as chart:
                    await under_way(here)
                    await patient.run(sick)
                    await patient.throw_out()
                    try:
                        await chart.is_ill(said)
                        before = len(daemon.lines("leadership_over"))
                        await daemon.logged("leadership_over", count=before + 1)
                        await chart.seen("without logins", lambda look: look.up == 0 and not look.of_logins)
                    finally:
                        await patient.run(well)
                    await chart.is_well()
                    chart.was_ill_once()
            assert here.calls(Operation.AUTHORIZE) < MANY
            await comes_to_its_end(here)
        await nothing_is_left_or_double(here, here.sql, again=CONCURRENCY * len(SICKNESSES))


@pytest.mark.parametrize("table", ["schedule_change", "reconcile_pass"])
async def test_a_database_without_room_lets_no_change_leave_whose_intent_it_could_not_store(
    table: str, patient: Patient, empty_database_url: str
) -> None:
    async with world(empty_database_url, active=5, inactive=3) as here:
        await accept_first_plan(here)
        async with (
            full_disk(here.sql, table) as free,
            here.started("run", env=PACE | {"REFRESHD_DATABASE_URL": patient.url}) as daemon,
            charted(daemon) as chart,
        ):
            await chart.is_ill("no room")
            await daemon.logged("leadership_over", count=3)
            assert here.calls(Operation.SET_SCHEDULED_REFRESH) == 0
            free()
            await goes_on(here, chart)
        await nothing_is_left_or_double(here, here.sql, again=CONCURRENCY)


async def test_results_that_find_no_room_wait_and_are_told_while_passes_go_on(
    patient: Patient, empty_database_url: str
) -> None:
    async with world(empty_database_url, active=30) as here:
        await here.sql.fetch("SELECT add_call_day($1, 0) FROM generate_series(1, 2)", here.dates.now())
        today = f"call_{here.dates.now():%Y%m%d}"
        async with (
            full_disk(here.sql, today) as free,
            here.started("run", env=PACE | {"REFRESHD_DATABASE_URL": patient.url}) as daemon,
            charted(daemon) as chart,
        ):
            await chart.is_ill("no room")
            await daemon.logged("pass_finished", count=2)
            assert not daemon.lines("leadership_over")
            assert here.calls(Operation.AUTHORIZE) <= CONCURRENCY, "who waits for its result begins nothing new"
            free()
            await here.sql.execute(f"TRUNCATE {today}")  # so that no session keeps /dev/full open
            await goes_on(here, chart)
            assert not daemon.lines("leadership_over")
        await nothing_is_left_or_double(here, here.sql, again=0)


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


LOCKS = {
    "LOCK TABLE login IN ACCESS EXCLUSIVE MODE": "leadership_over",
    "SELECT FROM lease FOR UPDATE": "leadership_over",
    "SELECT FROM budget FOR UPDATE": "claim_waits",
}
"""What the log says while everything waits."""


async def test_a_lock_of_somebody_else_on_what_everything_needs_is_waited_for_each_time(
    patient: Patient, empty_database_url: str
) -> None:
    async with world(empty_database_url, active=MANY, inactive=10) as here:
        await accept_first_plan(here)
        async with here.started("run", env=PACE | {"REFRESHD_DATABASE_URL": patient.url}) as daemon:
            for statement, event in LOCKS.items():
                async with charted(daemon) as chart:
                    await chart.is_well()
                    await under_way(here)
                    locker = await asyncpg.connect(empty_database_url, server_settings={"search_path": SCHEMA})
                    await locker.execute(f"BEGIN; {statement}")
                    before = len(daemon.lines(event))
                    await daemon.logged(event, count=before + 1)
                    stopped_at = here.calls(Operation.AUTHORIZE)
                    await daemon.logged(event, count=before + 2)
                    assert here.calls(Operation.AUTHORIZE) <= stopped_at + CONCURRENCY
                    await locker.close()
                    await chart.is_well()
                    assert all(look.alive for look in chart.looks)
            assert here.calls(Operation.AUTHORIZE) < MANY
            await comes_to_its_end(here)
        await nothing_is_left_or_double(here, here.sql, again=CONCURRENCY * len(LOCKS))


async def test_rows_that_an_operators_open_transaction_holds_wait_and_nobody_else_does(
    patient: Patient, empty_database_url: str
) -> None:
    async with world(empty_database_url, active=60, inactive=5) as here:
        await accept_first_plan(here)
        held, let_go = sorted(here.active)[:5], sorted(here.inactive)[:2]
        operator = await asyncpg.connect(empty_database_url, server_settings={"search_path": SCHEMA})
        await operator.execute("BEGIN")
        await operator.execute("SELECT FROM login WHERE login_id = ANY($1::text[]::uuid[]) FOR UPDATE", held + let_go)
        async with (
            here.started("run", env=PACE | {"REFRESHD_DATABASE_URL": patient.url}) as daemon,
            charted(daemon) as chart,
        ):
            await until("the other leaks to be off", lambda: here.switched_on() == here.active | set(let_go))
            others = here.active - set(held)
            await until("the others' routine", lambda: others <= set(here.calls_by_login(Operation.AUTHORIZE)))
            assert not daemon.lines("leadership_over")
            await operator.close()
            await until(
                "the rest of the routine", lambda: here.calls_by_login(Operation.AUTHORIZE).keys() == here.active
            )
            await until("all leaks to be off", lambda: here.switched_on() == here.active)
            assert all(look.alive for look in chart.looks)
        await nothing_is_left_or_double(here, here.sql, again=0)


_EVERY_SESSION_IS_LIMITED = """
CREATE FUNCTION limit_statements() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('statement_timeout', '300ms', false);
    RETURN NULL;
END
$$;
CREATE TRIGGER limited AFTER INSERT OR UPDATE ON login FOR EACH STATEMENT EXECUTE FUNCTION limit_statements();
CREATE TRIGGER limited AFTER INSERT OR UPDATE ON reconcile_pass FOR EACH STATEMENT EXECUTE FUNCTION limit_statements();
"""
"""Whoever writes these has a limit from then on, whatever its session began with."""


async def test_statements_that_time_out_at_the_server_are_waited_for_and_nothing_leaves_meanwhile(
    patient: Patient, empty_database_url: str
) -> None:
    """Somebody else's lock is what they wait for; their limit is shorter than our own patience with locks."""
    async with world(empty_database_url, active=120, inactive=10) as here:
        await accept_first_plan(here)
        await here.sql.execute(_EVERY_SESSION_IS_LIMITED)
        async with (
            here.started("run", env=PACE | {"REFRESHD_DATABASE_URL": patient.url}) as daemon,
            charted(daemon) as chart,
        ):
            await chart.is_well()
            await under_way(here)
            locker = await asyncpg.connect(empty_database_url, server_settings={"search_path": SCHEMA})
            await locker.execute("BEGIN; LOCK TABLE login, schedule_change IN ACCESS EXCLUSIVE MODE")
            await chart.is_ill("statement timeout")
            await chart.seen("without logins", lambda look: not look.of_logins)
            stopped_at = here.calls(Operation.SET_SCHEDULED_REFRESH)
            before = len(daemon.lines("leadership_over"))
            await daemon.logged("leadership_over", count=before + 2)
            assert here.calls(Operation.SET_SCHEDULED_REFRESH) == stopped_at, "whose intent could not be stored"
            await locker.close()
            await goes_on(here, chart)
        await nothing_is_left_or_double(here, here.sql, again=CONCURRENCY)


async def test_a_limit_that_the_role_has_for_its_statements_is_not_ours(
    patient: Patient, empty_database_url: str
) -> None:
    """Each statement has a limit of our own; some may take an hour, as when a plan covers millions of logins."""
    await patient.run("ALTER ROLE {role} SET statement_timeout = '1ms'")
    async with world(empty_database_url, active=20, inactive=3) as here:
        await accept_first_plan(here)
        async with here.started("run", env=PACE | {"REFRESHD_DATABASE_URL": patient.url}) as daemon:
            await comes_to_its_end(here)
            assert not daemon.lines("leadership_over")
            assert not [line for line in daemon.err if "statement timeout" in line]
        await nothing_is_left_or_double(here, here.sql, again=0)
