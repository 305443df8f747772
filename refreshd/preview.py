"""What the next pass would change, worked out with the core's own functions from the stored evidence. Writes nothing.

The ledger is read by LoginId in chunks, so a plan of millions needs no memory: kept are counts, the plan's id, and the first few changes.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from refreshd.core import caps, planner
from refreshd.core.caps import GuardPolicy, Withheld
from refreshd.core.evidence import approval_runs
from refreshd.core.judge import JudgePolicy, judge
from refreshd.core.model import Change, Evidence, LoginId, PlanId, Verdict, VerdictName
from refreshd.core.plan import ChangeReason, HeldPlan, PlannedChange, PlanTotals
from refreshd.reading import StoredLogin

READ_AT_ONCE = 1_000


class PreviewLedger(Protocol):
    """What a preview reads."""

    async def logins(
        self, verdict: VerdictName | None, *, after: LoginId | None, limit: int
    ) -> Sequence[StoredLogin]: ...

    async def plan_totals(self, *, now: datetime) -> PlanTotals: ...

    async def plans(self, *, closed: int = 0) -> Sequence[HeldPlan]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One change that a pass would want, with what speaks for it."""

    planned: PlannedChange
    evidence: Evidence
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """All changes of one kind that no plan covers yet; `withheld` None: the guard lets them through."""

    change: Change
    plan_id: PlanId
    count: int
    reasons: Mapping[str, int]
    first: Sequence[Proposal]
    withheld: Withheld | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a pass would find now. `under_way` are intents that Flinks has not confirmed yet, `resting` changes put off after trouble."""

    logins: int
    proposed: tuple[Proposed, ...]
    approved: Mapping[PlanId, int]
    held: Sequence[HeldPlan]
    reassertions: int
    under_way: Mapping[Change, int]
    resting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewPolicy:
    """What the operator set, as far as plans depend on it."""

    judge: JudgePolicy
    guard: GuardPolicy


async def preview(
    ledger: PreviewLedger,
    policy: PreviewPolicy,
    now: datetime,
    *,
    shown: int,
    on_read: Callable[[int], None] = lambda _: None,
) -> Preview:
    """Read the whole ledger once; `shown` changes of each kind are kept. `on_read` hears, login by login, how many were read."""
    tally = _Tally(shown=shown)
    async for login in _all_logins(ledger):
        tally.add(login, policy, now)
        on_read(tally.logins)
    totals = replace(
        await ledger.plan_totals(now=now),
        disables_waiting=tally.digests[Change.DISABLE].count,
        enables_waiting=tally.digests[Change.ENABLE].count,
    )
    return Preview(
        logins=tally.logins,
        proposed=tuple(tally.proposed(change, caps.weigh(change, totals, policy.guard)) for change in Change),
        approved=tally.approved,
        held=await ledger.plans(),
        reassertions=tally.reassertions,
        under_way=tally.under_way,
        resting=tally.resting,
    )


async def proposals(
    ledger: PreviewLedger, policy: PreviewPolicy, now: datetime, change: Change
) -> AsyncIterator[Proposal]:
    """Every change of one kind, as the ledger is read; for a list that may be long."""
    async for login in _all_logins(ledger):
        found = _propose(login, policy, now)
        if found is not None and found.planned.change is change and _is_new(found, now):
            yield found


def reason_beneath(evidence: Evidence, policy: PreviewPolicy, now: datetime) -> str:
    """Why a login would be changed, were no plan holding it."""
    return judge(replace(evidence, hold=None), policy.judge, now).reason


async def _all_logins(ledger: PreviewLedger) -> AsyncIterator[StoredLogin]:
    after: LoginId | None = None
    while chunk := await ledger.logins(None, after=after, limit=READ_AT_ONCE):
        for login in chunk:
            yield login
        after = chunk[-1].evidence.login_id


def _propose(login: StoredLogin, policy: PreviewPolicy, now: datetime) -> Proposal | None:
    """The change that the login's evidence calls for at this moment, none where one is under way."""
    if login.intent is not None:
        return None
    verdict = judge(login.evidence, policy.judge, now)
    planned = planner.wanted(login.evidence, verdict, now, policy.judge.reassert_after)
    return None if planned is None else Proposal(planned=planned, evidence=login.evidence, verdict=verdict)


def _is_new(found: Proposal, now: datetime) -> bool:
    """Whether the guard has still to weigh it: no plan covers it, it repeats nothing, and it need not rest."""
    return found.evidence.hold is None and found.planned.reason != ChangeReason.REASSERT and not _must_rest(found, now)


def _must_rest(found: Proposal, now: datetime) -> bool:
    not_before = found.evidence.not_before
    return not_before is not None and now < not_before


@dataclass(slots=True, kw_only=True)
class _Tally:
    shown: int
    logins: int = 0
    digests: dict[Change, planner.PlanDigest] = field(
        default_factory=lambda: {change: planner.PlanDigest() for change in Change}
    )
    reasons: dict[Change, Counter[str]] = field(default_factory=lambda: {change: Counter() for change in Change})
    first: dict[Change, list[Proposal]] = field(default_factory=lambda: {change: [] for change in Change})
    approved: Counter[PlanId] = field(default_factory=Counter)
    under_way: Counter[Change] = field(default_factory=Counter)
    reassertions: int = 0
    resting: int = 0

    def add(self, login: StoredLogin, policy: PreviewPolicy, now: datetime) -> None:
        self.logins += 1
        if login.intent is not None:
            self.under_way[login.intent.change] += 1
            return
        found = _propose(login, policy, now)
        if found is not None:
            self._sort_in(found, now)

    def _sort_in(self, found: Proposal, now: datetime) -> None:
        hold = found.evidence.hold
        if _must_rest(found, now):
            self.resting += 1
        elif found.planned.reason == ChangeReason.REASSERT:
            self.reassertions += 1
        elif hold is None:
            self._propose(found)
        elif approval_runs(found.evidence, now):
            self.approved[hold.plan_id] += 1

    def _propose(self, found: Proposal) -> None:
        change = found.planned.change
        self.digests[change].add(found.planned.login_id, change)
        self.reasons[change][found.planned.reason] += 1
        if len(self.first[change]) < self.shown:
            self.first[change].append(found)

    def proposed(self, change: Change, withheld: Withheld | None) -> Proposed:
        return Proposed(
            change=change,
            plan_id=self.digests[change].plan_id(),
            count=self.digests[change].count,
            reasons=self.reasons[change],
            first=self.first[change],
            withheld=withheld,
        )
