"""A disable whose answer nobody heard, and which may have arrived after the client was back and the login enabled again."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from refreshd.core.effects import ChangeFailed, Confirmed, Effect, Sighting
from refreshd.core.judge import judge
from refreshd.core.model import Change, Evidence, Flag, Term
from refreshd.ledger import Ledger
from refreshd.postgres import Connection
from tests.support.builders import JUDGE
from tests.support.ledger import DAY, HOUR, NOW, intend_all, link, login_id, set_active, take_lease

GONE = login_id(1)
SENT = NOW - 6 * HOUR
BACK = NOW - 5 * HOUR
OFF = Sighting(login_id=GONE, seen_at=NOW, flag=Flag.OFF, refreshed_at=NOW - 9 * HOUR, institution=None, code=None)
ON = replace(OFF, seen_at=NOW - DAY, flag=Flag.ON)
TIMED_OUT = ChangeFailed(
    login_id=GONE,
    change=Change.DISABLE,
    failed_at=SENT,
    error="no answer within 60 s",
    code=None,
    attempts=0,
    not_before=SENT,
)
REFUSED = replace(TIMED_OUT, error="Flinks says RETRY_LATER", code="RETRY_LATER", over=True)
THROTTLED = replace(TIMED_OUT, error="SetScheduledRefresh answered 429: too many requests", over=True)
NEVER_LEFT = replace(TIMED_OUT, error="not sent: no other permit came in time", over=True)
NO_TOKEN = replace(TIMED_OUT, error="GenerateAuthorizeToken answered 429: too many requests")
DISABLED = Confirmed(login_id=GONE, change=Change.DISABLE, confirmed_at=SENT + timedelta(minutes=1))
ENABLED = Confirmed(login_id=GONE, change=Change.ENABLE, confirmed_at=BACK + timedelta(minutes=1))


class Story:
    """The life of one login, told in the order in which it happens."""

    def __init__(self, ledger: Ledger, connection: Connection, term: Term) -> None:
        self._ledger = ledger
        self._connection = connection
        self._term = term

    async def takeover(self) -> None:
        self._term = await take_lease(self._connection)

    async def leave_and_send(self, at: datetime, *answers: Effect) -> None:
        """The client is away, and refreshd sends the disable; what it hears of it."""
        await set_active(self._connection, "ann", active=False)
        await self._send(Change.DISABLE, at)
        await self.hear(*answers)

    async def send_again(self, at: datetime, *answers: Effect) -> None:
        assert await self._ledger.mark_sent(GONE, Change.DISABLE, now=at, pass_id=None, term=self._term) is None
        await self.hear(*answers)

    async def come_back(self, at: datetime, *answers: Effect) -> None:
        """The client is back; where the login may be off, refreshd enables it."""
        await set_active(self._connection, "ann", active=True)
        if (await self._ledger.login(GONE)).intent is not None:  # type: ignore[union-attr]
            await self._ledger.withdraw(GONE, reason="active again", now=at, term=self._term)
        await self._send(Change.ENABLE, at)
        await self.hear(*answers)

    async def hear(self, *effects: Effect) -> None:
        for each in effects:
            await self._ledger.record([], [each], term=self._term)

    async def evidence(self) -> Evidence:
        found = await self._ledger.login(GONE)
        assert found is not None
        return found.evidence

    async def reason(self, now: datetime = NOW) -> str:
        await self._judge(now)
        return judge(await self.evidence(), JUDGE, now).reason

    async def to_be_enabled(self, now: datetime = NOW) -> Sequence[object]:
        await self._judge(now)
        return await self._ledger.candidates(Change.ENABLE, now=now, after=None, limit=10)

    async def _send(self, change: Change, at: datetime) -> None:
        await self._judge(at)
        assert await intend_all(self._ledger, self._term, change=change, now=at) == 1
        assert await self._ledger.mark_sent(GONE, change, now=at, pass_id=None, term=self._term) is None

    async def _judge(self, now: datetime) -> None:
        due = await self._ledger.evidence_due(now=now, limit=10)
        await self._ledger.store_verdicts([judge(each, JUDGE, now) for each in due], now=now, term=self._term)


@pytest.fixture
async def story(ledger: Ledger, connection: Connection, term: Term) -> Story:
    """One login, on when it was last seen."""
    await link(connection, "ann", GONE)
    told = Story(ledger, connection, term)
    await told.hear(ON)
    return told


async def test_a_frozen_leaders_disable_that_arrives_after_the_enable_is_enabled_again(story: Story) -> None:
    await story.leave_and_send(SENT)
    await story.takeover()
    await story.come_back(BACK, ENABLED)

    await story.hear(OFF)

    assert await story.reason() == "disabled_by_refreshd"
    assert len(await story.to_be_enabled()) == 1


async def test_a_disable_that_timed_out_and_took_effect_later_is_enabled_again(story: Story) -> None:
    await story.leave_and_send(SENT, TIMED_OUT)
    await story.come_back(BACK, ENABLED)

    await story.hear(OFF)

    assert await story.reason() == "disabled_by_refreshd"


async def test_one_that_was_seen_on_before_the_disable_arrived_is_enabled_again(story: Story) -> None:
    await story.leave_and_send(SENT, TIMED_OUT)
    await story.come_back(BACK)
    await story.hear(replace(ON, seen_at=NOW - HOUR))
    assert await story.reason() != "disabled_by_refreshd"

    await story.hear(OFF)

    assert await story.reason() == "disabled_by_refreshd"


async def test_the_first_of_two_disables_may_come_late_though_the_second_was_answered(story: Story) -> None:
    await story.leave_and_send(SENT)
    await story.takeover()
    await story.send_again(SENT + timedelta(seconds=30), DISABLED)
    await story.come_back(BACK, ENABLED)

    await story.hear(OFF)

    assert await story.reason() == "disabled_by_refreshd"


async def test_it_stays_ours_for_as_long_as_it_is_off(story: Story) -> None:
    await story.leave_and_send(SENT, TIMED_OUT)
    await story.come_back(BACK, ENABLED)
    await story.hear(OFF)

    late = NOW + 30 * DAY
    await story.hear(replace(OFF, seen_at=late))

    assert await story.reason(late) == "disabled_by_refreshd"


async def test_once_it_is_on_again_nothing_is_left_of_the_doubt(story: Story) -> None:
    await story.leave_and_send(SENT, TIMED_OUT)
    await story.come_back(BACK, ENABLED)
    await story.hear(OFF)

    await story.hear(replace(ON, seen_at=NOW + HOUR))

    assert (await story.evidence()).maybe_off_since is None


async def test_a_token_that_could_not_be_had_is_no_answer_to_the_disable_before_it(story: Story) -> None:
    await story.leave_and_send(SENT)
    await story.takeover()
    await story.hear(NO_TOKEN)
    await story.send_again(SENT + timedelta(seconds=30), DISABLED)
    await story.come_back(BACK, ENABLED)

    await story.hear(OFF)

    assert await story.reason() == "disabled_by_refreshd"


@pytest.mark.parametrize("first", [TIMED_OUT, None], ids=["timed out", "killed"])
async def test_of_two_tries_the_one_that_was_not_answered_may_come_late(story: Story, first: Effect | None) -> None:
    await story.leave_and_send(SENT, *([first] if first else []))
    await story.send_again(SENT + timedelta(seconds=30), THROTTLED)
    await story.send_again(SENT + timedelta(seconds=60), DISABLED)
    await story.come_back(BACK, ENABLED)

    await story.hear(OFF)

    assert await story.reason() == "disabled_by_refreshd"


@pytest.mark.parametrize(
    "answers",
    [
        (DISABLED,),
        (REFUSED, DISABLED),
        (THROTTLED, DISABLED),
        (NEVER_LEFT, DISABLED),
        (THROTTLED, NEVER_LEFT, DISABLED),
    ],
    ids=["done", "not now", "too many requests", "it never left", "both"],
)
async def test_somebody_elses_switch_is_left_alone_where_each_disable_was_answered_or_never_left(
    story: Story, answers: Sequence[Effect]
) -> None:
    first, *rest = answers
    await story.leave_and_send(SENT, first)
    for each in rest:
        await story.send_again(SENT + timedelta(seconds=30), each)
    await story.come_back(BACK, ENABLED)

    await story.hear(OFF)

    assert await story.reason() == "off_at_flinks"
    assert not await story.to_be_enabled()


async def test_somebody_elses_switch_is_left_alone_a_week_after_a_disable_that_was_not_answered(story: Story) -> None:
    await story.leave_and_send(SENT, TIMED_OUT)
    await story.come_back(BACK, ENABLED)
    later = SENT + timedelta(days=7, minutes=1)

    await story.hear(replace(OFF, seen_at=later))

    assert await story.reason(later) == "off_at_flinks"


async def test_an_enable_that_was_not_answered_never_makes_somebody_elses_switch_ours(story: Story) -> None:
    await story.leave_and_send(SENT, DISABLED)
    await story.come_back(BACK, replace(TIMED_OUT, change=Change.ENABLE, failed_at=BACK, not_before=BACK))
    await story.hear(replace(ON, seen_at=NOW - HOUR))

    await story.hear(OFF)

    assert await story.reason() == "off_at_flinks"
