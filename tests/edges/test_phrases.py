from datetime import UTC, datetime, timedelta

import pytest

from refreshd import phrases

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (timedelta(), "0 s"),
        (timedelta(seconds=59.4), "59 s"),
        (timedelta(seconds=65), "1 min 5 s"),
        (timedelta(hours=2), "2 h"),
        (timedelta(hours=2, seconds=59), "2 h"),
        (timedelta(days=3, hours=4, minutes=30), "3 d 4 h"),
        (timedelta(days=400), "400 d"),
    ],
)
def test_a_span_is_said_in_its_two_largest_units(length: timedelta, said: str) -> None:
    assert phrases.span(length) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0004, "0 ms"),
        (0.18, "180 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (1.88, "1.9 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min"),
        (125, "2 min 5 s"),
    ],
)
def test_what_something_took_is_said_as_exactly_as_a_reader_wants_it(seconds: float, said: str) -> None:
    assert phrases.took(seconds) == said


def test_a_moment_is_said_with_its_distance_from_now() -> None:
    assert phrases.when(NOW - timedelta(hours=3), NOW) == "2026-01-05 09:00 UTC (3 h ago)"
    assert phrases.when(NOW + timedelta(minutes=5), NOW) == "2026-01-05 12:05 UTC (in 5 min)"
    assert phrases.when(None, NOW) == "never"


def test_counts_carry_their_noun() -> None:
    assert phrases.counted(1, "login") == "1 login"
    assert phrases.counted(2000, "login") == "2,000 logins"
    assert phrases.counted(2, "breach", "breaches") == "2 breaches"


def test_words_are_listed_as_in_a_sentence() -> None:
    assert phrases.listed(["a"]) == "a"
    assert phrases.listed(["a", "b", "c"]) == "a, b and c"


def test_a_sentence_begins_large_and_ends() -> None:
    assert phrases.sentence("its word, and Flinks'") == "Its word, and Flinks'."
