"""Random weeks. What must hold at any time holds; in the end all agree.

The seed is in the name of the test that fails. REFRESHD_TEST_SEEDS=100 plays that many; `make soak` plays more.
"""

import os

import pytest

from tests.support.weeks import live_through

pytestmark = [pytest.mark.slow, pytest.mark.first]

SEEDS = range(int(os.environ.get("REFRESHD_TEST_SEEDS", "4")))


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_the_rules_hold_and_in_the_end_ledger_and_vendor_agree(database_url: str, seed: int) -> None:
    books = live_through(database_url, seed)
    assert books.faults
