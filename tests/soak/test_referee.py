"""The referee of the campaigns can see: what is never broken in a campaign would be found if it were. Each rule meets what breaks it."""

from collections.abc import Iterable
from datetime import timedelta

import pytest

from refreshd.postgres import Connection
from refreshd.simulator.audit import CallSeen
from refreshd.simulator.calls import Operation
from tests.soak.company import TIGHT_RATES, hurried
from tests.support.announcements import unannounced
from tests.support.kills import RATE, Fate, campaign
from tests.support.ledger import NOW, link, login_id
from tests.support.process import launched_with
from tests.support.promises import HOLES

A, B = login_id(1), login_id(2)
UNENDED, UNANSWERED, UNANNOUNCED, *_ = HOLES

# A refreshd of which something is broken ------------------------------------------------------------------------------------------

_WITHOUT_PACE = """
import asyncio
from refreshd import pacing

async def at_once(self):
    return pacing.Permit(self, asyncio.get_running_loop().time())

pacing.Budget._next = at_once
pacing.Permit.is_fresh = property(lambda self: not self._is_spent)
"""
"""Every permit is there when it is asked for, and good for ever."""

_WITH_A_SHORT_MEMORY = """
import itertools
from refreshd.recorder import Recorder

heard, hear = itertools.count(), Recorder.__call__
Recorder.__call__ = lambda self, trace: hear(self, trace) if next(heard) < 10 else None
"""
"""The recorder keeps its first ten calls, and what they led to like all the rest."""

_LIVE = """
from refreshd.core import wire

ask = wire.authorize
wire.authorize = lambda login_id, *, live, token: ask(login_id, live=True, token=token)
"""
"""Every Authorize is a login at the bank."""

_ANNOUNCED_LATE = """
from datetime import timedelta
from refreshd.ledger import Ledger

mark = Ledger.mark_sent

async def mark_late(self, *args, now, **rest):
    return await mark(self, *args, now=now + timedelta(seconds=5), **rest)

Ledger.mark_sent = mark_late
"""
"""Changes are marked as sent five seconds after they were."""


async def _one_life(database_url: str, patch: str, *, rate: int = RATE, seconds: float = 4.0) -> None:
    async with campaign(database_url, seed=1, rate_per_minute=rate) as killing:
        killing.here.launch = launched_with(patch)
        await killing.one_life(Fate(after_seconds=seconds, leading=True))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("patch", "rate", "seconds", "told"),
    [
        pytest.param(_WITHOUT_PACE, TIGHT_RATES[0], 4.0, r"^\d+ calls in ", id="the budget"),
        pytest.param(_WITH_A_SHORT_MEMORY, RATE, 6.0, "this is not traced", id="the trace"),
        pytest.param(_LIVE, RATE, 3.0, "live_authorize", id="no live login"),
        pytest.param(_ANNOUNCED_LATE, RATE, 3.0, "not announced", id="announced before"),
    ],
)
async def test_a_refreshd_that_breaks_a_rule_of_the_campaign_is_found_out(
    database_url: str, patch: str, rate: int, seconds: float, told: str
) -> None:
    with hurried(), pytest.raises(AssertionError, match=told):
        await _one_life(database_url, patch, rate=rate, seconds=seconds)


async def _somebody_leaves_in_the_end(database_url: str) -> None:
    async with campaign(database_url, seed=1) as killing:
        await killing.here.once()
        await killing.company.leave(1)
        await killing.promises.are_kept_in_the_end()


@pytest.mark.slow
async def test_a_leak_that_is_left_in_the_end_is_told_with_all_that_the_ledger_has_of_it(database_url: str) -> None:
    with pytest.raises(AssertionError, match=r"^leaks: ") as told:
        await _somebody_leaves_in_the_end(database_url)
    for words in ('"active": false', '"plan": null', '"events": null', "authorize 200"):
        assert words in str(told.value)


# A ledger of which something is missing -------------------------------------------------------------------------------------------


