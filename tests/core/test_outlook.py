"""What comes next for a login, foretold: each verdict has its action, its time, and what would change it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from refreshd.core.judge import judge
from refreshd.core.model import Change, Evidence, Flag, VerdictName
from refreshd.core.outlook import Outlook, RoutineTimes, outlook
from refreshd.core.plan import Intent
from tests.support.builders import (
    ACTIVE,
    INACTIVE,
    JUDGE,
    NEW,
    NOW,
    PLAN_ID,
    REJECTED,
    ago,
    answered,
    hold,
    intent,
    refused,
)

BEGAN = ago(hours=1)
FOLLOWING = BEGAN + timedelta(days=1)
DONE = RoutineTimes(began=BEGAN, following=FOLLOWING, done_at=ago(hours=0.5))
WAITING = RoutineTimes(began=BEGAN, following=FOLLOWING, done_at=None)
OFF = replace(INACTIVE, confirmed_off_at=ago(days=3))
CAME_BACK = replace(NEW, confirmed_off_at=ago(days=3), answer=answered())


def foretell(
    evidence: Evidence, *, of: Intent | None = None, routine: RoutineTimes = DONE, now: datetime = NOW
) -> Outlook:
    verdict = judge(evidence, JUDGE, now)
    return outlook(evidence, verdict, of, routine, now=now, reassert_after=JUDGE.reassert_after)


def test_a_held_login_waits_for_a_person() -> None:
    found = foretell(replace(INACTIVE, hold=hold()))
    assert found.action == f"nothing, until somebody runs `refreshd approve {PLAN_ID}`"
    assert found.at is None


def test_a_login_of_a_rejected_plan_waits_for_a_person_too() -> None:
    found = foretell(replace(INACTIVE, hold=REJECTED))
    assert found.action == f"somebody rejected its plan; nothing, until somebody runs `refreshd approve {PLAN_ID}`"
    assert found.at is None


def test_a_login_that_came_back_under_a_held_plan_of_enables_waits_for_a_person() -> None:
    assert foretell(replace(CAME_BACK, hold=hold())).at is None
    assert foretell(replace(CAME_BACK, hold=hold(approved_for=timedelta(hours=1)))).action == "enable it at Flinks"


def test_a_leak_is_disabled_if_the_guard_lets_the_next_plan_through() -> None:
    found = foretell(INACTIVE)
    assert found == Outlook(
        action="disable it at Flinks, if the guard lets the next plan through",
        at=NOW,
        turning="Flinks confirms that it is off, or a client of it becomes active again",
    )


def test_an_approved_leak_is_disabled_as_approved() -> None:
    assert foretell(replace(INACTIVE, hold=hold(approved_for=timedelta(hours=1)))).action.endswith("as approved")


def test_a_refused_inactive_login_is_tried_when_its_week_is_over() -> None:
    next_try = NOW + timedelta(days=5)
    found = foretell(replace(INACTIVE, refusal=refused(), not_before=next_try))
    assert found.at == next_try


def test_a_disabled_login_is_disabled_again_and_never_authorized() -> None:
    found = foretell(OFF)
    assert "never an Authorize" in found.action
    assert found.at == ago(days=3) + JUDGE.reassert_after


def test_an_open_intent_goes_first_and_says_how_often_it_failed() -> None:
    later = NOW + timedelta(hours=1)
    found = foretell(replace(INACTIVE, attempts=2, not_before=later), of=intent())
    assert found.action == f"disable it at Flinks; plan {PLAN_ID} wants it, after 2 fruitless rounds"
    assert found.at == later
    assert "fruitless" not in foretell(INACTIVE, of=intent()).action


def test_a_login_that_refreshd_disabled_is_enabled_when_its_client_is_back() -> None:
    found = foretell(CAME_BACK)
    assert found.action == "enable it at Flinks"
    assert str(Change.ENABLE) in found.action


@pytest.mark.parametrize(
    ("evidence", "name", "turning"),
    [
        (NEW, VerdictName.UNSEEN, "first answer"),
        (ACTIVE, VerdictName.FRESH, "a failed refresh"),
        (replace(ACTIVE, refreshed_at=ago(days=3)), VerdictName.STALE, "a new refresh"),
        (replace(ACTIVE, answer=answered("RETRY_LATER")), VerdictName.FAILED, "tries again at night"),
        (replace(ACTIVE, answer=answered("INVALID_PASSWORD")), VerdictName.RECONNECT, "Flinks Connect"),
        (replace(ACTIVE, flag=Flag.OFF), VerdictName.DRIFTED, "switched on again"),
        (replace(ACTIVE, refusal=refused()), VerdictName.QUARANTINED, "an operator should look"),
    ],
)
def test_each_verdict_on_an_active_login_says_what_would_change_it(
    evidence: Evidence, name: VerdictName, turning: str
) -> None:
    assert judge(evidence, JUDGE, NOW).name is name
    found = foretell(evidence)
    assert "cached Authorize" in found.action
    assert turning in found.turning


def test_the_routine_comes_now_while_its_turn_is_open_and_else_tomorrow() -> None:
    assert foretell(ACTIVE, routine=WAITING).at == NOW
    assert foretell(ACTIVE, routine=DONE).at == FOLLOWING


def test_a_login_that_was_put_off_waits_for_its_time() -> None:
    later = NOW + timedelta(hours=2)
    assert foretell(replace(ACTIVE, not_before=later), routine=WAITING).at == later


def test_the_last_class_of_the_routine_is_said() -> None:
    assert "last class" in foretell(replace(ACTIVE, answer=answered("INVALID_PASSWORD"))).action
    assert "last class" not in foretell(ACTIVE).action


def test_nobody_is_authorized_in_the_vendors_night() -> None:
    night = datetime(2026, 3, 11, 5, tzinfo=UTC)
    evidence = replace(ACTIVE, not_before=night)
    assert foretell(evidence, routine=WAITING).at == night.replace(hour=8)
