from hypothesis import given
from hypothesis import strategies as st

from refreshd.core import repeats
from refreshd.core.repeats import MOST_IN_A_SPAN, SPAN_SECONDS, Window

steps = st.lists(st.floats(0, 30, allow_nan=False), max_size=80)


def test_the_first_few_are_written_and_the_rest_of_the_span_is_only_counted() -> None:
    window, written = None, []
    for _ in range(MOST_IN_A_SPAN + 7):
        window, is_written = repeats.add(window, 100.0)
        written.append(is_written)
    assert written == [True] * MOST_IN_A_SPAN + [False] * 7
    assert window == Window(began_at=100.0, written=MOST_IN_A_SPAN, left_out=7)


def test_the_next_span_begins_with_a_line() -> None:
    full = Window(began_at=0.0, written=MOST_IN_A_SPAN, left_out=3)
    assert not full.is_over(SPAN_SECONDS - 0.1)
    assert repeats.add(full, SPAN_SECONDS) == (Window(began_at=SPAN_SECONDS, written=1), True)


@given(steps)
def test_no_span_has_more_lines_than_allowed_and_no_line_is_neither_written_nor_counted(waits: list[float]) -> None:
    at, window = 0.0, Window(began_at=0.0)
    written: list[float] = []
    for wait in waits:
        at += wait
        before = Window(began_at=at) if window.is_over(at) else window
        window, is_written = repeats.add(window, at)
        written += [at] if is_written else []
        assert window.written - before.written == is_written
        assert window.left_out - before.left_out == (not is_written)
        assert window.began_at == before.began_at
    for begin in written:
        assert sum(begin <= each < begin + SPAN_SECONDS for each in written) <= 2 * MOST_IN_A_SPAN
