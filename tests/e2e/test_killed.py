"""The process is killed (SIGKILL) at every named point and at random moments; nothing is lost, doubled, forgotten or done wrongly.

The seeds of the random moments are fixed; other seeds are other stories.
"""

import pytest

from refreshd.crash import POINTS, Write
from tests.support.kills import campaign

pytestmark = pytest.mark.slow

LARGE_PLANS = (Write.ADMIT, Write.HOLD_BACK)
"""Only plans of more than twenty come to these; the company here is too small for one, so nobody has been killed there yet."""
VISITED = tuple(each for each in POINTS if not each.startswith(LARGE_PLANS))
SHARES = 4
"""So many processes of pytest-xdist may take part."""


@pytest.mark.usefixtures("quick_tries")
@pytest.mark.parametrize("share", range(SHARES))
async def test_a_kill_at_every_named_point_is_healed(database_url: str, share: int) -> None:
    """The kill is the process's own, so its death proves that the point was reached."""
    async with campaign(database_url, seed=100 + share) as killing:
        for point in VISITED[share::SHARES]:
            await killing.one_life(killing.fate_at(point))


@pytest.mark.usefixtures("quick_tries")
@pytest.mark.parametrize("seed", [1, 2])
async def test_ten_kills_at_random_moments_are_healed(database_url: str, seed: int) -> None:
    async with campaign(database_url, seed) as killing:
        for _ in range(10):
            await killing.one_life(killing.random_fate())
