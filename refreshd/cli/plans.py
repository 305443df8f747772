"""`refreshd plans` and `refreshd approve`: what the guard holds, and letting it go."""

from datetime import datetime
from typing import Annotated

import typer
from rich.text import Text

from refreshd.cli import phrases
from refreshd.cli.options import AsJson, Config
from refreshd.cli.screen import Screen, clean
from refreshd.cli.session import ledger_settings, opened
from refreshd.cli.shapes import plan_as_json
from refreshd.cli.start import run_async
from refreshd.core.guard import WINDOW
from refreshd.core.model import HeldPlan, PlanId, PlanState
from refreshd.settings import Settings

ClosedToo = Annotated[
    bool, typer.Option("--closed", metavar="", help="List also the plans that cover no login any more.")
]
WhichPlan = Annotated[
    str, typer.Argument(metavar="PLAN_ID", help="The plan, or as much of the beginning of its id as is unique.")
]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; it is kept with the plan and with each login.")]


def plans(*, closed: ClosedToo = False, config: Config = None, as_json: AsJson = False) -> None:
    """List the plans that the guard holds, and the approved ones."""
    run_async(_plans(Screen(), ledger_settings(config), closed_too=closed, as_json=as_json))


def approve(*, plan_id: WhichPlan, reason: Reason = "", config: Config = None, as_json: AsJson = False) -> None:
    """Let a held plan go ahead, for 24 hours.

    The approval covers exactly the logins of that plan. Each is judged again before anything is sent: clients who came back drop out,
    and newcomers need a plan of their own. The first approval of a ledger also accepts its totals as plausible.
    """
    run_async(_approve(Screen(), ledger_settings(config), plan_id, reason, as_json=as_json))


async def _plans(screen: Screen, settings: Settings, *, closed_too: bool, as_json: bool) -> None:
    async with opened(settings) as here:
        found = await here.ledger.plans(closed_too=closed_too)
    if as_json:
        screen.json([plan_as_json(each) for each in found])
    elif not found:
        screen.line("No plan waits. `refreshd plan` shows what the next pass would change.")
    for each in [] if as_json else found:
        show_plan(screen, each, here.now)


def show_plan(screen: Screen, plan: HeldPlan, now: datetime) -> None:
    """One plan: what it covers, why it is held, and what lets it go."""
    what = f"{plan.change} {phrases.counted(plan.remaining, 'login')}"
    gone = plan.logins - plan.remaining
    screen.title(f"Plan {plan.plan_id}: {what}" + (f" (of {phrases.number(plan.logins)})" if gone else ""))
    screen.line(f"Held {phrases.age(plan.held_at, now)}: {plan.sentence}.", indent=2)
    if plan.state is PlanState.CLOSED:
        screen.line("Closed: it covers no login any more.", indent=2, style="dim")
    elif plan.approved_until is not None and plan.approved_until > now:
        why = f": {clean(plan.approval_reason)}" if plan.approval_reason else ""
        screen.line(f"Approved until {phrases.when(plan.approved_until, now)}{why}.", indent=2, style="green")
    else:
        screen.line(
            Text.assemble("Nothing of it is sent before  ", (f"refreshd approve {plan.plan_id}", "bold")), indent=2
        )


async def _approve(screen: Screen, settings: Settings, prefix: str, reason: str, *, as_json: bool) -> None:
    async with opened(settings) as here:
        plan_id = await here.ledger.find_plan(prefix)
        until = here.now + WINDOW
        covered = await here.ledger.approve_plan(plan_id, reason=reason, now=here.now, until=until)
        leader = await here.ledger.leader()
    if as_json:
        screen.json({"plan_id": plan_id, "logins": covered, "approved_until": until})
        return
    _show_approval(screen, plan_id, covered, f"{phrases.stamp(until)}")
    if leader is None or not leader.held:
        screen.line("No daemon leads this ledger now; refreshd run, or refreshd once, carries it out.", style="yellow")


def _show_approval(screen: Screen, plan_id: PlanId, covered: int, until: str) -> None:
    screen.line(
        Text.assemble(
            ("Approved ", "bold green"),
            f"plan {plan_id}: it covers {phrases.counted(covered, 'login')} until {until}.",
        )
    )
    screen.line("Each is judged again before anything is sent; clients who came back drop out.")
