"""All commands in one table, in the order in which `refreshd --help` teaches them."""

import inspect
import logging
import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

import refreshd
from refreshd.cli.checkup import doctor
from refreshd.cli.clients import import_clients
from refreshd.cli.decide import approve, pause, reject, resume
from refreshd.cli.explain import explain
from refreshd.cli.institutions import institutions
from refreshd.cli.logins import logins
from refreshd.cli.password import password
from refreshd.cli.plan import plan
from refreshd.cli.plans import plans
from refreshd.cli.schema import migrate
from refreshd.cli.screen import Screen
from refreshd.cli.service import demo, once, run
from refreshd.cli.simulate import simulate
from refreshd.cli.start import told
from refreshd.cli.status import status
from refreshd.cli.undo import undo
from refreshd.core.errors import SettingsError
from refreshd.logs import configure_logging

_EXAMPLES = """\
[bold]A first day[/]
  refreshd migrate                   create the ledger's tables
  refreshd doctor                    settings, database, keys: what to mend
  refreshd import clients.csv        columns client_id, login_id, active
  refreshd plan                      what would change, and why; no writes
  refreshd run                       the daemon; the first disables wait ...
  refreshd approve 3f2a              ... for you to approve them

[bold]Every day[/]
  refreshd status                    the fleet on one page
  refreshd logins --verdict reconnect --json | jq -r '.[].login_id'
  refreshd explain LOGIN_ID          why is it as it is, and what comes next?"""

_EXIT_CODES = """\
[bold]Exit codes[/]
  0 done                             3 held by the guard: refreshd plans
  1 done, with failures              4 a dependency is down
  2 wrong usage or settings"""

_WORK = "Work"
_LOOK = "Look"
_DECIDE = "Decide"
_SET_UP = "Set up"
_TRY = "Try it"

_COMMANDS: tuple[tuple[str, str, Callable[..., None]], ...] = (
    (_WORK, "run", run),
    (_WORK, "once", once),
    (_LOOK, "status", status),
    (_LOOK, "logins", logins),
    (_LOOK, "explain", explain),
    (_LOOK, "institutions", institutions),
    (_DECIDE, "plan", plan),
    (_DECIDE, "plans", plans),
    (_DECIDE, "approve", approve),
    (_DECIDE, "reject", reject),
    (_DECIDE, "undo", undo),
    (_DECIDE, "pause", pause),
    (_DECIDE, "resume", resume),
    (_SET_UP, "doctor", doctor),
    (_SET_UP, "migrate", migrate),
    (_SET_UP, "import", import_clients),
    (_SET_UP, "password", password),
    (_TRY, "demo", demo),
    (_TRY, "simulator", simulate),
)


def _show_version(asked: bool) -> None:  # noqa: FBT001 - typer calls it so
    if asked:
        Screen().line(f"refreshd {refreshd.__version__}")
        raise typer.Exit


def _root(
    context: typer.Context,
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Keep Flinks scheduled refresh in line with your active clients.

    No billed login is forgotten, no stale login goes unseen. Settings are REFRESHD_* in the environment, or a TOML file.
    """
    if context.invoked_subcommand is None:
        Screen().line(context.get_help())
        raise typer.Exit(SettingsError.exit_code)


def _paragraphs(command: Callable[..., None]) -> str:
    """The docstring with each paragraph on one line, for the terminal to wrap; typer keeps the source's own line ends."""
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def build() -> typer.Typer:
    """The application, with each command in its group."""
    app = typer.Typer(
        name="refreshd",
        add_completion=False,
        pretty_exceptions_enable=False,  # its tracebacks show local variables, which may hold secrets
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
        rich_markup_mode="rich",
    )
    app.callback(invoke_without_command=True, epilog=f"{_EXAMPLES}\n\n{_EXIT_CODES}")(_root)
    for group, name, command in _COMMANDS:
        app.command(name, rich_help_panel=group, help=_paragraphs(command))(told(command))
    return app


def run_command(argv: Sequence[str]) -> int:
    """Run one command and give its exit code. Only trouble is logged, unless the command (`run`, `once`) says otherwise."""
    configure_logging(level=logging.ERROR)
    try:
        code = build()(args=list(argv), prog_name="refreshd", standalone_mode=False)
    except typer.TyperException as error:
        Screen().trouble(SettingsError(error.format_message(), hint=_usage_hint(argv)))
        return SettingsError.exit_code
    sys.stdout.flush()
    return code if isinstance(code, int) else 0


def _usage_hint(argv: Sequence[str]) -> str:
    names = {name for _, name, _ in _COMMANDS}
    command = next((word for word in argv if word in names), None)
    return f"refreshd {command} --help" if command else "refreshd --help"
