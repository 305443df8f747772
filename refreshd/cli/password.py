"""`refreshd password`: the line that lets an operator decide on the page."""

import sys
from typing import Annotated

import typer

from refreshd.cli.options import AsJson
from refreshd.cli.screen import Screen
from refreshd.core.errors import SettingsError
from refreshd.operators import operator_line

FEWEST = 12
"""Letters of a password; the page may be reachable by many."""

Name = Annotated[str, typer.Argument(metavar="NAME", help="Who it is; decisions are recorded under this name.")]


def password(*, name: Name, as_json: AsJson = False) -> None:
    """Print a line for REFRESHD_OPERATORS_FILE.

    Asks for a password twice, or reads it from a pipe, and prints NAME with its hash. Put the line into the file that
    REFRESHD_OPERATORS_FILE names; whoever stands there may approve, reject, pause and resume on the page.
    """
    screen = Screen()
    given = _asked() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    if len(given) < FEWEST:
        raise SettingsError("this password is too short", hint=f"take {FEWEST} letters or more")
    try:
        line = operator_line(name, given)
    except ValueError as error:
        raise SettingsError(str(error), hint="refreshd password alice") from error
    if as_json:
        screen.json({"line": line})
    else:
        typer.echo(line)


def _asked() -> str:
    """Unseen, and on standard error, so that the line may go into a file."""
    given: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return given
