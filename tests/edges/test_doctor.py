"""The doctor finds each fault by itself, harms nothing, and keeps to the lease and the budget."""

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from refreshd.core import turn
from refreshd.core.guard import Withdrawn
from refreshd.ledger import Ledger
from refreshd.pacing import PERMIT_SECONDS, Budget, Permit
from refreshd.postgres import open_database
from refreshd.simulator import FaultRule
from tests.support.commands import Ran, refreshd, start_refreshd
from tests.support.company import NOON, Company, company, twin
from tests.support.postgres import SCHEMA, PostgresServer


@pytest.fixture
def acme(database_url: str, tmp_path: Path) -> Iterator[Company]:
    with company(database_url, tmp_path, logins=10, inactive=3) as built:
        yield built


@pytest.fixture(scope="module")
def lived_in(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """The same after its three disables were approved and confirmed. Each test lives in a twin of it."""
    path = tmp_path_factory.mktemp("lived_in")
    with postgres.database(migrated=True) as url, company(url, path, logins=10, inactive=3) as built:
        refreshd("import", str(built.clients), env=built.env)
        refreshd("once", env=built.env)
        plan_id = json.loads(refreshd("plans", "--json", env=built.env).out)[0]["plan_id"]
        refreshd("approve", plan_id, "--reason", "looked at it", env=built.env)
        assert refreshd("once", env=built.env).code == 0
        yield built


@pytest.fixture
def disabled(lived_in: Company, postgres: PostgresServer) -> Iterator[Company]:
    with postgres.copy_of(lived_in.database_url) as url, twin(lived_in, url) as built:
        yield built


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
    assert disabled.flinks.audit.calls_by_operation["SetScheduledRefresh"] == 3


def test_a_probe_that_flinks_does_not_confirm_is_bad_and_stays_an_open_intent(disabled: Company) -> None:
    disabled.flinks.add_faults([FaultRule.parse("deny@SetScheduledRefresh")])
    login_id = min(disabled.inactive)
    ran = refreshd("doctor", "--write-probe", login_id, env=disabled.env)
    assert ran.code == 1
    assert disabled.sql("SELECT intent FROM login WHERE login_id = $1::text::uuid", login_id)[0]["intent"] == "disable"


# A write probe that may not go, or has to wait ------------------------------------------------------------------------------------------

FIRST_DISABLES = 3
PROBES_PERMIT = 4
"""Each of the three keys takes one before it."""

Meanwhile = Callable[[Company], Awaitable[None]]


def probed(built: Company, *, env: dict[str, str] | None = None) -> Ran:
    return refreshd("doctor", "--write-probe", min(built.inactive), env=built.env | (env or {}))


def sent(built: Company) -> int:
    return built.flinks.audit.calls_by_operation["SetScheduledRefresh"]


def story(built: Company) -> list[str]:
    """What the ledger tells of the probe."""
    tell = "SELECT event FROM schedule_change WHERE login_id = $1::text::uuid AND reason = 'reassert' ORDER BY event_id"
    return [row["event"] for row in built.sql(tell, min(built.inactive))]


def intent(built: Company) -> str | None:
    (row,) = built.sql("SELECT intent FROM login WHERE login_id = $1::text::uuid", min(built.inactive))
    return row["intent"]  # type: ignore[no-any-return]


def come_back(built: Company) -> None:
    """The client of the login that is probed."""
    back = "UPDATE client SET active = true WHERE client_id IN (SELECT client_id FROM client_login WHERE login_id = $1::text::uuid)"
    built.sql(back, min(built.inactive))
    built.flinks.company_inactive(built.inactive - {min(built.inactive)})


async def client_returns(built: Company) -> None:
    await asyncio.to_thread(come_back, built)


async def ann_pauses(built: Company) -> None:
    async with open_database(built.database_url, schema=SCHEMA, size=1, name="a test") as database:
        assert await Ledger(database).pause_writes(by="ann@desk", reason="the list looks odd", now=NOON)


def during_the_wait(
    monkeypatch: pytest.MonkeyPatch, built: Company, meanwhile: Meanwhile, *, permit: int = PROBES_PERMIT
) -> None:
    """Something happens while the command waits for its permit of this number."""
    real, waits = Budget.permit, iter(range(1, 100))

    async def after_a_while(budget: Budget) -> Permit:
        if next(waits) == permit:
            await meanwhile(built)
        return await real(budget)

    monkeypatch.setattr(Budget, "permit", after_a_while)


def test_in_observe_mode_the_write_probe_intends_and_sends_nothing(disabled: Company) -> None:
    ran = probed(disabled, env={"REFRESHD_MODE": "observe"})
    assert ran.code == 2
    assert "not sent: REFRESHD_MODE is observe" in ran.words
    assert sent(disabled) == FIRST_DISABLES
    assert story(disabled) == []


def test_a_client_who_returns_while_the_write_probe_waits_for_its_permit_is_not_disabled(
    disabled: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    during_the_wait(monkeypatch, disabled, client_returns)
    ran = probed(disabled)
    assert ran.code == 1
    assert "✗ write probe not sent: a client of this login is active again" in ran.words
    assert sent(disabled) == FIRST_DISABLES
    assert (story(disabled), intent(disabled)) == (["intended", "withdrawn"], None)
    assert refreshd("once", env=disabled.env).code == 0
    assert min(disabled.inactive) in disabled.scheduled()


PAUSED = "not sent: vendor writes are paused since 2026-03-10 17:00 UTC by ann@desk: the list looks odd"


def test_a_pause_while_the_write_probe_waits_for_its_permit_wins_and_closes_its_intent(
    disabled: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    during_the_wait(monkeypatch, disabled, ann_pauses)
    ran = probed(disabled)
    assert ran.code == 3
    assert f"✗ write probe {PAUSED}" in ran.words
    assert 'refreshd resume --reason "..."' in ran.words
    assert sent(disabled) == FIRST_DISABLES
    assert (story(disabled), intent(disabled)) == (["intended", "withdrawn"], None)


def test_a_write_probe_in_a_pause_intends_nothing_and_says_who_paused_when_and_why(disabled: Company) -> None:
    asyncio.run(ann_pauses(disabled))
    ran = probed(disabled)
    assert ran.code == 3
    assert f"✗ write probe {PAUSED}" in ran.words
    assert story(disabled) == []


@pytest.mark.parametrize(
    ("meanwhile", "said"),
    [(client_returns, "not sent: a client of this login is active again"), (ann_pauses, PAUSED)],
)
def test_a_write_probe_that_a_slow_ledger_has_wait_for_another_permit_is_looked_at_again_after_it(
    disabled: Company, monkeypatch: pytest.MonkeyPatch, meanwhile: Meanwhile, said: str
) -> None:
    mark = Ledger.mark_sent

    async def slowly(ledger: Ledger, *args: object, **kwargs: object) -> Withdrawn | None:
        withdrawn = await mark(ledger, *args, **kwargs)  # type: ignore[arg-type]
        await asyncio.sleep(PERMIT_SECONDS)
        return withdrawn

    monkeypatch.setattr(Ledger, "mark_sent", slowly)
    during_the_wait(monkeypatch, disabled, meanwhile, permit=PROBES_PERMIT + 1)
    assert said in probed(disabled).words
    assert sent(disabled) == FIRST_DISABLES
    assert (story(disabled), intent(disabled)) == (["intended", "sent", "failed", "withdrawn"], None)


def test_a_write_probe_that_had_left_once_says_that_it_was_not_sent_again(
    disabled: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "_TRY_AGAIN_SECONDS", 0.0)
    disabled.flinks.add_faults([FaultRule.parse("html_502@SetScheduledRefresh:x1")])
    during_the_wait(monkeypatch, disabled, ann_pauses, permit=PROBES_PERMIT + 1)
    assert PAUSED.replace("not sent", "not sent again") in probed(disabled).words
    assert sent(disabled) == FIRST_DISABLES + 1
    assert (story(disabled), intent(disabled)) == (["intended", "sent", "failed", "withdrawn"], None)


@pytest.mark.parametrize(
    ("point", "returns"),
    [
        ("intend.committed", True),
        ("mark_sent.committed", False),
        ("call_leaves:4", True),
        ("call_answered:4", False),
        ("call_answered:4", True),
    ],
)
def test_a_write_probe_that_is_killed_between_intent_and_answer_is_brought_to_its_end_by_whoever_leads_next(
    disabled: Company, point: str, *, returns: bool
) -> None:
    armed = disabled.env | {"REFRESHD_CRASH_AT": point}
    with start_refreshd("doctor", "--write-probe", min(disabled.inactive), env=armed) as process:
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert intent(disabled) == "disable"
    if returns:
        come_back(disabled)
    disabled.sql("UPDATE lease SET expires_at = now()")  # as it will by itself, four seconds later
    assert refreshd("once", env=disabled.env).code == 0
    assert intent(disabled) is None
    assert story(disabled)[-1] == ("withdrawn" if returns else "confirmed")
    assert (min(disabled.inactive) in disabled.scheduled()) is returns
    assert not disabled.flinks.audit.breaches_by_rule


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
