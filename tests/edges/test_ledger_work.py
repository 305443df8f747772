"""The ledger as the pool sees it, on a real Postgres: what is due, and what finished conversations leave behind."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from refreshd.core.effects import AccountData, ChangeFailed, Confirmed, Deferral, Effect, Refused, Sighting
from refreshd.core.errors import Unstorable
from refreshd.core.judge import judge
from refreshd.core.model import (
    CallTrace,
    Change,
    Disposition,
    FetchDepth,
    Flag,
    Lane,
    LoginId,
    Operation,
    PassId,
    Report,
    ReportCard,
    Term,
    Verdict,
    VerdictName,
)
from refreshd.ledger import Ledger
from refreshd.ports import DueLogin
from refreshd.postgres import Connection
from refreshd.reading import StoredLogin
from tests.support.builders import JUDGE
from tests.support.ledger import DAY, HOUR, NOW, intend_all, judge_all, link, login_id, set_active, verdict

A, B, C = login_id(1), login_id(2), login_id(3)

SEEN = Sighting(login_id=A, seen_at=NOW, flag=Flag.ON, refreshed_at=NOW - HOUR, institution="Bank", code=None)
TRACE = CallTrace(
    called_at=NOW,
    operation=Operation.AUTHORIZE,
    method="POST",
    url="/v3/x/BankingServices/Authorize",
    body={"LoginId": str(A), "MostRecentCached": True},
    login_id=A,
    http_status=200,
    flinks_code=None,
    message="two\x00words \ud800",
    request_id="r",
    latency_seconds=0.25,
    attempt=1,
    pass_id=PassId(7),
    failure=None,
)


@pytest.fixture
async def judged(ledger: Ledger, connection: Connection, term: Term) -> Ledger:
    """A is active and fresh, B inactive and leaking, both judged."""
    await link(connection, "ann", A)
    await link(connection, "bob", B, active=False)
    await judge_all(ledger, term)
    return ledger


async def _login(ledger: Ledger, login: LoginId = A) -> StoredLogin:
    found = await ledger.login(login)
    assert found is not None
    return found


async def _judge(ledger: Ledger, term: Term, *, now: datetime = NOW) -> None:
    """Judge what is due as a pass does."""
    due = await ledger.evidence_due(now=now, limit=1000)
    await ledger.store_verdicts([judge(each, JUDGE, now) for each in due], now=now, term=term)


async def _judged(ledger: Ledger, term: Term, login: LoginId) -> Verdict:
    await _judge(ledger, term)
    return judge((await _login(ledger, login)).evidence, JUDGE, NOW)


async def _is_due(ledger: Ledger, login: LoginId) -> bool:
    return login in {each.login_id for each in await ledger.evidence_due(now=NOW, limit=100)}


async def _authorizes(ledger: Ledger, **given: Any) -> Sequence[DueLogin]:
    asked: dict[str, Any] = {"now": NOW, "routine_start": NOW, "busy": [], "limit": 10} | given
    return await ledger.due_authorizes(asked.pop("lane", Lane.SAVABLE), **asked)


async def _events(connection: Connection) -> list[tuple[object, ...]]:
    rows = await connection.fetch("SELECT event, intent_id IS NOT NULL, reason FROM schedule_change ORDER BY event_id")
    return [tuple(row.values()) for row in rows]


# What is due ------------------------------------------------------------------------------------------------------------------------


async def test_only_judged_active_logins_of_the_lane_are_authorized(judged: Ledger, connection: Connection) -> None:
    assert [each.evidence.login_id for each in await _authorizes(judged)] == [A]
    assert not await _authorizes(judged, lane=Lane.REST)
    assert not await _authorizes(judged, busy=[A])

    await set_active(connection, "ann", active=False)
    assert not await _authorizes(judged)
    assert not await judged.is_active(A)
    assert not await judged.is_active(C)


async def test_the_longest_without_routine_comes_first(ledger: Ledger, connection: Connection, term: Term) -> None:
    await link(connection, "ann", A, B, C)
    effects: list[Effect] = [replace(SEEN, login_id=each, seen_at=NOW - days * DAY) for each, days in ((A, 1), (B, 3))]
    await ledger.record([], effects, term=term)
    await judge_all(ledger, term)

    assert [each.evidence.login_id for each in await _authorizes(ledger)] == [C, B, A]
    assert [each.evidence.login_id for each in await _authorizes(ledger, limit=1)] == [C]


async def test_one_that_was_put_off_waits_for_its_time_and_keeps_its_place(judged: Ledger, term: Term) -> None:
    await judged.record([], [Deferral(login_id=A, attempts=1, not_before=NOW + HOUR, error="no answer")], term=term)

    assert not await _authorizes(judged)
    (due,) = await _authorizes(judged, now=NOW + HOUR)
    assert (due.evidence.attempts, due.evidence.not_before) == (1, NOW + HOUR)
    assert not await _is_due(judged, A)


async def test_an_open_intent_is_due_with_the_evidence_of_the_moment(
    judged: Ledger, connection: Connection, term: Term
) -> None:
    await intend_all(judged, term)
    await set_active(connection, "bob", active=True)

    (due,) = await judged.due_changes(now=NOW, reassert=False, busy=[], limit=10)

    assert (due.intent.change, due.intent.intended_at, due.evidence.active) == (Change.DISABLE, NOW, True)
    assert not await judged.due_changes(now=NOW, reassert=False, busy=[B], limit=10)


async def test_an_intent_is_marked_sent_only_while_it_is_wanted(
    judged: Ledger, connection: Connection, term: Term
) -> None:
    async def sent(change: Change = Change.DISABLE) -> bool:
        return await judged.mark_sent(B, change, now=NOW, pass_id=PassId(1), term=term) is None

    assert not await sent()
    await intend_all(judged, term)
    assert not await sent(Change.ENABLE)
    assert await sent()
    await set_active(connection, "bob", active=True)
    assert not await sent()
    assert await _events(connection) == [("intended", True, "test"), ("sent", True, "test")]


async def test_a_withdrawn_intent_leaves_no_work_and_a_reason(
    judged: Ledger, connection: Connection, term: Term
) -> None:
    await intend_all(judged, term)

    await judged.withdraw(B, reason="came back", now=NOW, term=term)
    await judged.withdraw(B, reason="came back", now=NOW, term=term)

    assert not await judged.due_changes(now=NOW, reassert=False, busy=[], limit=10)
    assert await _is_due(judged, B)
    assert await _events(connection) == [("intended", True, "test"), ("withdrawn", True, "test")]
    newest = (await judged.changes_of(B, limit=1))[0]
    assert (newest.event, newest.detail) == ("withdrawn", "came back")


async def test_a_stale_episode_has_one_live_authorize(ledger: Ledger, connection: Connection, term: Term) -> None:
    await link(connection, "ann", A)
    await judge_all(ledger, term, active=VerdictName.STALE)
    (due,) = await ledger.due_manual(now=NOW, busy=[], limit=10)
    assert due.evidence.login_id == A

    assert await ledger.mark_manual(A, now=NOW, term=term)
    assert not await ledger.mark_manual(A, now=NOW, term=term)
    assert not await ledger.due_manual(now=NOW, busy=[], limit=10)

    await ledger.record([], [replace(SEEN, refreshed_at=NOW + HOUR)], term=term)
    assert not await ledger.due_manual(now=NOW, busy=[], limit=10), "that verdict is of before the refresh"
    assert not await ledger.mark_manual(A, now=NOW, term=term)
    await judge_all(ledger, term, active=VerdictName.STALE)
    assert len(await ledger.due_manual(now=NOW, busy=[], limit=10)) == 1


async def test_a_live_authorize_that_was_handed_back_is_to_be_had_again(
    ledger: Ledger, connection: Connection, term: Term
) -> None:
    await link(connection, "ann", A)
    await judge_all(ledger, term, active=VerdictName.STALE)
    assert await ledger.mark_manual(A, now=NOW, term=term)

    await ledger.unmark_manual(A, term=term)

    assert await ledger.mark_manual(A, now=NOW, term=term)


async def test_a_listed_login_has_no_live_authorize(ledger: Ledger, connection: Connection, term: Term) -> None:
    await link(connection, "ann", A)
    await ledger.record_report(_report(_card(A)), term=term)
    await judge_all(ledger, term, active=VerdictName.STALE)

    assert not await ledger.due_manual(now=NOW, busy=[], limit=10)
    assert not await ledger.mark_manual(A, now=NOW, term=term)


# What is recorded -------------------------------------------------------------------------------------------------------------------


async def test_a_sighting_is_the_observation_and_the_end_of_the_routine(judged: Ledger, term: Term) -> None:
    await judged.record([], [Deferral(login_id=A, attempts=2, not_before=NOW + DAY, error="")], term=term)

    await judged.record([], [SEEN], term=term)

    found = await _login(judged)
    seen = found.evidence
    assert (seen.flag, seen.flag_seen_at, seen.refreshed_at, seen.institution) == (Flag.ON, NOW, NOW - HOUR, "Bank")
    assert (seen.answer and seen.answer.answered_at, seen.cached_call_at, found.routine_at) == (NOW, NOW, NOW)
    assert (seen.attempts, seen.not_before, seen.version) == (0, None, 1)
    assert await _is_due(judged, A)
    assert not await _authorizes(judged)


async def test_what_flinks_does_not_say_stays_as_it_was(judged: Ledger, term: Term) -> None:
    silent = replace(
        SEEN, seen_at=NOW + HOUR, flag=Flag.UNKNOWN, refreshed_at=None, institution=None, code="QUESTION_NOT_FOUND"
    )
    await judged.record([], [SEEN], term=term)
    await judged.record([], [silent], term=term)

    seen = (await _login(judged)).evidence
    assert (seen.flag, seen.flag_seen_at, seen.refreshed_at, seen.institution) == (Flag.ON, NOW, NOW - HOUR, "Bank")
    assert seen.answer is not None
    assert (seen.answer.answered_at, seen.answer.code) == (NOW + HOUR, "QUESTION_NOT_FOUND")


async def test_a_refresh_never_goes_back_in_time(judged: Ledger, term: Term) -> None:
    await judged.record([], [SEEN], term=term)
    await judged.record([], [replace(SEEN, refreshed_at=NOW - DAY)], term=term)

    assert (await _login(judged)).evidence.refreshed_at == NOW - HOUR


@pytest.mark.parametrize("sent", [True, False], ids=["sent", "not sent"])
async def test_a_disable_that_was_sent_and_never_answered_is_ours_where_an_active_login_turns_out_to_be_off(
    judged: Ledger, connection: Connection, term: Term, *, sent: bool
) -> None:
    await intend_all(judged, term)
    if sent:
        assert await judged.mark_sent(B, Change.DISABLE, now=NOW - HOUR, pass_id=None, term=term) is None
    await set_active(connection, "bob", active=True)
    await judged.withdraw(B, reason="came back", now=NOW, term=term)

    await judged.record([], [replace(SEEN, login_id=B, flag=Flag.OFF)], term=term)

    assert (await _judged(judged, term, B)).reason == ("disabled_by_refreshd" if sent else "off_at_flinks")
    assert (await _login(judged, B)).evidence.confirmed_off_at is None


@pytest.mark.parametrize("word", ["authorize", "report", "confirmation"])
async def test_a_change_without_an_answer_is_forgotten_once_the_login_is_known_to_be_on(
    judged: Ledger, connection: Connection, term: Term, word: str
) -> None:
    await judged.record_report(_report(_card(B), at=NOW - DAY), term=term)
    await judge_all(judged, term)
    await intend_all(judged, term)
    await judged.mark_sent(B, Change.DISABLE, now=NOW - HOUR, pass_id=None, term=term)
    await set_active(connection, "bob", active=True)
    assert (await _judged(judged, term, B)).reason == "disabled_by_refreshd"

    if word == "authorize":
        await judged.record([], [replace(SEEN, login_id=B)], term=term)
    elif word == "report":
        await judged.record_report(_report(_card(B)), term=term)
    else:
        await judged.record([], [Confirmed(login_id=B, change=Change.ENABLE, confirmed_at=NOW)], term=term)

    assert (await _login(judged, B)).evidence.maybe_off_since is None
    assert (await _judged(judged, term, B)).name is not VerdictName.DRIFTED


async def test_an_enable_whose_answer_is_lost_leaves_neither_a_silent_leak_nor_a_login_that_is_off(
    judged: Ledger, connection: Connection, term: Term
) -> None:
    await judged.record([], [Confirmed(login_id=B, change=Change.DISABLE, confirmed_at=NOW - DAY)], term=term)
    await set_active(connection, "bob", active=True)
    await _judge(judged, term)
    await intend_all(judged, term, change=Change.ENABLE)
    await set_active(connection, "bob", active=False)
    await _judge(judged, term)
    assert (await _login(judged, B)).verdict is VerdictName.DISABLED
    await set_active(connection, "bob", active=True)

    assert await judged.mark_sent(B, Change.ENABLE, now=NOW, pass_id=None, term=term) is None

    assert (await _login(judged, B)).verdict is VerdictName.LEAKING
    assert (await _judged(judged, term, B)).reason == "disabled_by_refreshd"
    await set_active(connection, "bob", active=False)
    await judged.withdraw(B, reason="left again", now=NOW, term=term)
    assert (await _judged(judged, term, B)).reason == "not_confirmed_off"


async def test_a_confirmed_disable_settles_what_was_sent(judged: Ledger, term: Term) -> None:
    await intend_all(judged, term)
    await judged.mark_sent(B, Change.DISABLE, now=NOW, pass_id=None, term=term)
    await judged.record([], [Confirmed(login_id=B, change=Change.DISABLE, confirmed_at=NOW + HOUR)], term=term)

    assert (await _login(judged, B)).evidence.maybe_off_since is None
    assert (await _judged(judged, term, B)).name is VerdictName.DISABLED


async def test_a_live_authorize_is_no_cached_call_and_a_fetch_may_follow(judged: Ledger, term: Term) -> None:
    await judged.record([], [replace(SEEN, live=True, routine_done=False)], term=term)

    found = await _login(judged)
    assert (found.evidence.cached_call_at, found.routine_at) == (None, None)


async def test_the_later_of_two_effects_on_one_login_stands(judged: Ledger, term: Term) -> None:
    deferral = Deferral(login_id=A, attempts=1, not_before=NOW + HOUR, error="")
    await judged.record([], [deferral, SEEN, replace(SEEN, institution="Other bank")], term=term)

    seen = (await _login(judged)).evidence
    assert (seen.attempts, seen.not_before, seen.institution) == (0, None, "Other bank")


async def test_an_answer_about_a_login_that_left_meanwhile_is_kept(
    judged: Ledger, connection: Connection, term: Term
) -> None:
    await set_active(connection, "ann", active=False)

    await judged.record([], [SEEN], term=term)

    assert (await _login(judged)).evidence.flag is Flag.ON


async def test_a_confirmed_disable_closes_its_intent(judged: Ledger, connection: Connection, term: Term) -> None:
    await judged.record_report(_report(_card(B), at=NOW - HOUR), term=term)
    await judge_all(judged, term)
    await intend_all(judged, term)

    await judged.record([], [Confirmed(login_id=B, change=Change.DISABLE, confirmed_at=NOW)], term=term)

    seen = await _login(judged, B)
    assert (seen.evidence.confirmed_off_at, seen.evidence.flag, seen.evidence.flag_seen_at) == (NOW, Flag.OFF, NOW)
    assert (seen.intent, seen.evidence.listing, seen.evidence.hold) == (None, None, None)
    assert await _is_due(judged, B)
    assert await _events(connection) == [("intended", True, "test"), ("confirmed", True, "test")]


async def test_an_unasked_confirmation_is_taken_and_told_apart(
    judged: Ledger, connection: Connection, term: Term
) -> None:
    await judged.record([], [Confirmed(login_id=B, change=Change.DISABLE, confirmed_at=NOW)], term=term)

    assert (await _login(judged, B)).evidence.confirmed_off_at == NOW
    assert await _events(connection) == [("confirmed", False, "unasked")]


async def test_a_confirmed_enable_ends_disabled_even_before_the_judge_has_looked(
    judged: Ledger, connection: Connection, term: Term
) -> None:
    await judged.record([], [Confirmed(login_id=B, change=Change.DISABLE, confirmed_at=NOW)], term=term)
    await judge_all(judged, term, inactive=VerdictName.DISABLED)

    await judged.record([], [Confirmed(login_id=B, change=Change.ENABLE, confirmed_at=NOW + HOUR)], term=term)

    found = await _login(judged, B)
    assert (found.evidence.confirmed_off_at, found.evidence.flag, found.verdict) == (None, Flag.ON, VerdictName.LEAKING)
    assert found.verdict_since == NOW + HOUR


async def test_a_change_that_failed_stays_intended_and_is_tried_later(
    judged: Ledger, connection: Connection, term: Term
) -> None:
    await intend_all(judged, term)
    failed = ChangeFailed(
        login_id=B,
        change=Change.DISABLE,
        failed_at=NOW,
        error="odd answer",
        code="X",
        attempts=1,
        not_before=NOW + HOUR,
    )

    await judged.record([], [failed], term=term)

    assert not await judged.due_changes(now=NOW, reassert=False, busy=[], limit=10)
    (due,) = await judged.due_changes(now=NOW + HOUR, reassert=False, busy=[], limit=10)
    assert due.evidence.attempts == 1
    newest = (await judged.changes_of(B, limit=1))[0]
    assert (newest.event, newest.code, newest.detail, newest.intent_id) == (
        "failed",
        "X",
        "odd answer",
        due.intent.change_id,
    )


async def test_a_refusal_keeps_the_intent_for_the_weekly_try(
    judged: Ledger, connection: Connection, term: Term
) -> None:
    await intend_all(judged, term)
    refused = Refused(login_id=B, refused_at=NOW, code="LOGIN_ID_NOT_FOUND", not_before=NOW + 7 * DAY)

    failed = ChangeFailed(
        login_id=B,
        change=Change.DISABLE,
        failed_at=NOW,
        error="unknown",
        code="LOGIN_ID_NOT_FOUND",
        attempts=0,
        not_before=NOW + 7 * DAY,
    )

    await judged.record([], [failed, refused], term=term)

    assert await _is_due(judged, B)
    assert not await judged.due_changes(now=NOW + 6 * DAY, reassert=False, busy=[], limit=10)
    (due,) = await judged.due_changes(now=NOW + 7 * DAY, reassert=False, busy=[], limit=10)
    assert due.evidence.refusal is not None
    assert due.evidence.refusal.code == "LOGIN_ID_NOT_FOUND"
    assert [event[0] for event in await _events(connection)] == ["intended", "failed"]


async def test_an_authorize_that_is_recorded_again_later_takes_back_nothing_newer(
    judged: Ledger, connection: Connection, term: Term
) -> None:
    """The end of a fetch records its Authorize once more; a disable may have been confirmed meanwhile."""
    await set_active(connection, "ann", active=False)
    await judged.record([], [SEEN], term=term)
    await judged.record([], [Confirmed(login_id=A, change=Change.DISABLE, confirmed_at=NOW + HOUR)], term=term)
    await judged.record([], [replace(SEEN, routine_done=True)], term=term)

    evidence = (await _login(judged, A)).evidence
    assert (evidence.flag, evidence.flag_seen_at) == (Flag.OFF, NOW + HOUR)


async def test_refusals_that_our_settings_caused_are_forgotten(judged: Ledger, term: Term) -> None:
    effects = [
        Refused(login_id=each, refused_at=at, code="X", not_before=NOW + 7 * DAY)
        for each, at in ((A, NOW), (B, NOW - DAY))
    ]
    await judged.record([], effects, term=term)

    assert await judged.release_refused(since=NOW - HOUR, until=NOW + HOUR, term=term) == 1
    released = (await _login(judged)).evidence
    assert (released.refusal, released.not_before) == (None, NOW + HOUR)
    assert (await _login(judged, B)).evidence.refusal is not None


async def test_a_refresh_is_stored_once(judged: Ledger, connection: Connection, term: Term) -> None:
    fetched = AccountData(
        login_id=A, refreshed_at=NOW, fetched_at=NOW, depth=FetchDepth.DETAIL, body=b'{"Accounts": "\\u0000"}'
    )

    await judged.record([], [replace(SEEN, routine_done=False), fetched], term=term)
    await judged.record([], [replace(fetched, fetched_at=NOW + HOUR)], term=term)

    assert await connection.fetchval("SELECT count(*) FROM account_data") == 1
    assert (await _login(judged)).routine_at == NOW + HOUR
    (due,) = await _authorizes(judged, routine_start=NOW + DAY, now=NOW + DAY, lane=Lane.SAVABLE)
    assert due.fetched_refresh_at == NOW


async def test_the_trace_keeps_what_the_vendor_asks_for(judged: Ledger, term: Term) -> None:
    await judged.record([TRACE, replace(TRACE, login_id=None, body=None, called_at=NOW - HOUR)], [], term=term)

    (kept,) = await judged.calls_of(A, limit=10)
    assert kept == replace(TRACE, message="twowords ?")
    assert await judged.calls_since(NOW - 2 * HOUR) == 2


async def test_a_commit_group_is_stored_whole_or_not_at_all(judged: Ledger, connection: Connection, term: Term) -> None:
    broken = AccountData(login_id=A, refreshed_at=NOW, fetched_at=NOW, depth=FetchDepth.DETAIL, body=b"no json")
    with pytest.raises(Unstorable):
        await judged.record([TRACE], [SEEN, broken], term=term)

    assert not await judged.calls_of(A, limit=10)
    assert (await _login(judged)).evidence.answer is None


# The report -------------------------------------------------------------------------------------------------------------------------


def _card(login: LoginId, *, code: str | None = "INVALID_CREDENTIALS", at: datetime | None = NOW - DAY) -> ReportCard:
    return ReportCard(login_id=login, attempted_at=at, state="Unauthorized", code=code)


def _report(*cards: ReportCard, at: datetime = NOW) -> Report:
    return Report(read_at=at, cards=cards)


async def test_a_report_lists_flags_and_finds_orphans(judged: Ledger, term: Term) -> None:
    assert await judged.last_report_at() is None

    assert await judged.record_report(_report(_card(A), _card(C), _card(A, at=None)), term=term) == 1

    seen = (await _login(judged)).evidence
    assert seen.listing is not None
    assert (seen.listing.reported_at, seen.listing.code, seen.listing.attempted_at) == (
        NOW,
        "INVALID_CREDENTIALS",
        NOW - DAY,
    )
    assert (seen.flag, seen.flag_seen_at) == (Flag.ON, NOW)
    assert await judged.last_report_at() == NOW
    (orphan,) = await judged.orphans(limit=10)
    assert (orphan.login_id, orphan.first_reported_at) == (C, NOW)


async def test_an_entry_that_comes_again_is_no_news(judged: Ledger, term: Term) -> None:
    await judged.record_report(_report(_card(A), _card(C)), term=term)
    await judge_all(judged, term)
    version = (await _login(judged)).evidence.version

    await judged.record_report(_report(_card(A), _card(C), at=NOW + HOUR), term=term)

    seen = (await _login(judged)).evidence
    assert seen.listing is not None
    assert (seen.version, seen.listing.reported_at) == (version, NOW + HOUR)
    assert not await _is_due(judged, A)
    assert [each.first_reported_at for each in await judged.orphans(limit=10)] == [NOW]


@pytest.mark.parametrize(
    "news",
    [_report(_card(A, code=None), at=NOW + HOUR), _report(_card(A, at=NOW), at=NOW + HOUR), _report(at=NOW + HOUR)],
)
async def test_news_in_the_report_has_the_login_judged_again(judged: Ledger, term: Term, news: Report) -> None:
    await judged.record_report(_report(_card(A), _card(C)), term=term)
    await judge_all(judged, term)

    orphans = await judged.record_report(news, term=term)

    assert await _is_due(judged, A)
    assert orphans == 0
    assert ((await _login(judged)).evidence.listing is None) == (not news.cards)


async def test_a_report_newer_than_the_last_answer_has_the_login_judged_again(judged: Ledger, term: Term) -> None:
    await judged.record_report(_report(_card(A)), term=term)
    await judged.record([], [replace(SEEN, seen_at=NOW + HOUR)], term=term)
    await judge_all(judged, term)

    await judged.record_report(_report(_card(A), at=NOW + 2 * HOUR), term=term)

    assert await _is_due(judged, A)


async def test_a_report_does_not_undo_what_flinks_has_said_since(judged: Ledger, term: Term) -> None:
    await judged.record([], [Confirmed(login_id=B, change=Change.DISABLE, confirmed_at=NOW)], term=term)

    await judged.record_report(_report(_card(B), at=NOW - HOUR), term=term)

    seen = (await _login(judged, B)).evidence
    assert (seen.flag, seen.listing) == (Flag.OFF, None)


async def test_an_orphan_that_is_linked_is_none_any_more(judged: Ledger, connection: Connection, term: Term) -> None:
    await judged.record_report(_report(_card(C)), term=term)
    await link(connection, "cat", C)

    assert not await judged.orphans(limit=10)
    assert (await judged.totals(now=NOW)).ineligible == {}
    assert await judged.record_report(_report(_card(C), at=NOW + HOUR), term=term) == 0


# The totals -------------------------------------------------------------------------------------------------------------------------


async def test_the_totals_count_every_login_once(ledger: Ledger, connection: Connection, term: Term) -> None:
    await link(connection, "ann", A, login_id(4), login_id(5))
    await connection.execute("SELECT set_config('refreshd.now', $1, false)", (NOW - 2 * DAY).isoformat())
    await link(connection, "bob", B, C, active=False)
    effects: list[Effect] = [
        SEEN,
        replace(SEEN, login_id=login_id(4), refreshed_at=NOW - 6.5 * DAY, code="QUESTION_NOT_FOUND"),
        Confirmed(login_id=C, change=Change.DISABLE, confirmed_at=NOW - DAY),
    ]
    await ledger.record([], effects, term=term)
    await ledger.record_report(_report(_card(B), _card(login_id(4)), _card(login_id(9))), term=term)
    names = {
        A: VerdictName.FRESH, B: VerdictName.LEAKING, C: VerdictName.DISABLED,
        login_id(4): VerdictName.RECONNECT, login_id(5): VerdictName.UNSEEN,
    }  # fmt: skip
    due = await ledger.evidence_due(now=NOW, limit=10)
    verdicts = [verdict(each, names[each.login_id]) for each in due]
    await ledger.store_verdicts([_failing(each) for each in verdicts], now=NOW, term=term)

    totals = await ledger.totals(now=NOW)

    assert totals.by_verdict == dict.fromkeys(names.values(), 1)
    assert totals.stale == {VerdictName.RECONNECT: 1}
    assert {(code, kind.value): count for (code, kind), count in totals.failed.items()} == {
        ("QUESTION_NOT_FOUND", "needs_client"): 1
    }
    assert totals.active_by_age == {"lt_1d": 1, "6d_7d": 1, "never": 1}
    assert totals.inactive_by_schedule == {"enabled": 1, "disabled": 1}
    assert totals.ineligible == {"active": 1, "inactive": 1, "absent": 1}
    assert totals.leaking_login_days == pytest.approx(2.0)
    assert (totals.oldest_leak_at, totals.oldest_refresh_at) == (NOW - 2 * DAY, NOW - 6.5 * DAY)
    assert (totals.backlog, totals.held, totals.reported_at) == (1, 0, NOW)
    assert dict(await ledger.routine_due(NOW + DAY)) == {Lane.SAVABLE: 3}


def _failing(each: Verdict) -> Verdict:
    if each.name is not VerdictName.RECONNECT:
        return each
    return replace(each, stale=True, error_code="QUESTION_NOT_FOUND", disposition=Disposition.NEEDS_CLIENT)


async def test_an_empty_ledger_has_totals_of_nothing(ledger: Ledger) -> None:
    totals = await ledger.totals(now=NOW)

    assert (dict(totals.by_verdict), totals.leaking_login_days, totals.oldest_leak_at) == ({}, 0, None)


# What people ask --------------------------------------------------------------------------------------------------------------------


async def test_logins_are_listed_in_pages_by_verdict_or_all(judged: Ledger) -> None:
    everybody = await judged.logins(None, after=None, limit=1)
    rest = await judged.logins(None, after=everybody[-1].evidence.login_id, limit=10)
    leaking = await judged.logins(VerdictName.LEAKING, after=None, limit=10)

    assert [each.evidence.login_id for each in (*everybody, *rest)] == [A, B]
    assert [each.evidence.login_id for each in leaking] == [B]
    assert await judged.login(C) is None


async def test_the_clients_of_a_login_are_told(judged: Ledger, connection: Connection) -> None:
    await link(connection, "zoe", A, active=False)

    assert [(each.client_id, each.active, each.scheduled) for each in await judged.clients_of(A)] == [
        ("ann", True, True),
        ("zoe", False, True),
    ]


async def test_the_application_reads_the_reconnect_list_from_a_view(
    judged: Ledger, connection: Connection, term: Term
) -> None:
    await judged.record([], [SEEN], term=term)
    await judge_all(judged, term, active=VerdictName.RECONNECT)

    rows = await connection.fetch(
        "SELECT login_id, institution, refreshed_at, seen_at FROM login_status WHERE must_reconnect"
    )

    assert [tuple(row.values()) for row in rows] == [(A, "Bank", NOW - HOUR, NOW)]
