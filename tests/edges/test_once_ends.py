"""`refreshd once` ends, whatever others do to the ledger meanwhile: it says what it could not do, and leaves it due."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from refreshd import leading
from refreshd.cli import service
from refreshd.core import turn
from refreshd.dispatch import Settled
from refreshd.once import OnceResult, run_once
from refreshd.settings import Settings
from refreshd.simulator.calls import Operation
from refreshd.simulator.config import ScheduleAuth
from tests.support.commands import refreshd
from tests.support.company import Company, company
from tests.support.postgres import SCHEMA

LOGINS, GONE = 12, 3


async def run_once_within_a_minute(
    settings: Settings, *, on_settled: Callable[[Settled], None] = lambda _: None
) -> OnceResult:
    """A run without an end fails its test, and not the whole suite."""
    async with asyncio.timeout(60):
        return await run_once(settings, on_settled=on_settled)


@pytest.fixture
def acme(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    """A ledger that was looked at before, so a small plan goes by itself; today's routine is due for everybody."""
    monkeypatch.setattr(leading, "PATIENCE_OF_ONCE_SECONDS", 1.0)
    monkeypatch.setattr(turn, "_TRY_AGAIN_SECONDS", 0.05)
    monkeypatch.setattr(service, "run_once", run_once_within_a_minute)
    with company(database_url, tmp_path, logins=LOGINS, inactive=GONE) as built:
        assert refreshd("import", str(built.clients), env=built.env).code == 0
        built.sql("UPDATE landmark SET accepted_at = now(), accepted_logins = $1, accepted_active = $1", LOGINS)
        assert refreshd("once", env=built.env).code == 0
        built.sql("UPDATE login SET routine_at = '-infinity'")
        built.flinks.audit.reset()
        yield built


@contextmanager
def held(acme: Company, statement: str, *values: object) -> Iterator[None]:
    """Somebody has begun something, and gone to lunch."""
    with asyncio.Runner() as runner:
        session = runner.run(asyncpg.connect(acme.database_url, server_settings={"search_path": SCHEMA}))
        runner.run(session.execute("BEGIN"))
        runner.run(session.fetch(statement, *values))
        yield
        runner.run(session.close())


def leave(acme: Company) -> str:
    """The client of one login leaves; returns the login."""
    leaver = min(acme.scheduled() - acme.inactive)
    acme.leave(1)
    return leaver


def called(acme: Company, operation: Operation) -> set[str]:
    return {each.login_id for each in acme.flinks.audit.calls if each.operation == operation}


def still_due(acme: Company) -> set[str]:
    rows = acme.sql("SELECT login_id::text FROM login WHERE active AND routine_at = '-infinity'")
    return {row["login_id"] for row in rows}


def test_a_login_that_somebody_locks_is_given_up_and_all_others_are_served(acme: Company) -> None:
    leaver = leave(acme)
    locked = min(acme.scheduled() - acme.inactive - {leaver})
    with held(acme, "SELECT FROM login WHERE login_id = $1 FOR UPDATE", locked):
        ran = refreshd("once", env=acme.env)
    assert (ran.code, ran.err.count('"login_given_up"')) == (1, 1), ran.words
    assert "1 piece of work could not be done now" in ran.words
    assert leaver not in acme.scheduled()
    assert still_due(acme) == {locked}
    assert locked in called(acme, Operation.AUTHORIZE)

    assert refreshd("once", env=acme.env).code == 0
    assert not still_due(acme)


def test_a_change_whose_token_was_minted_before_somebody_locked_its_login_is_left_due(acme: Company) -> None:
    env = acme.env | {"REFRESHD_FLINKS_SCHEDULE_AUTH": "authorize-token"}
    world = acme.flinks.world
    world.config = replace(world.config, schedule_auth=ScheduleAuth.AUTHORIZE_TOKEN)
    leaver = leave(acme)
    acme.flinks.add_faults(["html_502@SetScheduledRefresh"])
    refreshd("once", env=env)
    acme.flinks.faults.clear()
    acme.sql("UPDATE login SET change_not_before = NULL")
    with held(acme, "SELECT FROM login WHERE login_id = $1 FOR UPDATE", leaver):
        ran = refreshd("once", env=env)
        assert leaver in acme.scheduled()
    assert (ran.code, ran.err.count('"login_given_up"')) == (1, 1), ran.words
    assert refreshd("once", env=env).code == 0
    assert leaver not in acme.scheduled()


def test_a_leak_whose_row_somebody_holds_all_the_while_is_not_passed_over_in_silence(acme: Company) -> None:
    leaver = leave(acme)
    acme.flinks.add_faults(["html_502@SetScheduledRefresh"])
    refreshd("once", env=acme.env)
    acme.flinks.faults.clear()
    acme.sql("UPDATE login SET change_not_before = NULL")
    with held(acme, "SELECT FROM login WHERE login_id = $1 FOR UPDATE", leaver):
        ran = refreshd("once", env=acme.env)
    assert leaver in acme.scheduled()
    assert (ran.code, ran.err.count('"login_given_up"')) == (1, 1), ran.words
    assert leaver in ran.err


def test_a_report_that_meets_somebodys_lock_counts_as_work_put_off(acme: Company) -> None:
    acme.sql("UPDATE landmark SET reported_at = NULL")
    with held(acme, "LOCK TABLE orphan IN EXCLUSIVE MODE"):
        ran = refreshd("once", env=acme.env)
    assert (ran.code, ran.err.count('"report_not_merged"')) == (1, 1), ran.words


def test_a_ledger_that_takes_no_results_ends_it_with_4_and_what_was_learned_is_still_due(acme: Company) -> None:
    """As when the disk is full under one table: the lease is renewed, and passes go on."""
    acme.sql(
        "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = 'disk_full'; END $$"
    )
    acme.sql("CREATE TRIGGER no_room BEFORE INSERT ON call_default FOR EACH ROW EXECUTE FUNCTION no_room()")
    for day in acme.sql("SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'call'::regclass"):
        if day["name"] != "call_default":
            acme.sql(f"CREATE TRIGGER no_room BEFORE INSERT ON {day['name']} FOR EACH ROW EXECUTE FUNCTION no_room()")
    ran = refreshd("once", env=acme.env)
    assert (ran.code, "the database has no room" in ran.err) == (4, True), ran.words
    assert len(still_due(acme)) == LOGINS - len(acme.inactive)
    assert acme.sql("SELECT FROM lease WHERE expires_at = '-infinity'"), "somebody else may lead at once"
