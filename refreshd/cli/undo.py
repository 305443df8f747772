"""`refreshd undo`: enable again what a plan disabled and an active client wants, by a plan of its own."""

from collections import Counter
from dataclasses import dataclass, field, replace

from rich.text import Text

from refreshd import phrases, policies
from refreshd.cli.decide import Reason, WhichPlan, given, operator
from refreshd.cli.options import AsJson, Config
from refreshd.cli.screen import Column, Screen
from refreshd.cli.session import Opened, ledger_settings, opened
from refreshd.cli.start import run_async
from refreshd.core import guard
from refreshd.core.errors import DependencyDown, HeldByGuard
from refreshd.core.fate import UNDOING_WORDS, Undoing
from refreshd.core.guard import WINDOW, AdmittedPlan, Withheld
from refreshd.core.model import Change, LoginId, PlanId, PlanState
from refreshd.core.plan import HeldPlan
from refreshd.core.planner import PlanDigest
from refreshd.settings import Settings

_AT_ONCE = 1_000
_NAMED = 20


def undo(*, plan_id: WhichPlan, reason: Reason, config: Config = None, as_json: AsJson = False) -> None:
    """Enable again what a plan disabled and an active client wants.

    That is a plan of its own: the guard weighs it by the caps, a large one begins with a canary, and beyond the caps it waits for
    refreshd approve (exit code 3). Logins without an active client are named and left off; set the client active first to have them
    back. What is left of the undone plan itself is rejected, so that nothing more of it is sent.
    """
    run_async(_undo(Screen(), ledger_settings(config), plan_id, given(reason), as_json=as_json))


@dataclass(slots=True, kw_only=True)
class _Found:
    """What the plan disabled, and what becomes of each."""

    digest: PlanDigest = field(default_factory=PlanDigest)
    counts: Counter[Undoing] = field(default_factory=Counter)
    left: list[tuple[LoginId, Undoing]] = field(default_factory=list)


async def _undo(screen: Screen, settings: Settings, prefix: str, reason: str, *, as_json: bool) -> None:
    async with opened(settings) as here:
        undone = await here.ledger.find_done(prefix)
        await _reject_rest(here, undone, reason)
        found = await _read(here, undone)
        plan = await _weighed(here, found) if found.digest.count else None
        if plan is not None and not await here.ledger.undo_plan(
            undone, plan, by=operator(), reason=reason, now=here.now, until=here.now + WINDOW
        ):
            raise DependencyDown("logins of that plan changed sides at this very moment", hint="say it once more")
    if as_json:
        screen.json(_as_json(undone, plan, found))
    else:
        _show(screen, undone, plan, found)
    if isinstance(plan, HeldPlan):
        raise HeldByGuard(
            f"the guard holds plan {plan.plan_id}: {plan.sentence}",
            hint=f'`refreshd approve {plan.plan_id} --reason "..."` lets it go',
        )


async def _reject_rest(here: Opened, undone: PlanId, reason: str) -> None:
    stored = await here.ledger.plan(undone)
    if stored is not None and stored.state in {PlanState.APPROVED, PlanState.ADMITTED} and stored.remaining:
        await here.ledger.reject_plan(undone, by=operator(), reason=f"undone: {reason}", now=here.now)


async def _read(here: Opened, undone: PlanId) -> _Found:
    found, after = _Found(), None
    while chunk := await here.ledger.disabled_by(undone, after=after, limit=_AT_ONCE):
        for login_id, outcome in chunk:
            found.counts[outcome] += 1
            if outcome is Undoing.ENABLED:
                found.digest.add(login_id, Change.ENABLE)
            else:
                found.left.append((login_id, outcome))
        after = chunk[-1][0]
    return found


async def _weighed(here: Opened, found: _Found) -> HeldPlan | AdmittedPlan:
    """By the guard, as every plan is: within the caps it goes, beyond them it waits for a person."""
    count, plan_id = found.digest.count, found.digest.plan_id()
    totals = replace(await here.ledger.plan_totals(now=here.now), enables_waiting=count)
    judged = guard.admit_whole(plan_id, count, Change.ENABLE, totals, policies.guard_policy(here.settings))
    if not isinstance(judged, Withheld):
        return judged
    return HeldPlan(
        plan_id=plan_id,
        change=Change.ENABLE,
        state=PlanState.HELD,
        held_at=here.now,
        reason=judged.reason,
        sentence=judged.sentence,
        logins=count,
        remaining=count,
        allowance=judged.allowance,
        weighed=judged.weighed,
    )


def _show(screen: Screen, undone: PlanId, plan: HeldPlan | AdmittedPlan | None, found: _Found) -> None:
    said = [f"{phrases.number(count)} {UNDOING_WORDS[each]}" for each, count in found.counts.items()]
    screen.line(Text.assemble(("Undo ", "bold"), f"of plan {undone}: {phrases.listed(said)}."))
    if plan is not None:
        screen.line(f"They are plan {plan.plan_id}; `refreshd plan --show {plan.plan_id}` tells how it goes.")
    columns = [Column(head="left as it is", whole=True), Column(head="because")]
    if found.left:
        rows = ((str(login_id), UNDOING_WORDS[outcome]) for login_id, outcome in found.left[:_NAMED])
        screen.table(columns, rows)
    if len(found.left) > _NAMED:
        screen.line(f"… and {phrases.number(len(found.left) - _NAMED)} more (--json)", indent=2, style="dim")


def _as_json(undone: PlanId, plan: HeldPlan | AdmittedPlan | None, found: _Found) -> dict[str, object]:
    state = PlanState.HELD if isinstance(plan, HeldPlan) else PlanState.ADMITTED
    return {
        "undoes": undone,
        "plan_id": plan and plan.plan_id,
        "state": plan and state,
        "logins": found.digest.count,
        "left": [{"login_id": login_id, "outcome": outcome} for login_id, outcome in found.left],
    }
