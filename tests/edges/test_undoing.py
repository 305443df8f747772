"""`refreshd undo` asks, and the next pass makes a plan of it: what was disabled and an active client wants is enabled again."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import pytest

from refreshd.core import turn
from refreshd.core.model import PlanId
from refreshd.core.undo import Undoing
from refreshd.ledger import Ledger
from refreshd.postgres import Connection
from tests.support.commands import refreshd
from tests.support.company import Company, company, twin
from tests.support.ledger import NOW, link, login_id
from tests.support.postgres import SCHEMA, PostgresServer

LOGINS, GONE = 60, 8
REASON = "the list was wrong"


@pytest.fixture(scope="module")
def disabled(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """Eight logins were disabled by an approved plan. Each test lives in a twin of it."""
    with (
        postgres.database(migrated=True) as url,
        company(url, tmp_path_factory.mktemp("disabled"), logins=LOGINS, inactive=GONE) as built,
    ):
        assert refreshd("import", str(built.clients), env=built.env).code == 0
        assert refreshd("once", env=built.env).code == 3
        assert refreshd("approve", plan_of(built), "--reason", "looked", env=built.env).code == 0
        assert refreshd("once", env=built.env).code == 0
        yield built


@pytest.fixture
def acme(disabled: Company, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    monkeypatch.setattr(turn, "_TRY_AGAIN_SECONDS", 0.05)
    with postgres.copy_of(disabled.database_url) as url, twin(disabled, url) as built:
        yield built


def plan_of(acme: Company) -> str:
    plans = json.loads(refreshd("plans", "--closed", "--json", env=acme.env).out)
    return str(next(each["plan_id"] for each in plans if each["change"] == "disable"))


def come_back(acme: Company, count: int) -> set[str]:
    """Clients return until so many disabled logins (or a few more: a client may have several) are active again."""
    back: set[str] = set()
    for each in sorted(acme.inactive):
        if len(back) < count:
            acme.sql(
                "UPDATE client SET active = true WHERE client_id IN (SELECT client_id FROM client_login WHERE login_id = $1)",
                each,
            )
            active = acme.sql("SELECT login_id::text FROM login WHERE active")
            back = {row["login_id"] for row in active} & acme.inactive
    acme.flinks.company_inactive(acme.inactive - back)
    return back


def undo(acme: Company, plan: str | None = None, *, env: dict[str, str] | None = None) -> dict[str, Any]:
    """Nobody leads here, so it only asks, and says so."""
    ran = refreshd("undo", plan or plan_of(acme)[:8], "--reason", REASON, "--json", env=env or acme.env)
    assert ran.code == 0, ran.words
    said: dict[str, Any] = json.loads(ran.out)
    return said


def enabled(said: dict[str, Any]) -> set[str]:
    return {each["login_id"] for each in said["enabled"]}


def plan_of_undo(acme: Company) -> str | None:
    """What the pass that took the newest undoing up has made of it."""
    (row,) = acme.sql("SELECT planned_at, plan_id FROM undoing ORDER BY decision_id DESC LIMIT 1")
    assert row["planned_at"] is not None, "no pass has taken it up"
    plan_id: str | None = row["plan_id"]
    return plan_id


@contextmanager
def locked(acme: Company, login_id: str) -> Iterator[None]:
    """Somebody's open transaction holds a login."""
    with asyncio.Runner() as runner:
        session = runner.run(asyncpg.connect(acme.database_url, server_settings={"search_path": SCHEMA}))
        runner.run(session.execute("BEGIN"))
        runner.run(session.fetch("SELECT FROM login WHERE login_id = $1 FOR UPDATE", login_id))
        yield
        runner.run(session.close())


