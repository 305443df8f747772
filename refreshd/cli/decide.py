"""What an operator decides: `approve` and `reject` a plan, `pause` and `resume` all vendor writes."""

import getpass
import socket
from typing import Annotated

import typer
from rich.text import Text

from refreshd import overview, phrases
from refreshd.cli.options import AsJson, Config
from refreshd.cli.screen import Screen, clean
from refreshd.cli.session import ledger_settings, opened
from refreshd.cli.shapes import pause_as_json
from refreshd.cli.start import run_async
from refreshd.core.caps import WINDOW
from refreshd.core.errors import SettingsError
from refreshd.settings import Settings

Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; it is kept with the decision, and shown.")]


WhichPlan = Annotated[
    str, typer.Argument(metavar="PLAN_ID", help="The plan, or as much of the beginning of its id as is unique.")
]


def approve(*, plan_id: WhichPlan, reason: Reason, config: Config = None, as_json: AsJson = False) -> None:
    """Let a held plan go ahead, for 24 hours.

    The approval covers exactly the logins of that plan. Each is judged again before anything is sent: clients who came back drop out,
    and newcomers need a plan of their own. The first approval of a ledger also accepts its totals as plausible. A plan that was
    rejected may be approved after all.
    """
    run_async(_approve(Screen(), ledger_settings(config), plan_id, given(reason), as_json=as_json))


def reject(*, plan_id: WhichPlan, reason: Reason, config: Config = None, as_json: AsJson = False) -> None:
    """Say no to a plan: nothing of it is sent.

    Its logins stay under it, so that no other plan takes them up, and count as held. A login leaves it when a client of it is active
    again. Meanwhile no new totals are accepted as plausible.
    """
    run_async(_reject(Screen(), ledger_settings(config), plan_id, given(reason), as_json=as_json))


def pause(*, reason: Reason, config: Config = None, as_json: AsJson = False) -> None:
    """Stop all vendor writes, for every copy of this ledger.

    No disable and no enable is sent from this moment on; reports, the routine, judging and planning go on, and what waits stays due.
    A change that had already left may still take effect.
    """
    run_async(_pause(Screen(), ledger_settings(config), given(reason), as_json=as_json))


def resume(*, reason: Reason, config: Config = None, as_json: AsJson = False) -> None:
    """Let vendor writes go on after `refreshd pause`."""
    run_async(_resume(Screen(), ledger_settings(config), given(reason), as_json=as_json))


def operator() -> str:
    """Who runs this command, as far as the machine knows."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that has no name
        name = "somebody"
    return f"{name}@{socket.gethostname()}"


def given(reason: str) -> str:
    """A reason that says something. Raises SettingsError for an empty one."""
    if not reason.strip():
        raise SettingsError("--reason is empty", hint="say in a few words why, for whoever reads it later")
    return reason.strip()


async def _approve(screen: Screen, settings: Settings, prefix: str, reason: str, *, as_json: bool) -> None:
    async with opened(settings) as here:
        plan_id = await here.ledger.find_plan(prefix)
        until = here.now + WINDOW
        covered = await here.ledger.approve_plan(plan_id, by=operator(), reason=reason, now=here.now, until=until)
        leader, standing = await here.ledger.leader(), await here.ledger.pause()
    if as_json:
        screen.json({"plan_id": plan_id, "logins": covered, "approved_until": until})
        return
    said = f"plan {plan_id}: it covers {phrases.counted(covered, 'login')} until {phrases.stamp(until)}."
    screen.line(Text.assemble(("Approved ", "bold green"), said))
    screen.line("Each is judged again before anything is sent; clients who came back drop out.")
    if leader is None or not leader.held:
        screen.line("No daemon leads this ledger now; refreshd run, or refreshd once, carries it out.", style="yellow")
    if standing is not None:
        screen.line(f"But {clean(overview.said_of_pause(standing))}.", style="yellow")


async def _reject(screen: Screen, settings: Settings, prefix: str, reason: str, *, as_json: bool) -> None:
    async with opened(settings) as here:
        plan_id = await here.ledger.find_to_reject(prefix)
        covered = await here.ledger.reject_plan(plan_id, by=operator(), reason=reason, now=here.now)
    if as_json:
        screen.json({"plan_id": plan_id, "logins": covered})
        return
    said = (
        f"plan {plan_id}: nothing is sent for its {phrases.counted(covered, 'login')}, and no other plan takes them up."
    )
    screen.line(Text.assemble(("Rejected ", "bold yellow"), said))
    screen.line("They stay on, and billed. A login leaves the plan when a client of it is active again.")
    screen.line(Text.assemble("To let it go after all  ", (f'refreshd approve {plan_id} --reason "..."', "bold")))


async def _pause(screen: Screen, settings: Settings, reason: str, *, as_json: bool) -> None:
    async with opened(settings) as here:
        is_new = await here.ledger.pause_writes(by=operator(), reason=reason, now=here.now)
        standing = await here.ledger.pause()
    if as_json:
        screen.json({"changed": is_new, "pause": pause_as_json(standing)})
        return
    if standing is not None:
        done = "Paused: " if is_new else "Nothing changed: "
        screen.line(Text.assemble((done, "bold yellow"), f"{clean(overview.said_of_pause(standing))}."))
    screen.line("What waits stays due; what had already left may still take effect.")
    screen.line(Text.assemble("To let it go on  ", ('refreshd resume --reason "..."', "bold")))


async def _resume(screen: Screen, settings: Settings, reason: str, *, as_json: bool) -> None:
    async with opened(settings) as here:
        is_new = await here.ledger.resume_writes(by=operator(), reason=reason, now=here.now)
    if as_json:
        screen.json({"changed": is_new, "pause": None})
    elif is_new:
        screen.line(Text.assemble(("Resumed: ", "bold green"), "vendor writes go on, within the caps and the budget."))
    else:
        screen.line("Nothing changed: vendor writes were not paused.")
