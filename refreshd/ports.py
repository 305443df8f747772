"""Narrow Protocols, named by what the caller needs; the edges implement them, `daemon` alone names the concrete classes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from refreshd.core.canary import PlanUnderWay
from refreshd.core.caps import Withheld
from refreshd.core.effects import Effect
from refreshd.core.guard import AdmittedPlan, GuardedPlan, Withdrawn
from refreshd.core.model import (
    CallTrace,
    Change,
    Evidence,
    Lane,
    LoginId,
    PassId,
    Pause,
    PlanId,
    Report,
    Term,
    Verdict,
)
from refreshd.core.plan import HeldPlan, Intent, PlannedChange, PlanTotals
from refreshd.core.totals import Deadlines, LedgerTotals


class Clock(Protocol):
    """Dates. Durations come from loop time and never from here."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...


class Leadership(Protocol):
    """The lease as the caller sees it: looked at before every write and right before bytes leave."""

    @property
    def term(self) -> Term:
        """The term issued by the database for our lease.

        Raises LeaseLost when we do not (or cannot be sure to) lead.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PassRecord:
    """One pass. `more`: a chunk was full, so another pass should follow at once; `failure` None is a success."""

    pass_id: PassId
    started_at: datetime
    finished_at: datetime
    judged: int
    intended: int
    held: int
    more: bool = False
    withheld: tuple[Withheld, ...] = ()
    phase_seconds: Mapping[str, float] = field(default_factory=dict)
    failure: str | None = None


class PassLedger(Protocol):
    """What a pass needs of the ledger. Every write is fenced by the lease's term and raises LeaseLost when it has passed on."""

    async def start_pass(self, *, now: datetime, term: Term) -> PassId: ...

    async def finish_pass(self, record: PassRecord, *, term: Term) -> None: ...

    async def evidence_due(self, *, now: datetime, limit: int, beside_locks: bool = False) -> Sequence[Evidence]:
        """Rows that changed or whose verdict has run out by time alone, oldest first, by index; `beside_locks`: that nobody has locked."""
        ...

    async def store_verdicts(self, verdicts: Sequence[Verdict], *, now: datetime, term: Term) -> int:
        """`verdict_since` moves only when the verdict's name changes. Returns how many were stored; what is locked stays due."""
        ...

    async def plan_totals(self, *, now: datetime) -> PlanTotals: ...

    async def candidates(
        self, change: Change, *, now: datetime, after: LoginId | None, limit: int
    ) -> Sequence[PlannedChange]:
        """Logins that want this change and that no held plan and no open intent covers, by LoginId, from `after` on."""
        ...

    async def plans_under_way(self, change: Change, *, now: datetime) -> Sequence[PlanUnderWay]:
        """Approved and admitted plans whose time runs, the oldest first."""
        ...

    async def approved_candidates(
        self, change: Change, *, now: datetime, limit: int, plan_id: PlanId | None = None
    ) -> Sequence[PlannedChange]:
        """Likewise, of plans under way, or of one of them; each carries `approved_by`."""
        ...

    async def reassertions(self, *, now: datetime, confirmed_before: datetime, limit: int) -> Sequence[PlannedChange]:
        """Disabled logins whose last confirmation is older than `confirmed_before`, without an open intent."""
        ...

    async def intend(self, plan: GuardedPlan, *, now: datetime, pass_id: PassId, term: Term) -> int:
        """Store the intents of an admitted plan, before any call; rows that changed meanwhile are left out. Returns how many."""
        ...

    async def hold(
        self, change: Change, why: Withheld, *, now: datetime, pass_id: PassId, term: Term
    ) -> HeldPlan | None:
        """Cover every present candidate with a plan of exactly these, set-wise, and have them judged again. None where there is none."""
        ...

    async def admit(
        self, admitted: AdmittedPlan, *, now: datetime, until: datetime, pass_id: PassId, term: Term
    ) -> bool:
        """Cover every present candidate with the plan, until then. False, and nothing, where they are not those that were weighed."""
        ...

    async def hold_back(self, plan_id: PlanId, why: Withheld, *, now: datetime, pass_id: PassId, term: Term) -> int:
        """Hold the rest of a plan under way, and have it judged again. Returns how many logins that is."""
        ...

    async def close_empty_plans(self, *, now: datetime, term: Term) -> None:
        """Close plans that cover no login any more; the day of an admitted one may be over."""
        ...

    async def accept_totals(self, *, now: datetime, if_before: datetime, term: Term) -> None:
        """Remember the present totals as plausible, where they were last accepted before `if_before`.

        A ledger whose totals were never accepted stays so: only `refreshd approve` accepts the first ones.
        """
        ...

    async def totals(self, *, now: datetime) -> LedgerTotals: ...

    async def deadlines(self, *, now: datetime, routine_start: datetime, polling: bool) -> Deadlines:
        """`polling`: the integration polls, so that the clock of cached calls counts."""
        ...

    async def plans(self) -> Sequence[HeldPlan]:
        """Held, approved and rejected plans, the newest first."""
        ...

    async def pause(self) -> Pause | None:
        """The pause that an operator has ordered, None when vendor writes may go."""
        ...

    async def settle_strays(self, *, now: datetime, limit: int, term: Term) -> int:
        """Set right logins whose `active` disagrees with the application's tables; triggers do, so once a day is enough."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DueChange:
    """An open intent and the evidence as it is now, read in one statement."""

    intent: Intent
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class DueLogin:
    """A login whose cached (or allowed live) Authorize is due; `fetched_refresh_at` is the refresh already stored."""

    evidence: Evidence
    fetched_refresh_at: datetime | None


class WorkLedger(Protocol):
    """What the pool draws from. `busy` are logins in hand, which are not drawn again."""

    async def due_changes(
        self, *, now: datetime, reassert: bool, busy: Collection[LoginId], limit: int
    ) -> Sequence[DueChange]:
        """Open intents that may be tried now, oldest first; `reassert` chooses repeated disables or all others. None during a pause."""
        ...

    async def due_authorizes(
        self, lane: Lane, *, now: datetime, routine_start: datetime, busy: Collection[LoginId], limit: int
    ) -> Sequence[DueLogin]:
        """Active logins of a lane whose routine has not been done since `routine_start`, longest ago first."""
        ...

    async def due_manual(self, *, now: datetime, busy: Collection[LoginId], limit: int) -> Sequence[DueLogin]:
        """Stale logins outside the report that had no live Authorize since their last good refresh."""
        ...

    async def is_active(self, login_id: LoginId) -> bool:
        """Whether the login is active at this moment; asked right before an Authorize that was drawn earlier."""
        ...

    async def pause(self) -> Pause | None: ...

    async def release_refused(self, *, since: datetime, until: datetime, term: Term) -> int:
        """Forget refusals recorded since then, because the settings were to blame; those logins rest until `until`."""
        ...

    async def last_report_at(self) -> datetime | None:
        """When the newest good report was read; stored, so that a restart does not read it again."""
        ...

    async def mark_sent(
        self, login_id: LoginId, change: Change, *, now: datetime, pass_id: PassId | None, term: Term
    ) -> Withdrawn | None:
        """Record, right before the call, that the change is sent, if the guard lets it through once more; if not, why it may not be sent.

        Nobody can decide about this login between that look and the record. Raises WritesPaused, and stores nothing, while an operator
        has stopped all vendor writes.
        """
        ...

    async def look_again(self, login_id: LoginId, change: Change, *, now: datetime) -> Withdrawn | None:
        """What the guard says of a change that was marked already, whose call had to wait. Raises WritesPaused likewise."""
        ...

    async def withdraw(self, login_id: LoginId, *, reason: str, now: datetime, term: Term) -> None:
        """Close an intent that the second look refused, without a call."""
        ...

    async def mark_manual(self, login_id: LoginId, *, now: datetime, term: Term) -> bool:
        """Spend the one live Authorize of this stale episode, before the call. False: not allowed any more."""
        ...

    async def unmark_manual(self, login_id: LoginId, *, term: Term) -> None:
        """It never left: it is to be had again."""
        ...

    async def record(self, traces: Sequence[CallTrace], effects: Sequence[Effect], *, term: Term) -> None:
        """One commit group: traces and effects of finished conversations, all or nothing."""
        ...

    async def record_report(self, report: Report, *, term: Term) -> int:
        """Merge a good report set-wise: listings, flags, orphans. Returns the number of orphans."""
        ...


class CallObserver(Protocol):
    """Hears of every HTTP call once it is over; must not block and must not raise."""

    def __call__(self, trace: CallTrace) -> None: ...
