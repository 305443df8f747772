"""One login's story: what the ledger holds about it, the verdict of this moment, and what comes next, in words for a person.

`refreshd explain` and the page tell it alike. Nothing here names a user or an account, because the ledger knows neither.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from refreshd import phrases
from refreshd.core import codes
from refreshd.core.evidence import lapsed
from refreshd.core.forecast import eligible_until
from refreshd.core.judge import JudgePolicy, judge
from refreshd.core.model import CallTrace, Evidence, Flag, LoginId, Pause, Verdict
from refreshd.core.outlook import Outlook, RoutineTimes, outlook
from refreshd.core.standing import STANDING_WORDS, Standing
from refreshd.overview import said_of_pause
from refreshd.reading import LinkedClient, ReadingLedger, ScheduleEvent, StoredLogin

CALLS = 8
EVENTS = 8

Fact = tuple[str, str]
"""What it is about, and what is so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryTerms:
    """What this installation judges and works by. The two functions give, at a moment, when today's routine began and the next begins."""

    judge: JudgePolicy
    reassert_after: timedelta
    routine_began: Callable[[datetime], datetime]
    routine_follows: Callable[[datetime], datetime]
    polling: bool
    observes: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """All that is told of one login at `now`. `verdict` is that of this moment; the stored one may be a pass behind."""

    now: datetime
    login: StoredLogin
    verdict: Verdict
    outlook: Outlook
    terms: StoryTerms
    pause: Pause | None
    clients: Sequence[LinkedClient]
    calls: Sequence[CallTrace]
    events: Sequence[ScheduleEvent]


async def read_story(ledger: ReadingLedger, login_id: LoginId, terms: StoryTerms, now: datetime) -> Story | None:
    """The story as of `now`; None for a login that the ledger does not know."""
    login = await ledger.login(login_id)
    if login is None:
        return None
    verdict = judge(login.evidence, terms.judge, now)
    routine = RoutineTimes(
        began=terms.routine_began(now), following=terms.routine_follows(now), done_at=login.routine_at
    )
    return Story(
        now=now,
        login=login,
        verdict=verdict,
        outlook=outlook(login.evidence, verdict, login.intent, routine, now=now, reassert_after=terms.reassert_after),
        terms=terms,
        pause=await ledger.pause(),
        clients=await ledger.clients_of(login_id),
        calls=await ledger.calls_of(login_id, limit=CALLS),
        events=await ledger.changes_of(login_id, limit=EVENTS),
    )


def sentence(story: Story) -> str:
    """The verdict's own sentence, as a sentence."""
    said = story.verdict.sentence
    return f"{said[:1].upper()}{said[1:]}."


def verdict_facts(story: Story) -> Iterator[Fact]:
    """The rule that decided, since when, what it means and what comes next."""
    verdict, login, now = story.verdict, story.login, story.now
    yield "rule", verdict.reason
    if login.verdict is verdict.name:
        yield "since", phrases.when(login.verdict_since, now)
    else:
        stored = f"{login.verdict} ({login.reason}) since {phrases.when(login.verdict_since, now)}"
        yield "stored", f"{stored}; the next pass corrects it"
    if verdict.error_code:
        yield "means", codes.meaning_of(verdict.error_code).advice
    yield from _coming(story)
    if verdict.until:
        yield "or by time", phrases.when(verdict.until, now)


def _coming(story: Story) -> Iterator[Fact]:
    coming, now = story.outlook, story.now
    yield "next", coming.action
    if coming.at is not None:
        yield "at", "now, as soon as the budget allows" if coming.at <= now else phrases.when(coming.at, now)
    if story.pause is not None:
        yield "but", f"{said_of_pause(story.pause)}; it stays due"
    if story.terms.observes:
        yield "but", "REFRESHD_MODE is observe: no disable and no enable is ever sent"
    yield "changes when", coming.turning


def evidence_facts(story: Story) -> Iterator[Fact]:
    """What Flinks and the application have said, each with its time."""
    evidence, now = story.login.evidence, story.now
    yield "institution", evidence.institution or "not known yet"
    if evidence.standing is not None:
        yield "which is", _standing(evidence.standing, now)
    yield "scheduled refresh", _flag(evidence, now)
    yield "last refresh", phrases.when(evidence.refreshed_at, now)
    yield "last answer", _answer(evidence, now)
    yield "last cached call", phrases.when(evidence.cached_call_at, now)
    yield "in the report", _listing(evidence, now)
    if evidence.active:
        yield "eligible until", _deadline(evidence, now, polling=story.terms.polling)
    if evidence.inactive_since:
        yield "inactive since", phrases.when(evidence.inactive_since, now)
    if evidence.confirmed_off_at:
        yield "confirmed off", phrases.when(evidence.confirmed_off_at, now)
    if evidence.refusal:
        yield "refused", f"{evidence.refusal.code}, {phrases.when(evidence.refusal.refused_at, now)}"
    if evidence.attempts:
        yield "fruitless rounds", f"{evidence.attempts}; next try not before {phrases.when(evidence.not_before, now)}"


def _standing(bank: Standing, now: datetime) -> str:
    state, words = bank.state.value.replace("_", " "), STANDING_WORDS[bank.state]
    told = f"{state}, {words}" if words else state
    return f"{told}; {bank.numbers}; so since {phrases.when(bank.since, now)}"


def _deadline(evidence: Evidence, now: datetime, *, polling: bool) -> str:
    """By the vendor's two seven-day clocks alone; an error can end it earlier."""
    until = eligible_until(evidence, polling=polling)
    if until is None:
        return "not eligible: " + (
            "no good refresh is known" if evidence.refreshed_at is None else "no cached call yet"
        )
    if until > now:
        return f"{phrases.when(until, now)}, if no good refresh{' and no cached call' if polling else ''} comes before"
    mended = "its user must connect again" if lapsed(evidence, now) else "the next cached call revives it"
    return f"lapsed {phrases.when(until, now)}; {mended}"


def _flag(evidence: Evidence, now: datetime) -> str:
    if evidence.flag is Flag.UNKNOWN:
        return "not known: Flinks has not said"
    return f"{evidence.flag}, said {phrases.when(evidence.flag_seen_at, now)}"


def _answer(evidence: Evidence, now: datetime) -> str:
    if evidence.answer is None:
        return phrases.NEVER
    return f"{evidence.answer.code or 'good'}, {phrases.when(evidence.answer.answered_at, now)}"


def _listing(evidence: Evidence, now: datetime) -> str:
    listing = evidence.listing
    if listing is None:
        return "no, which proves nothing"
    state = f", state {listing.state}" if listing.state else ""
    return f"{listing.code or 'no code'}{state}; report of {phrases.when(listing.reported_at, now)}"


def answer_of(call: CallTrace) -> str:
    """What Flinks said to a call, on one line."""
    parts = [str(call.http_status) if call.http_status else "no answer"]
    parts += [part for part in (call.flinks_code, call.message, call.failure and f"({call.failure})") if part]
    return " ".join(parts)


def cause_of(event: ScheduleEvent) -> str:
    """Why the event happened, on one line."""
    return " ".join(part for part in (event.reason, event.code, event.detail) if part)
