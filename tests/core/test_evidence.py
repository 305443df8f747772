from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from refreshd.core.evidence import lost_at
from refreshd.core.judge import judge
from refreshd.core.model import Disposition, Evidence, Flag
from tests.support.builders import ACTIVE, INACTIVE, JUDGE, NEW, NOW, ago, answered, listed, refused

OFF = replace(INACTIVE, confirmed_off_at=ago(days=1))
FAILED_ANSWER = replace(ACTIVE, answer=answered("RETRY_LATER"))

WHO_IS_RIGHT: dict[str, tuple[Evidence, str | None]] = {
    "the answer alone": (replace(ACTIVE, answer=answered("RETRY_LATER")), "RETRY_LATER"),
    "the report alone": (replace(NEW, listing=listed("NEW_ACCOUNT")), "NEW_ACCOUNT"),
    "the later report over an earlier failure": (
        replace(ACTIVE, answer=answered("RETRY_LATER", hours=3), listing=listed("NEW_ACCOUNT", hours=2)),
        "NEW_ACCOUNT",
    ),
    "the later report over an earlier success": (
        replace(ACTIVE, answer=answered(hours=3), listing=listed("NEW_ACCOUNT", hours=2)),
        "NEW_ACCOUNT",
    ),
    "the later report that names no error over an earlier failure": (
        replace(ACTIVE, answer=answered("RETRY_LATER", hours=3), listing=listed(None, state="Completed", hours=2)),
        None,
    ),
    "the later failure over the report": (
        replace(ACTIVE, answer=answered("RETRY_LATER", hours=2), listing=listed("NEW_ACCOUNT", hours=3)),
        "RETRY_LATER",
    ),
    "the failure of the same moment over the report": (
        replace(ACTIVE, answer=answered("RETRY_LATER", hours=2), listing=listed("NEW_ACCOUNT", hours=2)),
        "RETRY_LATER",
    ),
    "the later success with a fresh refresh over the report": (
        replace(ACTIVE, answer=answered(hours=2), listing=listed("NEW_ACCOUNT", hours=3)),
        None,
    ),
    "the report over a later success that brought nothing new": (
        replace(ACTIVE, answer=answered(hours=2), listing=listed("NEW_ACCOUNT", hours=3), refreshed_at=ago(days=4)),
        "NEW_ACCOUNT",
    ),
    "the report over a later word that is neither": (
        replace(
            ACTIVE,
            answer=answered("ALREADY_AUTHORIZED", hours=2),
            listing=listed("NEW_ACCOUNT", hours=3),
            refreshed_at=ago(days=4),
        ),
        "NEW_ACCOUNT",
    ),
}


@pytest.mark.parametrize(("evidence", "code"), WHO_IS_RIGHT.values(), ids=WHO_IS_RIGHT.keys())
def test_of_answer_and_report_stands(evidence: Evidence, code: str | None) -> None:
    assert judge(evidence, JUDGE, NOW).error_code == code


STATES = {
    "AnsweringSecurityChallenge": "ANSWERING_SECURITY_CHALLENGE",
    "Invalid Password": "INVALID_PASSWORD",
    "SessionExpired": "SESSION_EXPIRED",
    "NotCompleted": "NOTCOMPLETED",
    None: "NO_STATE",
}


@pytest.mark.parametrize(("state", "code"), STATES.items())
def test_a_card_without_a_code_is_named_by_its_state(state: str | None, code: str) -> None:
    assert judge(replace(NEW, listing=listed(None, state=state)), JUDGE, NOW).error_code == code


def test_a_code_is_reported_in_its_documented_spelling() -> None:
    verdict = judge(replace(ACTIVE, answer=answered("bank maintenance_retry_later ")), JUDGE, NOW)
    assert verdict.error_code == "BANK_MAINTENANCE_RETRY_LATER"
    assert verdict.disposition is Disposition.VENDOR_RETRIES


OPERATORS_CASES = {
    "a login that Flinks refuses": replace(ACTIVE, refusal=refused("INVALID_REQUEST")),
    "a permanent code of its Authorize": replace(ACTIVE, answer=answered("INVALID_REQUEST")),
}


@pytest.mark.parametrize("evidence", OPERATORS_CASES.values(), ids=OPERATORS_CASES.keys())
def test_an_operator_must_look_at(evidence: Evidence) -> None:
    verdict = judge(evidence, JUDGE, NOW)
    assert (verdict.error_code, verdict.disposition) == ("INVALID_REQUEST", Disposition.OPERATOR)


STALE_CASES = {
    "a fresh one is not": (ACTIVE, False),
    "one never seen is not": (NEW, False),
    "one only ever enabled is not": (replace(NEW, flag=Flag.ON, flag_seen_at=ago(hours=3)), False),
    "one only ever enabled, and then nothing for two days": (
        replace(NEW, flag=Flag.ON, flag_seen_at=ago(hours=48)),
        True,
    ),
    "one that was refreshed too long ago": (replace(ACTIVE, refreshed_at=ago(days=2)), True),
    "one that never was refreshed": (replace(ACTIVE, refreshed_at=None), True),
    "one that must reconnect, refreshed last night": (replace(ACTIVE, answer=answered("NEW_ACCOUNT")), False),
    "one that must reconnect since long": (
        replace(ACTIVE, answer=answered("NEW_ACCOUNT"), refreshed_at=ago(days=9)),
        True,
    ),
    "one that is refused, refreshed too long ago": (
        replace(ACTIVE, refusal=refused(), refreshed_at=ago(days=9)),
        True,
    ),
    "one that is off since long": (replace(ACTIVE, flag=Flag.OFF, refreshed_at=ago(days=9)), True),
}


@pytest.mark.parametrize(("evidence", "stale"), STALE_CASES.values(), ids=STALE_CASES.keys())
def test_whatever_its_verdict_a_login_counts_as_stale(evidence: Evidence, stale: bool) -> None:  # noqa: FBT001
    assert judge(evidence, JUDGE, NOW).stale is stale


def test_a_login_does_not_grow_stale_by_our_own_silence_but_unobserved() -> None:
    silence = [judge(ACTIVE, JUDGE, NOW + timedelta(hours=hours)) for hours in (46, 47, 48)]
    assert [each.reason for each in silence] == ["refreshed", "unobserved", "unobserved"]


def test_a_failing_login_that_lapsed_is_said_to_need_its_user() -> None:
    heals = judge(FAILED_ANSWER, JUDGE, NOW)
    lapsed = judge(replace(FAILED_ANSWER, refreshed_at=ago(days=7)), JUDGE, NOW)
    assert "at night" in heals.sentence
    assert "user has connected again" in lapsed.sentence


def test_a_sentence_tells_times_in_utc() -> None:
    in_toronto = ago(days=1).astimezone(ZoneInfo("America/Toronto"))
    assert "2026-03-09 16:00 UTC" in judge(replace(OFF, confirmed_off_at=in_toronto), JUDGE, NOW).sentence


def test_a_savable_login_is_lost_seven_days_after_its_last_cached_call() -> None:
    assert lost_at(replace(ACTIVE, cached_call_at=ago(days=6)), NOW) == NOW + timedelta(days=1)
    assert lost_at(replace(ACTIVE, cached_call_at=None), NOW) is None
    assert lost_at(replace(ACTIVE, cached_call_at=ago(days=1), refreshed_at=ago(days=8)), NOW) is None, "lost already"
