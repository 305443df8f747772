"""The commands that change something: import, once, approve, run; and how they end when somebody or something stops them."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from tests.support.commands import environment, refreshd, start_refreshd
from tests.support.company import Company, company

LOGINS, INACTIVE = 30, 12


@pytest.fixture
def acme(database_url: str, tmp_path: Path) -> Iterator[Company]:
    """A company whose list is not imported yet."""
    with company(database_url, tmp_path, logins=LOGINS, inactive=INACTIVE) as built:
        yield built


@pytest.fixture
def imported(acme: Company) -> Company:
    assert refreshd("import", str(acme.clients), env=acme.env).code == 0
    return acme


def test_a_day_is_held_approved_done_and_then_quiet(imported: Company) -> None:
    env, seen = imported.env, imported.flinks.audit
    first = refreshd("once", "--json", env=env)
    assert first.code == 3
    assert json.loads(first.out)["held"] == INACTIVE
    assert "hint: `refreshd plans` says why" in first.err
    plan_id = json.loads(refreshd("plans", "--json", env=env).out)[0]["plan_id"]

    approved = refreshd("approve", plan_id[:6], "--reason", "looked at it", env=env)
    assert approved.code == 0
    assert f"it covers {INACTIVE} logins until 2026-03-11" in approved.words
    assert "No daemon leads this ledger now" in approved.words

    assert refreshd("once", env=env).code == 0
    status = json.loads(refreshd("status", "--json", env=env).out)
    assert status["logins"]["disabled"] == INACTIVE
    assert not seen.breaches_by_rule
    calls = seen.calls_counted
    quiet = refreshd("once", "--json", env=env)
    assert (quiet.code, json.loads(quiet.out)["calls"]) == (0, 0)
    assert seen.calls_counted == calls


def test_approve_of_a_plan_that_is_not_there_is_one_sentence(database_url: str) -> None:
    ran = refreshd("approve", "abcd", "--reason", "x", env={"REFRESHD_DATABASE_URL": database_url})
    assert ran.code == 2
    assert "there is no plan 'abcd'" in ran.err


@pytest.mark.parametrize("argv", [["approve", "abcd", "--reason", "x"], ["import", "-"]])
def test_writing_commands_refuse_politely_on_an_unmigrated_ledger(empty_database_url: str, argv: list[str]) -> None:
    ran = refreshd(*argv, env={"REFRESHD_DATABASE_URL": empty_database_url}, stdin=b"client_id,login_id,active\n")
    assert ran.code == 4
    assert "hint: run `refreshd migrate`" in ran.err


def test_import_counts_what_it_changed_and_repeating_it_changes_nothing(acme: Company) -> None:
    first = refreshd("import", str(acme.clients), "--json", env=acme.env)
    counts = json.loads(first.out)
    assert counts["links_added"] == counts["rows"]
    assert counts["logins_activated"] == LOGINS - INACTIVE
    assert "nothing changed" in refreshd("import", str(acme.clients), env=acme.env).words


def test_import_reads_standard_input_and_names_what_it_ignores(acme: Company) -> None:
    text = f"login_id,shoe size,client_id,active\n{UUID(int=7)},44,anna,true\n"
    ran = refreshd("import", "-", env=acme.env, stdin=text.encode())
    assert ran.code == 0
    assert "Took in 1 row" in ran.words
    assert "ignored: shoe size" in ran.err


def test_every_bad_row_is_listed_and_nothing_is_changed(acme: Company) -> None:
    text = f"client_id,login_id,active\nanna,not-a-guid,true\nbert,{UUID(int=7)},perhaps\ncarl,{UUID(int=8)},true\n"
    ran = refreshd("import", "-", env=acme.env, stdin=text.encode())
    assert ran.code == 2
    assert "2 bad rows; nothing was changed" in ran.err
    assert "line 2, login_id" in ran.err
    assert "line 3, active" in ran.err
    assert acme.sql("SELECT count(*) AS n FROM client")[0]["n"] == 0


def test_a_full_list_that_shrank_beyond_the_caps_is_held_and_the_way_past_is_named(imported: Company) -> None:
    text = f"client_id,login_id,active\nanna,{UUID(int=7)},true\n"
    ran = refreshd("import", "-", "--full", env=imported.env, stdin=text.encode())
    assert ran.code == 3
    lost = LOGINS - INACTIVE
    assert f"--accept-shrinkage {lost}" in ran.err
    accepted = refreshd("import", "-", "--full", "--accept-shrinkage", str(lost), env=imported.env, stdin=text.encode())
    assert accepted.code == 0
    assert f"logins that became inactive {lost}" in accepted.words


def test_a_file_that_is_not_there_is_one_sentence(acme: Company, tmp_path: Path) -> None:
    ran = refreshd("import", str(tmp_path / "nothing.csv"), env=acme.env)
    assert ran.code == 2
    assert "cannot be read: No such file or directory" in ran.err


def test_a_refused_key_ends_once_with_exit_4_and_names_the_doctor(imported: Company) -> None:
    ran = refreshd("once", env=imported.env | {"REFRESHD_FLINKS_SECRET_KEY": "a-wrong-secret-key"})
    assert ran.code == 4
    assert "run `refreshd doctor`" in ran.err
    assert "a-wrong-secret-key" not in ran.words


def test_two_cannot_work_at_once(imported: Company) -> None:
    imported.sql(
        "UPDATE lease SET holder = 'somebody', term = 9, acquired_at = clock_timestamp(),"
        " expires_at = clock_timestamp() + interval '1 hour'"
    )
    ran = refreshd("once", env=imported.env)
    assert ran.code == 4
    assert "another refreshd leads this ledger" in ran.err
    assert "somebody since" in refreshd("status", env=imported.env).words


def test_missing_settings_of_flinks_are_all_named_at_once(database_url: str) -> None:
    ran = refreshd("once", env={"REFRESHD_DATABASE_URL": database_url})
    assert ran.code == 2
    assert "REFRESHD_FLINKS_BASE_URL" in ran.err
    assert "REFRESHD_FLINKS_CUSTOMER_ID" in ran.err


def test_the_daemon_leads_and_stops_on_sigterm(imported: Company) -> None:
    env = imported.env
    with start_refreshd("run", env=env) as process:
        _read_until(process, "leading")
        status = refreshd("status", env=env)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in err
    assert "nobody leads" not in status.words
    assert "nobody leads" in refreshd("status", env=env).words


def _read_until(process: "subprocess.Popen[str]", *wanted: str) -> None:
    """Read the log until one of the words stands in it."""
    assert process.stderr is not None
    heard = []
    for line in process.stderr:
        heard.append(line)
        if any(word in line for word in wanted):
            return
    raise AssertionError(f"refreshd ended with {process.wait()} before it said {wanted}; it said\n{''.join(heard)}")


def test_ctrl_c_ends_once_with_130_and_one_line_and_the_next_one_goes_on(database_url: str, tmp_path: Path) -> None:
    with company(database_url, tmp_path, logins=LOGINS, inactive=0, rate=60) as slow:
        refreshd("import", str(slow.clients), env=slow.env)
        with start_refreshd("once", env=slow.env | {"REFRESHD_LOG_LEVEL": "debug"}) as process:
            _read_until(process, "authorize")
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=30)
        assert process.returncode == 130
        assert err.splitlines()[-1].startswith("interrupted;")
        assert "Traceback" not in err
        done = slow.flinks.audit.calls_by_operation["Authorize"]
        assert refreshd("once", env=slow.env | {"REFRESHD_RATE_PER_MINUTE": "6000"}).code == 0
        assert slow.flinks.audit.calls_by_operation["Authorize"] <= LOGINS + 4
        assert done < LOGINS


def test_a_reader_who_leaves_early_is_no_failure(imported: Company) -> None:
    command = [sys.executable, "-m", "refreshd", "logins", "--json"]
    imported.sql("INSERT INTO client SELECT 'many-' || n, true FROM generate_series(1, 5000) AS n")
    imported.sql("INSERT INTO client_login SELECT 'many-' || n, gen_random_uuid() FROM generate_series(1, 5000) AS n")
    with subprocess.Popen(  # noqa: S603 - our own program
        command, env=environment(imported.env), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
    assert (process.returncode, err) == (0, b"")


def test_on_a_real_terminal_a_long_import_shows_its_progress(acme: Company, tmp_path: Path) -> None:
    rows = "".join(f"client-{number},{UUID(int=number + 1)},true\n" for number in range(20_000))
    file = tmp_path / "many.csv"
    file.write_text("client_id,login_id,active\n" + rows)
    shown = _in_a_terminal(["import", str(file)], acme.env)
    assert "reading" in shown
    assert "Took in 20,000 rows" in shown


def _in_a_terminal(argv: list[str], env: dict[str, str]) -> str:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "refreshd", *argv]
    process = subprocess.Popen(  # noqa: S603 - our own program
        command, env=environment({**env, "TERM": "xterm"}), stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    while select.select([ours], [], [], 30)[0]:
        try:
            shown += os.read(ours, 65_536)
        except OSError:
            break
    os.close(ours)
    assert process.wait(timeout=30) == 0
    return shown.decode(errors="replace")
