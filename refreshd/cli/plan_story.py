"""`refreshd plan --show PLAN_ID`: one plan from its making to now, in whatever state it is."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from rich.text import Text

from refreshd import phrases, policies
from refreshd.cli.plans import show_plan, show_since_then
from refreshd.cli.screen import Cell, Column, Screen, clean
from refreshd.cli.session import Opened, opened, preview_policy
from refreshd.cli.shapes import decision_as_json, moved_as_json, plan_as_json, undo_as_json
from refreshd.cli.styles import VERDICT_STYLES
from refreshd.core import caps
from refreshd.core.canary import CanaryAnswers, said_of
from refreshd.core.errors import PlanUnknown
from refreshd.core.fate import DECIDED, Decision, Fate, Moved, fate_words, moved
from refreshd.core.model import LoginId
from refreshd.core.plan import HeldPlan, Weighed
from refreshd.core.undo import Undo, said_of_undo
from refreshd.preview import reason_beneath
from refreshd.reading import PlanMember
from refreshd.settings import Settings

SHOWN = 20
_MEMBERS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Story:
    plan: HeldPlan
    now_weighed: Weighed
    fates: Mapping[Fate, int]
    decisions: Sequence[Decision]
    canary: CanaryAnswers | None
    undo: Undo | None

    @property
    def moved(self) -> Sequence[Moved]:
        return moved(self.plan.weighed, self.now_weighed)


async def tell_plan(screen: Screen, settings: Settings, prefix: str, *, show_all: bool, as_json: bool) -> None:
    """One plan, also one that is closed. Raises PlanUnknown."""
    async with opened(settings) as here:
        story = await _read(here, prefix)
        if as_json:
            await _print_json(screen, here, story)
            return
        show_plan(screen, story.plan, here.now)
        show_since_then(screen, story.plan, story.fates)
        if story.canary is not None:
            screen.line(clean(phrases.sentence(said_of(story.canary))), indent=2)
        _show_decisions(screen, story.decisions)
        if story.undo is not None:
            screen.line(phrases.sentence(said_of_undo(story.undo)), indent=2)
        _show_moved(screen, story)
        await _show_members(screen, here, story, show_all=show_all)


async def _read(here: Opened, prefix: str) -> _Story:
    ledger = here.ledger
    plan_id = await ledger.find_plan(prefix, closed_too=True)
    plan = await ledger.plan(plan_id)
    if plan is None:
        raise PlanUnknown(f"plan {plan_id} is gone", hint="`refreshd plans --closed` lists what is known")
    totals, policy = await ledger.plan_totals(now=here.now), policies.guard_policy(here.settings)
    return _Story(
        plan=plan,
        now_weighed=caps.weighed(plan.change, totals, policy),
        fates=await ledger.plan_fates(plan_id),
        decisions=await ledger.plan_decisions(plan_id),
        canary=await ledger.canary_of(plan_id),
        undo=await ledger.undo_of(plan_id),
    )


def _show_decisions(screen: Screen, decisions: Sequence[Decision]) -> None:
    for each in decisions:
        said = f"{phrases.stamp(each.at)}  {DECIDED[each.decision]} by {clean(each.decided_by)}: {clean(each.reason)}"
        screen.line(said, indent=2)


def _show_moved(screen: Screen, story: _Story) -> None:
    screen.title("What the guard weighed")
    columns = [
        Column(head="", whole=True),
        Column(head="then", whole=True, right=True),
        Column(head="now", whole=True, right=True),
    ]
    screen.table(columns, _moved_rows(story))


def _moved_rows(story: _Story) -> Iterator[Sequence[Cell]]:
    for each in story.moved:
        yield each.name, _known(each.then), _known(each.now)
    then, now = story.plan.weighed, story.now_weighed
    yield "REFRESHD_MAX_DISABLE_FRACTION", f"{then.max_fraction:g}", f"{now.max_fraction:g}"
    yield "REFRESHD_MAX_DISABLE_COUNT", phrases.number(then.max_count), phrases.number(now.max_count)


def _known(count: int | None) -> str:
    return "never" if count is None else phrases.number(count)


async def _show_members(screen: Screen, here: Opened, story: _Story, *, show_all: bool) -> None:
    known = sum(story.fates.values())
    screen.title(phrases.counted(known, "login"))
    columns = [
        Column(head="login", whole=True),
        Column(head="now", whole=True),
        Column(head="because", whole=True),
        Column(head="what became of it"),
    ]
    policy = preview_policy(here.settings)
    shown = 0
    with screen.stream(columns) as stream:
        async for each in _members(here, story.plan, limit=None if show_all else SHOWN):
            verdict, evidence = each.login.verdict, each.login.evidence
            because = reason_beneath(evidence, policy, here.now)
            fate = fate_words(each.fate, story.plan.change)
            stream.add((str(evidence.login_id), Text(verdict, VERDICT_STYLES[verdict]), because, fate))
            shown += 1
    if not show_all and known > shown:
        screen.line(f"… and {phrases.number(known - shown)} more (--all)", indent=2, style="dim")


async def _members(here: Opened, plan: HeldPlan, *, limit: int | None) -> AsyncIterator[PlanMember]:
    after: LoginId | None = None
    while chunk := await here.ledger.plan_story(plan.plan_id, after=after, limit=limit or _MEMBERS_AT_ONCE):
        for each in chunk:
            yield each
        after = chunk[-1].login.evidence.login_id
        if limit is not None:
            return


async def _print_json(screen: Screen, here: Opened, story: _Story) -> None:
    head: dict[str, object] = {
        **plan_as_json(story.plan),
        "fates": dict(story.fates),
        "moved": [moved_as_json(each) for each in story.moved],
        "canary": story.canary and asdict(story.canary),
        "decisions": [decision_as_json(each) for each in story.decisions],
        "undo": story.undo and undo_as_json(story.undo),
    }
    policy = preview_policy(here.settings)
    with screen.json_array(key="members", beside=head) as members:
        async for each in _members(here, story.plan, limit=None):
            members.add(
                {
                    "login_id": each.login.evidence.login_id,
                    "fate": each.fate,
                    "verdict": each.login.verdict,
                    "reason": reason_beneath(each.login.evidence, policy, here.now),
                    "active": each.login.evidence.active,
                }
            )
