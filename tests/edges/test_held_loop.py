"""What holds the event loop, in units of work: while it is held no scrape and no probe is answered, however fast the machine is."""

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

import pytest
from aiohttp import hdrs, web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given, settings
from hypothesis import strategies as some

from refreshd import reconcile
from refreshd.cli.start import run_async
from refreshd.clock import ScaledClock
from refreshd.core.judge import JudgePolicy, judge
from refreshd.core.model import Evidence, Report, ReportCard, Term, Verdict
from refreshd.ledger import Ledger, rows, slices
from refreshd.postgres import Connection
from refreshd.reconcile import PassPolicy, Reconciler
from refreshd.web import make_app
from tests.edges.test_web import OFFLINE
from tests.support import observed
from tests.support.builders import CAPS, JUDGE
from tests.support.ledger import NOW, link, login_id

MOST_JUDGED = 250
"""Logins between two turns of the loop: some milliseconds."""
MOST_MERGED = 2_500
"""Entries of a report, likewise."""
MOST_WALKED = 10_000
"""Objects that a full garbage collection of an idle daemon may walk through: a fifth of what its imports make."""


# Scrapes --------------------------------------------------------------------------------------------------------------------------------

TEXT, OPENMETRICS = "text/plain", "application/openmetrics-text; version=1.0.0"


@pytest.mark.parametrize("accept", [TEXT, OPENMETRICS, "*/*"])
@pytest.mark.parametrize("path", ["/metrics", "/metrics?name[]=refreshd_logins", "/livez", "/readyz"])
async def test_scrapes_and_probes_are_answered_without_waiting_for_anything(path: str, accept: str) -> None:
    """Whatever reaches for the database, a file or the network has to wait for it, and would give the loop away here."""
    shown = observed.metrics()
    observed.everything_happens(shown)
    app = make_app(replace(OFFLINE, registry=shown.registry))
    headers = {hdrs.ACCEPT: accept, hdrs.ACCEPT_ENCODING: "gzip"}
    request = make_mocked_request("GET", path, headers=headers, app=app)
    found = await app.router.resolve(request)

    answering = found.handler(request)

    with pytest.raises(StopIteration) as answered:
        answering.__await__().send(None)
    answer = answered.value.value
    assert isinstance(answer, web.Response)
    assert answer.status == 200
    assert answer.body


def test_a_scrape_shows_one_moment_even_where_the_totals_change_while_it_is_written() -> None:
    shown = observed.metrics()
    observed.everything_happens(shown)
    before = observed.series(shown.registry)
    institutions = "refreshd_institution_logins"

    families = shown.registry.collect()
    for family in families:
        if family.name == "refreshd_logins":
            shown.publish(observed.widest_totals(), observed.prospects())
            break
    rest = {(each.name, frozenset(each.labels.items())): each.value for family in families for each in family.samples}

    seen = {key: number for key, number in rest.items() if key[0].startswith(institutions)}
    assert seen
    assert seen == {key: number for key, number in before.items() if key[0].startswith(institutions)}
    assert seen.keys() != {key for key in observed.series(shown.registry) if key[0].startswith(institutions)}


# Passes ---------------------------------------------------------------------------------------------------------------------------------


class Turns:
    """Counts the turns of the loop, and what was done in each."""

    def __init__(self) -> None:
        self.now = 0
        self.done: Counter[int] = Counter()

    def note(self, amount: int = 1) -> None:
        self.done[self.now] += amount

    @asynccontextmanager
    async def counted(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            counting = group.create_task(self._count())
            yield
            counting.cancel()

    async def _count(self) -> None:
        while True:
            self.now += 1
            await asyncio.sleep(0)


@dataclass(frozen=True)
class Leader:
    term: Term


@pytest.fixture
def turns() -> Turns:
    return Turns()


async def test_a_pass_gives_the_loop_away_after_every_few_hundred_logins(
    ledger: Ledger, connection: Connection, term: Term, turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    logins = [login_id(number) for number in range(1, 4 * MOST_JUDGED)]
    await link(connection, "ann", *logins)

    def noted(evidence: Evidence, policy: JudgePolicy, now: datetime) -> Verdict:
        turns.note()
        return judge(evidence, policy, now)

    monkeypatch.setattr(reconcile, "judge", noted)
    policy = PassPolicy(judge=JUDGE, guard=CAPS, observe=False)
    async with turns.counted():
        await Reconciler(ledger, Leader(term), ScaledClock(start=NOW, factor=1.0), policy).run()

    assert turns.done.total() == len(logins)
    assert max(turns.done.values()) <= MOST_JUDGED


# Reports --------------------------------------------------------------------------------------------------------------------------------


def _report(*numbers: int, at: datetime = NOW) -> Report:
    cards = [ReportCard(login_id=login_id(each), attempted_at=NOW, state="Failed", code="X") for each in numbers]
    return Report(read_at=at, cards=tuple(cards))


async def test_a_report_is_merged_a_few_thousand_entries_at_a_time(
    ledger: Ledger, term: Term, turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = rows.card_columns

    def noted(cards: tuple[ReportCard, ...]) -> dict[str, object]:
        turns.note(len(cards))
        return encoded(cards)

    monkeypatch.setattr(rows, "card_columns", noted)
    report = _report(*range(3 * MOST_MERGED))
    async with turns.counted():
        assert await ledger.record_report(report, term=term) == len(report.cards)

    assert turns.done.total() == len(report.cards)
    assert max(turns.done.values()) <= MOST_MERGED


async def test_a_report_in_slices_says_what_it_says_as_a_whole(
    ledger: Ledger, connection: Connection, term: Term, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slices, "MERGED_AT_ONCE", 2)
    await link(connection, "ann", *(login_id(each) for each in range(10)))

    for known, unknown in (((1, 3, 4, 8, 9), (20, 30)), ((0, 2, 4, 9), (20, 40, 50)), ((), ()), ((5,), (2**128 - 1,))):
        orphans = await ledger.record_report(_report(*unknown, *known), term=term)

        listed = await connection.fetch("SELECT login_id FROM login WHERE listed_since IS NOT NULL ORDER BY login_id")
        assert [row["login_id"] for row in listed] == [login_id(each) for each in known]
        assert orphans == len(unknown)
        assert {each.login_id for each in await ledger.orphans(limit=10)} == {login_id(each) for each in unknown}


@settings(max_examples=100)
@given(some.sets(some.integers(0, 2**128 - 1), max_size=40), some.integers(1, 9))
def test_slices_cover_every_login_id_once_and_each_entry_lies_in_its_own(numbers: set[int], most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slices, "MERGED_AT_ONCE", most)
        parts = list(slices.slices(_report(*numbers)))

    assert (parts[0].first.int, parts[-1].last.int) == (0, 2**128 - 1)
    assert all(after.first.int == before.last.int + 1 for before, after in pairwise(parts))
    assert all(each.first <= card.login_id <= each.last for each in parts for card in each.cards)
    assert all(len(each.cards) <= most for each in parts)
    assert [card.login_id.int for each in parts for card in each.cards] == sorted(numbers)


# Garbage --------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def thawed() -> Iterator[None]:
    """What a test has frozen is no business of the next one's."""
    yield
    gc.unfreeze()


def test_a_garbage_collection_does_not_walk_through_what_the_imports_made(thawed: None) -> None:
    async def walked() -> int:
        return len(gc.get_objects())

    assert run_async(walked(), fast=True) < MOST_WALKED
    assert gc.get_freeze_count() > MOST_WALKED