def test_it_asks_and_the_next_pass_enables_what_an_active_client_wants_and_leaves_the_rest(acme: Company) -> None:
    undone = plan_of(acme)
    back = come_back(acme, 3)
    said = undo(acme)
    assert (said["undoes"], said["taken_up_at"], enabled(said)) == (undone, None, back)
    assert "no daemon leads" in said["waits_because"]
    assert all(each["clients"] for each in said["enabled"])
    assert said["left"] == [{"login_id": each, "outcome": "inactive"} for each in sorted(acme.inactive - back)]
    assert not acme.sql("SELECT FROM schedule_change WHERE event = 'undone'"), "it has only asked"

    assert refreshd("once", env=acme.env).code == 0
    assert acme.scheduled() >= back
    assert not acme.scheduled() & (acme.inactive - back)
    events = acme.sql("SELECT login_id::text, reason, plan_id, pass_id FROM schedule_change WHERE event = 'undone'")
    assert {(row["login_id"], row["reason"], row["plan_id"]) for row in events} == {
        (each, REASON, undone) for each in back
    }
    assert all(row["pass_id"] for row in events)
    confirmed = acme.sql("SELECT DISTINCT plan_id FROM schedule_change WHERE change = 'enable' AND event = 'confirmed'")
    assert [row["plan_id"] for row in confirmed] == [plan_of_undo(acme)]
    assert "asked for an undoing by" in refreshd("plan", "--show", undone, env=acme.env).words


def test_an_undoing_beyond_the_caps_waits_for_approval_and_goes_then(acme: Company) -> None:
    back = come_back(acme, 6)
    tight = acme.env | {"REFRESHD_MAX_DISABLE_COUNT": "2"}
    said = undo(acme, env=tight)
    assert said["withheld"]["reason"] == "count"
    assert refreshd("once", env=tight).code == 3
    assert not acme.scheduled() & back
    held = plan_of_undo(acme)
    assert held is not None
    assert refreshd("approve", held, "--reason", "yes", env=acme.env).code == 0
    assert refreshd("once", env=tight).code == 0
    assert acme.scheduled() >= back


def test_a_held_plan_of_enables_is_taken_over(acme: Company) -> None:
    """An earlier pass had held them already."""
    back = come_back(acme, 3)
    tight = acme.env | {"REFRESHD_MAX_DISABLE_COUNT": "2"}
    assert refreshd("once", env=tight).code == 3
    assert enabled(undo(acme)) == back
    assert refreshd("once", env=acme.env).code == 0
    assert acme.scheduled() >= back


def test_asked_twice_it_is_one_undoing_that_two_wanted(acme: Company) -> None:
    back = come_back(acme, 2)
    first, second = undo(acme), undo(acme)
    assert first["asked_at"] == second["asked_at"]
    assert len(acme.sql("SELECT FROM undoing")) == 1
    assert len(acme.sql("SELECT FROM decision WHERE decision = 'undo'")) == 2
    assert refreshd("once", env=acme.env).code == 0
    assert len(acme.sql("SELECT FROM schedule_change WHERE event = 'undone'")) == len(back)


def test_what_was_undone_before_is_on_again_and_nothing_is_planned(acme: Company) -> None:
    back = come_back(acme, 2)
    undo(acme)
    assert refreshd("once", env=acme.env).code == 0
    again = undo(acme)
    assert not again["enabled"]
    assert [each["outcome"] for each in again["left"]].count("on_again") == len(back)
    assert refreshd("once", env=acme.env).code == 0
    assert plan_of_undo(acme) is None


def test_a_client_that_leaves_again_before_the_pass_drops_out(acme: Company) -> None:
    back = come_back(acme, 3)
    assert enabled(undo(acme)) == back
    acme.sql(
        "UPDATE client SET active = false WHERE client_id IN (SELECT client_id FROM client_login WHERE login_id = ANY($1))",
        back,
    )
    acme.flinks.company_inactive(acme.inactive)
    assert refreshd("once", env=acme.env).code == 0
    assert plan_of_undo(acme) is None
    assert not acme.scheduled() & acme.inactive


