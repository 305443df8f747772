"""`refreshd undo`: have what a plan disabled and an active client wants enabled again, by a plan of its own."""

import asyncio
from dataclasses import dataclass, field
from typing import Annotated

import typer
from rich.text import Text

from refreshd import overview, phrases, policies, undoing
from refreshd.cli.decide import Reason, WhichPlan, given, operator
from refreshd.cli.options import AsJson, Config
from refreshd.cli.screen import Column, Screen, clean
from refreshd.cli.session import Opened, ledger_settings, opened
from refreshd.cli.start import run_async
from refreshd.core.caps import Withheld
from refreshd.core.errors import HeldByGuard
from refreshd.core.model import PlanId, PlanState
from refreshd.core.plan import HeldPlan
from refreshd.core.undo import UNDOING_WORDS, Undo, Undoable, Undoing, UndoneLogin
from refreshd.settings import Mode, Settings

_NAMED = 20
_LOOKS_AGAIN_SECONDS = 0.1

Wait = Annotated[
    float, typer.Option(metavar="SECONDS", min=0.0, help="How long to wait for the pass that takes it up; 0: only ask.")
]


def undo(
    *, plan_id: WhichPlan, reason: Reason, wait: Wait = 10.0, config: Config = None, as_json: AsJson = False
) -> None:
    """Have the leader enable again what a plan disabled and an active client wants.

    That is a plan of its own, made by the leader's next pass: the guard weighs it by the caps, a large one begins with a canary, and
    beyond the caps it waits for refreshd approve (exit code 3). Logins without an active client are named and left off; set the client
    active first to have them back. What is left of the undone plan itself is rejected, so that nothing more of it is sent.
    """
    run_async(_undo(Screen(), ledger_settings(config), plan_id, given(reason), wait_seconds=wait, as_json=as_json))


