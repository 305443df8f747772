"""`refreshd institutions`: how each bank stands, by what its logins met in the latest night."""

from collections.abc import Sequence

from rich.text import Text

from refreshd import phrases
from refreshd.cli.options import AsJson, Config
from refreshd.cli.screen import Cell, Column, Screen, clean
from refreshd.cli.session import ledger_settings, opened
from refreshd.cli.start import run_async
from refreshd.core.standing import STANDING_WORDS, InstitutionState, Standing
from refreshd.settings import Settings

_STYLES = {
    InstitutionState.UP: "green",
    InstitutionState.DOWN: "bold red",
    InstitutionState.SUSPECT: "bold yellow",
    InstitutionState.NOT_ENOUGH_EVIDENCE: "dim",
}


def institutions(*, config: Config = None, as_json: AsJson = False) -> None:
    """Show how each institution stands: up, down, suspect, or not enough evidence.

    The numbers are logins in the latest night that were well before it. A bank that is down is held: what would touch it waits, but for
    one login at a time, and no verdict blames its users.
    """
    screen = Screen()
    found = run_async(_standings(ledger_settings(config)))
    if as_json:
        screen.json([_as_json(each) for each in found])
    elif found:
        _show(screen, found)
    else:
        screen.line("Nothing is known of any institution yet; the routine's answers name them.")


async def _standings(settings: Settings) -> Sequence[Standing]:
    async with opened(settings) as here:
        return await here.ledger.standings()


def _show(screen: Screen, found: Sequence[Standing]) -> None:
    columns = [
        Column(head="institution", whole=True),
        Column(head="state", whole=True),
        Column(head="since", whole=True),
        Column(head="refreshed", whole=True, right=True),
        Column(head="failed", whole=True, right=True),
        Column(head=""),
    ]
    screen.table(columns, (_row(each) for each in found))


def _row(each: Standing) -> list[Cell]:
    return [
        clean(each.institution),
        Text(each.state.value.replace("_", " "), _STYLES[each.state]),
        phrases.stamp(each.since),
        phrases.number(each.refreshed),
        phrases.number(each.failed),
        Text(STANDING_WORDS[each.state], "dim"),
    ]


def _as_json(each: Standing) -> dict[str, object]:
    return {
        "institution": each.institution,
        "state": each.state,
        "since": each.since,
        "proved_at": each.proved_at,
        "night": each.night,
        "refreshed": each.refreshed,
        "failed": each.failed,
        "blaming_users": each.blaming_users,
        "held": each.held,
        "probe": each.probe,
    }