def test_a_login_that_clients_share_is_enabled_for_the_one_who_is_active(acme: Company) -> None:
    shared = min(acme.inactive)
    acme.sql("INSERT INTO client (client_id) VALUES ('the other half')")
    acme.sql("INSERT INTO client_login (client_id, login_id) VALUES ('the other half', $1)", shared)
    acme.flinks.company_inactive(acme.inactive - {shared})
    said = undo(acme)
    assert said["enabled"] == [{"login_id": shared, "clients": ["the other half"]}]
    assert refreshd("once", env=acme.env).code == 0
    assert shared in acme.scheduled()


def test_a_plan_that_is_still_on_its_way_sends_nothing_more_from_the_moment_of_asking(acme: Company) -> None:
    """Some of its disables are confirmed, some are not."""
    leaving = sorted(acme.scheduled() - acme.inactive)[:3]
    acme.sql(
        "UPDATE client SET active = false WHERE client_id IN (SELECT client_id FROM client_login WHERE login_id = ANY($1))",
        leaving,
    )
    gone = acme.inactive | {row["login_id"] for row in acme.sql("SELECT login_id::text FROM login WHERE NOT active")}
    acme.flinks.company_inactive(gone)
    tight = acme.env | {"REFRESHD_MAX_DISABLE_COUNT": "2"}
    assert refreshd("once", env=tight).code == 3
    (held,) = acme.sql("SELECT plan_id, logins FROM plan WHERE state = 'held'")
    assert refreshd("approve", held["plan_id"], "--reason", "yes", env=tight).code == 0
    acme.flinks.add_faults(["html_502@SetScheduledRefresh:0.5"])
    refreshd("once", env=tight)
    acme.flinks.faults.clear()
    done = acme.sql(
        "SELECT DISTINCT login_id::text FROM schedule_change WHERE plan_id = $1 AND event = 'confirmed'",
        held["plan_id"],
    )
    assert 0 < len(done) < held["logins"], "the seed of the faults leaves some and takes some"

    undo(acme, held["plan_id"])
    (plan,) = acme.sql("SELECT state, rejection_reason FROM plan WHERE plan_id = $1", held["plan_id"])
    assert (plan["state"], plan["rejection_reason"]) == ("rejected", f"undone: {REASON}")
    acme.sql("UPDATE login SET change_not_before = NULL")
    before = acme.scheduled()
    refreshd("once", env=tight)
    assert acme.scheduled() == before
    withdrawn = "SELECT DISTINCT login_id FROM schedule_change WHERE plan_id = $1 AND event = 'withdrawn'"
    assert len(acme.sql(withdrawn, held["plan_id"])) == held["logins"] - len(done)


def test_a_small_plan_that_went_at_once_sends_nothing_more_either(acme: Company) -> None:
    """It was closed from the start, and what Flinks has not confirmed of it is intended still."""
    before = acme.scheduled()
    gone = acme.leave(4) - acme.inactive
    acme.flinks.add_faults(["html_502@SetScheduledRefresh:0.5"])
    refreshd("once", env=acme.env)
    acme.flinks.faults.clear()
    (plan,) = acme.sql("SELECT DISTINCT intent_plan_id AS plan_id FROM login WHERE intent IS NOT NULL")
    sent_at_once = "SELECT state, rejection_reason FROM plan WHERE plan_id = $1"
    assert acme.sql(sent_at_once, plan["plan_id"])[0]["state"] == "closed"
    left = {row["login_id"] for row in acme.sql("SELECT login_id::text FROM login WHERE intent IS NOT NULL")}
    assert left < gone <= before, "the seed of the faults leaves some and takes some"

    undo(acme, plan["plan_id"])
    (rejected,) = acme.sql(sent_at_once, plan["plan_id"])
    assert tuple(rejected) == ("rejected", f"undone: {REASON}")
    stand = acme.scheduled()
    acme.sql("UPDATE login SET change_not_before = NULL")
    refreshd("once", env=acme.env)
    assert acme.scheduled() == stand
    events = "SELECT DISTINCT login_id::text FROM schedule_change WHERE plan_id = $1 AND event = 'withdrawn'"
    assert {row["login_id"] for row in acme.sql(events, plan["plan_id"])} == left


