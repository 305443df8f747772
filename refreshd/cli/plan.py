"""`refreshd plan`: what a pass would change at Flinks, and why. It reads, and writes nothing."""

from collections.abc import AsyncIterator
from typing import Annotated

import typer
from rich.text import Text

from refreshd import phrases
from refreshd.cli.options import AsJson, Config
from refreshd.cli.plan_story import tell_plan
from refreshd.cli.plans import show_plan
from refreshd.cli.screen import Cell, Column, Screen, clean
from refreshd.cli.session import Opened, ledger_settings, opened, preview_policy
from refreshd.cli.shapes import plan_as_json
from refreshd.cli.start import run_async
from refreshd.core.model import Change, Evidence, LoginId, PlanState
from refreshd.core.plan import HeldPlan
from refreshd.preview import READ_AT_ONCE, Preview, Proposal, Proposed, preview, proposals, reason_beneath
from refreshd.settings import Mode, Settings

SHOWN = 10
MEMBERS_AT_ONCE = 1_000
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


Show = Annotated[
    str | None,
    typer.Option(
        metavar="PLAN_ID",
        help="Tell of one stored plan instead: its logins, what the guard weighed, who decided what, and what has changed since.",
    ),
]


def plan(*, show: Show = None, show_all: All = False, config: Config = None, as_json: AsJson = False) -> None:
    """Show what would change at Flinks, and why; change nothing.

    Worked out at this moment from the ledger's evidence, by the rules that the daemon follows, the guard's among them. Nothing is sent,
    stored, or asked of Flinks.
    """
    screen, settings = Screen(), ledger_settings(config)
    if show is None:
        run_async(_plan(screen, settings, show_all=show_all, as_json=as_json))
    else:
        run_async(tell_plan(screen, settings, show, show_all=show_all, as_json=as_json))


async def _plan(screen: Screen, settings: Settings, *, show_all: bool, as_json: bool) -> None:
    async with opened(settings) as here:
        found = await _read(screen, here)
        if as_json:
            await _print_json(screen, here, found)
            return
        for proposed in found.proposed:
            if proposed.count:
                await _show_proposed(screen, here, proposed, show_all=show_all)
        for held in found.held:
            show_plan(screen, held, here.now)
            await _show_members(screen, here, held, show_all=show_all)
        _show_sum(screen, settings, found)


async def _read(screen: Screen, here: Opened) -> Preview:
    """Read the ledger, with a bar for one that is large."""
    total = (await here.ledger.plan_totals(now=here.now)).logins
    with screen.progress_of_steps() as progress:
        task = progress.add_task("reading the ledger", total=total)
        return await preview(
            here.ledger,
            preview_policy(here.settings),
            here.now,
            shown=SHOWN,
            on_read=lambda count: progress.update(task, completed=count) if count % READ_AT_ONCE == 0 else None,
        )


async def _show_proposed(screen: Screen, here: Opened, proposed: Proposed, *, show_all: bool) -> None:
    change = proposed.change
    screen.title(f"{change.value.capitalize()} {phrases.counted(proposed.count, 'login')}")
    wide = _is_wide(screen)
    with screen.stream(_columns(change, wide=wide)) as stream:
        async for each in _listed(here, proposed, show_all=show_all):
            stream.add(_cells(here, change, each.evidence, each.planned.reason, wide=wide))
    if not show_all:
        _show_left_out(screen, proposed.count - len(proposed.first))
    screen.line()
    _show_guard(screen, here.settings, proposed)


async def _listed(here: Opened, proposed: Proposed, *, show_all: bool) -> AsyncIterator[Proposal]:
    if show_all:
        async for each in proposals(here.ledger, preview_policy(here.settings), here.now, proposed.change):
            yield each
    else:
        for each in proposed.first:
            yield each


async def _show_members(screen: Screen, here: Opened, held: HeldPlan, *, show_all: bool) -> None:
    """The logins that a held plan covers; a preview lists what would be lost."""
    wide = _is_wide(screen)
    after: LoginId | None = None
    limit = MEMBERS_AT_ONCE if show_all else SHOWN
    policy = preview_policy(here.settings)
    screen.line()
    with screen.stream(_columns(held.change, wide=wide)) as stream:
        while members := await here.ledger.plan_members(held.plan_id, after=after, limit=limit):
            for each in members:
                reason = reason_beneath(each.evidence, policy, here.now)
                stream.add(_cells(here, held.change, each.evidence, reason, wide=wide))
            after = members[-1].evidence.login_id
            if not show_all:
                break
    if not show_all:
        _show_left_out(screen, held.remaining - SHOWN)


def _show_left_out(screen: Screen, count: int) -> None:
    if count > 0:
        screen.line(f"… and {phrases.number(count)} more (--all)", indent=2, style="dim")


def _is_wide(screen: Screen) -> bool:
    return screen.width is None or screen.width >= _ROOM_FOR_INSTITUTIONS


def _columns(change: Change, *, wide: bool) -> list[Column]:
    columns = [
        Column(head="", whole=True),
        Column(head="login", whole=True, style=_SIGNS[change][1]),
        Column(head="inactive for" if change is Change.DISABLE else "off for", whole=True, right=True),
        Column(head="because", whole=True),
    ]
    return [*columns, Column(head="institution")] if wide else columns


def _cells(here: Opened, change: Change, evidence: Evidence, reason: str, *, wide: bool) -> list[Cell]:
    sign, style = _SIGNS[change]
    since = evidence.inactive_since if change is Change.DISABLE else evidence.confirmed_off_at
    row: list[Cell] = [
        Text(sign, style),
        str(evidence.login_id),
        phrases.span(here.now - since) if since else "",
        _REASONS.get(reason, reason),
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
        screen.line(f'refreshd approve {proposed.plan_id} --reason "..."', indent=4, style="bold")


def _show_sum(screen: Screen, settings: Settings, found: Preview) -> None:
    parts = _sum(found, observes=settings.mode is Mode.OBSERVE)
    said = phrases.listed(parts) if parts else "nothing to change"
    screen.line()
    screen.line(Text.assemble(("Plan: ", "bold"), f"{said}; {phrases.counted(found.logins, 'login')} in the ledger."))
    screen.line("Nothing was written or sent.", style="dim")


def _sum(found: Preview, *, observes: bool) -> list[str]:
    counts = [
        (each.count, f"to {each.change}{' (held)' if each.withheld is not None and not observes else ''}")
        for each in found.proposed
    ]
    counts.append((sum(found.approved.values()), "approved and still to be sent"))
    counts.append((sum(each.remaining for each in found.held if each.state is PlanState.HELD), "in held plans"))
    counts += [(count, f"{change} under way") for change, count in found.under_way.items()]
    counts.append((found.reassertions, "old disables to send again"))
    counts.append((found.resting, "put off after trouble"))
    return [f"{phrases.number(count)} {what}" for count, what in counts if count]


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
