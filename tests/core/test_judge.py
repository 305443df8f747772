from dataclasses import replace
from datetime import timedelta

import pytest

from refreshd.core.judge import judge
from refreshd.core.model import Evidence, Flag, Lane, PlanState, VerdictName
from tests.support.builders import ACTIVE, INACTIVE, JUDGE, NEW, NOW, REJECTED, ago, answered, hold, listed, refused

HOUR = timedelta(hours=1)
BIT = timedelta(microseconds=1)
OFF = replace(INACTIVE, confirmed_off_at=ago(days=1), flag=Flag.OFF, flag_seen_at=ago(days=1))
BACK = replace(OFF, active=True, inactive_since=None)

INACTIVE_CASES: dict[str, tuple[Evidence, VerdictName, str]] = {
    "nothing is known of it": (INACTIVE, VerdictName.LEAKING, "not_confirmed_off"),
    "Flinks says that it is on": (
        replace(INACTIVE, flag=Flag.ON, flag_seen_at=ago(hours=3)),
        VerdictName.LEAKING,
        "flag_on",
    ),
    "it stands in the report": (replace(INACTIVE, listing=listed()), VerdictName.LEAKING, "flag_on"),
    "an Authorize said off, which is no confirmation": (
        replace(INACTIVE, flag=Flag.OFF, flag_seen_at=ago(hours=3)),
        VerdictName.LEAKING,
        "not_confirmed_off",
    ),
    "Flinks confirmed that it is off": (OFF, VerdictName.DISABLED, "confirmed_off"),
    "the confirmation is older than the repetition": (
        replace(OFF, confirmed_off_at=ago(days=31), flag_seen_at=ago(days=31)),
        VerdictName.DISABLED,
        "confirmed_off",
    ),
    "it turns up in a later report": (
        replace(OFF, listing=listed(hours=23)),
        VerdictName.LEAKING,
        "flag_came_back",
    ),
    "it stood in an earlier report": (replace(OFF, listing=listed(hours=25)), VerdictName.DISABLED, "confirmed_off"),
    "it stood in a report of the very moment of the confirmation": (
        replace(OFF, listing=listed(hours=24)),
        VerdictName.DISABLED,
        "confirmed_off",
    ),
    "the flag was seen on later": (
        replace(OFF, flag=Flag.ON, flag_seen_at=ago(hours=23)),
        VerdictName.LEAKING,
        "flag_came_back",
    ),
    "the flag was seen on in the moment of the confirmation": (
        replace(OFF, flag=Flag.ON),
        VerdictName.DISABLED,
        "confirmed_off",
    ),
    "the guard holds it": (replace(INACTIVE, hold=hold()), VerdictName.HELD, "held_by_guard"),
    "the guard holds it although it came back on": (
        replace(OFF, listing=listed(hours=23), hold=hold()),
        VerdictName.HELD,
        "held_by_guard",
    ),
    "its plan was admitted within the caps": (
        replace(INACTIVE, hold=replace(hold(approved_for=HOUR), state=PlanState.ADMITTED)),
        VerdictName.LEAKING,
        "not_confirmed_off",
    ),
    "somebody rejected its plan": (replace(INACTIVE, hold=REJECTED), VerdictName.HELD, "rejected"),
    "somebody approved its plan": (replace(INACTIVE, hold=hold(approved_for=HOUR)), VerdictName.LEAKING, "approved"),
    "the approval ran out this moment": (
        replace(INACTIVE, hold=hold(approved_for=timedelta(0))),
        VerdictName.HELD,
        "held_by_guard",
    ),
    "held, but off by now": (replace(OFF, hold=hold()), VerdictName.DISABLED, "confirmed_off"),
    "Flinks refuses it": (replace(INACTIVE, refusal=refused()), VerdictName.QUARANTINED, "refused"),
    "Flinks refuses it, and had confirmed it off": (
        replace(OFF, refusal=refused()),
        VerdictName.DISABLED,
        "confirmed_off",
    ),
    "Flinks refuses it, and the guard holds it": (
        replace(INACTIVE, refusal=refused(), hold=hold()),
        VerdictName.QUARANTINED,
        "refused",
    ),
}


