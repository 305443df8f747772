"""`refreshd plan`: what a pass would change at Flinks, and why. It reads, and writes nothing."""

from typing import Annotated

import typer
from rich.text import Text

from refreshd.cli import phrases
from refreshd.cli.options import AsJson, Config
from refreshd.cli.plans import plan_as_json, show_plan
from refreshd.cli.screen import Cell, Column, Screen, clean
from refreshd.cli.session import Opened, ledger_settings, opened, preview_policy
from refreshd.cli.start import run_async
from refreshd.core.model import Change
from refreshd.preview import Preview, Proposal, Proposed, preview, proposals
from refreshd.settings import Mode, Settings

SHOWN = 10
_ROOM_FOR_INSTITUTIONS = 100

All = Annotated[
    bool, typer.Option("--all", metavar="", help=f"List every login instead of the first {SHOWN} of each kind.")
]

_SIGNS = {Change.DISABLE: ("-", "red"), Change.ENABLE: ("+", "green")}

_REASONS = {
    "flag_on": "on at Flinks: billed",
    "not_confirmed_off": "not confirmed off",
    "flag_came_back": "was off, is on again",
    "refused": "the weekly try",
    "disabled_by_refreshd": "a client came back",
}
"""The reasons of a change, short enough for a table."""


def plan(*, show_all: All = False, config: Config = None, as_json: AsJson = False) -> None:
    """Show what would change at Flinks, and why; change nothing.

    Worked out at this moment from the ledger's evidence, by the rules that the daemon follows, the guard's among them. Nothing is sent,
    stored, or asked of Flinks.
    """
    run_async(_plan(Screen(), ledger_settings(config), show_all=show_all, as_json=as_json))


async def _plan(screen: Screen, settings: Settings, *, show_all: bool, as_json: bool) -> None:
    async with opened(settings) as here:
        with screen.waiting("reading the ledger"):
            found = await preview(here.ledger, preview_policy(settings), here.now, shown=SHOWN)
        if as_json:
            await _print_json(screen, here, found)
            return
        for proposed in found.proposed:
            if proposed.count:
                await _show_proposed(screen, here, proposed, show_all=show_all)
        for held in found.held:
            show_plan(screen, held, here.now)
        _show_sum(screen, settings, found)


async def _show_proposed(screen: Screen, here: Opened, proposed: Proposed, *, show_all: bool) -> None:
    change = proposed.change
    screen.title(f"{change.value.capitalize()} {phrases.counted(proposed.count, 'login')}")
    wide = screen.width is None or screen.width >= _ROOM_FOR_INSTITUTIONS
    with screen.stream(_columns(change, wide=wide)) as stream:
        if show_all:
            async for each in proposals(here.ledger, preview_policy(here.settings), here.now, change):
                stream.add(_row(here, each, wide=wide))
        else:
            for each in proposed.first:
                stream.add(_row(here, each, wide=wide))
    left_out = 0 if show_all else proposed.count - len(proposed.first)
    if left_out:
        screen.line(f"… and {phrases.number(left_out)} more (--all)", indent=2, style="dim")
    screen.line()
    _show_guard(screen, here.settings, proposed)


def _columns(change: Change, *, wide: bool) -> list[Column]:
    columns = [
        Column(head="", whole=True),
        Column(head="login", whole=True, style=_SIGNS[change][1]),
        Column(head="inactive for" if change is Change.DISABLE else "off for", whole=True, right=True),
        Column(head="because", whole=True),
    ]
    return [*columns, Column(head="institution")] if wide else columns


def _row(here: Opened, each: Proposal, *, wide: bool) -> list[Cell]:
    change, evidence = each.planned.change, each.evidence
    sign, style = _SIGNS[change]
    since = evidence.inactive_since if change is Change.DISABLE else evidence.confirmed_off_at
    row: list[Cell] = [
        Text(sign, style),
        str(evidence.login_id),
        phrases.span(here.now - since) if since else "",
        _REASONS.get(each.planned.reason, each.planned.reason),
    ]
    return [*row, clean(evidence.institution or "")] if wide else row


def _show_guard(screen: Screen, settings: Settings, proposed: Proposed) -> None:
    """What the guard makes of it: goes ahead, or waits for whom."""
    if settings.mode is Mode.OBSERVE:
        screen.line("REFRESHD_MODE is observe: refreshd would send nothing.", style="yellow")
    elif proposed.withheld is None:
        screen.line("The guard lets it through: the daemon's next pass sends it.", style="green")
    else:
        screen.line(Text.assemble(("Held by the guard: ", "bold yellow"), f"{proposed.withheld.sentence}."))
        screen.line(f"The daemon's next pass holds it as plan {proposed.plan_id}; nothing of it is sent before")
        screen.line(f"refreshd approve {proposed.plan_id}", indent=4, style="bold")


def _show_sum(screen: Screen, settings: Settings, found: Preview) -> None:
    screen.line()
    parts = []
    for each in found.proposed:
        if each.count:
            held = " (held)" if each.withheld is not None and settings.mode is not Mode.OBSERVE else ""
            parts.append(f"{phrases.number(each.count)} to {each.change}{held}")
    parts += [f"{phrases.number(count)} {change} under way" for change, count in found.under_way.items()]
    waiting = sum(each.remaining for each in found.held if each.plan_id not in found.approved)
    if waiting:
        parts.append(f"{phrases.number(waiting)} in held plans")
    if found.reassertions:
        parts.append(f"{phrases.counted(found.reassertions, 'old disable')} to send again")
    if found.resting:
        parts.append(f"{phrases.number(found.resting)} put off after trouble")
    said = phrases.listed(parts) if parts else "nothing to change"
    screen.line(Text.assemble(("Plan: ", "bold"), f"{said}, of {phrases.counted(found.logins, 'login')}."))
    screen.line("Nothing was written or sent.", style="dim")


async def _print_json(screen: Screen, here: Opened, found: Preview) -> None:
    """One object; its list of changes comes last, whole, as it is read."""
    head: dict[str, object] = {
        "planned_at": here.now,
        "mode": here.settings.mode,
        "logins": found.logins,
        "proposed": [_proposed_as_json(each) for each in found.proposed if each.count],
        "plans": [plan_as_json(each) for each in found.held],
        "under_way": dict(found.under_way),
        "reassertions": found.reassertions,
        "resting": found.resting,
    }
    with screen.json_array(key="changes", beside=head) as changes:
        for change in Change:
            async for each in proposals(here.ledger, preview_policy(here.settings), here.now, change):
                changes.add(_change_as_json(each))


def _proposed_as_json(proposed: Proposed) -> dict[str, object]:
    withheld = proposed.withheld
    return {
        "plan_id": proposed.plan_id,
        "change": proposed.change,
        "logins": proposed.count,
        "reasons": dict(proposed.reasons),
        "withheld": withheld
        and {"reason": withheld.reason, "sentence": withheld.sentence, "allowance": withheld.allowance},
    }


def _change_as_json(each: Proposal) -> dict[str, object]:
    return {
        "login_id": each.planned.login_id,
        "change": each.planned.change,
        "reason": each.planned.reason,
        "sentence": each.verdict.sentence,
        "institution": each.evidence.institution,
        "inactive_since": each.evidence.inactive_since,
    }
