"""What Flinks refused on one day and tries on another is weighed with that other day's: no day sees more than the caps allow."""

from dataclasses import dataclass
from datetime import timedelta

import pytest

from refreshd.clock import ScaledClock
from refreshd.core.caps import ALWAYS_ALLOWED, GuardPolicy
from refreshd.core.effects import ChangeFailed, Confirmed, Refused
from refreshd.core.model import Change, Term
from refreshd.ledger import Ledger
from refreshd.postgres import Connection
from refreshd.reconcile import PassPolicy, Reconciler
from tests.support.builders import JUDGE
from tests.support.ledger import DAY, HOUR, NOW, link, login_id, set_active, set_writer_clock

FIRST = [login_id(number) for number in range(1, 1 + ALWAYS_ALLOWED)]
SECOND = [login_id(number) for number in range(11, 11 + ALWAYS_ALLOWED)]
WEEK = 7 * DAY
POLICY = PassPolicy(judge=JUDGE, guard=GuardPolicy(max_fraction=0.0, max_count=500), observe=False)


@dataclass(frozen=True)
class Leader:
    term: Term


@pytest.mark.parametrize(
    ("later", "held"),
    [(5 * DAY, 0), (6 * DAY + HOUR, ALWAYS_ALLOWED), (WEEK - HOUR, ALWAYS_ALLOWED), (WEEK + HOUR, ALWAYS_ALLOWED)],
)
async def test_who_leaves_on_the_day_on_which_a_refused_cohort_is_tried_again_is_weighed_with_it(
    ledger: Ledger, connection: Connection, term: Term, later: timedelta, held: int
) -> None:
    """For two weeks Flinks refuses every disable, and on that day it recovers."""
    await set_writer_clock(connection, NOW)
    await link(connection, "first", *FIRST)
    await link(connection, "second", *SECOND)
    await link(connection, "stay", *(login_id(number) for number in range(20, 40)))
    await connection.execute("UPDATE landmark SET accepted_at = $1, accepted_logins = 30, accepted_active = 30", NOW)

    assert await _leave(ledger, connection, term, "first", timedelta()) == (ALWAYS_ALLOWED, 0)
    await _refuse_all(ledger, term)
    assert await _leave(ledger, connection, term, "second", later) == (ALWAYS_ALLOWED - held, held)

    day_over = NOW + later + DAY
    due = await ledger.due_changes(now=day_over, reassert=False, busy=[], limit=100)
    confirmed = [
        Confirmed(login_id=each.evidence.login_id, change=Change.DISABLE, confirmed_at=day_over) for each in due
    ]
    assert len(confirmed) == ALWAYS_ALLOWED


async def _leave(ledger: Ledger, connection: Connection, term: Term, client: str, later: timedelta) -> tuple[int, int]:
    """How many logins are intended, and how many held, by the pass after the client has left."""
    await set_writer_clock(connection, NOW + later)
    await set_active(connection, client, active=False)
    clock = ScaledClock(start=NOW + later, factor=1.0)
    record = await Reconciler(ledger, Leader(term), clock, POLICY).run()
    return record.intended, record.held


async def _refuse_all(ledger: Ledger, term: Term) -> None:
    for each in FIRST:
        failed = ChangeFailed(
            login_id=each, change=Change.DISABLE, failed_at=NOW, error="", code=None, attempts=3, not_before=NOW + WEEK
        )
        refused = Refused(login_id=each, refused_at=NOW, code="INVALID_LOGIN", not_before=NOW + WEEK)
        await ledger.record([], [failed, refused], term=term)