async def _tell(connection: Connection, *events: tuple[str, int | None]) -> None:
    """Events of the first login, in this order, each of an intent."""
    await link(connection, "a", A, B, active=False)
    await connection.executemany(
        "INSERT INTO schedule_change (login_id, change, event, intent_id, at, reason) VALUES ($1, 'disable', $2, $3, $4, 'test')",
        [(A, event, intent_id, NOW) for event, intent_id in events],
    )


async def _found(connection: Connection) -> set[str]:
    return {hole for hole, query in HOLES.items() if await connection.fetchval(query)}


WHOLE = [("intended", 1), ("sent", 1), ("failed", 1), ("sent", 1), ("confirmed", 1)]
LATE = [("intended", 1), ("sent", 1), ("withdrawn", 1), ("confirmed", None)]
LOST = [("intended", 1), ("sent", 1)]
ANOTHER = [("intended", 2), ("sent", 2), ("confirmed", 2)]


@pytest.mark.parametrize(
    ("events", "holes"),
    [
        pytest.param([], set(), id="nothing"),
        pytest.param(WHOLE, set(), id="a whole one"),
        pytest.param([*WHOLE, *ANOTHER], set(), id="one after the other"),
        pytest.param(LATE, set(), id="an answer after the withdrawal"),
        pytest.param(LOST, {UNENDED, UNANSWERED}, id="lost"),
        pytest.param([*LOST, *ANOTHER], {UNENDED, UNANSWERED}, id="lost, and another one after it"),
        pytest.param([("intended", 1), *ANOTHER], {UNENDED}, id="lost before it was sent"),
        pytest.param([*LOST, ("failed", 1)], {UNENDED}, id="answered, and lost"),
        pytest.param([*WHOLE, ("withdrawn", 1)], {UNENDED}, id="ended twice"),
        pytest.param([("sent", 1), ("confirmed", 1)], {UNANNOUNCED}, id="never intended"),
    ],
)
async def test_an_intent_of_the_ledger_has_one_end_of_its_own(
    connection: Connection, events: list[tuple[str, int | None]], holes: set[str]
) -> None:
    await _tell(connection, *events)
    assert await _found(connection) == holes


@pytest.mark.parametrize(("events", "holes"), [(LOST, set()), (WHOLE, {UNENDED})], ids=["not ended", "ended"])
async def test_one_that_is_open_has_none(
    connection: Connection, events: list[tuple[str, int | None]], holes: set[str]
) -> None:
    await _tell(connection, *events)
    await connection.execute(
        """
        UPDATE login SET intent = 'disable', intent_id = 1, intent_reason = 'test', intent_plan_id = 'p', intended_at = $2
        WHERE login_id = $1
        """,
        A,
        NOW,
    )
    assert await _found(connection) == holes


def _calls(*seconds: float, operation: str = Operation.SET_SCHEDULED_REFRESH) -> Iterable[CallSeen]:
    return [
        CallSeen(number, operation, str(A), NOW + timedelta(seconds=each), each, 200, "", "")
        for number, each in enumerate(seconds)
    ]


@pytest.mark.parametrize(
    ("announced", "called", "missing"),
    [
        ([0, 10], [1, 11], []),
        ([0, 10, 20], [1, 21], []),
        ([0, 2], [1, 1.5], [1.5]),
        ([5], [1], [1]),
        ([], [1], [1]),
    ],
    ids=["each", "one that never left", "a second one before it was announced", "late", "never"],
)
def test_every_change_needs_an_announcement_of_its_own_before_it(
    announced: list[float], called: list[float], missing: list[float]
) -> None:
    said = [(str(A), NOW + timedelta(seconds=each)) for each in announced]
    assert [each.seconds for each in unannounced(_calls(*called), said)] == missing
    assert not unannounced(_calls(*called, operation=Operation.AUTHORIZE), ())
    assert unannounced(_calls(*called), [(str(B), at) for _, at in said]) == [*_calls(*called)]
