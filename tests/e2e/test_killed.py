"""The process is killed (SIGKILL) at every named point and at random moments; nothing is lost, doubled, forgotten or done wrongly.

The seeds of the random moments are fixed; other seeds are other stories, and `make soak` tells thousands of them.
"""

from random import Random

import pytest

from refreshd.crash import POINTS
from tests.support.kills import campaign, fate_at, random_fate

pytestmark = [pytest.mark.slow, pytest.mark.first]

SHARES = 4
"""So many processes of pytest-xdist may take part."""


@pytest.mark.usefixtures("quick_tries")
@pytest.mark.parametrize("share", range(SHARES))
async def test_a_kill_at_every_named_point_is_healed(database_url: str, share: int) -> None:
    chance = Random(share)  # noqa: S311 - repeatable chance is the point
    async with campaign(database_url, seed=100 + share) as killing:
        for point in POINTS[share::SHARES]:
            await killing.one_life(fate_at(point, chance))
        assert not killing.missed


@pytest.mark.usefixtures("quick_tries")
@pytest.mark.parametrize("seed", [1, 2])
async def test_ten_kills_at_random_moments_are_healed(database_url: str, seed: int) -> None:
    chance = Random(seed)  # noqa: S311 - repeatable chance is the point
    async with campaign(database_url, seed) as killing:
        for _ in range(10):
            await killing.one_life(random_fate(chance))
