"""Settings as the operator meets them: read from three places, refused with all faults at once, secrets never shown."""

from datetime import time, timedelta
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from refreshd.core.errors import SettingsError
from refreshd.core.model import FetchDepth
from refreshd.settings import ListenAddress, Mode, ScheduleAuth, Settings, load_settings, settings_table
from refreshd.settings.model import SECRETS
from refreshd.settings.values import read_duration, show_duration

CUSTOMER = "43387ca6-0391-4c82-857d-70d95f087ecb"
HIDDEN = "hunter2-do-not-show"
ENOUGH = {
    "DATABASE_URL": "postgresql://refreshd@db/ledger",
    "FLINKS_BASE_URL": "https://toolbox-api.private.fin.ag/v3",
    "FLINKS_CUSTOMER_ID": CUSTOMER,
    "FLINKS_API_KEY": "key-1",
}


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    import os  # noqa: PLC0415 # only here is the whole environment of interest

    for name in list(os.environ):
        if name.startswith("REFRESHD_") or name == "CREDENTIALS_DIRECTORY":
            monkeypatch.delenv(name)


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> "Say":
    return Say(monkeypatch)


class Say:
    """Sets variables as an operator would: enough to run, and what a test adds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def only(self, **variables: str) -> None:
        for name, value in variables.items():
            self._monkeypatch.setenv(f"REFRESHD_{name}", value)

    def enough_and(self, **variables: str) -> None:
        self.only(**{**ENOUGH, **variables})

    def credentials_in(self, directory: Path) -> None:
        self._monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(directory))


def faults(*, require_flinks: bool = True, config: Path | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(require_flinks=require_flinks, config=config)
    return caught.value.message


def secret_of(settings: Settings, name: str) -> str:
    value = getattr(settings, name)
    return str(value.get_secret_value())


def test_the_defaults_are_those_of_the_design(say: Say) -> None:
    say.enough_and()
    settings = load_settings(require_flinks=True)
    assert settings.database_schema == "refreshd"
    assert settings.flinks_customer_id == UUID(CUSTOMER)
    assert settings.flinks_schedule_auth is ScheduleAuth.API_KEY
    assert settings.mode is Mode.ENFORCE
    assert (settings.rate_per_minute, settings.concurrency) == (30, 4)
    assert (settings.max_disable_fraction, settings.max_disable_count) == (0.10, 500)
    assert settings.pass_interval == timedelta(seconds=60)
    assert (settings.routine_at, settings.routine_timezone) == (time(11), ZoneInfo("America/Toronto"))
    assert settings.listen == ListenAddress("127.0.0.1", 9877)
    assert settings.fetch is FetchDepth.OFF
    assert settings.log_format is None


def test_every_setting_may_be_said_in_the_environment(say: Say) -> None:
    say.enough_and(
        DATABASE_URL="embedded:/tmp/pg",
        RATE_PER_MINUTE="300",
        MAX_DISABLE_FRACTION="0.5",
        STALE_AFTER="1.5d",
        ROUTINE_AT="09:30",
        ROUTINE_TIMEZONE="Europe/Berlin",
        LISTEN="[::1]:80",
        FETCH="detail",
        MODE="observe",
        GRACE_SECONDS="2.5",
        MAX_BODY_BYTES="4096",
        SOURCE_QUERY_FILE="/etc/refreshd/source.sql",
    )
    settings = load_settings(require_flinks=True)
    assert settings.rate_per_minute == 300
    assert settings.stale_after == timedelta(hours=36)
    assert settings.routine_at == time(9, 30)
    assert settings.routine_timezone == ZoneInfo("Europe/Berlin")
    assert (settings.listen.host, settings.listen.port, str(settings.listen)) == ("::1", 80, "[::1]:80")
    assert settings.mode is Mode.OBSERVE
    assert settings.source_query_file == Path("/etc/refreshd/source.sql")


def test_an_empty_variable_is_no_setting(say: Say) -> None:
    say.enough_and(RATE_PER_MINUTE="", FLINKS_SECRET_KEY="")
    settings = load_settings(require_flinks=True)
    assert settings.rate_per_minute == 30
    assert settings.flinks_secret_key is None


def test_commands_that_only_need_the_ledger_need_no_flinks_settings(say: Say) -> None:
    say.only(DATABASE_URL="postgresql://db/ledger")
    assert load_settings(require_flinks=False).flinks_base_url is None


def test_settings_cannot_be_changed(say: Say) -> None:
    say.enough_and()
    settings = load_settings(require_flinks=True)
    with pytest.raises(ValueError, match="frozen"):
        setattr(settings, "rate_per_minute", 1)  # noqa: B010 # the type checker refuses the plain form already


def test_a_toml_file_gives_settings_and_the_environment_wins(say: Say, tmp_path: Path) -> None:
    config = tmp_path / "refreshd.toml"
    config.write_text('rate_per_minute = 60\nconcurrency = 2\nroutine_at = 09:15:00\nstale_after = "2d"\n')
    say.enough_and(CONCURRENCY="8", CONFIG=str(config))
    settings = load_settings(require_flinks=True)
    assert (settings.rate_per_minute, settings.concurrency) == (60, 8)
    assert settings.routine_at == time(9, 15)


def test_a_file_named_on_the_command_line_wins_over_the_environments(say: Say, tmp_path: Path) -> None:
    config = tmp_path / "refreshd.toml"
    config.write_text("rate_per_minute = 60\n")
    say.enough_and(CONFIG="/nowhere/refreshd.toml")
    assert load_settings(require_flinks=True, config=config).rate_per_minute == 60


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("rate_per_minut = 60", "rate_per_minut: there is no such setting", id="unknown key"),
        pytest.param("rate_per_minut = 60", "did you mean rate_per_minute?", id="unknown key, the right one"),
        pytest.param("rate_per_minute = true", "rate_per_minute (in", id="true is no number"),
        pytest.param("[flinks]\nrate = 1", "flinks: there is no such setting", id="table"),
        pytest.param("rate_per_minute = ", "is no readable TOML", id="no TOML"),
        pytest.param("rate_per_minute = 0", "rate_per_minute (in", id="names the file"),
        pytest.param("pass_interval = 60", "write a number and a unit", id="number without unit"),
        pytest.param("flinks_api_key = 'a'\nflinks_api_key_file = 'b'", "flinks_api_key_file", id="key and key file"),
    ],
)
def test_a_faulty_toml_file_is_reported_with_its_path(say: Say, tmp_path: Path, text: str, fault: str) -> None:
    config = tmp_path / "refreshd.toml"
    config.write_text(text)
    say.enough_and()
    message = faults(config=config)
    assert fault in message
    assert str(config) in message


def test_a_settings_file_that_is_absent_is_a_fault(say: Say, tmp_path: Path) -> None:
    say.enough_and()
    assert "there is no such settings file" in faults(config=tmp_path / "absent.toml")


def test_a_secret_may_come_from_a_file(say: Say, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{HIDDEN}\n")
    say.enough_and(FLINKS_SECRET_KEY_FILE=str(tmp_path / "key"))
    assert secret_of(load_settings(require_flinks=True), "flinks_secret_key") == HIDDEN


def test_a_secret_may_come_from_a_file_named_in_toml(say: Say, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(HIDDEN)
    config = tmp_path / "refreshd.toml"
    config.write_text(f"flinks_secret_key_file = '{tmp_path / 'key'}'\n")
    say.enough_and()
    assert secret_of(load_settings(require_flinks=True, config=config), "flinks_secret_key") == HIDDEN


def test_a_secret_may_come_from_the_secret_directory_and_the_environment_wins(say: Say, tmp_path: Path) -> None:
    (tmp_path / "flinks_api_key").write_text("from the directory")
    (tmp_path / "flinks_secret_key").write_text(HIDDEN)
    (tmp_path / "database_password_of_another_program").write_text("not ours")
    say.enough_and(FLINKS_API_KEY="from-the-environment")
    say.credentials_in(tmp_path)
    settings = load_settings(require_flinks=True)
    assert secret_of(settings, "flinks_secret_key") == HIDDEN
    assert secret_of(settings, "flinks_api_key") == "from-the-environment"


def test_a_secret_and_its_file_together_are_a_contradiction(say: Say, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(HIDDEN)
    say.enough_and(FLINKS_API_KEY_FILE=str(tmp_path / "key"))
    message = faults()
    assert "REFRESHD_FLINKS_API_KEY: is given, and REFRESHD_FLINKS_API_KEY_FILE too; keep one" in message
    assert HIDDEN not in message


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        pytest.param(None, "No such file", id="absent"),
        pytest.param(b"\n", "it is empty", id="empty"),
        pytest.param(b"\xff\xfe" + HIDDEN.encode(), "no UTF-8 text", id="not text"),
        pytest.param(b"x" * 20_000, "too large for a secret", id="large"),
    ],
)
def test_a_secret_file_that_cannot_be_used_is_named(
    say: Say, tmp_path: Path, content: bytes | None, fault: str
) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    say.enough_and(FLINKS_SECRET_KEY_FILE=str(path))
    message = faults()
    assert f"REFRESHD_FLINKS_SECRET_KEY: the file {path} cannot be used" in message
    assert fault in message
    assert HIDDEN not in message


def test_no_secret_is_shown_by_printing_the_settings(say: Say) -> None:
    say.enough_and(
        DATABASE_URL=f"postgresql://refreshd:{HIDDEN}@db/ledger",
        SOURCE_QUERY_FILE="/etc/source.sql",
        SOURCE_DATABASE_URL=f"postgresql://app:{HIDDEN}@db/app",
        FLINKS_SECRET_KEY=HIDDEN,
        FLINKS_API_KEY=HIDDEN,
        FLINKS_API_SECRET=HIDDEN,
    )
    settings = load_settings(require_flinks=True)
    assert HIDDEN not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


def test_no_secret_is_shown_by_an_error(say: Say) -> None:
    say.only(
        DATABASE_URL=f"mysql://refreshd:{HIDDEN}@db/ledger",
        DATABASE_DIRECT_URL=f"embedded:{HIDDEN}",
        SOURCE_DATABASE_URL=f"{HIDDEN}@db/app",
        FLINKS_SECRET_KEY=f"{HIDDEN}\u2028{HIDDEN}",
        FLINKS_API_KEY=f"{HIDDEN}\nsecond line",
        FLINKS_API_SECRET=f"{HIDDEN}\x07",
        OPERATORS=f"alice:{HIDDEN}",
    )
    message = faults()
    assert HIDDEN not in message
    for name in SECRETS:
        assert f"REFRESHD_{name.upper()}" in message


def test_what_may_hold_a_secret_is_typed_as_one() -> None:
    typed = {name for name, field in Settings.model_fields.items() if "SecretStr" in repr(field)}
    assert typed == SECRETS


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        pytest.param("FLINKS_BASE_URL", "https://x.fin.ag", "must end with /v3", id="no /v3"),
        pytest.param("FLINKS_BASE_URL", "https://x.fin.ag/v3/", "must end with /v3", id="slash after /v3"),
        pytest.param("FLINKS_BASE_URL", "http://x.fin.ag/v3", "would send keys in the clear", id="plain HTTP"),
        pytest.param("FLINKS_BASE_URL", "x.fin.ag/v3", "is no web address", id="no scheme"),
        pytest.param("FLINKS_BASE_URL", "https://u:p@x.fin.ag/v3", "address only", id="user in the address"),
        pytest.param("FLINKS_BASE_URL", "https://x.fin.ag/v3?a=/v3", "address only", id="query in the address"),
        pytest.param("FLINKS_CUSTOMER_ID", "acme", "must be a valid UUID", id="customer id"),
        pytest.param("RATE_PER_MINUTE", "0", "must be greater than or equal to 1", id="rate below one"),
        pytest.param("RATE_PER_MINUTE", "many", "must be a valid integer", id="rate no number"),
        pytest.param("CONCURRENCY", "0", "must be greater than or equal to 1", id="no concurrency"),
        pytest.param("CONCURRENCY", "9999", "must be less than or equal to 256", id="too much concurrency"),
        pytest.param("MAX_DISABLE_FRACTION", "10", "must be less than or equal to 1", id="a percentage"),
        pytest.param("MAX_DISABLE_FRACTION", "-0.1", "must be greater than or equal to 0", id="negative fraction"),
        pytest.param("MAX_DISABLE_FRACTION", "nan", "must be a finite number", id="no number at all"),
        pytest.param("ROUTINE_TIMEZONE", "Toronto", "is no time zone", id="zone"),
        pytest.param("ROUTINE_TIMEZONE", "../etc/passwd", "is no time zone", id="zone that is a path"),
        pytest.param("ROUTINE_AT", "25:00", "is no time of day", id="hour"),
        pytest.param("ROUTINE_AT", "11", "is no time of day", id="hour alone"),
        pytest.param("STALE_AFTER", "36", "write a number and a unit", id="no unit"),
        pytest.param("STALE_AFTER", "0s", "must be longer than nothing", id="no duration"),
        pytest.param("STALE_AFTER", "-5m", "is no duration", id="negative duration"),
        pytest.param("STALE_AFTER", "99999999999d", "longer than any calendar", id="endless"),
        pytest.param("LISTEN", "9877", "write host and port", id="port alone"),
        pytest.param("LISTEN", "127.0.0.1:99999", "write host and port", id="port too large"),
        pytest.param("MODE", "dry-run", "must be 'enforce' or 'observe'", id="mode"),
        pytest.param("FETCH", "all", "must be 'off', 'summary' or 'detail'", id="fetch"),
        pytest.param("DATABASE_SCHEMA", "pg_ledger", "is a schema of Postgres itself", id="schema of Postgres"),
        pytest.param("DATABASE_SCHEMA", "x" * 64, "must have 1 to 63 bytes", id="long schema"),
        pytest.param("DATABASE_URL", "ledger", "must be postgresql://", id="database"),
        pytest.param("DATABASE_URL", "embedded:", "must be postgresql://", id="embedded without a path"),
        pytest.param("GRACE_SECONDS", "-1", "must be greater than or equal to 0", id="grace"),
        pytest.param("MAX_BODY_BYTES", "1", "must be greater than or equal to 1024", id="body"),
        pytest.param("RATE_PER_MINUT", "30", "did you mean REFRESHD_RATE_PER_MINUTE?", id="misspelt"),
        pytest.param("COLOUR_OF_THE_SKY", "blue", "there is no such setting; remove it", id="unknown"),
        pytest.param("SOURCE_DATABASE_URL", "postgresql://db/app", "SOURCE_QUERY_FILE too", id="source without query"),
        pytest.param("FLINKS_SCHEDULE_AUTH", "bearer", "REFRESHD_FLINKS_API_SECRET is missing", id="bearer"),
        pytest.param("FLINKS_SCHEDULE_AUTH", "authorize-token", "REFRESHD_FLINKS_SECRET_KEY is missing", id="token"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_with_what_is_wrong(say: Say, name: str, value: str, fault: str) -> None:
    say.enough_and(**{name: value})
    message = faults()
    assert message.startswith("the settings have one fault:\n")
    assert f"REFRESHD_{name}" in message
    assert fault in message


def test_all_faults_are_reported_together(say: Say, tmp_path: Path) -> None:
    config = tmp_path / "refreshd.toml"
    config.write_text("nonsense = 1\nconcurrency = 0\n")
    say.only(RATE_PER_MINUTE="0", ROUTINE_AT="noon", FLINKS_SCHEDULE_AUTH="bearer", TYPO="1")
    message = faults(config=config)
    assert message.startswith("the settings have 9 faults:\n")
    for name in ("nonsense", "concurrency", "RATE_PER_MINUTE", "ROUTINE_AT", "API_SECRET", "TYPO"):
        assert name in message
    for name in ("DATABASE_URL", "FLINKS_BASE_URL", "FLINKS_CUSTOMER_ID"):
        assert f"REFRESHD_{name}" in message


def test_one_who_only_observes_needs_no_way_to_write(say: Say) -> None:
    say.only(**{name: value for name, value in ENOUGH.items() if name != "FLINKS_API_KEY"}, MODE="observe")
    assert load_settings(require_flinks=True).mode is Mode.OBSERVE


def test_plain_http_is_for_this_machine(say: Say) -> None:
    for host in ("localhost:8080", "127.0.0.1:8080", "[::1]:8080"):
        say.enough_and(FLINKS_BASE_URL=f"http://{host}/v3")
        assert load_settings(require_flinks=True).flinks_base_url == f"http://{host}/v3"


@pytest.mark.parametrize(
    "name",
    [
        "SERVICE_HOST",
        "SERVICE_PORT",
        "SERVICE_PORT_HTTP",
        "PORT",
        "PORT_9877_TCP",
        "PORT_9877_TCP_ADDR",
        "TEST_NO_SKIPS",
    ],
)
def test_what_kubernetes_and_the_tests_put_there_is_no_unknown_setting(say: Say, name: str) -> None:
    say.enough_and(**{name: "tcp://10.0.0.1:9877"})
    load_settings(require_flinks=True)


def test_no_setting_has_a_name_that_kubernetes_takes() -> None:
    assert not [name for name in Settings.model_fields if name.endswith("_port") or name == "port"]


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("250ms", timedelta(milliseconds=250)),
        ("60s", timedelta(seconds=60)),
        ("15m", timedelta(minutes=15)),
        ("48h", timedelta(hours=48)),
        ("30d", timedelta(days=30)),
    ],
)
def test_a_duration_is_shown_as_it_is_written(text: str, duration: timedelta) -> None:
    assert read_duration(text) == duration
    assert show_duration(duration) == text


def test_the_table_has_every_setting_with_its_default_and_meaning() -> None:
    table = settings_table()
    for name, field in Settings.model_fields.items():
        assert f"| `REFRESHD_{name.upper()}` |" in table
        assert field.description
        assert field.description in table
    assert "| `REFRESHD_PASS_INTERVAL` | `60s` |" in table
    assert "| `REFRESHD_UNOBSERVED_AFTER` | `48h` |" in table
    assert "| `REFRESHD_FLINKS_API_KEY` | none |" in table
