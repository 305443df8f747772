"""`refreshd pause` and `refreshd resume`: stop vendor writes at run time, for all copies, and let them go on."""

import getpass
import socket
from typing import Annotated

import typer
from rich.text import Text

from refreshd import overview
from refreshd.cli.options import AsJson, Config
from refreshd.cli.screen import Screen, clean
from refreshd.cli.session import ledger_settings, opened
from refreshd.cli.shapes import pause_as_json
from refreshd.cli.start import run_async
from refreshd.core.errors import SettingsError
from refreshd.settings import Settings

Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; it is kept with the decision, and shown.")]


def pause(*, reason: Reason, config: Config = None, as_json: AsJson = False) -> None:
    """Stop all vendor writes, for every copy of this ledger.

    No disable and no enable is sent from this moment on; reports, the routine, judging and planning go on, and what waits stays due.
    A change that had already left may still take effect.
    """
    run_async(_pause(Screen(), ledger_settings(config), given(reason), as_json=as_json))


def resume(*, reason: Reason = "", config: Config = None, as_json: AsJson = False) -> None:
    """Let vendor writes go on after `refreshd pause`."""
    run_async(_resume(Screen(), ledger_settings(config), reason, as_json=as_json))


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
    screen.line("What waits stays due; what had already left may still take effect. refreshd resume ends it.")


async def _resume(screen: Screen, settings: Settings, reason: str, *, as_json: bool) -> None:
    async with opened(settings) as here:
        is_new = await here.ledger.resume_writes(by=operator(), reason=reason.strip(), now=here.now)
    if as_json:
        screen.json({"changed": is_new, "pause": None})
    elif is_new:
        screen.line(Text.assemble(("Resumed: ", "bold green"), "vendor writes go on, within the caps and the budget."))
    else:
        screen.line("Nothing changed: vendor writes were not paused.")
