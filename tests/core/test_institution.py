"""A bank's bad night is told from its users' bad passwords, and too little evidence is said to be too little."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refreshd.core.institution import KEPT, MASS, Outcome, Tally, tallies, weigh
from refreshd.core.judge import judge
from refreshd.core.model import Disposition, Evidence, Lane, VerdictName
from refreshd.core.standing import InstitutionState, Standing
from tests.support.builders import ACTIVE, JUDGE, NOW, ago, answered, listed, login

NIGHT = ago(hours=12)
DOWN, SUSPECT, UP, UNCLEAR = (
    InstitutionState.DOWN,
    InstitutionState.SUSPECT,
    InstitutionState.UP,
    InstitutionState.NOT_ENOUGH_EVIDENCE,
)

TABLE: dict[str, tuple[Tally, InstitutionState | None]] = {
    "nothing was heard": (Tally(), None),
    "a few, all well": (Tally(refreshed=9), UNCLEAR),
    "many, all well": (Tally(refreshed=10), UP),
    "Flinks says of one that the bank is off, and nothing speaks against it": (Tally(switched_off=1), DOWN),
    "it says so of fewer than refreshed": (Tally(refreshed=20, switched_off=19), UP),
    "nine failed on the way": (Tally(retrying=9), UNCLEAR),
    "ten failed on the way": (Tally(retrying=10), DOWN),
    "four of five failed on the way": (Tally(retrying=16, refreshed=4), DOWN),
    "fewer than four of five": (Tally(retrying=15, refreshed=5), UP),
    "nine users to blame": (Tally(blaming_users=9), UNCLEAR),
    "ten users to blame at once": (Tally(blaming_users=10), SUSPECT),
    "as many as refreshed": (Tally(blaming_users=40, refreshed=40), SUSPECT),
    "fewer than refreshed": (Tally(blaming_users=40, refreshed=41), UP),
    "down and blaming users alike": (Tally(switched_off=12, blaming_users=40, refreshed=3), DOWN),
}


@pytest.mark.parametrize("case", TABLE)
def test_a_night_says_how_the_institution_stands(case: str) -> None:
    tally, state = TABLE[case]
    found = weigh("Bank", None, tally, night=NIGHT, now=NOW)
    assert (found.state if found else None) is state
    if found is not None:
        assert (found.refreshed, found.failed, found.since) == (tally.refreshed, tally.failed, NOW)


def standing(state: InstitutionState = SUSPECT, **more: object) -> Standing:
    values: dict[str, object] = {"since": ago(hours=6), "proved_at": ago(hours=1), "blaming_users": 40, **more}
    return Standing(institution="Bank", state=state, night=NIGHT, refreshed=2, failed=40, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize("state", [DOWN, SUSPECT])
def test_trouble_that_was_proved_outlives_a_lack_of_evidence_for_a_day(state: InstitutionState) -> None:
    before = standing(state, proved_at=NOW - KEPT + timedelta(seconds=1))
    assert weigh("Bank", before, Tally(), night=NIGHT, now=NOW) == before
    late = weigh("Bank", before, Tally(refreshed=1, retrying=2), night=NIGHT, now=NOW + timedelta(seconds=1))
    assert late is not None
    assert late.state is UNCLEAR


def test_one_refreshed_login_more_than_failed_ones_separates() -> None:
    after = weigh("Bank", standing(DOWN), Tally(refreshed=1), night=NIGHT, now=NOW)
    assert after is not None
    assert after.state is UP
    still = weigh("Bank", standing(DOWN), Tally(refreshed=1, retrying=1), night=NIGHT, now=NOW)
    assert still == standing(DOWN)


def test_trouble_that_goes_on_keeps_its_beginning_and_its_probe() -> None:
    probe = login(7)
    after = weigh("Bank", standing(DOWN, probe=probe), Tally(switched_off=3), night=NIGHT, now=NOW)
    assert after is not None
    assert (after.since, after.proved_at, after.probe) == (ago(hours=6), NOW, probe)


def test_an_institution_that_was_well_and_is_not_heard_of_is_forgotten() -> None:
    assert weigh("Bank", standing(UP), Tally(), night=NIGHT, now=NOW) is None


@given(
    st.builds(Tally, **dict.fromkeys(("refreshed", "switched_off", "retrying", "blaming_users"), st.integers(0, 50)))
)
def test_fewer_than_ten_failed_logins_never_blame_a_bank_unless_flinks_does(tally: Tally) -> None:
    found = weigh("Bank", None, tally, night=NIGHT, now=NOW)
    if tally.failed < MASS and not tally.switched_off:
        assert found is None or not found.in_trouble
    if tally.refreshed > 4 * tally.failed:
        assert found is None or not found.in_trouble


def outcome(code: str | None, logins: int = 1, **more: object) -> Outcome:
    values: dict[str, object] = {"refreshed": False, "state": None, "fresh": True, **more}
    return Outcome(institution="Bank", code=code, logins=logins, **values)  # type: ignore[arg-type]


def test_outcomes_are_counted_by_what_they_say_of_bank_and_user() -> None:
    counted = tallies(
        [
            outcome(None, 5, refreshed=True),
            outcome("DISABLED_INSTITUTION", 2),
            outcome("BANK MAINTENENACE_RETRY_LATER", 1, fresh=False),
            outcome("RETRY_LATER", 3, fresh=False),
            outcome("INVALID_PASSWORD", 7),
            outcome("INVALID_PASSWORD", 70, fresh=False),
            outcome(None, 2, state="AnsweringSecurityChallenge"),
            outcome("SESSION_EXPIRED", 9),
            outcome("SOMETHING_NEW", 9),
            Outcome(institution="Other", refreshed=True, code=None, state=None, fresh=True, logins=1),
        ]
    )
    assert counted["Bank"] == Tally(refreshed=5, switched_off=3, retrying=3, blaming_users=9)
    assert counted["Other"] == Tally(refreshed=1)


# What the judge makes of it -----------------------------------------------------------------------------------------------------------

FAILING = replace(
    ACTIVE, refreshed_at=ago(hours=35), listing=listed("INVALID_PASSWORD"), answer=None, institution="Bank"
)


def with_bank(evidence: Evidence, state: InstitutionState, **more: object) -> Evidence:
    return replace(evidence, standing=standing(state, **more))


@pytest.mark.parametrize("state", [DOWN, SUSPECT])
def test_a_user_is_not_blamed_for_what_many_share_in_one_night(state: InstitutionState) -> None:
    verdict = judge(with_bank(FAILING, state), JUDGE, NOW)
    assert (verdict.name, verdict.reason) == (VerdictName.FAILED, "institution")
    assert verdict.disposition is Disposition.VENDOR_RETRIES
    assert "40 of the 42 logins heard of since 2026-03-10 04:00 UTC failed at Bank" in verdict.sentence


@pytest.mark.parametrize("state", [UP, UNCLEAR])
def test_without_evidence_against_the_bank_a_login_is_judged_alone(state: InstitutionState) -> None:
    assert judge(with_bank(FAILING, state), JUDGE, NOW).name is VerdictName.RECONNECT
    assert judge(FAILING, JUDGE, NOW).name is VerdictName.RECONNECT


def test_after_two_nights_the_user_is_asked() -> None:
    spared = with_bank(FAILING, SUSPECT)
    assert FAILING.refreshed_at is not None
    turn = FAILING.refreshed_at + timedelta(days=3)
    first = judge(spared, JUDGE, NOW)
    assert first.until is not None
    assert first.until <= turn
    assert judge(spared, JUDGE, turn - timedelta(seconds=1)).reason == "institution"
    assert judge(spared, JUDGE, turn).name is VerdictName.RECONNECT


def test_a_login_that_was_broken_before_is_not_excused_by_its_bank() -> None:
    old = with_bank(replace(FAILING, refreshed_at=ago(days=4)), SUSPECT)
    assert judge(old, JUDGE, NOW).name is VerdictName.RECONNECT
    never = with_bank(replace(FAILING, refreshed_at=None), SUSPECT)
    assert judge(never, JUDGE, NOW).name is VerdictName.RECONNECT


@pytest.mark.parametrize(
    ("code", "state", "reason"),
    [
        ("DISABLED_INSTITUTION", None, "institution"),
        ("BANK MAINTENANCE_RETRY_LATER", UP, "institution"),
        ("RETRY_LATER", DOWN, "institution"),
        ("RETRY_LATER", SUSPECT, "vendor_retries"),
        ("RETRY_LATER", None, "vendor_retries"),
        ("SOMETHING_NEW", DOWN, "unknown_code"),
    ],
)
def test_what_heals_by_itself_is_the_banks_where_flinks_or_the_others_say_so(
    code: str, state: InstitutionState | None, reason: str
) -> None:
    evidence = replace(FAILING, listing=None, answer=answered(code))
    verdict = judge(evidence if state is None else with_bank(evidence, state), JUDGE, NOW)
    assert (verdict.name, verdict.reason) == (VerdictName.FAILED, reason)


def test_a_held_login_waits_last_until_its_keep_alive_needs_it() -> None:
    evidence = replace(FAILING, listing=None, answer=answered("DISABLED_INSTITUTION"), cached_call_at=ago(hours=1))
    assert judge(evidence, JUDGE, NOW).lane is Lane.SAVABLE
    held = judge(with_bank(evidence, DOWN), JUDGE, NOW)
    assert held.lane is Lane.REST
    due = replace(evidence, cached_call_at=ago(days=5))
    assert judge(with_bank(due, DOWN), JUDGE, NOW).lane is Lane.SAVABLE
    assert judge(with_bank(replace(evidence, cached_call_at=None), DOWN), JUDGE, NOW).lane is Lane.SAVABLE


def test_the_probe_of_a_held_bank_does_not_wait() -> None:
    evidence = replace(FAILING, listing=None, answer=answered("DISABLED_INSTITUTION"))
    assert judge(with_bank(evidence, DOWN, probe=login()), JUDGE, NOW).lane is Lane.SAVABLE
    assert judge(with_bank(evidence, DOWN, probe=login(2)), JUDGE, NOW).lane is Lane.REST
