"""What people read of the ledger, for pages and commands: the port, and the records that it hands out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from refreshd.core.canary import CanaryAnswers
from refreshd.core.fate import Decision, Fate
from refreshd.core.model import (
    CallTrace,
    Change,
    Disposition,
    Evidence,
    Lane,
    LoginId,
    PassId,
    Pause,
    PlanId,
    Term,
    VerdictName,
)
from refreshd.core.plan import HeldPlan, Intent
from refreshd.core.undo import Undo


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLogin:
    """A login as the ledger has it: the evidence, the verdict that was stored for it, and what is intended.

    `verdict_until` None: judged again only on new evidence. `routine_at` None: no routine yet.
    """

    evidence: Evidence
    verdict: VerdictName
    reason: str
    verdict_since: datetime
    verdict_until: datetime | None
    stale: bool
    error_code: str | None
    disposition: Disposition | None
    lane: Lane | None
    routine_at: datetime | None
    intent: Intent | None

    @property
    def code(self) -> str | None:
        """The vendor's code behind the verdict: that of the last refresh or, where Flinks refuses the login, of the refusal."""
        refusal = self.evidence.refusal
        return self.error_code if refusal is None else refusal.code


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanMember:
    """A login that a plan ever covered, as it is now, and what became of it."""

    login: StoredLogin
    fate: Fate


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedClient:
    """A client of a login, as the application has written it."""

    client_id: str
    active: bool
    scheduled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleEvent:
    """One event in the life of a disable or enable."""

    login_id: LoginId
    change: Change
    event: str
    intent_id: int | None
    at: datetime
    reason: str
    plan_id: PlanId | None
    pass_id: PassId | None
    code: str | None
    detail: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPass:
    """One pass as `reconcile_pass` keeps it; `finished_at` None: it runs, or was cut off."""

    pass_id: PassId
    started_at: datetime
    finished_at: datetime | None
    judged: int
    intended: int
    held: int
    failure: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphan:
    """A login that Flinks reports and the ledger does not know."""

    login_id: LoginId
    first_reported_at: datetime
    reported_at: datetime
    attempted_at: datetime | None
    state: str | None
    code: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Leader:
    """Who holds (`held`) or last held the lease, by the database's clock."""

    holder: str
    term: Term
    acquired_at: datetime
    expires_at: datetime
    held: bool


class ReadingLedger(Protocol):
    """What people ask of the ledger."""

    async def login(self, login_id: LoginId) -> StoredLogin | None: ...

    async def logins(self, verdict: VerdictName | None, *, after: LoginId | None, limit: int) -> Sequence[StoredLogin]:
        """The next ones by LoginId, from `after` on; empty at the end."""
        ...

    async def plan_members(self, plan_id: PlanId, *, after: LoginId | None, limit: int) -> Sequence[StoredLogin]: ...

    async def plan(self, plan_id: PlanId) -> HeldPlan | None: ...

    async def plan_fates(self, plan_id: PlanId) -> Mapping[Fate, int]:
        """What became of all that the plan ever covered or intended, counted."""
        ...

    async def plan_story(self, plan_id: PlanId, *, after: LoginId | None, limit: int) -> Sequence[PlanMember]:
        """The next of all that the plan ever covered or intended and the ledger still knows, by LoginId."""
        ...

    async def plan_decisions(self, plan_id: PlanId) -> Sequence[Decision]: ...

    async def canary_of(self, plan_id: PlanId) -> CanaryAnswers | None:
        """How the plan's canary goes; None for a plan that has none."""
        ...

    async def undo_of(self, undone: PlanId) -> Undo | None:
        """The newest undoing of a plan; None where nobody wanted one."""
        ...

    async def clients_of(self, login_id: LoginId) -> Sequence[LinkedClient]: ...

    async def calls_of(self, login_id: LoginId, *, limit: int) -> Sequence[CallTrace]:
        """The newest first."""
        ...

    async def changes_of(self, login_id: LoginId, *, limit: int) -> Sequence[ScheduleEvent]:
        """The newest first."""
        ...

    async def plans(self, *, closed: int = 0) -> Sequence[HeldPlan]:
        """Held, approved, admitted and rejected plans, and so many closed ones; the newest first."""
        ...

    async def pause(self) -> Pause | None: ...

    async def passes(self, *, limit: int) -> Sequence[StoredPass]:
        """The newest first."""
        ...

    async def orphans(self, *, limit: int) -> Sequence[Orphan]: ...

    async def calls_since(self, since: datetime) -> int:
        """How many HTTP calls the trace has after this moment."""
        ...

    async def routine_due(self, routine_start: datetime) -> Mapping[Lane, int]:
        """How many active logins of each lane still wait for the routine that began then."""
        ...

    async def rate_in_force(self) -> int | None:
        """What Flinks lets the leader call in any 60 seconds, where it asked for fewer than the setting allows."""
        ...

    async def source_read_at(self) -> datetime | None:
        """When the source query was last merged; stored, so that a restart does not read it again."""
        ...

    async def leader(self) -> Leader | None: ...
