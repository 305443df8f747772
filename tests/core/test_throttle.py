"""The rate in force halves, climbs back slowly, and stays between its floor and the operator's setting."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refreshd.core.throttle import CLIMB_SECONDS, Throttle, answered, refused, resumed, unthrottled

SETTINGS = st.integers(1, 10_000)
EVENTS = st.lists(st.tuples(st.booleans(), st.floats(0, 300), st.floats(0, 90)), max_size=60)
"""Whether the call was refused, the seconds since the event before, and how long the call was on its way."""


def lived(throttle: Throttle, events: list[tuple[bool, float, float]]) -> list[Throttle]:
    at, states = 0.0, [throttle]
    for is_refused, pause, on_its_way in events:
        at += pause
        states.append(refused(states[-1], at - on_its_way, at) if is_refused else answered(states[-1], at))
    return states


@given(SETTINGS, EVENTS)
def test_whatever_happens_the_rate_stays_between_the_floor_and_the_setting(
    setting: int, events: list[tuple[bool, float, float]]
) -> None:
    for state in lived(unthrottled(setting), events):
        assert 1 <= state.floor <= state.rate <= setting


@given(SETTINGS, EVENTS)
def test_it_climbs_by_small_steps_and_falls_by_halves(setting: int, events: list[tuple[bool, float, float]]) -> None:
    states = lived(unthrottled(setting), events)
    for before, after in pairwise(states):
        assert after.rate <= before.rate + max(1, setting / 20)
        assert after.rate >= before.rate // 2


@given(SETTINGS, EVENTS)
def test_after_half_an_hour_of_good_answers_it_is_what_the_operator_allows(
    setting: int, events: list[tuple[bool, float, float]]
) -> None:
    state, at = lived(unthrottled(setting), events)[-1], 1e6
    for minute in range(31):
        state = answered(state, at + minute * CLIMB_SECONDS)
    assert state.rate == setting
    assert not state.lowered


@given(SETTINGS, st.lists(st.floats(0, 60), min_size=1, max_size=30))
def test_refusals_of_calls_that_left_before_the_first_of_them_count_once(setting: int, delays: list[float]) -> None:
    """They all left by second 100; the answers come in any time after."""
    state = refused(unthrottled(setting), 100.0, 100.0)
    for delay in delays:
        state = refused(state, 100.0, 100.0 + delay)
    assert state.rate == max(state.floor, setting // 2)


def test_a_call_that_left_under_the_lower_rate_and_is_refused_halves_it_again() -> None:
    once = refused(unthrottled(40), 0.0, 1.0)
    assert refused(once, 1.5, 2.0).rate == 10
    assert refused(refused(once, 1.5, 2.0), 3.0, 4.0).rate == 5
    assert refused(refused(refused(once, 1.5, 2.0), 3.0, 4.0), 5.0, 6.0).rate == 4


def test_an_answer_within_the_minute_of_a_refusal_is_worth_nothing() -> None:
    lowered = refused(unthrottled(40), 0.0, 1.0)
    assert answered(lowered, 60.9) is lowered
    assert answered(lowered, 61.0).rate == 22
    assert answered(answered(lowered, 61.0), 61.1).rate == 22


def test_an_answer_at_full_rate_changes_nothing() -> None:
    full = unthrottled(30)
    assert answered(full, 1e9) is full


@pytest.mark.parametrize(
    ("setting", "stored", "rate"),
    [(30, None, 30), (30, 12, 12), (10, 12, 10), (600, 12, 60), (30, 1, 3), (1, 1, 1)],
    ids=["never throttled", "as it was", "a lower setting", "a higher setting has a higher floor", "floor", "one"],
)
def test_a_successor_goes_on_where_its_setting_allows(setting: int, stored: int | None, rate: int) -> None:
    state = resumed(setting, stored, 50.0)
    assert (state.setting, state.rate) == (setting, rate)
    assert answered(state, 50.0 + CLIMB_SECONDS - 1) is state


def test_what_was_resumed_may_be_refused_at_once() -> None:
    assert refused(resumed(30, 12, 50.0), 50.0, 51.0) == replace(
        resumed(30, 12, 50.0), rate=6, lowered_at=51.0, climbs_at=51.0 + CLIMB_SECONDS
    )