@dataclass(slots=True, kw_only=True)
class _Preview:
    """What the undoing does about each login, as it stands when it is asked for; in order, so many as are named."""

    found: Undoable = field(default_factory=Undoable)
    enabled: list[UndoneLogin] = field(default_factory=list)
    left: list[UndoneLogin] = field(default_factory=list)
    withheld: Withheld | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What has become of it so far; `plan` is that of the enables. `waits_because` says what keeps a pass from taking it up."""

    undo: Undo
    plan: HeldPlan | None
    waits_because: str | None
    paused_because: str | None


async def _undo(
    screen: Screen, settings: Settings, prefix: str, reason: str, *, wait_seconds: float, as_json: bool
) -> None:
    async with opened(settings) as here:
        undone = await here.ledger.find_done(prefix)
        preview = await _preview(here, undone)
        asked = await here.ledger.ask_undo(undone, by=operator(), reason=reason, now=here.now)
        outcome = await _outcome(here, asked, wait_seconds)
    if as_json:
        screen.json(_as_json(preview, outcome))
    else:
        _show(screen, preview, outcome)
    if outcome.plan is not None and outcome.plan.state is PlanState.HELD:
        raise HeldByGuard(
            f"the guard holds plan {outcome.plan.plan_id}: {outcome.plan.sentence}",
            hint=f'`refreshd approve {outcome.plan.plan_id} --reason "..."` lets it go',
        )


async def _preview(here: Opened, undone: PlanId) -> _Preview:
    preview = _Preview()
    async for each in undoing.disabled_by(here.ledger, undone):
        preview.found.add(each)
        (preview.enabled if each.outcome is Undoing.ENABLED else preview.left).append(each)
    if preview.found.enables:
        totals = await here.ledger.plan_totals(now=here.now)
        judged = preview.found.weighed(totals, policies.guard_policy(here.settings))
        preview.withheld = judged if isinstance(judged, Withheld) else None
    return preview


async def _outcome(here: Opened, asked: Undo, wait_seconds: float) -> _Outcome:
    leader, pause = await here.ledger.leader(), await here.ledger.pause()
    waits_because = None
    if here.settings.mode is Mode.OBSERVE:
        waits_because = "REFRESHD_MODE is observe: it is recorded, and taken up once refreshd enforces"
    elif leader is None or not leader.held:
        waits_because = "no daemon leads this ledger now; refreshd run, or refreshd once, takes it up"
    undo = await _taken_up(here, asked, 0.0 if waits_because else wait_seconds)
    return _Outcome(
        undo=undo,
        plan=None if undo.plan_id is None else await here.ledger.plan(undo.plan_id),
        waits_because=None if undo.planned_at else waits_because or "no pass has taken it up yet; the next one does",
        paused_because=None if pause is None else overview.said_of_pause(pause),
    )


async def _taken_up(here: Opened, asked: Undo, wait_seconds: float) -> Undo:
    """The undo as it is when a pass has taken it up, or when the time is over."""
    until = asyncio.get_running_loop().time() + wait_seconds
    while True:
        undo = await here.ledger.undo_of(asked.undone) or asked
        if undo.planned_at is not None or asyncio.get_running_loop().time() >= until:
            return undo
        await asyncio.sleep(_LOOKS_AGAIN_SECONDS)


def _show(screen: Screen, preview: _Preview, outcome: _Outcome) -> None:
    said = [f"{phrases.number(count)} {UNDOING_WORDS[each]}" for each, count in preview.found.counts.items()]
    screen.line(Text.assemble(("Undo ", "bold"), f"of plan {outcome.undo.undone}: {phrases.listed(said)}."))
    _show_logins(screen, preview)
    if outcome.waits_because is not None:
        if preview.withheld is not None:
            screen.line(f"The guard would hold it: {preview.withheld.sentence}.", style="yellow")
        screen.line(f"It is asked for, and {outcome.waits_because}.", style="yellow")
        screen.line(f"`refreshd plan --show {outcome.undo.undone}` tells what has become of it.")
    elif outcome.plan is None:
        screen.line("A pass has found nothing to enable.")
    else:
        plan_id = outcome.plan.plan_id
        screen.line(f"A pass has made plan {plan_id} of it; `refreshd plan --show {plan_id}` tells how it goes.")
    if outcome.paused_because is not None:
        screen.line(f"But {clean(outcome.paused_because)}.", style="yellow")


def _show_logins(screen: Screen, preview: _Preview) -> None:
    if preview.enabled:
        columns = [Column(head="to be enabled", whole=True), Column(head="for")]
        screen.table(columns, ((str(each.login_id), _clients(each)) for each in preview.enabled[:_NAMED]))
        _show_left_out(screen, len(preview.enabled) - _NAMED)
    if preview.left:
        columns = [Column(head="left as it is", whole=True), Column(head="because")]
        screen.table(columns, ((str(each.login_id), UNDOING_WORDS[each.outcome]) for each in preview.left[:_NAMED]))
        _show_left_out(screen, len(preview.left) - _NAMED)


def _clients(login: UndoneLogin) -> str:
    return clean(", ".join(login.clients))


def _show_left_out(screen: Screen, count: int) -> None:
    if count > 0:
        screen.line(f"… and {phrases.number(count)} more (--json)", indent=2, style="dim")


def _as_json(preview: _Preview, outcome: _Outcome) -> dict[str, object]:
    undo, plan = outcome.undo, outcome.plan
    return {
        "undoes": undo.undone,
        "asked_at": undo.asked_at,
        "taken_up_at": undo.planned_at,
        "waits_because": outcome.waits_because,
        "plan_id": undo.plan_id,
        "state": plan and plan.state,
        "withheld": preview.withheld and {"reason": preview.withheld.reason, "sentence": preview.withheld.sentence},
        "enabled": [{"login_id": each.login_id, "clients": list(each.clients)} for each in preview.enabled],
        "left": [{"login_id": each.login_id, "outcome": each.outcome} for each in preview.left],
    }
