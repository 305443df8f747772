"""The doctor finds each fault by itself, harms nothing, and keeps to the lease and the budget."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from refreshd.simulator import FaultRule
from tests.support.commands import Ran, refreshd, start_refreshd
from tests.support.company import Company, company


@pytest.fixture
def acme(database_url: str, tmp_path: Path) -> Iterator[Company]:
    with company(database_url, tmp_path, logins=10, inactive=3) as built:
        yield built


@pytest.fixture
def disabled(acme: Company) -> Company:
    """The same after its three disables were approved and confirmed."""
    refreshd("import", str(acme.clients), env=acme.env)
    refreshd("once", env=acme.env)
    plan_id = json.loads(refreshd("plans", "--json", env=acme.env).out)[0]["plan_id"]
    refreshd("approve", plan_id, "--reason", "looked at it", env=acme.env)
    assert refreshd("once", env=acme.env).code == 0
    return acme


def found(ran: Ran) -> dict[str, str]:
    return {each["subject"]: each["outcome"] for each in json.loads(ran.out)}


def test_all_is_well_and_what_nothing_harmless_can_prove_is_said_to_be_unproven(acme: Company) -> None:
    ran = refreshd("doctor", "--json", env=acme.env)
    assert ran.code == 0
    assert found(ran) == {
        "settings": "good",
        "database": "good",
        "durability": "warning",  # the server of the tests trades it for speed
        "sessions": "good",
        "schema": "good",
        "writing": "good",
        "secret key": "good",
        "API secret": "good",
        "API key": "good",
        "schedule": "unproven",
    }


def test_it_calls_three_times_touches_no_login_and_leaves_a_trace(acme: Company) -> None:
    refreshd("doctor", env=acme.env)
    seen = acme.flinks.audit
    assert dict(seen.calls_by_operation) == {
        "GenerateAuthorizeToken": 1,
        "GetNightlyRefreshStatus": 1,
        "GetAccountsSummary": 1,
    }
    assert not seen.breaches_by_rule
    assert acme.sql("SELECT count(*) AS n FROM call")[0]["n"] == 3
    assert "nobody leads" in refreshd("status", env=acme.env).words


@pytest.mark.parametrize(
    ("setting", "subject"),
    [
        ("REFRESHD_FLINKS_SECRET_KEY", "secret key"),
        ("REFRESHD_FLINKS_API_SECRET", "API secret"),
        ("REFRESHD_FLINKS_API_KEY", "API key"),
    ],
)
def test_a_wrong_key_is_found_alone_and_never_shown(acme: Company, setting: str, subject: str) -> None:
    ran = refreshd("doctor", "--json", env=acme.env | {setting: "not-the-right-one"})
    assert ran.code == 2
    assert [each for each, outcome in found(ran).items() if outcome == "bad"] == [subject]
    assert "not-the-right-one" not in ran.words
    assert setting in ran.out


def test_keys_that_are_not_set_are_a_warning(acme: Company) -> None:
    env = {name: value for name, value in acme.env.items() if name != "REFRESHD_FLINKS_API_SECRET"}
    ran = refreshd("doctor", "--json", env=env)
    assert ran.code == 0
    assert found(ran)["API secret"] == "warning"


def test_a_flinks_that_does_not_answer_is_exit_4(acme: Company) -> None:
    ran = refreshd("doctor", env=acme.env | {"REFRESHD_FLINKS_BASE_URL": "http://127.0.0.1:1/v3"})
    assert ran.code == 4
    assert "no connection" in ran.words


def test_an_odd_answer_proves_nothing_and_is_said(acme: Company) -> None:
    acme.flinks.add_faults([FaultRule.parse("code(NO_BROWSER_AVAILABLE)@GetAccountsSummary")])
    ran = refreshd("doctor", "--json", env=acme.env)
    assert found(ran)["API key"] == "warning"


def test_a_database_that_is_away_is_found_and_flinks_is_left_alone(acme: Company) -> None:
    ran = refreshd("doctor", "--json", env=acme.env | {"REFRESHD_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x"})
    assert ran.code == 4
    assert found(ran) == {"settings": "good", "database": "bad"}
    assert acme.flinks.audit.calls_counted == 0


def test_a_schema_that_is_not_migrated_names_the_command(empty_database_url: str, acme: Company) -> None:
    ran = refreshd("doctor", env=acme.env | {"REFRESHD_DATABASE_URL": empty_database_url})
    assert ran.code == 4
    assert "run `refreshd migrate`" in ran.words


def test_a_read_only_database_is_found(acme: Company) -> None:
    acme.sql(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$"
    )
    ran = refreshd("doctor", "--json", env=acme.env)
    assert ran.code == 4
    assert found(ran)["database"] == "bad"


def test_faulty_settings_are_listed_and_the_database_is_looked_at_all_the_same(database_url: str) -> None:
    ran = refreshd("doctor", "--json", env={"REFRESHD_DATABASE_URL": database_url})
    assert ran.code == 2
    assert found(ran)["settings"] == "bad"
    assert found(ran)["schema"] == "good"
    assert "REFRESHD_FLINKS_BASE_URL" in ran.out


def test_no_settings_at_all_are_one_finding() -> None:
    ran = refreshd("doctor")
    assert ran.code == 2
    assert "REFRESHD_DATABASE_URL" in ran.words


def test_the_first_disable_proves_the_schedule_call(disabled: Company) -> None:
    assert found(refreshd("doctor", "--json", env=disabled.env))["schedule"] == "good"


def test_the_write_probe_repeats_a_disable_between_intent_and_confirmation(disabled: Company) -> None:
    login_id = min(disabled.inactive)
    ran = refreshd("doctor", "--write-probe", login_id, env=disabled.env)
    assert ran.code == 0
    assert "Flinks confirmed the login off once more" in ran.words
    assert disabled.flinks.audit.calls_by_operation["SetScheduledRefresh"] == 4
    events = disabled.sql(
        "SELECT event FROM schedule_change WHERE login_id = $1::text::uuid AND reason = 'reassert' ORDER BY event_id",
        login_id,
    )
    assert [row["event"] for row in events] == ["intended", "sent", "confirmed"]


def test_the_write_probe_wants_a_login_that_is_confirmed_off(disabled: Company) -> None:
    active = json.loads(refreshd("logins", "--json", env=disabled.env).out)
    login_id = next(each["login_id"] for each in active if each["active"])
    ran = refreshd("doctor", "--write-probe", login_id, env=disabled.env)
    assert ran.code == 2
    assert "not sent: the login is" in ran.words
    observing = refreshd(
        "doctor", "--write-probe", min(disabled.inactive), env=disabled.env | {"REFRESHD_MODE": "observe"}
    )
    assert "REFRESHD_MODE is observe" in observing.words
    assert disabled.flinks.audit.calls_by_operation["SetScheduledRefresh"] == 3


def test_a_probe_that_flinks_does_not_confirm_is_bad_and_stays_an_open_intent(disabled: Company) -> None:
    disabled.flinks.add_faults([FaultRule.parse("deny@SetScheduledRefresh")])
    login_id = min(disabled.inactive)
    ran = refreshd("doctor", "--write-probe", login_id, env=disabled.env)
    assert ran.code == 1
    assert disabled.sql("SELECT intent FROM login WHERE login_id = $1::text::uuid", login_id)[0]["intent"] == "disable"


def test_while_a_daemon_leads_nothing_is_sent_and_its_calls_speak(disabled: Company) -> None:
    with start_refreshd("run", env=disabled.env) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if "leading" in line)
        calls = disabled.flinks.audit.calls_counted
        ran = refreshd("doctor", "--write-probe", min(disabled.inactive), env=disabled.env)
        assert disabled.flinks.audit.calls_counted == calls
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert "a daemon leads" in ran.words
    assert "✓ secret key accepted at 2026-03-10" in ran.words
    assert "✗ write probe not sent: only the leader may call Flinks" in ran.words
    assert ran.code == 1
