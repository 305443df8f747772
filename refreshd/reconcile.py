"""One pass, written as the sentence of the design: read what changed, judge it, plan, guard, store the intents, record.

No loop and no sleep: the engine decides when a pass runs, and the pool carries the intents out. The pass sees Protocols only. Every
step leaves the tables true by themselves, so a crash between any two of them is healed by the next pass.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Protocol

import structlog

from refreshd.banks import BankLedger, Banks
from refreshd.core import canary, caps, guard, planner
from refreshd.core.canary import PlanUnderWay
from refreshd.core.caps import GuardPolicy, Withheld
from refreshd.core.guard import AdmittedPlan, GuardedPlan
from refreshd.core.judge import JudgePolicy, judge
from refreshd.core.model import Change, LoginId, PassId, Term
from refreshd.core.plan import PlanTotals
from refreshd.ports import Clock, Leadership, PassLedger, PassRecord
from refreshd.undoing import Undoings, UndoLedger

_log = structlog.get_logger(__name__)

JUDGED_AT_ONCE = 250
"""A chunk holds the event loop for some milliseconds, in which no scrape and no probe is answered; larger ones are no faster."""

PLANNED_AT_ONCE = 1_000
"""Rows in memory at a time; what is left over waits for the next pass, which follows at once."""

ACCEPT_AFTER = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class PassPolicy:
    """What the operator set. `observe`: judge and count, but intend nothing and hold nothing."""

    judge: JudgePolicy
    guard: GuardPolicy
    observe: bool


@dataclass(slots=True, kw_only=True)
class _Tally:
    judged: int = 0
    intended: int = 0
    held: int = 0
    more: bool = False
    withheld: list[Withheld] = field(default_factory=list)
    phase_seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            yield
        finally:
            self.phase_seconds[name] = self.phase_seconds.get(name, 0.0) + loop.time() - began


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pass:
    """Who acts, and when: read once at the start, and handed down."""

    pass_id: PassId
    term: Term
    now: datetime


class ReconcilerLedger(PassLedger, BankLedger, UndoLedger, Protocol):
    """What a pass needs, banks and undoing included."""


class Reconciler:
    """Runs passes, one at a time."""

    def __init__(self, ledger: ReconcilerLedger, leadership: Leadership, clock: Clock, policy: PassPolicy) -> None:
        self._ledger = ledger
        self._leadership = leadership
        self._clock = clock
        self._policy = policy
        self._banks = Banks(ledger)
        self._undoings = Undoings(ledger, policy.guard)
        self._kept_house_on: date | None = None

    async def run(self) -> PassRecord:
        """One pass. Raises LeaseLost or LedgerUnavailable; what was stored until then is true."""
        now, term = self._clock.now(), self._leadership.term
        this = _Pass(pass_id=await self._ledger.start_pass(now=now, term=term), term=term, now=now)
        with structlog.contextvars.bound_contextvars(pass_id=this.pass_id):
            record = await self._steps(this)
            _narrate(record)
        return record

    async def _steps(self, this: _Pass) -> PassRecord:
        tally = _Tally()
        await self._keep_house(this)
        await self._judge(this, tally)
        if not self._policy.observe:
            await self._change(this, tally)
        with tally.phase("record"):
            await self._ledger.close_empty_plans(now=this.now, term=this.term)
            record = self._record(this, tally)
            await self._ledger.finish_pass(record, term=this.term)
        return record

    async def _keep_house(self, this: _Pass) -> None:
        """Once a day: logins set right that no trigger saw change."""
        if self._kept_house_on == this.now.date():
            return
        while await self._ledger.settle_strays(now=this.now, limit=PLANNED_AT_ONCE, term=this.term) >= PLANNED_AT_ONCE:
            pass
        self._kept_house_on = this.now.date()

    def _record(self, this: _Pass, tally: _Tally) -> PassRecord:
        return PassRecord(
            pass_id=this.pass_id,
            started_at=this.now,
            finished_at=self._clock.now(),
            judged=tally.judged,
            intended=tally.intended,
            held=tally.held,
            more=tally.more,
            withheld=tuple(tally.withheld),
            phase_seconds=tally.phase_seconds,
            failure=None,
        )

    async def _judge(self, this: _Pass, tally: _Tally) -> None:
        """Judge all rows whose evidence changed or whose verdict ran out, a chunk at a time.

        What somebody has locked, or changes meanwhile, waits for the next pass, and nobody behind it does: who has met it draws
        what is free, to the end.
        """
        beside_locks = False
        with tally.phase("judge"):
            while due := await self._ledger.evidence_due(now=this.now, limit=JUDGED_AT_ONCE, beside_locks=beside_locks):
                # After the drawing: a report that is merged in between is seen here, and nobody is judged without it.
                if await self._banks.weigh_if_news(now=this.now, term=this.term):
                    continue
                verdicts = [judge(each, self._policy.judge, this.now) for each in due]
                stored = await self._ledger.store_verdicts(verdicts, now=this.now, term=this.term)
                tally.judged += stored
                if beside_locks and not stored:
                    break
                beside_locks = beside_locks or stored < len(due)

    async def _change(self, this: _Pass, tally: _Tally) -> None:
        held_before = tally.held
        await self._undo(this, tally)
        for change in Change:
            await self._weigh(this, change, tally)
            await self._carry_out(this, change, tally)
        await self._reassert(this, tally)
        if tally.held > held_before:
            await self._judge(this, tally)
        else:
            await self._ledger.accept_totals(now=this.now, if_before=this.now - ACCEPT_AFTER, term=this.term)

    async def _undo(self, this: _Pass, tally: _Tally) -> None:
        """What people asked to be undone becomes plans, before anything else takes of the day's enables."""
        with tally.phase("guard"):
            undone = await self._undoings.take_up(now=this.now, pass_id=this.pass_id, term=this.term)
        for each in undone:
            if each.withheld is not None:
                tally.held += each.enables
                tally.withheld.append(each.withheld)
        if undone:
            await self._judge(this, tally)

    async def _carry_out(self, this: _Pass, change: Change, tally: _Tally) -> None:
        """Of each plan that was approved or admitted, as many as its canaries allow; what they speak against is held."""
        for each in await self._ledger.plans_under_way(change, now=this.now):
            if each.canary is not None and each.canary.unexpected:
                await self._hold_back(this, change, each, tally)
                continue
            room = canary.may_follow(each.canary, PLANNED_AT_ONCE)
            members = await self._ledger.approved_candidates(change, now=this.now, limit=room, plan_id=each.plan_id)
            if members:
                await self._intend(this, guard.admit_under_way(planner.plan(members), change, each), tally)

    async def _hold_back(self, this: _Pass, change: Change, plan: PlanUnderWay, tally: _Tally) -> None:
        totals = await self._ledger.plan_totals(now=this.now)
        withheld = guard.hold_back(plan, change, totals, self._policy.guard)
        if withheld is not None:
            held = await self._ledger.hold_back(
                plan.plan_id, withheld, now=this.now, pass_id=this.pass_id, term=this.term
            )
            tally.held += held
            if held:
                tally.withheld.append(withheld)

    async def _weigh(self, this: _Pass, change: Change, tally: _Tally) -> None:
        """All that waits and no plan covers yet: held as a whole, admitted as a whole, or intended at once where it is little."""
        with tally.phase("guard"):
            totals = await self._ledger.plan_totals(now=this.now)
            withheld = caps.weigh(change, totals, self._policy.guard)
            if withheld:
                await self._hold(this, change, withheld, tally)
                return
            waiting = await self._ledger.candidates(change, now=this.now, after=None, limit=PLANNED_AT_ONCE)
            if canary.wants_canary(len(waiting)):
                await self._admit_whole(this, change, totals, tally)
                return
            admitted = guard.admit(planner.plan(waiting), change, totals, self._policy.guard)
        if waiting and isinstance(admitted, GuardedPlan):
            await self._intend(this, admitted, tally)

    async def _admit_whole(self, this: _Pass, change: Change, totals: PlanTotals, tally: _Tally) -> None:
        digest = await self._digest(change, this.now)
        admitted = guard.admit_whole(digest.plan_id(), digest.count, change, totals, self._policy.guard)
        if isinstance(admitted, AdmittedPlan):
            until = this.now + caps.WINDOW
            await self._ledger.admit(admitted, now=this.now, until=until, pass_id=this.pass_id, term=this.term)
            await self._judge(this, tally)

    async def _reassert(self, this: _Pass, tally: _Tally) -> None:
        before = this.now - self._policy.judge.reassert_after
        old = await self._ledger.reassertions(now=this.now, confirmed_before=before, limit=PLANNED_AT_ONCE)
        if old:
            await self._intend(this, guard.admit_reassertions(planner.plan(old)), tally)

    async def _intend(self, this: _Pass, plan: GuardedPlan, tally: _Tally) -> None:
        with tally.phase("apply"):
            stored = await self._ledger.intend(plan, now=this.now, pass_id=this.pass_id, term=this.term)
            tally.intended += stored
            # Where somebody else holds most of these, a pass that followed at once would find the same ones, and so would the one after it.
            tally.more = tally.more or 2 * stored >= PLANNED_AT_ONCE

    async def _hold(self, this: _Pass, change: Change, withheld: Withheld, tally: _Tally) -> None:
        """Withhold all that waits as one plan; who joined or left since the weighing is in it, or not, and its id says so."""
        held = await self._ledger.hold(change, withheld, now=this.now, pass_id=this.pass_id, term=this.term)
        if held is not None:
            tally.held += held.logins
            tally.withheld.append(withheld)

    async def _digest(self, change: Change, now: datetime) -> planner.PlanDigest:
        digest = planner.PlanDigest()
        after: LoginId | None = None
        while chunk := await self._ledger.candidates(change, now=now, after=after, limit=PLANNED_AT_ONCE):
            for each in chunk:
                digest.add(each.login_id, change)
            after = chunk[-1].login_id
        return digest


def _narrate(record: PassRecord) -> None:
    _log.info(
        "pass_finished",
        judged=record.judged,
        intended=record.intended,
        held=record.held,
        withheld=", ".join(each.reason.value for each in record.withheld) or None,
        more=record.more or None,
        seconds=round(sum(record.phase_seconds.values()), 3),
    )
