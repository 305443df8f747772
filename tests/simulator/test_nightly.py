"""The nightly job: eligibility, the two seven-day clocks, outages, silent staleness, bills."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refreshd.simulator import Moment, Request, Simulator, SimulatorConfig, populate
from refreshd.simulator.nightly import in_window
from tests.simulator.caller import ONE, START, TWO, Caller, bank, healthy, read, said


def test_a_night_refreshes_an_eligible_login_between_four_and_eight_utc_and_bills_it() -> None:
    caller = Caller()
    caller.wait(days=1)
    caller.flinks.advance(caller.date)
    refreshed = caller.flinks.login(ONE).last_refresh
    assert refreshed is not None
    assert refreshed.date() == caller.date.date()
    assert in_window(refreshed)
    assert caller.flinks.audit.bills[ONE] == 1


@pytest.mark.parametrize(
    ("hour", "minute", "inside"),
    [(3, 59, False), (4, 0, True), (7, 59, True), (8, 0, False)],
)
def test_the_window_is_from_four_to_eight(hour: int, minute: int, *, inside: bool) -> None:
    assert in_window(datetime(2026, 1, 5, hour, minute, tzinfo=UTC)) is inside


def test_nothing_happens_outside_the_night() -> None:
    caller = Caller()
    caller.wait(hours=12.9)
    before = caller.flinks.login(ONE).last_refresh
    caller.flinks.advance(caller.date)
    assert caller.flinks.login(ONE).last_refresh == before
    assert caller.flinks.audit.billed_nights == 0


def test_a_night_that_is_half_over_has_refreshed_some_logins_and_not_yet_the_others() -> None:
    caller = Caller(population=populate(3, 200, start=START))
    caller.wait(hours=15)
    caller.flinks.advance(caller.date)
    half = caller.flinks.audit.billed_nights
    caller.wait(hours=2)
    caller.flinks.advance(caller.date)
    assert 50 < half < 150
    assert caller.flinks.audit.billed_nights == 200


def test_a_disabled_login_is_neither_refreshed_nor_billed() -> None:
    caller = Caller(healthy(), healthy(TWO))
    caller.schedule(ONE, on=False)
    caller.wait(days=3)
    caller.flinks.advance(caller.date)
    assert dict(caller.flinks.audit.bills) == {TWO: 3}
    assert caller.flinks.login(ONE).last_refresh == healthy().last_refresh


def test_a_login_that_is_on_is_billed_though_ineligible_unless_configured_otherwise() -> None:
    for bills, nights in ((True, 2), (False, 0)):
        caller = Caller(config=SimulatorConfig(bill_ineligible=bills))
        caller.flinks.afflict(ONE, "INVALID_PASSWORD")
        caller.wait(days=2)
        caller.flinks.advance(caller.date)
        assert caller.flinks.audit.billed_nights == nights


def test_a_login_in_need_of_its_user_is_not_tried_again() -> None:
    caller = Caller()
    caller.flinks.afflict(ONE, "INVALID_PASSWORD")
    caller.wait(days=1)
    assert said(caller.authorize()) == (401, "INVALID_PASSWORD")
    assert caller.flinks.login(ONE).attempt.at == START


def test_an_error_that_passes_is_gone_after_the_next_good_night() -> None:
    caller = Caller()
    caller.flinks.afflict(ONE, "RETRY_LATER")
    caller.wait(days=1)
    assert said(caller.authorize()) == (200, "")


def test_an_institution_that_always_fails_makes_its_own_code_and_spares_the_others() -> None:
    bad = bank(1.0, "NEW_ACCOUNT", name="Bad Bank", number=15)
    caller = Caller(healthy(ONE, bad), healthy(TWO))
    caller.wait(days=1)
    assert said(caller.authorize(ONE)) == (401, "NEW_ACCOUNT")
    assert said(caller.authorize(TWO)) == (200, "")


def test_failure_rates_are_the_institutions_own() -> None:
    flaky = bank(0.3, name="Flaky Bank", number=15)
    logins = [healthy(f"{number:08d}-0000-4000-8000-000000000000", flaky) for number in range(1000)]
    caller = Caller(*logins)
    caller.wait(days=1)
    caller.flinks.advance(caller.date)
    failing = sum(login.attempt.code == "RETRY_LATER" for login in caller.flinks.world.logins.values())
    assert 240 < failing < 360


def test_an_outage_fails_every_attempt_until_it_ends() -> None:
    caller = Caller()
    caller.flinks.institution_down("Reliable Bank", caller.date + timedelta(days=2))
    caller.wait(days=1)
    assert said(caller.authorize()) == (405, "DISABLED_INSTITUTION")
    assert said(caller.authorize(cached=False)) == (405, "DISABLED_INSTITUTION")
    caller.wait(days=2)
    assert said(caller.authorize()) == (200, "")


def test_an_outage_has_a_code_of_its_own_and_can_end_early() -> None:
    caller = Caller()
    caller.flinks.institution_down("Reliable Bank", START + timedelta(days=9), code="BANK MAINTENANCE_RETRY_LATER")
    caller.wait(days=1)
    assert said(caller.authorize()) == (401, "BANK MAINTENANCE_RETRY_LATER")
    caller.flinks.institution_up("Reliable Bank")
    caller.wait(days=1)
    assert said(caller.authorize()) == (200, "")


def test_a_stuck_login_stays_without_error_and_without_refresh_until_it_is_refreshed_by_hand() -> None:
    caller = Caller(replace(healthy(), stuck=True))
    caller.wait(days=3)
    stale = read(caller.authorize())
    assert "FlinksCode" not in stale
    assert stale["Login"]["LastRefresh"].startswith("2026-01-05T06:00:00")
    by_hand = read(caller.authorize(cached=False))
    caller.wait(days=1)
    assert read(caller.authorize())["Login"]["LastRefresh"] > by_hand["Login"]["LastRefresh"]


def test_without_a_good_refresh_for_seven_days_a_passing_error_ends_eligibility_too() -> None:
    caller = Caller(healthy(institution=bank(1.0, "RETRY_LATER")))
    for day in range(9):
        caller.wait(days=1)
        caller.authorize()
        assert bool(caller.listed()) == (day >= 6)


def test_a_flag_that_comes_back_by_itself_does_so_the_next_night_and_is_billed() -> None:
    caller = Caller(faults=["flag_comes_back@SetScheduledRefresh:x1"])
    caller.schedule(on=False)
    assert not caller.flinks.login(ONE).scheduled
    caller.wait(days=1)
    caller.flinks.advance(caller.date)
    assert caller.flinks.login(ONE).scheduled
    assert caller.flinks.audit.bills[ONE] == 1
    caller.schedule(on=False)
    caller.wait(days=2)
    caller.flinks.advance(caller.date)
    assert caller.flinks.audit.bills[ONE] == 1


def test_going_back_in_time_changes_nothing_and_lives_no_night_twice() -> None:
    caller = Caller()
    for days in (2, -2, 2):
        caller.wait(days=days)
        caller.flinks.advance(caller.date)
    assert caller.flinks.audit.bills[ONE] == 2


@given(last_call_days=st.floats(0, 20), webhooks=st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_dormant_polling_login_stops_after_seven_days_and_revives_with_the_next_cached_call(
    *, last_call_days: float, webhooks: bool
) -> None:
    login = replace(healthy(), last_cached_call=START - timedelta(days=last_call_days))
    caller = Caller(login, config=SimulatorConfig(webhooks=webhooks))
    caller.wait(days=1)
    caller.flinks.advance(caller.date)
    turn = caller.date.replace(hour=4) + login.turn
    dormant = not webhooks and turn - (START - timedelta(days=last_call_days)) > timedelta(days=7)
    assert (caller.flinks.login(ONE).last_refresh == turn) is not dormant
    caller.authorize()
    caller.wait(days=1)
    caller.flinks.advance(caller.date)
    assert caller.flinks.login(ONE).last_refresh == turn + timedelta(days=1)


def test_dormant_for_longer_than_seven_more_days_a_login_lapses_though_it_is_called_again() -> None:
    caller = Caller()
    caller.wait(days=15)
    caller.authorize()
    assert set(caller.listed()) == {ONE}
    lapsed = caller.flinks.login(ONE).last_refresh
    caller.wait(days=1)
    caller.flinks.advance(caller.date)
    assert caller.flinks.login(ONE).last_refresh == lapsed


@given(steps=st.lists(st.tuples(st.floats(0, 40), st.integers(0, 19), st.booleans()), max_size=12))
@settings(max_examples=40, deadline=None)
def test_a_login_is_billed_for_exactly_the_nights_in_which_its_flag_was_on(
    steps: list[tuple[float, int, bool]],
) -> None:
    simulator = Simulator(SimulatorConfig(), populate(5, 20, start=START))
    date, expected = START, 0
    for hours, index, on in steps:
        earlier, date = date, date + timedelta(hours=hours)
        for login in simulator.world.logins.values():
            expected += _nights(earlier, date, login.turn) if login.scheduled else 0
        simulator.advance(date)
        simulator.set_flag(list(simulator.world.logins)[index], scheduled=on)
    assert simulator.audit.billed_nights == expected


def _nights(after: datetime, upto: datetime, turn: timedelta) -> int:
    night = START.replace(hour=4) + turn
    nights = [night + timedelta(days=day) for day in range(30)]
    return sum(after < night <= upto for night in nights)


@given(leaps=st.lists(st.floats(0.01, 60), min_size=1, max_size=10), seed=st.integers(0, 50))
@settings(max_examples=30, deadline=None)
def test_a_leap_and_many_small_steps_end_in_the_same_world(leaps: list[float], seed: int) -> None:
    stepping, leaping = (Simulator(SimulatorConfig(seed=seed), populate(seed, 30)) for _ in range(2))
    date = stepping.world.date
    for hours in leaps:
        date += timedelta(hours=hours)
        stepping.advance(date)
    leaping.advance(date)
    assert list(stepping.world.logins.values()) == list(leaping.world.logins.values())
    assert stepping.audit.bills == leaping.audit.bills


_OPERATIONS = [
    ("POST", "GenerateAuthorizeToken"),
    ("POST", "Authorize"),
    ("PATCH", "SetScheduledRefresh"),
    ("POST", "GetAccountsDetail"),
    ("GET", "GetNightlyRefreshStatus"),
    ("GET", "Nonsense"),
]


@given(
    seed=st.integers(0, 1000),
    calls=st.lists(st.tuples(st.sampled_from(_OPERATIONS), st.integers(0, 9), st.floats(0, 9)), max_size=25),
)
@settings(max_examples=30, deadline=None)
def test_equal_seeds_and_equal_calls_give_byte_identical_answers(
    seed: int, calls: list[tuple[tuple[str, str], int, float]]
) -> None:
    population = populate(seed, 10)
    config = SimulatorConfig(seed=seed, require_token=False)
    rules = ["garbage@any:0.1", "reset@any:0.1", "wrong_login@any:0.2", "contrary@any:0.2", "slow(2)@any:0.1"]
    twins = [Simulator(config, population, faults=rules) for _ in range(2)]
    headers = {"x-api-key": config.api_key, "authorization": f"Bearer {config.api_secret}"}
    date = population.start
    for (method, operation), index, hours in calls:
        date += timedelta(hours=hours)
        body = f'{{"LoginId":"{population.logins[index].login_id}","MostRecentCached":true}}'.encode()
        request = Request(method, f"/v3/{config.customer_id}/BankingServices/{operation}", headers, body)
        first, second = (twin.respond(request, Moment(date, hours)) for twin in twins)
        assert first == second
