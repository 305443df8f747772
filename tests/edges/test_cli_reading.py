"""What the commands say about a small ledger: status, plan, logins, explain, with and without `--json`."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import refreshd
from tests.support.company import NOON, Company, company
from tests.support.postgres import PostgresServer

LOGINS, INACTIVE = 30, 12


@pytest.fixture
def acme(database_url: str, tmp_path: Path) -> Iterator[Company]:
    """A company whose list is imported; no pass has run yet."""
    with company(database_url, tmp_path, logins=LOGINS, inactive=INACTIVE) as built:
        ran = refreshd("import", str(built.clients), env=built.env)
        assert ran.code == 0, ran.err
        yield built


@pytest.fixture(scope="module")
def lived_in(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """The same after one `refreshd once`: every active login seen, the disables held. Shared by tests that only read."""
    path = tmp_path_factory.mktemp("lived_in")
    with (
        postgres.database(migrated=True) as url,
        company(url, path, logins=LOGINS, inactive=INACTIVE) as built,
    ):
        assert refreshd("import", str(built.clients), env=built.env).code == 0
        ran = refreshd("once", env=built.env)
        assert ran.code == 3, ran.words
        yield built


def test_status_of_a_new_ledger_says_that_nobody_leads_and_nothing_was_read(acme: Company) -> None:
    ran = refreshd("status", env=acme.env)
    assert ran.code == 0
    for words in ("nobody leads this ledger", "read never", "30 logins", "none yet", f"leaking {INACTIVE} billed"):
        assert words in ran.words


def test_status_counts_the_fleet_the_budget_and_the_routine(lived_in: Company) -> None:
    status = json.loads(refreshd("status", "--json", env=lived_in.env).out)
    assert sum(status["logins"].values()) == LOGINS
    assert status["logins"]["held"] == INACTIVE
    assert status["budget"]["calls_in_last_60s"] == lived_in.flinks.audit.calls_counted
    assert status["routine"]["waiting"] == {"savable": 0, "rest": 0}
    assert status["routine"]["next_logins"] == LOGINS - INACTIVE
    assert (status["routine"]["in_time"], status["routine"]["lapsing"]) == (True, 0)
    assert set(status["lapsing_within"]) == {"1d", "2d", "3d"}
    assert status["passes"][0]["failure"] is None
    assert [plan["remaining"] for plan in status["plans"]] == [INACTIVE]


def test_status_says_when_a_rate_cannot_finish_the_routine_in_a_day(acme: Company) -> None:
    acme.sql(
        "INSERT INTO client SELECT 'many-' || n, true FROM generate_series(1, 1000) AS n;",
    )
    acme.sql("INSERT INTO client_login SELECT 'many-' || n, gen_random_uuid() FROM generate_series(1, 1000) AS n")
    ran = refreshd("status", env=acme.env | {"REFRESHD_RATE_PER_MINUTE": "1"})
    assert "warning: a routine of 1 d 9 h is not over before the next one begins" in ran.words


def test_status_says_what_leaks_in_money_only_when_a_login_day_has_a_price(lived_in: Company) -> None:
    lived_in.sql("UPDATE login SET inactive_since = inactive_since - interval '10 days' WHERE NOT active")
    days = json.loads(refreshd("status", "--json", env=lived_in.env).out)["leaking_login_days"]
    assert days > 10 * INACTIVE
    free = refreshd("status", env=lived_in.env)
    priced = refreshd("status", env=lived_in.env | {"REFRESHD_COST_PER_LOGIN_DAY": "0.25"})
    assert "at 0.25 each" in priced.words
    assert "at 0.25 each" not in free.words
    leaking = re.search(r"leaking [\d,]+ login-days, that is ([\d,.]+) at", priced.words)
    assert leaking is not None
    assert float(leaking[1].replace(",", "")) == pytest.approx(days * 0.25, rel=1e-3)


def test_status_warns_of_logins_that_lapse_before_their_turn(acme: Company) -> None:
    acme.sql(
        f"""
        UPDATE login SET lane = 'savable', flag = 'on', flag_seen_at = '{NOON}', refreshed_at = '{NOON}',
            cached_call_at = timestamptz '{NOON}' - interval '6 days 23 hours 30 minutes', routine_at = '-infinity'
        WHERE active
        """  # noqa: S608 # a constant of this test
    )
    ran = refreshd("status", env=acme.env | {"REFRESHD_RATE_PER_MINUTE": "1"})
    assert "will lapse before the routine comes to them" in ran.words
    assert "lapsing" in ran.words


def test_plan_says_what_why_how_many_and_that_the_guard_would_hold_it(acme: Company) -> None:
    ran = refreshd("plan", env=acme.env)
    assert ran.code == 0
    assert f"Disable {INACTIVE} logins" in ran.words
    assert "not confirmed off" in ran.words
    assert "… and 2 more (--all)" in ran.words
    assert "Held by the guard: no plan of this ledger was ever approved" in ran.words
    assert f"Plan: {INACTIVE} to disable (held); {LOGINS} logins in the ledger" in ran.words


def test_plan_lists_every_login_with_all(acme: Company) -> None:
    ran = refreshd("plan", "--all", env=acme.env)
    assert all(login_id in ran.out for login_id in acme.inactive)


def test_plan_is_dry(acme: Company) -> None:
    before = acme.sql("SELECT md5(string_agg(login::text, ',' ORDER BY login_id)) AS all FROM login")
    refreshd("plan", "--all", env=acme.env)
    assert acme.sql("SELECT md5(string_agg(login::text, ',' ORDER BY login_id)) AS all FROM login") == before
    assert acme.sql("SELECT count(*) AS n FROM schedule_change")[0]["n"] == 0
    assert acme.flinks.audit.calls_counted == 0


def test_plan_foretells_the_id_of_the_plan_that_the_pass_then_holds(acme: Company) -> None:
    foretold = json.loads(refreshd("plan", "--json", env=acme.env).out)
    refreshd("once", env=acme.env)
    held = json.loads(refreshd("plans", "--json", env=acme.env).out)
    assert [each["plan_id"] for each in foretold["proposed"]] == [each["plan_id"] for each in held]
    assert {each["login_id"] for each in foretold["changes"]} == set(acme.inactive)
    assert foretold["proposed"][0]["withheld"]["reason"] == "first_plan"


def test_plan_lists_the_members_of_a_held_plan_with_the_reason_beneath(lived_in: Company) -> None:
    ran = refreshd("plan", env=lived_in.env)
    assert f"{INACTIVE} in held plans" in ran.words
    assert "not confirmed off" in ran.words
    assert "on at Flinks: billed" in ran.words
    assert "refreshd approve" in ran.words


def test_observe_mode_is_said_in_the_plan(acme: Company) -> None:
    ran = refreshd("plan", env=acme.env | {"REFRESHD_MODE": "observe"})
    assert "REFRESHD_MODE is observe: refreshd would send nothing" in ran.words


def test_an_empty_ledger_has_nothing_to_change_and_says_how_to_begin(database_url: str) -> None:
    env = {"REFRESHD_DATABASE_URL": database_url}
    assert "Plan: nothing to change; 0 logins in the ledger" in refreshd("plan", env=env).words
    assert "refreshd import FILE" in refreshd("logins", env=env).words
    assert json.loads(refreshd("logins", "--json", env=env).out) == []
    assert "No plan waits" in refreshd("plans", env=env).words


def test_logins_are_limited_and_say_how_many_are_left_out(lived_in: Company) -> None:
    ran = refreshd("logins", "--limit", "5", env=lived_in.env)
    assert "… and 25 more (--limit 0)" in ran.words
    assert len(json.loads(refreshd("logins", "--json", env=lived_in.env).out)) == LOGINS


def test_the_reconnect_list_says_what_to_tell_each_user(lived_in: Company) -> None:
    listed = json.loads(refreshd("logins", "--verdict", "reconnect", "--json", env=lived_in.env).out)
    assert listed
    for each in listed:
        assert each["verdict"] == "reconnect"
        assert each["institution"]
        assert each["error_code"]
        assert each["since"]
        assert "Flinks Connect" in each["advice"]
    ran = refreshd("logins", "--verdict", "reconnect", env=lived_in.env)
    assert "What to tell these users" in ran.words


def test_an_unknown_verdict_is_wrong_usage(database_url: str) -> None:
    ran = refreshd("logins", "--verdict", "sleepy", env={"REFRESHD_DATABASE_URL": database_url})
    assert ran.code == 2
    assert "'reconnect'" in ran.err


def test_explain_tells_a_held_login_from_its_clients_to_its_next_step(lived_in: Company) -> None:
    login_id = min(lived_in.inactive)
    ran = refreshd("explain", login_id, env=lived_in.env)
    assert ran.code == 0
    for words in (
        "held",
        "rule held_by_guard",
        "refreshd approve",
        "former-",
        "inactive",
        "Schedule changes",
        "first_plan",
    ):
        assert words in ran.words
    told = json.loads(refreshd("explain", login_id, "--json", env=lived_in.env).out)
    assert told["now"]["verdict"] == told["verdict"] == "held"
    assert told["next"]["at"] is None


def test_explain_of_an_active_login_shows_evidence_calls_and_the_next_routine(lived_in: Company) -> None:
    login_id = json.loads(refreshd("logins", "--verdict", "fresh", "--limit", "1", "--json", env=lived_in.env).out)[0][
        "login_id"
    ]
    told = json.loads(refreshd("explain", login_id, "--json", env=lived_in.env).out)
    assert [each["operation"] for each in told["calls"]] == ["authorize"]
    assert told["calls"][0]["http_status"] == 200
    assert told["next"]["at"] == "2026-03-11T15:00:00+00:00"
    ran = refreshd("explain", login_id, env=lived_in.env)
    assert "the routine's cached Authorize" in ran.words
    assert "scheduled refresh on, said" in ran.words


def test_explain_says_when_the_stored_verdict_is_a_pass_behind(acme: Company) -> None:
    acme.sql("UPDATE client SET active = true")
    ran = refreshd("explain", min(acme.inactive), env=acme.env)
    assert "stored leaking (new)" in ran.words
    assert "the next pass corrects it" in ran.words


def test_explain_of_a_login_that_nobody_knows_is_one_sentence(database_url: str) -> None:
    env = {"REFRESHD_DATABASE_URL": database_url}
    ran = refreshd("explain", "11111111-2222-3333-4444-555555555555", env=env)
    assert ran.code == 2
    assert ran.err.startswith("error: the ledger does not know login 11111111-")
    assert refreshd("explain", "not-a-guid", env=env).code == 2


@pytest.mark.parametrize("command", ["status", "plan", "plans", "logins"])
def test_an_unmigrated_ledger_is_refused_with_the_command_that_mends_it(empty_database_url: str, command: str) -> None:
    ran = refreshd(command, env={"REFRESHD_DATABASE_URL": empty_database_url})
    assert ran.code == 4
    assert "hint: run `refreshd migrate`" in ran.err
    assert ran.out == ""


@pytest.mark.parametrize("width", ["80", "120"])
def test_on_a_terminal_no_line_is_wider_than_it(lived_in: Company, width: str) -> None:
    env = lived_in.env | {"FORCE_COLOR": "1", "COLUMNS": width, "TERM": "xterm-256color"}
    login_id = min(lived_in.inactive)
    for command in (["status"], ["plan"], ["plans"], ["logins"], ["explain", login_id]):
        ran = refreshd(*command, env=env)
        assert all(len(line) <= int(width) for line in _without_color(ran.out).splitlines()), command


def _without_color(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_institutions_says_of_each_bank_how_it_stands_and_of_none_what_nobody_knows(acme: Company) -> None:
    assert "Nothing is known of any institution yet" in refreshd("institutions", env=acme.env).words
    acme.sql(
        "INSERT INTO institution (name, state, since, proved_at, night, refreshed, failed, blaming_users)"
        " VALUES ('Sunny Bank', 'up', now(), now(), now(), 30, 1, 1), ('Rainy Bank', 'down', now(), now(), now(), 2, 40, 0)"
    )
    ran = refreshd("institutions", env=acme.env)
    assert ran.code == 0
    assert re.search(r"Rainy Bank\s+down .* 2\s+40\s+held: one login at a time.*Sunny Bank\s+up .* 30\s+1", ran.words)
    said = json.loads(refreshd("institutions", "--json", env=acme.env).out)
    assert [(each["institution"], each["state"], each["held"]) for each in said] == [
        ("Rainy Bank", "down", True),
        ("Sunny Bank", "up", False),
    ]


def test_status_says_that_flinks_asks_for_fewer_calls(acme: Company) -> None:
    acme.sql("UPDATE budget SET rate_in_force = 7")
    assert "Flinks asks for fewer, so 7 for now" in refreshd("status", env=acme.env).words
    assert json.loads(refreshd("status", "--json", env=acme.env).out)["budget"]["rate_in_force"] == 7


def test_status_names_the_logins_that_flinks_refuses_with_its_code_and_what_tells_more(acme: Company) -> None:
    acme.sql(
        "UPDATE login SET verdict = 'quarantined', reason = 'refused', refused_at = now(), refused_code = 'INVALID_LOGIN' WHERE NOT active"
    )
    ran = refreshd("status", env=acme.env)
    assert ran.code == 0
    assert f"{INACTIVE} logins refused by Flinks for good" in ran.words
    assert ran.words.count("INVALID_LOGIN counts as a leak") == 10
    assert "… and 2 more (`refreshd logins --verdict quarantined`)" in ran.words
    assert "`refreshd explain LOGIN_ID`" in ran.words
    told = json.loads(refreshd("status", "--json", env=acme.env).out)
    assert told["logins"]["quarantined"] == INACTIVE
    assert {(each["code"], each["reason"], each["active"]) for each in told["first_refused"]} == {
        ("INVALID_LOGIN", "refused", False)
    }
    assert "INVALID_LOGIN" in refreshd("logins", "--verdict", "quarantined", env=acme.env).words


def test_status_is_silent_about_refusals_where_there_are_none(lived_in: Company) -> None:
    assert "logins refused by Flinks for good" not in refreshd("status", env=lived_in.env).words
    assert json.loads(refreshd("status", "--json", env=lived_in.env).out)["first_refused"] == []
