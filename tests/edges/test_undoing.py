"""`refreshd undo`: what a plan disabled and an active client wants is enabled again, by a plan of its own."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import refreshd
from tests.support.company import Company, company

LOGINS, GONE = 60, 8


@pytest.fixture
def acme(database_url: str, tmp_path: Path) -> Iterator[Company]:
    """Eight logins were disabled by an approved plan."""
    with company(database_url, tmp_path, logins=LOGINS, inactive=GONE) as built:
        assert refreshd("import", str(built.clients), env=built.env).code == 0
        assert refreshd("once", env=built.env).code == 3
        assert refreshd("approve", plan_of(built), "--reason", "looked", env=built.env).code == 0
        assert refreshd("once", env=built.env).code == 0
        yield built


def plan_of(acme: Company) -> str:
    plans = json.loads(refreshd("plans", "--closed", "--json", env=acme.env).out)
    return str(next(each["plan_id"] for each in plans if each["change"] == "disable"))


def come_back(acme: Company, count: int) -> set[str]:
    """Clients return until so many disabled logins (or a few more: a client may have several) are active again."""
    back: set[str] = set()
    for login_id in sorted(acme.inactive):
        if len(back) < count:
            acme.sql(
                "UPDATE client SET active = true WHERE client_id IN (SELECT client_id FROM client_login WHERE login_id = $1)",
                login_id,
            )
            active = acme.sql("SELECT login_id::text FROM login WHERE active")
            back = {row["login_id"] for row in active} & acme.inactive
    acme.flinks.company_inactive(acme.inactive - back)
    return back


def scheduled(acme: Company) -> set[str]:
    return {each.login_id for each in acme.flinks.world.logins.values() if each.scheduled}


def undo(acme: Company, *more: str, env: dict[str, str] | None = None) -> tuple[int, dict[str, object]]:
    ran = refreshd("undo", plan_of(acme)[:8], "--reason", "the list was wrong", "--json", *more, env=env or acme.env)
    return ran.code, json.loads(ran.out)


def test_what_an_active_client_wants_is_enabled_and_the_rest_is_named_and_left(acme: Company) -> None:
    undone = plan_of(acme)
    back = come_back(acme, 3)
    code, said = undo(acme)
    assert code == 0
    assert (said["undoes"], said["logins"], said["state"]) == (undone, len(back), "admitted")
    assert said["left"] == [{"login_id": each, "outcome": "inactive"} for each in sorted(acme.inactive - back)]

    assert refreshd("once", env=acme.env).code == 0
    assert scheduled(acme) >= back
    assert not scheduled(acme) & (acme.inactive - back)
    events = acme.sql("SELECT login_id::text, reason, plan_id FROM schedule_change WHERE event = 'undone'")
    assert {(row["login_id"], row["reason"], row["plan_id"]) for row in events} == {
        (each, "the list was wrong", undone) for each in back
    }
    confirmed = acme.sql("SELECT DISTINCT plan_id FROM schedule_change WHERE change = 'enable' AND event = 'confirmed'")
    assert [row["plan_id"] for row in confirmed] == [said["plan_id"]]
    assert "undo by" in refreshd("plan", "--show", undone, env=acme.env).words


def test_an_undoing_beyond_the_caps_waits_for_approval_and_goes_then(acme: Company) -> None:
    back = come_back(acme, 6)
    tight = acme.env | {"REFRESHD_MAX_DISABLE_COUNT": "2"}
    code, said = undo(acme, env=tight)
    assert (code, said["state"], said["logins"]) == (3, "held", len(back))
    assert refreshd("once", env=tight).code == 3
    assert not scheduled(acme) & back
    assert refreshd("approve", str(said["plan_id"]), "--reason", "yes", env=acme.env).code == 0
    assert refreshd("once", env=tight).code == 0
    assert scheduled(acme) >= back


def test_a_held_plan_of_enables_is_taken_over(acme: Company) -> None:
    """The pass was quicker: it had held them already."""
    back = come_back(acme, 3)
    tight = acme.env | {"REFRESHD_MAX_DISABLE_COUNT": "2"}
    assert refreshd("once", env=tight).code == 3
    code, said = undo(acme)
    assert (code, said["state"], said["logins"]) == (0, "admitted", len(back))
    assert refreshd("once", env=acme.env).code == 0
    assert scheduled(acme) >= back


def test_said_twice_it_does_nothing_the_second_time(acme: Company) -> None:
    back = come_back(acme, 2)
    assert undo(acme)[1]["logins"] == len(back)
    code, again = undo(acme)
    assert (code, again["logins"], again["plan_id"]) == (0, 0, None)
    assert refreshd("once", env=acme.env).code == 0
    outcomes = [str(each["outcome"]) for each in _left(undo(acme)[1])]
    assert outcomes.count("on_again") == len(back)


def _left(said: dict[str, object]) -> list[dict[str, object]]:
    left = said["left"]
    assert isinstance(left, list)
    return left


def test_a_small_plan_within_the_caps_is_undone_too_although_no_plan_was_stored(acme: Company) -> None:
    stays = min(scheduled(acme))
    flip = "UPDATE client SET active = NOT active WHERE client_id IN (SELECT client_id FROM client_login WHERE login_id = $1)"
    acme.sql(flip, stays)
    acme.flinks.company_inactive({*acme.inactive, stays})
    assert refreshd("once", env=acme.env).code == 0
    assert stays not in scheduled(acme)
    (row,) = acme.sql(
        "SELECT plan_id FROM schedule_change WHERE login_id = $1 AND event = 'confirmed' AND change = 'disable'", stays
    )
    acme.sql(flip, stays)
    acme.flinks.company_inactive(acme.inactive)
    ran = refreshd("undo", row["plan_id"], "--reason", "came back", env=acme.env)
    assert ran.code == 0, ran.words
    assert "to be enabled" in ran.words
    assert refreshd("once", env=acme.env).code == 0
    assert stays in scheduled(acme)


def test_a_plan_that_disabled_nothing_cannot_be_undone(acme: Company) -> None:
    ran = refreshd("undo", "ffff", "--reason", "x", env=acme.env)
    assert (ran.code, "has disabled anything" in ran.err) == (2, True)
