"""`refreshd plans`: what the guard holds, what it weighed, and what has changed since."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import typer
from rich.text import Text

from refreshd import phrases
from refreshd.cli.options import AsJson, Config
from refreshd.cli.screen import Screen, clean
from refreshd.cli.session import ledger_settings, opened
from refreshd.cli.shapes import plan_as_json
from refreshd.cli.start import run_async
from refreshd.core.fate import Fate, fate_words, since_then
from refreshd.core.model import PlanState
from refreshd.core.plan import HeldPlan
from refreshd.settings import Settings

_CLOSED = 50

ClosedToo = Annotated[
    bool, typer.Option("--closed", metavar="", help="List also the newest plans that cover no login any more.")
]


def plans(*, closed: ClosedToo = False, config: Config = None, as_json: AsJson = False) -> None:
    """List the plans that the guard holds, and the approved and rejected ones, each with what has changed since."""
    run_async(_plans(Screen(), ledger_settings(config), closed_too=closed, as_json=as_json))


async def _plans(screen: Screen, settings: Settings, *, closed_too: bool, as_json: bool) -> None:
    async with opened(settings) as here:
        found = await here.ledger.plans(closed=_CLOSED if closed_too else 0)
        fates = {each.plan_id: await here.ledger.plan_fates(each.plan_id) for each in found}
    if as_json:
        screen.json([{**plan_as_json(each), "fates": dict(fates[each.plan_id])} for each in found])
        return
    if not found:
        screen.line("No plan waits. `refreshd plan` shows what the next pass would change.")
    for each in found:
        show_plan(screen, each, here.now)
        screen.line(_weighed(each), indent=2, style="dim")
        show_since_then(screen, each, fates[each.plan_id])


def show_plan(screen: Screen, plan: HeldPlan, now: datetime) -> None:
    """One plan: what it covers, why it is held, and what lets it go."""
    what = f"{plan.change} {phrases.counted(plan.remaining, 'login')}"
    gone = plan.logins - plan.remaining
    screen.title(f"Plan {plan.plan_id}: {what}" + (f" (of {phrases.number(plan.logins)})" if gone else ""))
    made = "Made" if plan.reason == "within_caps" else "Held"
    screen.line(f"{made} {phrases.age(plan.held_at, now)}: {plan.sentence}.", indent=2)
    screen.line(_standing(plan, now), indent=2)


def _standing(plan: HeldPlan, now: datetime) -> Text:
    if plan.state is PlanState.CLOSED:
        return Text("Closed: it covers no login any more.", "dim")
    if plan.state is PlanState.ADMITTED:
        return Text(f"The guard lets it through until {phrases.when(plan.approved_until, now)}.", "green")
    if plan.approved_until is not None and plan.approved_until > now:
        why = f": {clean(plan.approval_reason)}" if plan.approval_reason else ""
        return Text(f"Approved until {phrases.when(plan.approved_until, now)}{why}.", "green")
    approve = (f'refreshd approve {plan.plan_id} --reason "..."', "bold")
    if plan.state is PlanState.REJECTED:
        said = f"Rejected {phrases.when(plan.rejected_at, now)}: {clean(plan.rejection_reason or '')}. To let it go after all  "
        return Text.assemble((said, "yellow"), approve)
    return Text.assemble("Nothing of it is sent before  ", approve)


def _weighed(plan: HeldPlan) -> str:
    then = plan.weighed
    accepted = (
        "never accepted"
        if then.accepted_active is None
        else f"last accepted with {phrases.number(then.accepted_active)} active"
    )
    return (
        f"The guard weighed {phrases.counted(then.logins, 'login')}, {phrases.number(then.active)} active, {accepted};"
        f" {phrases.number(then.changed_in_window)} changed in 24 h; {phrases.number(plan.allowance)} may go without approval."
    )


def show_since_then(screen: Screen, plan: HeldPlan, fates: Mapping[Fate, int]) -> None:
    """Who is not in it any more, and why."""
    changed = [f"{phrases.number(count)} {fate_words(fate, plan.change)}" for fate, count in since_then(fates)]
    screen.line(f"Since then: {phrases.listed(changed) if changed else 'nothing has changed'}.", indent=2, style="dim")
