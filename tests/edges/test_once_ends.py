"""`refreshd once` ends, whatever others do to the ledger meanwhile: it says what it could not do, and leaves it due."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread

import asyncpg
import pytest

from refreshd import leading
from refreshd.cli import service
from refreshd.core import turn
from refreshd.core.errors import RefreshdError
from refreshd.dispatch import Settled
from refreshd.once import OnceResult, Tally, run_once
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


def a_plan_has_to_be_held(acme: Company) -> str:
    """Nobody has looked at this ledger yet, and clients have left; of one it knew that already: returns that login."""
    acme.sql(
        "UPDATE landmark SET accepted_at = NULL, accepted_logins = NULL, accepted_active = NULL, reported_at = NULL"
    )
    known = leave(acme)
    acme.sql("UPDATE login SET verdict = 'leaking', reason = 'new' WHERE login_id = $1", known)
    acme.leave(2)
    return known


def test_a_leak_that_somebody_locks_keeps_its_plan_from_being_held_and_nothing_else_from_being_done(
    acme: Company,
) -> None:
    leaver = a_plan_has_to_be_held(acme)
    with held(acme, "SELECT FROM login WHERE login_id = $1 FOR UPDATE", leaver):
        ran = refreshd("once", env=acme.env)
    assert (ran.code, '"pass_cut_short"' in ran.err) == (1, True), ran.words
    assert "1 piece of work could not be done now" in ran.words
    active = {row["login_id"] for row in acme.sql("SELECT login_id::text FROM login WHERE active")}
    assert called(acme, Operation.AUTHORIZE) == active
    assert len(called(acme, Operation.NIGHTLY_REFRESH_STATUS)) == 1
    assert not still_due(acme)
    assert not called(acme, Operation.SET_SCHEDULED_REFRESH)

    assert refreshd("once", env=acme.env).code == 3
    assert [row["logins"] for row in acme.sql("SELECT logins FROM plan WHERE state = 'held'")] == [
        LOGINS - GONE - len(active)
    ]


def test_a_lock_that_is_let_go_of_in_time_leaves_nothing_undone(acme: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leading, "PATIENCE_OF_ONCE_SECONDS", 30.0)
    leaver = a_plan_has_to_be_held(acme)
    lock = held(acme, "SELECT FROM login WHERE login_id = $1 FOR UPDATE", leaver)
    with ExitStack() as lunch:
        lunch.enter_context(lock)
        cut_short = Tally.on_pass_failed

        def let_go(self: Tally, error: RefreshdError) -> None:
            cut_short(self, error)
            thread = Thread(target=lunch.close)  # a loop runs in ours
            thread.start()
            thread.join()

        monkeypatch.setattr(Tally, "on_pass_failed", let_go)
        ran = refreshd("once", env=acme.env)
    assert (ran.code, ran.err.count('"pass_cut_short"')) == (3, 1), ran.words


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
