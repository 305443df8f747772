"""Fleets out of a seed, and the company that goes with one."""

import csv
import io
from collections import Counter
from datetime import timedelta

import pytest

from refreshd.simulator import Simulator, SimulatorConfig, company_links, inactive_logins, populate, population_csv
from refreshd.simulator.company import Link
from refreshd.simulator.population import DEFAULT_START
from tests.simulator.caller import ONE, START, Caller, bank, healthy, of


def test_a_seed_decides_everything() -> None:
    assert populate(7, 100) == populate(7, 100)
    assert populate(7, 100) != populate(8, 100)
    assert populate(7, 100).logins[:50] == populate(7, 50).logins


def test_a_fleet_has_several_institutions_that_fare_differently() -> None:
    fleet = populate(7, 2000)
    trouble = Counter(login.institution.name for login in fleet.logins if login.attempt.disqualifies)
    assert 6 <= len(fleet.institutions) <= 8
    assert {login.institution for login in fleet.logins} == set(fleet.institutions)
    assert trouble["Polaris Financial"] > 10 * trouble["Boreal Bank"]


def test_a_fleet_has_well_stale_failing_dormant_and_new_logins_all_switched_on() -> None:
    fleet = populate(7, 1000)
    last_night = DEFAULT_START - timedelta(hours=20)
    well = sum(login.last_refresh is not None and login.last_refresh >= last_night for login in fleet.logins)
    assert all(login.scheduled for login in fleet.logins)
    assert well > 600
    assert 10 < sum(login.stuck for login in fleet.logins) < 60
    assert 1 < sum(login.last_refresh is None for login in fleet.logins) < 30
    assert {"", "QUESTION_NOT_FOUND", "INVALID_PASSWORD"} <= {login.attempt.code for login in fleet.logins}
    assert {login.language for login in fleet.logins} == {"en", "fr"}


def test_a_fleet_can_be_given_institutions_and_a_start() -> None:
    fleet = populate(1, 5, institutions=[bank()], start=START)
    assert {login.institution for login in fleet.logins} == {bank()}
    assert all(login.last_refresh is None or login.last_refresh < START for login in fleet.logins)
    with pytest.raises(ValueError, match="institution"):
        populate(1, 5, institutions=[])


def test_a_simulator_leaves_its_population_as_it_was() -> None:
    fleet = of(healthy())
    Caller(population=fleet).schedule(on=False)
    assert fleet.logins[0].scheduled


@pytest.mark.parametrize("inactive", [0, 1, 100, 400])
def test_a_company_has_exactly_as_many_inactive_logins_as_asked_for(inactive: int) -> None:
    links = company_links(populate(7, 400), inactive=inactive)
    assert len(inactive_logins(links)) == inactive
    assert len({link.login_id for link in links}) == 400


def test_a_company_has_shared_logins_also_between_one_who_left_and_one_who_stays() -> None:
    links = company_links(populate(7, 400), inactive=50)
    holders: dict[str, list[Link]] = {}
    for link in links:
        holders.setdefault(link.login_id, []).append(link)
    words = {tuple(sorted(link.active for link in shared)) for shared in holders.values() if len(shared) == 2}
    assert words == {(False, False), (False, True), (True, True)}
    assert max(Counter(link.client_id for link in links).values()) > 1


def test_a_client_is_active_or_not_in_all_its_rows() -> None:
    words: dict[str, set[bool]] = {}
    for link in company_links(populate(7, 400), inactive=100):
        words.setdefault(link.client_id, set()).add(link.active)
    assert all(len(word) == 1 for word in words.values())


def test_the_ledger_file_has_three_columns_and_no_row_twice() -> None:
    file = io.StringIO(newline="")
    gone = population_csv(populate(7, 50), file, inactive=10)
    rows = list(csv.DictReader(io.StringIO(file.getvalue())))
    assert list(rows[0]) == ["client_id", "login_id", "active"]
    assert {row["active"] for row in rows} == {"true", "false"}
    assert len({(row["client_id"], row["login_id"]) for row in rows}) == len(rows)
    assert gone == {row["login_id"] for row in rows} - {row["login_id"] for row in rows if row["active"] == "true"}


def test_more_inactive_logins_than_there_are_is_an_error() -> None:
    with pytest.raises(ValueError, match="cannot be inactive"):
        company_links(populate(7, 5), inactive=6)


def test_a_naive_start_is_an_error() -> None:
    with pytest.raises(ValueError, match="aware"):
        Simulator(SimulatorConfig(), of(healthy(), start=START.replace(tzinfo=None)))


def test_a_login_can_be_linked_later_and_is_found_in_any_case() -> None:
    caller = Caller(population=populate(7, 3))
    for nights in (0, 1):
        caller.wait(days=1)
        caller.flinks.advance(caller.date)
        assert caller.flinks.audit.bills[ONE] == nights
        caller.flinks.link(healthy(ONE.upper()))
    assert caller.flinks.login(ONE.upper()).login_id == ONE


def test_a_forgotten_login_is_billed_no_more() -> None:
    caller = Caller(healthy())
    caller.wait(days=1)
    caller.flinks.advance(caller.date)
    caller.flinks.forget(ONE)
    caller.wait(days=1)
    caller.flinks.advance(caller.date)
    assert caller.flinks.audit.bills[ONE] == 1
