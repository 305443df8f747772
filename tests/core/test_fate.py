"""What is told of a stored plan."""

import pytest

from refreshd.core.fate import Fate, fate_words, moved, since_then
from refreshd.core.model import Change
from refreshd.core.plan import Weighed

THEN = Weighed(
    logins=340,
    active=294,
    not_confirmed_off=340,
    changed_in_window=0,
    accepted_active=None,
    max_fraction=0.1,
    max_count=500,
)
NOW = Weighed(
    logins=341,
    active=297,
    not_confirmed_off=338,
    changed_in_window=2,
    accepted_active=290,
    max_fraction=0.2,
    max_count=500,
)


def test_every_total_is_told_as_it_was_and_as_it_is() -> None:
    assert [(each.then, each.now) for each in moved(THEN, NOW)] == [
        (340, 341),
        (294, 297),
        (340, 338),
        (0, 2),
        (None, 290),
    ]


def test_those_that_still_wait_are_no_change_and_the_rest_is_told_in_one_order() -> None:
    fates = {Fate.FORGOTTEN: 1, Fate.WAITING: 30, Fate.DONE: 5, Fate.REFUSED: 0}
    assert list(since_then(fates)) == [(Fate.DONE, 5), (Fate.FORGOTTEN, 1)]


@pytest.mark.parametrize("change", Change)
def test_every_fate_has_words_of_its_own(change: Change) -> None:
    words = [fate_words(fate, change) for fate in Fate]
    assert len(set(words)) == len(Fate)


def test_a_login_that_changed_sides_is_told_from_the_plans_point_of_view() -> None:
    assert fate_words(Fate.CHANGED_SIDES, Change.DISABLE) == "with an active client again"
    assert fate_words(Fate.CHANGED_SIDES, Change.ENABLE) == "without an active client again"
