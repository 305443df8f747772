from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from refreshd.core.urgency import Source, order

BEGUN = [Source.CONTINUATION, Source.REPORT]


def drawn(has_work: Callable[[Source], bool], calls: int, *, last_was_change: bool = False) -> list[Source]:
    """The sources that a worker takes its calls from, one after the other."""
    taken: list[Source] = []
    for _ in range(calls):
        source = next((each for each in order(last_was_change=last_was_change) if has_work(each)), None)
        if source is None:
            break
        taken.append(source)
        last_was_change = source is Source.CHANGE
    return taken


@given(st.booleans())
def test_every_source_is_asked_exactly_once(last_was_change: bool) -> None:  # noqa: FBT001 - hypothesis gives it
    assert sorted(order(last_was_change=last_was_change)) == sorted(Source)


def test_a_single_disable_goes_out_before_a_routine_of_thousands() -> None:
    assert drawn(lambda source: source in {Source.CHANGE, Source.SAVABLE}, 1) == [Source.CHANGE]


def test_a_disable_that_arrives_while_the_routine_runs_is_the_very_next_call() -> None:
    routine = drawn(lambda source: source is Source.SAVABLE, 10)
    assert routine == [Source.SAVABLE] * 10
    assert drawn(lambda source: source in {Source.CHANGE, Source.SAVABLE}, 1, last_was_change=False) == [Source.CHANGE]


@given(st.sets(st.sampled_from(Source)), st.integers(min_value=1, max_value=200))
def test_while_savable_logins_wait_disables_take_at_most_half_of_the_calls(others: set[Source], calls: int) -> None:
    full = others | {Source.CHANGE, Source.SAVABLE}
    taken = drawn(lambda source: source in full, calls)
    assert taken.count(Source.CHANGE) <= (len(taken) + 1) // 2


def test_disables_take_the_whole_budget_when_nothing_else_waits() -> None:
    assert drawn(lambda source: source is Source.CHANGE, 5) == [Source.CHANGE] * 5


def test_disables_do_not_share_with_the_logins_that_nothing_can_save() -> None:
    rest = {Source.CHANGE, Source.MANUAL, Source.REST, Source.REASSERTION}
    assert drawn(lambda source: source in rest, 6) == [Source.CHANGE] * 6


def test_right_after_a_disable_come_begun_calls_the_report_and_the_savable() -> None:
    assert order(last_was_change=True)[:4] == (*BEGUN, Source.SAVABLE, Source.CHANGE)


def test_the_rest_and_repeated_disables_come_last() -> None:
    for last_was_change in (True, False):
        assert order(last_was_change=last_was_change)[-2:] == (Source.REST, Source.REASSERTION)
