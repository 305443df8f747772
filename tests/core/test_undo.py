"""What an undoing does about each login, and the plan of enables that it becomes."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from refreshd.core.caps import GuardPolicy, HoldReason, Withheld
from refreshd.core.guard import AdmittedPlan
from refreshd.core.model import Change, LoginId, PlanId
from refreshd.core.plan import PlannedChange, PlanTotals
from refreshd.core.planner import plan
from refreshd.core.undo import UNDOING_WORDS, Undo, Undoable, Undoing, UndoneLogin, said_of_undo

POLICY = GuardPolicy(max_fraction=0.1, max_count=500)


def login_id(number: int) -> LoginId:
    return LoginId(UUID(int=number))


def undoable(enabled: int, **others: int) -> Undoable:
    found = Undoable()
    for number in range(enabled):
        found.add(UndoneLogin(login_id=login_id(number), outcome=Undoing.ENABLED))
    for name, count in others.items():
        for _ in range(count):
            found.add(UndoneLogin(login_id=login_id(999), outcome=Undoing(name)))
    return found


def totals(*, enables_in_window: int = 0, enables_waiting: int = 0) -> PlanTotals:
    return PlanTotals(
        logins=100,
        active=80,
        not_confirmed_off=100,
        disables_waiting=0,
        enables_waiting=enables_waiting,
        disables_in_window=0,
        enables_in_window=enables_in_window,
        accepted_active=80,
    )


def test_every_outcome_of_an_undoing_has_words_of_its_own() -> None:
    assert UNDOING_WORDS.keys() == set(Undoing)
    assert len(set(UNDOING_WORDS.values())) == len(Undoing)


def test_only_what_an_active_client_wants_is_in_the_plan_and_all_is_counted() -> None:
    found = undoable(3, inactive=2, on_again=1)
    assert found.counts == {Undoing.ENABLED: 3, Undoing.INACTIVE: 2, Undoing.ON_AGAIN: 1}
    assert found.enables == 3
    changes = [PlannedChange(login_id=login_id(each), change=Change.ENABLE, reason="any") for each in range(3)]
    assert found.plan_id == plan(changes).plan_id, "the id is that which a pass gives the same enables"


@pytest.mark.parametrize(
    ("enables", "before", "goes"),
    [
        pytest.param(10, 0, True, id="as many as the caps allow"),
        pytest.param(11, 0, False, id="one more"),
        pytest.param(4, 6, True, id="with what went before, just"),
        pytest.param(5, 6, False, id="what went before counts"),
    ],
)
def test_an_undoing_is_weighed_by_the_caps_with_what_was_enabled_today(
    enables: int, before: int, *, goes: bool
) -> None:
    judged = undoable(enables).weighed(totals(enables_in_window=before), POLICY)
    assert isinstance(judged, AdmittedPlan if goes else Withheld)
    if isinstance(judged, Withheld):
        assert judged.reason is HoldReason.FRACTION


def test_enables_that_wait_beside_it_do_not_weigh_against_it() -> None:
    assert isinstance(undoable(3).weighed(totals(enables_waiting=90), POLICY), AdmittedPlan)


def test_it_is_said_how_far_an_undoing_is() -> None:
    at = datetime(2026, 1, 5, 16, tzinfo=UTC)
    asked = Undo(number=1, undone=PlanId("aa"), asked_at=at, asked_by="alice", reason="x")
    assert said_of_undo(asked) == "its undoing waits for the next pass that enforces"
    assert said_of_undo(replace(asked, planned_at=at)) == "its undoing found nothing to enable"
    assert said_of_undo(replace(asked, planned_at=at, plan_id=PlanId("bb"))) == "its undoing is plan bb"