def test_a_client_who_returned_before_the_undoing_is_not_left_under_the_plan_that_was_undone(acme: Company) -> None:
    """Its disable is intended still, and may have taken effect: what covers it for good could never be enabled again."""
    acme.leave(4)
    acme.flinks.add_faults(["html_502@SetScheduledRefresh:0.5"])
    refreshd("once", env=acme.env)
    acme.flinks.faults.clear()
    left = acme.sql("SELECT login_id::text, intent_plan_id FROM login WHERE intent IS NOT NULL")
    returned = (
        "UPDATE client SET active = true WHERE client_id IN (SELECT client_id FROM client_login WHERE login_id = $1)"
    )
    acme.sql(returned, left[0]["login_id"])
    assert acme.sql("SELECT FROM login WHERE active AND intent = 'disable'")

    undo(acme, left[0]["intent_plan_id"])
    assert not acme.sql("SELECT FROM login WHERE active AND plan_id IS NOT NULL")
    (state,) = acme.sql("SELECT state FROM plan WHERE plan_id = $1", left[0]["intent_plan_id"])
    assert state["state"] == ("rejected" if len(left) > 1 else "closed")


def test_a_login_that_somebody_locks_keeps_its_undoing_waiting_and_nothing_else(acme: Company) -> None:
    back = come_back(acme, 2)
    undo(acme)
    leaver = min(acme.leave(1) - acme.inactive)
    with locked(acme, min(back)):
        refreshd("once", env=acme.env)
        assert [row["planned_at"] for row in acme.sql("SELECT planned_at FROM undoing")] == [None]
        assert leaver not in acme.scheduled()
    assert refreshd("once", env=acme.env).code == 0
    assert plan_of_undo(acme) is not None
    assert acme.scheduled() >= back


def test_a_later_plan_of_the_same_logins_does_not_inherit_an_undoing(acme: Company) -> None:
    """Its id is that of its logins, so it is the same."""
    undone, back = plan_of(acme), come_back(acme, 3)
    undo(acme, undone)
    assert refreshd("once", env=acme.env).code == 0
    assert acme.scheduled() >= back
    assert "its undoing is" in refreshd("plan", "--show", undone, env=acme.env).words.lower()
    acme.sql("UPDATE plan SET held_at = held_at + interval '1 hour' WHERE plan_id = $1", undone)
    assert "its undoing is" not in refreshd("plan", "--show", undone, env=acme.env).words.lower()


def test_during_a_pause_it_is_planned_and_not_sent(acme: Company) -> None:
    back = come_back(acme, 2)
    assert refreshd("pause", "--reason", "look first", env=acme.env).code == 0
    ran = refreshd("undo", plan_of(acme), "--reason", REASON, env=acme.env)
    assert "vendor writes are paused" in ran.words
    refreshd("once", env=acme.env)
    assert plan_of_undo(acme) is not None
    assert not acme.scheduled() & back
    assert refreshd("resume", "--reason", "looked", env=acme.env).code == 0
    assert refreshd("once", env=acme.env).code == 0
    assert acme.scheduled() >= back


def test_in_observe_mode_it_is_recorded_and_waits_until_refreshd_enforces(acme: Company) -> None:
    back = come_back(acme, 2)
    observe = acme.env | {"REFRESHD_MODE": "observe"}
    assert "REFRESHD_MODE is observe" in undo(acme, env=observe)["waits_because"]
    refreshd("once", env=observe)
    assert [row["planned_at"] for row in acme.sql("SELECT planned_at FROM undoing")] == [None]
    assert not acme.scheduled() & back
    assert refreshd("once", env=acme.env).code == 0
    assert acme.scheduled() >= back


