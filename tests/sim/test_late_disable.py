"""Bytes of a disable that come late: after its client was back, and the login was enabled again."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from refreshd.simulator.calls import Operation
from tests.support.in_process import Door
from tests.support.virtual_world import DAY, Cast, VirtualWorld, play, until

pytestmark = pytest.mark.slow

NOON = datetime(2026, 1, 5, 16, tzinfo=UTC)

Answer = tuple[int, Mapping[str, str], bytes]


class LateWay:
    """Keeps the first schedule change that comes along, and delivers it when it is told to; its sender hears nothing."""

    def __init__(self) -> None:
        self.door: Door | None = None
        self._kept: tuple[str, str, Mapping[str, str], bytes | None] | None = None

    def through(self, door: Door) -> "LateWay":
        self.door = door
        return self

    async def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        if self._kept is None and path.endswith("SetScheduledRefresh"):
            self._kept = (method, path, headers, body)
            await asyncio.sleep(timedelta(hours=1).total_seconds())
            raise ConnectionResetError
        assert self.door is not None
        return await self.door.send(method, path, headers, body)

    @property
    def kept(self) -> bool:
        return self._kept is not None

    async def deliver(self) -> None:
        assert self.door is not None
        assert self._kept is not None
        status, *_ = await self.door.send(*self._kept)
        assert status == 200


@pytest.mark.parametrize(
    "second_try", [True, False], ids=["after a second one was answered", "and nothing else was sent"]
)
def test_a_disable_that_arrives_when_its_client_is_back_is_undone_by_itself(
    database_url: str, *, second_try: bool
) -> None:
    way = LateWay()

    async def story(world: VirtualWorld) -> None:
        world.way = way.through
        async with world.leading() as leading:
            await asyncio.sleep(timedelta(hours=1).total_seconds())
            (client,) = world.company.sole_clients(1)
            (login_id,) = world.company.logins_of([client])
            await world.leave(client)
            leading.engine.trigger()
            await asyncio.sleep(10)
            assert await world.approve_all() == 1
            leading.engine.trigger()
            await until(lambda: way.kept)
            if second_try:
                await until(lambda: login_id not in world.switched_on())
            await world.come_back(client)
            leading.engine.trigger()
            await until(
                lambda: login_id in world.switched_on() and world.calls(Operation.SET_SCHEDULED_REFRESH) > second_try
            )
            await asyncio.sleep(timedelta(hours=1).total_seconds())

            await way.deliver()
            assert login_id not in world.switched_on()
            await asyncio.sleep((DAY + timedelta(hours=2)).total_seconds())
            assert login_id in world.switched_on()
            await asyncio.sleep(DAY.total_seconds())

        assert login_id in world.switched_on()
        assert (await world.verdicts())[login_id] == "fresh"

    play(database_url, Cast(start=NOON, active=8, inactive=0), story)
