import json

from tests.support.commands import refreshd


def test_migrate_applies_once_and_says_so(empty_database_url: str) -> None:
    env = {"REFRESHD_DATABASE_URL": empty_database_url}
    first = refreshd("migrate", env=env)
    assert first.code == 0
    assert "0001_ledger" in first.out
    second = refreshd("migrate", env=env)
    assert second.code == 0
    assert "nothing changed" in second.out


def test_check_names_what_is_missing_and_the_command_that_mends_it(empty_database_url: str) -> None:
    ran = refreshd("migrate", "--check", env={"REFRESHD_DATABASE_URL": empty_database_url})
    assert ran.code == 4
    assert "0001_ledger missing" in " ".join(ran.out.split())
    assert "hint: run `refreshd migrate`" in ran.err


def test_check_of_a_current_schema_is_fine_and_changes_nothing(database_url: str) -> None:
    ran = refreshd("migrate", "--check", "--json", env={"REFRESHD_DATABASE_URL": database_url})
    assert ran.code == 0
    status = json.loads(ran.out)
    assert status["current"] is True
    assert status["missing"] == []


def test_the_schema_is_the_operators_choice(empty_database_url: str) -> None:
    env = {"REFRESHD_DATABASE_URL": empty_database_url, "REFRESHD_DATABASE_SCHEMA": "elsewhere"}
    assert "elsewhere" in refreshd("migrate", env=env).out


def test_a_database_that_is_not_there_is_exit_4_with_a_hint() -> None:
    ran = refreshd("migrate", env={"REFRESHD_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"})
    assert ran.code == 4
    assert ran.err.startswith("error: the database does not answer")
    assert "hint:" in ran.err


def test_missing_settings_are_exit_2() -> None:
    ran = refreshd("migrate")
    assert ran.code == 2
    assert "REFRESHD_DATABASE_URL" in ran.err


def test_a_password_in_the_url_is_never_shown() -> None:
    ran = refreshd("migrate", env={"REFRESHD_DATABASE_URL": "postgresql://nobody:s3cret@127.0.0.1:1/none"})
    assert "s3cret" not in ran.words