def test_a_small_plan_that_was_never_held_can_be_found_shown_and_undone(acme: Company) -> None:
    stays = min(acme.scheduled())
    flip = "UPDATE client SET active = NOT active WHERE client_id IN (SELECT client_id FROM client_login WHERE login_id = $1)"
    acme.sql(flip, stays)
    gone = {row["login_id"] for row in acme.sql("SELECT login_id::text FROM login WHERE NOT active")}
    acme.flinks.company_inactive(gone)
    assert refreshd("once", env=acme.env).code == 0
    assert stays not in acme.scheduled()
    plan = str(json.loads(refreshd("plans", "--closed", "--json", env=acme.env).out)[0]["plan_id"])
    shown = refreshd("plan", "--show", plan, env=acme.env).words
    assert "within the caps; sent at once" in shown
    assert stays in shown

    acme.sql(flip, stays)
    acme.flinks.company_inactive(acme.inactive)
    ran = refreshd("undo", plan, "--reason", "came back", env=acme.env)
    assert ran.code == 0, ran.words
    assert "to be enabled" in ran.words
    assert refreshd("once", env=acme.env).code == 0
    assert stays in acme.scheduled()


def test_a_plan_that_disabled_nothing_cannot_be_undone(acme: Company) -> None:
    ran = refreshd("undo", "ffff", "--reason", "x", env=acme.env)
    assert (ran.code, "has disabled anything" in ran.err) == (2, True)


def test_an_undoing_itself_cannot_be_undone_because_its_clients_are_active(acme: Company) -> None:
    come_back(acme, 2)
    undo(acme)
    assert refreshd("once", env=acme.env).code == 0
    ran = refreshd("undo", str(plan_of_undo(acme)), "--reason", "x", env=acme.env)
    assert (ran.code, "only what was disabled can be undone" in ran.err) == (2, True)


async def test_an_undoing_is_counted_as_it_is_listed_whatever_has_become_of_each_login(
    ledger: Ledger, connection: Connection
) -> None:
    plan_id = PlanId("feedfacefeedface")
    logins = {each: login_id(number) for number, each in enumerate(Undoing, start=1)}
    known = [each for outcome, each in logins.items() if outcome is not Undoing.FORGOTTEN]
    await link(connection, "client", *known)
    await link(connection, "gone", logins[Undoing.INACTIVE], active=False)
    await connection.execute(
        "DELETE FROM client_login WHERE client_id = 'client' AND login_id = $1", logins[Undoing.INACTIVE]
    )
    await connection.execute("UPDATE login SET confirmed_off_at = $1", NOW)
    await connection.execute("UPDATE login SET confirmed_off_at = NULL WHERE login_id = $1", logins[Undoing.ON_AGAIN])
    await connection.execute(
        "UPDATE login SET refused_at = $2, refused_code = 'INVALID_LOGIN' WHERE login_id = $1",
        logins[Undoing.REFUSED],
        NOW,
    )
    await connection.execute(
        "UPDATE login SET intent = 'enable', intent_id = 1, intent_reason = '', intent_plan_id = 'x', intended_at = $2"
        " WHERE login_id = $1",
        logins[Undoing.UNDER_WAY], NOW,
    )  # fmt: skip
    await connection.executemany(
        "INSERT INTO schedule_change (login_id, change, event, at, reason, plan_id) VALUES ($1, 'disable', $2, $3, '', $4)",
        [(each, event, NOW, plan_id) for each in logins.values() for event in ("held", "confirmed", "confirmed")],
    )
    listed = await ledger.disabled_by(plan_id, after=None, limit=100)
    assert {each.outcome: each.login_id for each in listed} == logins
    assert await ledger.undo_outcomes(plan_id) == dict.fromkeys(Undoing, 1)
    assert {each.outcome: list(each.clients) for each in listed}[Undoing.ENABLED] == ["client"]
    first = await ledger.disabled_by(plan_id, after=login_id(2), limit=2)
    assert [each.login_id for each in first] == [login_id(3), login_id(4)]