@pytest.mark.parametrize(("evidence", "name", "reason"), INACTIVE_CASES.values(), ids=INACTIVE_CASES.keys())
def test_an_inactive_login_is(evidence: Evidence, name: VerdictName, reason: str) -> None:
    verdict = judge(evidence, JUDGE, NOW)
    assert (verdict.name, verdict.reason) == (name, reason)
    assert verdict.lane is None
    assert not verdict.stale
    assert verdict.error_code is None


FAILED_ANSWER = replace(ACTIVE, answer=answered("RETRY_LATER"))

ACTIVE_CASES: dict[str, tuple[Evidence, VerdictName, str, Lane]] = {
    "all is well": (ACTIVE, VerdictName.FRESH, "refreshed", Lane.SAVABLE),
    "never seen": (NEW, VerdictName.UNSEEN, "never_observed", Lane.SAVABLE),
    "never seen, but for a schedule change": (
        replace(NEW, flag=Flag.ON, flag_seen_at=ago(hours=3)),
        VerdictName.UNSEEN,
        "never_observed",
        Lane.SAVABLE,
    ),
    "refused": (replace(ACTIVE, refusal=refused()), VerdictName.QUARANTINED, "refused", Lane.REST),
    "refused, and disabled by us": (replace(BACK, refusal=refused()), VerdictName.QUARANTINED, "refused", Lane.REST),
    "disabled by us": (
        replace(ACTIVE, confirmed_off_at=ago(hours=1)),
        VerdictName.DRIFTED,
        "disabled_by_refreshd",
        Lane.REST,
    ),
    "disabled by us and never seen otherwise": (BACK, VerdictName.DRIFTED, "disabled_by_refreshd", Lane.REST),
    "perhaps disabled by us": (
        replace(ACTIVE, maybe_off_since=ago(hours=0.1), flag=Flag.UNKNOWN, flag_seen_at=None),
        VerdictName.DRIFTED,
        "disabled_by_refreshd",
        Lane.REST,
    ),
    "perhaps disabled by us, and off since": (
        replace(ACTIVE, maybe_off_since=ago(hours=2), flag=Flag.OFF),
        VerdictName.DRIFTED,
        "disabled_by_refreshd",
        Lane.REST,
    ),
    "perhaps disabled by us, but on since": (
        replace(ACTIVE, maybe_off_since=ago(hours=2)),
        VerdictName.FRESH,
        "refreshed",
        Lane.SAVABLE,
    ),
    "disabled by us, but on again since": (
        replace(ACTIVE, confirmed_off_at=ago(hours=2)),
        VerdictName.FRESH,
        "refreshed",
        Lane.SAVABLE,
    ),
    "off by somebody else": (replace(ACTIVE, flag=Flag.OFF), VerdictName.DRIFTED, "off_at_flinks", Lane.REST),
    "off, but a later report lists it, so it is on": (
        replace(ACTIVE, flag=Flag.OFF, flag_seen_at=ago(hours=3), listing=listed(hours=0.5)),
        VerdictName.RECONNECT,
        "needs_user",
        Lane.REST,
    ),
    "off, at a time that nobody noted": (
        replace(ACTIVE, flag=Flag.OFF, flag_seen_at=None),
        VerdictName.DRIFTED,
        "off_at_flinks",
        Lane.REST,
    ),
    "the answer asks for the user": (
        replace(ACTIVE, answer=answered("INVALID_PASSWORD")),
        VerdictName.RECONNECT,
        "needs_user",
        Lane.REST,
    ),
    "the bank wants a security answer": (
        replace(ACTIVE, answer=answered("ANSWERING_SECURITY_CHALLENGE")),
        VerdictName.RECONNECT,
        "needs_user",
        Lane.REST,
    ),
    "the report asks for the user": (
        replace(ACTIVE, listing=listed("QUESTION_NOT_FOUND", hours=0.5)),
        VerdictName.RECONNECT,
        "needs_user",
        Lane.REST,
    ),
    "the report's state asks for the user": (
        replace(ACTIVE, listing=listed(None, state="AnsweringSecurityChallenge", hours=0.5)),
        VerdictName.RECONNECT,
        "needs_user",
        Lane.REST,
    ),
    "a permanent code": (
        replace(ACTIVE, listing=listed("NO_TRANSACTION", hours=0.5)),
        VerdictName.QUARANTINED,
        "permanent_code",
        Lane.REST,
    ),
    "a code that heals": (FAILED_ANSWER, VerdictName.FAILED, "vendor_retries", Lane.SAVABLE),
    "a code that would heal, a week after the last success": (
        replace(FAILED_ANSWER, refreshed_at=ago(days=7)),
        VerdictName.FAILED,
        "vendor_retries",
        Lane.REST,
    ),
    "a code that nobody knows": (
        replace(ACTIVE, answer=answered("SOMETHING_NEW")),
        VerdictName.FAILED,
        "unknown_code",
        Lane.SAVABLE,
    ),
    "a report with neither code nor state": (
        replace(ACTIVE, listing=listed(None, hours=0.5)),
        VerdictName.FAILED,
        "unknown_code",
        Lane.SAVABLE,
    ),
    "an answer that is as good as a success": (
        replace(ACTIVE, answer=answered("ALREADY_AUTHORIZED")),
        VerdictName.FRESH,
        "refreshed",
        Lane.SAVABLE,
    ),
    "nothing heard for two days": (
        replace(ACTIVE, answer=answered(hours=48), flag_seen_at=ago(hours=48), refreshed_at=ago(hours=60)),
        VerdictName.STALE,
        "unobserved",
        Lane.SAVABLE,
    ),
    "the refresh was 36 hours old when seen": (
        replace(ACTIVE, refreshed_at=ago(hours=37)),
        VerdictName.FRESH,
        "refreshed",
        Lane.SAVABLE,
    ),
    "the refresh was older than 36 hours when seen": (
        replace(ACTIVE, refreshed_at=ago(hours=37) - BIT),
        VerdictName.STALE,
        "too_old",
        Lane.SAVABLE,
    ),
    "the refresh is a week old": (
        replace(ACTIVE, refreshed_at=ago(days=7)),
        VerdictName.STALE,
        "too_old",
        Lane.REST,
    ),
    "old, and the report lists it without an error": (
        replace(ACTIVE, refreshed_at=ago(days=3), listing=listed(None, state="Completed")),
        VerdictName.STALE,
        "ineligible",
        Lane.SAVABLE,
    ),
    "Flinks knows of no refresh": (
        replace(ACTIVE, refreshed_at=None),
        VerdictName.STALE,
        "never_refreshed",
        Lane.REST,
    ),
}


@pytest.mark.parametrize(("evidence", "name", "reason", "lane"), ACTIVE_CASES.values(), ids=ACTIVE_CASES.keys())
def test_an_active_login_is(evidence: Evidence, name: VerdictName, reason: str, lane: Lane) -> None:
    verdict = judge(evidence, JUDGE, NOW)
    assert (verdict.name, verdict.reason, verdict.lane) == (name, reason, lane)


def test_a_login_of_which_flinks_never_spoke_counts_as_stale_once_it_should_have() -> None:
    """It stays `unseen`, and nobody overlooks it: the verdict says when its silence begins to count."""
    linked = replace(NEW, known_since=ago(hours=47))
    early = judge(linked, JUDGE, NOW)
    assert (early.name, early.stale, early.until) == (VerdictName.UNSEEN, False, NOW + timedelta(hours=1))
    late = judge(linked, JUDGE, NOW + timedelta(hours=1))
    assert (late.name, late.stale) == (VerdictName.UNSEEN, True)
