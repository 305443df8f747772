"""A ledger so slow that a permit is void before the work is in hand: what was decided is looked at again after the wait for another one."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import ParamSpec, TypeVar

import pytest

from refreshd.core.guard import Withdrawn
from refreshd.core.model import LoginId, Term
from refreshd.pacing import PERMIT_SECONDS
from refreshd.simulator import Rule
from refreshd.simulator.calls import Operation
from tests.support.virtual_world import DAY, Cast, VirtualWorld, play, until

pytestmark = pytest.mark.slow

NOON = datetime(2026, 1, 5, 16, tzinfo=UTC)

P = ParamSpec("P")
T = TypeVar("T")

Meanwhile = Callable[[VirtualWorld, LoginId], Awaitable[None]]


def _is_slow(world: VirtualWorld, meanwhile: Meanwhile) -> None:
    """Each mark takes longer than a permit lives; right after the first one, something happens."""
    mark, marked = world.ledger.mark_sent, list[LoginId]()

    async def slowly(login_id: LoginId, *args: object, **kwargs: object) -> Withdrawn | None:
        withdrawn = await mark(login_id, *args, **kwargs)  # type: ignore[arg-type]
        marked.append(login_id)
        if len(marked) == 1:
            await meanwhile(world, login_id)
        await asyncio.sleep(PERMIT_SECONDS + 0.1)
        return withdrawn

    world.ledger.mark_sent = slowly  # type: ignore[method-assign]


async def _come_back(world: VirtualWorld, login_id: LoginId) -> None:
    await world.come_back(*{link.client_id for link in world.company.links if link.login_id == str(login_id)})


async def _pause(world: VirtualWorld, _: LoginId) -> None:
    await world.ledger.pause_writes(by="ann@desk", reason="the list looks odd", now=world.clock.now())


async def _reject(world: VirtualWorld, _: LoginId) -> None:
    (plan,) = await world.ledger.plans()
    await world.ledger.reject_plan(plan.plan_id, by="ann@desk", reason="half an export", now=world.clock.now())


async def _throttle(world: VirtualWorld, _: LoginId) -> None:
    world.budget.throttled(timedelta(hours=1), asyncio.get_running_loop().time())


async def _nothing(_world: VirtualWorld, _login_id: LoginId) -> None:
    pass


async def _a_plan_waits(world: VirtualWorld) -> bool:
    return await world.count("SELECT count(*) FROM plan WHERE state = 'held'") == 1


async def _sent_in_ten_minutes(world: VirtualWorld, meanwhile: Meanwhile) -> int:
    _is_slow(world, meanwhile)
    async with world.leading() as leading:
        await until(lambda: _a_plan_waits(world))
        await world.approve_all()
        leading.engine.trigger()
        await asyncio.sleep(timedelta(minutes=10).total_seconds())
    world.rules_were_kept()
    return world.calls(Operation.SET_SCHEDULED_REFRESH)


def test_what_is_in_hand_while_flinks_wants_a_long_rest_is_let_go_of_and_sent_after_it(database_url: str) -> None:
    """A call that waited for its permit for the whole of the rest would be taken for one that is stuck, and the daemon for dead."""

    async def story(world: VirtualWorld) -> None:
        async with world.leading() as leading:
            await until(lambda: _a_plan_waits(world))

            _is_slow(world, _throttle)
            await world.approve_all()
            leading.engine.trigger()
            await asyncio.sleep(timedelta(minutes=4).total_seconds())
            events = "SELECT string_agg(event, ' ' ORDER BY event_id) FROM schedule_change WHERE intent_id IS NOT NULL"
            assert await world.sql.fetchval(events) == "intended sent failed"
            assert not leading.queue.busy
            await asyncio.sleep(timedelta(hours=1).total_seconds())
        world.rules_were_kept()
        assert world.calls(Operation.SET_SCHEDULED_REFRESH) == 1

    play(database_url, Cast(start=NOON, active=4, inactive=1), story)


def test_a_ledger_that_is_slow_at_every_look_delays_what_is_wanted_and_keeps_nothing(database_url: str) -> None:
    """A look makes void the permit that it comes after: one look, not one a permit."""

    async def story(world: VirtualWorld) -> None:
        look, active = world.ledger.look_again, world.ledger.is_active
        world.ledger.look_again = _slowed(look)  # type: ignore[method-assign]
        world.ledger.is_active = _slowed(active)  # type: ignore[method-assign]
        assert await _sent_in_ten_minutes(world, _nothing) == 1
        assert world.calls(Operation.AUTHORIZE) >= len(world.active)

    play(database_url, Cast(start=NOON, active=4, inactive=1), story)


def _slowed(ask: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[None, None, T]]:
    async def slowly(*args: P.args, **kwargs: P.kwargs) -> T:
        found = await ask(*args, **kwargs)
        await asyncio.sleep(PERMIT_SECONDS + 0.1)
        return found

    return slowly


@pytest.mark.parametrize(("meanwhile", "sent"), [(_nothing, 1), (_come_back, 0), (_pause, 0), (_reject, 0)])
def test_a_disable_that_was_marked_as_sent_waits_no_longer_than_it_is_wanted(
    database_url: str, meanwhile: Meanwhile, sent: int
) -> None:
    async def story(world: VirtualWorld) -> None:
        assert await _sent_in_ten_minutes(world, meanwhile) == sent

    play(database_url, Cast(start=NOON, active=4, inactive=1), story)


def test_a_live_authorize_that_a_long_rest_kept_from_leaving_is_made_after_it(database_url: str) -> None:
    marked = list[LoginId]()

    async def story(world: VirtualWorld) -> None:
        world.flinks.set_stuck(min(world.active))
        mark = world.ledger.mark_manual

        async def slowly(login_id: LoginId, *, now: datetime, term: Term) -> bool:
            allowed = await mark(login_id, now=now, term=term)
            if not marked:
                await _throttle(world, login_id)
                await asyncio.sleep(PERMIT_SECONDS + 0.1)
            marked.append(login_id)
            return allowed

        world.ledger.mark_manual = slowly  # type: ignore[method-assign]
        async with world.leading():
            await until(lambda: len(marked) == 1, within=4 * DAY)
            await asyncio.sleep(timedelta(minutes=2).total_seconds())
            assert not world.flinks.audit.breaches_by_rule[Rule.LIVE_AUTHORIZE]
            await until(lambda: len(marked) > 1)
            await asyncio.sleep(timedelta(hours=1).total_seconds())
        assert world.flinks.audit.breaches_by_rule[Rule.LIVE_AUTHORIZE] == 1
        assert len(marked) == 2, "nothing is sent twice"

    play(database_url, Cast(start=NOON, active=4, inactive=0, settings={"manual_refresh": "stale"}), story)
