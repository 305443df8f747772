"""`refreshd explain`: why one login is as it is, and what comes next. Answers in one command what an operator would ask in ten."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

import typer
from rich.text import Text

from refreshd import policies
from refreshd.cli import phrases
from refreshd.cli.options import AsJson, Config
from refreshd.cli.screen import Cell, Column, Screen, clean
from refreshd.cli.session import Opened, ledger_settings, opened
from refreshd.cli.shapes import call_as_json, event_as_json, login_as_json
from refreshd.cli.start import run_async
from refreshd.cli.styles import VERDICT_STYLES
from refreshd.core import codes
from refreshd.core.errors import InputRejected
from refreshd.core.evidence import lapsed
from refreshd.core.forecast import eligible_until
from refreshd.core.judge import judge
from refreshd.core.model import CallTrace, Evidence, Flag, LoginId, Pause, Verdict
from refreshd.core.outlook import Outlook, RoutineTimes, outlook
from refreshd.core.timing import next_routine_start
from refreshd.overview import said_of_pause
from refreshd.ports import LinkedClient, ScheduleEvent, StoredLogin
from refreshd.settings import Integration, Mode, Settings

_CALLS = 8
_EVENTS = 8

WhichLogin = Annotated[UUID, typer.Argument(metavar="LOGIN_ID", help="The LoginId, as Flinks and the ledger write it.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Story:
    """All that is told of one login. `verdict` is that of this moment; the stored one may be a pass behind."""

    login: StoredLogin
    verdict: Verdict
    outlook: Outlook
    observes: bool
    pause: Pause | None
    clients: Sequence[LinkedClient]
    calls: Sequence[CallTrace]
    events: Sequence[ScheduleEvent]


def explain(*, login_id: WhichLogin, config: Config = None, as_json: AsJson = False) -> None:
    """Tell why one login is as it is, and what comes next.

    Verdict, rule, evidence, clients, next action, last calls and schedule changes. The verdict is worked out at this moment from
    the stored evidence; where the stored one is a pass behind, it says so.
    """
    run_async(_explain(Screen(), ledger_settings(config), LoginId(login_id), as_json=as_json))


async def _explain(screen: Screen, settings: Settings, login_id: LoginId, *, as_json: bool) -> None:
    async with opened(settings) as here:
        story = await _read(here, login_id)
    if as_json:
        screen.json(_as_json(story))
        return
    _show_verdict(screen, story, here.now)
    screen.title("Evidence")
    polling = here.settings.integration is Integration.POLLING
    screen.facts(_evidence(story.login.evidence, here.now, polling=polling))
    _show_clients(screen, story.clients)
    _show_calls(screen, story.calls, here.now)
    _show_events(screen, story.events, here.now)


async def _read(here: Opened, login_id: LoginId) -> _Story:
    login = await here.ledger.login(login_id)
    if login is None:
        raise InputRejected(
            f"the ledger does not know login {login_id}",
            hint="refreshd logins lists what it knows; refreshd status, orphans",
        )
    settings, evidence = here.settings, login.evidence
    verdict = judge(evidence, policies.judge_policy(settings), here.now)
    routine = RoutineTimes(
        began=policies.agenda(settings, at_once=False).routine_start(here.now),
        following=next_routine_start(here.now, settings.routine_at, settings.routine_timezone),
        done_at=login.routine_at,
    )
    return _Story(
        login=login,
        verdict=verdict,
        outlook=outlook(evidence, verdict, login.intent, routine, now=here.now, reassert_after=settings.reassert_after),
        observes=settings.mode is Mode.OBSERVE,
        pause=await here.ledger.pause(),
        clients=await here.ledger.clients_of(login_id),
        calls=await here.ledger.calls_of(login_id, limit=_CALLS),
        events=await here.ledger.changes_of(login_id, limit=_EVENTS),
    )


def _show_verdict(screen: Screen, story: _Story, now: datetime) -> None:
    verdict, login = story.verdict, story.login
    screen.line(Text.assemble(f"{verdict.login_id}  ", (verdict.name, VERDICT_STYLES[verdict.name])), style="bold")
    screen.line(f"{verdict.sentence[:1].upper()}{verdict.sentence[1:]}.")
    screen.line()
    screen.facts(_verdict_facts(story, login, now))


def _verdict_facts(story: _Story, login: StoredLogin, now: datetime) -> Iterator[tuple[str, Cell]]:
    verdict, coming = story.verdict, story.outlook
    yield "rule", verdict.reason
    if login.verdict is verdict.name:
        yield "since", phrases.when(login.verdict_since, now)
    else:
        yield (
            "stored",
            f"{login.verdict} ({login.reason}) since {phrases.when(login.verdict_since, now)}; the next pass corrects it",
        )
    if verdict.error_code:
        yield "means", codes.meaning_of(verdict.error_code).advice
    yield "next", coming.action
    if coming.at is not None:
        yield "at", "now, as soon as the budget allows" if coming.at <= now else phrases.when(coming.at, now)
    if story.pause is not None:
        yield "but", f"{clean(said_of_pause(story.pause))}; it stays due"
    if story.observes:
        yield "but", "REFRESHD_MODE is observe: no disable and no enable is ever sent"
    yield "changes when", coming.turning
    if verdict.until:
        yield "or by time", phrases.when(verdict.until, now)


def _evidence(evidence: Evidence, now: datetime, *, polling: bool) -> Iterator[tuple[str, Cell]]:
    yield "institution", clean(evidence.institution or "not known yet")
    yield "scheduled refresh", _flag(evidence, now)
    yield "last refresh", phrases.when(evidence.refreshed_at, now)
    yield "last answer", _answer(evidence, now)
    yield "last cached call", phrases.when(evidence.cached_call_at, now)
    yield "in the report", _listing(evidence, now)
    if evidence.active:
        yield "eligible until", _deadline(evidence, now, polling=polling)
    if evidence.inactive_since:
        yield "inactive since", phrases.when(evidence.inactive_since, now)
    if evidence.confirmed_off_at:
        yield "confirmed off", phrases.when(evidence.confirmed_off_at, now)
    if evidence.refusal:
        yield "refused", f"{clean(evidence.refusal.code)}, {phrases.when(evidence.refusal.refused_at, now)}"
    if evidence.attempts:
        yield "fruitless rounds", f"{evidence.attempts}; next try not before {phrases.when(evidence.not_before, now)}"


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
    return f"{clean(evidence.answer.code or 'good')}, {phrases.when(evidence.answer.answered_at, now)}"


def _listing(evidence: Evidence, now: datetime) -> str:
    listing = evidence.listing
    if listing is None:
        return "no, which proves nothing"
    said = clean(listing.code or "no code")
    state = f", state {clean(listing.state)}" if listing.state else ""
    return f"{said}{state}; report of {phrases.when(listing.reported_at, now)}"


def _show_clients(screen: Screen, clients: Sequence[LinkedClient]) -> None:
    screen.title("Clients")
    if not clients:
        screen.line("none is linked to it any more", indent=2)
        return
    rows = (
        (clean(each.client_id), "active" if each.active else "inactive", "" if each.scheduled else "refresh not wanted")
        for each in clients
    )
    screen.table([Column(head="client"), Column(head="state"), Column(head="")], rows)


def _show_calls(screen: Screen, calls: Sequence[CallTrace], now: datetime) -> None:
    screen.title("Last calls")
    if not calls:
        screen.line("none in the trace", indent=2)
        return
    columns = [
        Column(head="when", whole=True, right=True),
        Column(head="call", whole=True),
        Column(head="took", whole=True, right=True),
        Column(head="answer"),
    ]
    rows = (
        (phrases.age(each.called_at, now), each.operation.value, f"{each.latency_seconds * 1000:,.0f} ms", _said(each))
        for each in calls
    )
    screen.table(columns, rows)


def _said(call: CallTrace) -> str:
    parts = [str(call.http_status) if call.http_status else "no answer"]
    parts += [clean(part) for part in (call.flinks_code, call.message, call.failure and f"({call.failure})") if part]
    return " ".join(parts)


def _show_events(screen: Screen, events: Sequence[ScheduleEvent], now: datetime) -> None:
    screen.title("Schedule changes")
    if not events:
        screen.line("none", indent=2)
        return
    columns = [
        Column(head="when", whole=True, right=True),
        Column(head="change", whole=True),
        Column(head="event", whole=True),
        Column(head="because"),
        Column(head="plan"),
    ]
    rows = (
        (phrases.age(each.at, now), each.change.value, each.event, _because(each), each.plan_id or "")
        for each in events
    )
    screen.table(columns, rows)


def _because(event: ScheduleEvent) -> str:
    return " ".join(clean(part) for part in (event.reason, event.code, event.detail) if part)


def _as_json(story: _Story) -> dict[str, object]:
    verdict, evidence = story.verdict, story.login.evidence
    return {
        **login_as_json(story.login),
        "now": {
            "verdict": verdict.name,
            "reason": verdict.reason,
            "sentence": verdict.sentence,
            "until": verdict.until,
            "lane": verdict.lane,
        },
        "next": {"action": story.outlook.action, "at": story.outlook.at, "changes_when": story.outlook.turning},
        "evidence": {
            "flag_seen_at": evidence.flag_seen_at,
            "answered_at": evidence.answer and evidence.answer.answered_at,
            "answer_code": evidence.answer and evidence.answer.code,
            "cached_call_at": evidence.cached_call_at,
            "reported_at": evidence.listing and evidence.listing.reported_at,
            "reported_state": evidence.listing and evidence.listing.state,
            "reported_code": evidence.listing and evidence.listing.code,
            "plan_id": evidence.hold and evidence.hold.plan_id,
            "refused_code": evidence.refusal and evidence.refusal.code,
            "attempts": evidence.attempts,
            "not_before": evidence.not_before,
        },
        "clients": [
            {"client_id": each.client_id, "active": each.active, "scheduled": each.scheduled} for each in story.clients
        ],
        "calls": [call_as_json(each) for each in story.calls],
        "schedule_changes": [event_as_json(each) for each in story.events],
    }
