"""`refreshd explain`: why one login is as it is, and what comes next. Answers in one command what an operator would ask in ten."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import typer
from rich.text import Text

from refreshd import phrases, policies, story
from refreshd.cli.options import AsJson, Config
from refreshd.cli.screen import Cell, Column, Screen, clean
from refreshd.cli.session import ledger_settings, opened
from refreshd.cli.shapes import call_as_json, event_as_json, login_as_json
from refreshd.cli.start import run_async
from refreshd.cli.styles import VERDICT_STYLES
from refreshd.core.errors import InputRejected
from refreshd.core.model import CallTrace, LoginId
from refreshd.reading import LinkedClient, ScheduleEvent
from refreshd.settings import Settings
from refreshd.story import Fact, Story

WhichLogin = Annotated[UUID, typer.Argument(metavar="LOGIN_ID", help="The LoginId, as Flinks and the ledger write it.")]


def explain(*, login_id: WhichLogin, config: Config = None, as_json: AsJson = False) -> None:
    """Tell why one login is as it is, and what comes next.

    Verdict, rule, evidence, clients, next action, last calls and schedule changes. The verdict is worked out at this moment from
    the stored evidence; where the stored one is a pass behind, it says so.
    """
    run_async(_explain(Screen(), ledger_settings(config), LoginId(login_id), as_json=as_json))


async def _explain(screen: Screen, settings: Settings, login_id: LoginId, *, as_json: bool) -> None:
    async with opened(settings) as here:
        found = await story.read_story(here.ledger, login_id, policies.story_terms(settings), here.now)
    if found is None:
        raise InputRejected(
            f"the ledger does not know login {login_id}",
            hint="refreshd logins lists what it knows; refreshd status, orphans",
        )
    if as_json:
        screen.json(_as_json(found))
    else:
        _show(screen, found)


def _show(screen: Screen, told: Story) -> None:
    verdict = told.verdict
    screen.line(Text.assemble(f"{verdict.login_id}  ", (verdict.name, VERDICT_STYLES[verdict.name])), style="bold")
    screen.line(story.sentence(told))
    screen.line()
    screen.facts(_cleaned(story.verdict_facts(told)))
    screen.title("Evidence")
    screen.facts(_cleaned(story.evidence_facts(told)))
    _show_clients(screen, told.clients)
    _show_calls(screen, told.calls, told.now)
    _show_events(screen, told.events, told.now)


def _cleaned(facts: Iterable[Fact]) -> Iterator[tuple[str, Cell]]:
    return ((label, clean(text)) for label, text in facts)


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
        (
            phrases.age(each.called_at, now),
            each.operation.value,
            phrases.took(each.latency_seconds),
            clean(story.answer_of(each)),
        )
        for each in calls
    )
    screen.table(columns, rows)


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
        (phrases.age(each.at, now), each.change.value, each.event, clean(story.cause_of(each)), each.plan_id or "")
        for each in events
    )
    screen.table(columns, rows)


def _as_json(told: Story) -> dict[str, object]:
    verdict, evidence = told.verdict, told.login.evidence
    return {
        **login_as_json(told.login),
        "now": {
            "verdict": verdict.name,
            "reason": verdict.reason,
            "sentence": verdict.sentence,
            "until": verdict.until,
            "lane": verdict.lane,
        },
        "next": {"action": told.outlook.action, "at": told.outlook.at, "changes_when": told.outlook.turning},
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
            {"client_id": each.client_id, "active": each.active, "scheduled": each.scheduled} for each in told.clients
        ],
        "calls": [call_as_json(each) for each in told.calls],
        "schedule_changes": [event_as_json(each) for each in told.events],
    }
