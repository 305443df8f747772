"""What happens when: an ordinary life underneath, and one trouble after the other on top of it.

| day       | trouble                                                                                              |
|-----------|------------------------------------------------------------------------------------------------------|
| Mon 5     | the first plan is held, and approved an hour later                                                    |
| Tue 6 on  | every night some logins at Prairie Savings are silently passed over                                   |
| Wed 7, 8  | Caisse du Fleuve is down for two nights                                                               |
| Fri 9     | Flinks throttles for three hours of the routine                                                       |
| Mon 12    | a portfolio is sold: more clients leave at once than the caps let go; approved the next morning       |
| Tue 13    | Ironwood Trust changes its login: a wave of users must connect again                                  |
| Wed 14    | Flinks refuses a key for five hours                                                                   |
| Thu 15    | a release: the standby is restarted first, then the leader                                            |
| Fri 16    | the database is away for fifty minutes in the evening                                                 |
| Sat 17    | one copy dies again and again; the database is slow until Sunday; an error code appears that nobody knows |
| Mon 19    | an import has lost a third of the clients: held, and nobody has looked yet when the fortnight ends     |
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from functools import partial

from tests.fortnight.town import START, Town

Scene = Callable[[Town], Awaitable[None]]
DAY = timedelta(days=1)
OLD_RELEASE, NEW_RELEASE = "0.1.0", "0.1.1"


async def play(town: Town, group: asyncio.TaskGroup, until: datetime) -> None:
    """Let the fortnight happen, from its start to this moment; the copies live in the group."""
    for copy in town.copies:
        copy.begin(OLD_RELEASE, group)
        await asyncio.sleep(1)
    told = sorted((*_ordinary_days(), *_stuck_nights(), *_troubles(), *_restarts(group)), key=lambda each: each[0])
    for moment, scene in told:
        if moment < until:
            await town.until(moment)
            await scene(town)
    await town.until(until)


def _when(day: int, hour: float) -> datetime:
    """Hours of UTC on a day of the story; 0 is the first Monday."""
    return START.replace(hour=0) + day * DAY + timedelta(hours=hour)


# Ordinary life -----------------------------------------------------------------------------------------------------------------------


def _ordinary_days() -> Iterator[tuple[datetime, Scene]]:
    """On weekdays clients join and leave; every day some users connect their bank again, and one in three days somebody returns."""
    for day in range(14):
        weekend = day % 7 >= 5
        yield _when(day, 14.2), partial(Town.join, count=2 if weekend else 6)
        yield _when(day, 18.6), partial(_some_leave, most=1 if weekend else 4)
        yield _when(day, 21.1), partial(Town.some_connect_again, count=6 if weekend else 14)
        if day % 3 == 2:
            yield _when(day, 15.4), _one_returns


async def _some_leave(town: Town, most: int) -> None:
    await town.leave(town.active_clients(town.chance.randint(1, most)))


async def _one_returns(town: Town) -> None:
    gone = sorted({link.client_id for link in town.company.links if link.login_id in town.company.inactive_logins()})
    await town.come_back([town.chance.choice(gone)])


# Troubles ----------------------------------------------------------------------------------------------------------------------------


def _stuck_nights() -> Iterator[tuple[datetime, Scene]]:
    """Silent staleness grows, and on the second Friday somebody at the vendor notices."""
    for day in range(1, 14):
        yield _when(day, 3.5), partial(_get_stuck, count=5)
    yield _when(11, 3.6), _half_come_loose


async def _get_stuck(town: Town, count: int) -> None:
    loose = [each for each in town.active_at("Prairie Savings") if not town.flinks.login(each).stuck]
    for login_id in town.chance.sample(loose, k=min(count, len(loose))):
        town.flinks.set_stuck(login_id)


async def _half_come_loose(town: Town) -> None:
    stuck = [each for each in town.active_at("Prairie Savings") if town.flinks.login(each).stuck]
    for login_id in stuck[::2]:
        town.flinks.set_stuck(login_id, stuck=False)


def _troubles() -> Iterator[tuple[datetime, Scene]]:
    yield _when(0, 9.5), _approve
    yield _when(2, 3.0), _caisse_down
    yield _when(4, 16.5), _throttle
    yield _when(4, 19.5), _fair_weather
    yield _when(7, 15.0), partial(_many_leave, count=85)
    yield _when(8, 13.2), _approve
    yield _when(8, 3.9), _ironwood_changes
    yield _when(9, 13.0), _key_refused
    yield _when(9, 18.1), _fair_weather
    yield _when(11, 22.5), Town.lose_database
    yield _when(11, 23.4), Town.find_database
    yield _when(12, 9.0), partial(_database_pace, factor=25.0)
    yield _when(13, 11.0), partial(_database_pace, factor=1.0)
    yield _when(12, 3.8), _unknown_code
    yield _when(14, 13.1), partial(_many_leave, count=190)


async def _approve(town: Town) -> None:
    await town.approve()


async def _caisse_down(town: Town) -> None:
    town.flinks.institution_down("Caisse du Fleuve", _when(3, 12.0))


async def _throttle(town: Town) -> None:
    town.weather("throttle@any:0.7")


async def _fair_weather(town: Town) -> None:
    town.weather()


async def _many_leave(town: Town, count: int) -> None:
    await town.leave(town.active_clients(count))


async def _ironwood_changes(town: Town) -> None:
    """Three in four of its logins ask for a new password in the night that begins."""
    for login_id in town.active_at("Ironwood Trust"):
        if town.chance.random() < 0.75:
            town.flinks.afflict(login_id, "INVALID_PASSWORD")


async def _key_refused(town: Town) -> None:
    town.weather("deny@any")


async def _database_pace(town: Town, factor: float) -> None:
    town.pace.factor = factor


async def _unknown_code(town: Town) -> None:
    for login_id in town.active_at("Fundy Mutual")[:9]:
        town.flinks.afflict(login_id, "BRANCH_CLOSED_FOR_GOOD")


# The copies --------------------------------------------------------------------------------------------------------------------------


def _restarts(group: asyncio.TaskGroup) -> Iterator[tuple[datetime, Scene]]:
    """A rolling release on Thursday; on Saturday the second copy dies five times within the hour."""
    yield _when(10, 13.0), partial(_restart, which=1, version=NEW_RELEASE, group=group)
    yield _when(10, 13.5), partial(_restart, which=0, version=NEW_RELEASE, group=group)
    for tenths in range(5):
        yield _when(12, 17.0 + tenths / 5), partial(_restart, which=1, version=NEW_RELEASE, group=group)


async def _restart(town: Town, which: int, version: str, group: asyncio.TaskGroup) -> None:
    copy = town.copies[which]
    await copy.end()
    await asyncio.sleep(20)
    copy.begin(version, group)
