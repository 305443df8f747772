"""The leader goes, in every way in which it can, and the other copy takes over; the vendor's books and the ledger say what was right."""

import pytest

from refreshd.lease import TTL
from tests.support.takeover import Kind, Takeover, pair

pytestmark = pytest.mark.slow


def in_order(seen: Takeover) -> None:
    """One term follows the other. Who says goodbye frees the lease; who does not has it until it runs out, and hardly longer."""
    assert seen.after.term == seen.before.term + 1
    if seen.kind is Kind.STOPPED:
        assert seen.after.acquired_at < seen.before.expires_at
    else:
        assert seen.last.expires_at <= seen.after.acquired_at < seen.last.expires_at + TTL.total_seconds()


@pytest.mark.parametrize("kind", Kind)
async def test_the_standby_takes_over_from_a_leader_that_was(database_url: str, kind: Kind) -> None:
    async with pair(database_url, active=300) as both:
        seen = await both.takeover(kind)
        in_order(seen)
        await seen.old.come_back(kind)
        await both.at_work()
        assert not seen.old.calls(seen.taken_at)
        both.keeps_the_budget()
