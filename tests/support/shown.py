"""The page on a ledger at one moment, as its leader would serve it then."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Thread
from typing import TypeVar

from refreshd import policies
from refreshd.core import forecast
from refreshd.core.timing import next_routine_start
from refreshd.health import Condition, Health, Role
from refreshd.inquiry import PageLedger, Reach
from refreshd.ledger import Ledger
from refreshd.operators import operator_line, read_operators
from refreshd.overview import BudgetUse, Overview
from refreshd.ports import PassRecord
from refreshd.settings import Settings, settings_in_force
from refreshd.web import DecidingLedger, Desk, Site
from tests.support import observed

OPERATOR, PASSWORD = "alice", "correct horse battery"

T = TypeVar("T")


@contextmanager
def on_a_thread(opened: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[T]:
    """What `opened` gives, on a loop and a thread of its own, so that the browser's plain (not async) door can be used meanwhile."""
    given: Future[T] = Future()
    loop = asyncio.new_event_loop()
    done = asyncio.Event()

    async def live() -> None:
        try:
            async with opened() as built:
                given.set_result(built)
                await done.wait()
        except BaseException as error:
            if not given.done():
                given.set_exception(error)
            raise

    thread = Thread(target=lambda: loop.run_until_complete(live()), name="page")
    thread.start()
    try:
        yield given.result()
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join()
        loop.close()


async def overview_at(ledger: Ledger, settings: Settings, now: datetime) -> Overview:
    """What a leader knows, as its watch puts it together; of the budget, what the calls of the last minute have used."""
    agenda, terms = policies.agenda(settings, at_once=False), policies.terms(settings)
    deadlines = await ledger.deadlines(now=now, routine_start=agenda.routine_start(now), polling=True)
    (last,) = await ledger.passes(limit=1)
    rate = settings.rate_per_minute
    return Overview(
        now=now,
        version="0.1.0",
        mode=settings.mode.value,
        last_pass=PassRecord(
            pass_id=last.pass_id,
            started_at=last.started_at,
            finished_at=last.finished_at or now,
            judged=last.judged,
            intended=last.intended,
            held=last.held,
        ),
        totals=await ledger.totals(now=now),
        budget=BudgetUse(used=await ledger.calls_since(now - timedelta(minutes=1)), rate_per_minute=rate),
        held=tuple(await ledger.plans()),
        next_routine_at=next_routine_start(now, settings.routine_at, settings.routine_timezone),
        routine=forecast.routine_outcome(deadlines.routine_due, terms, rate, now),
        lapsing=deadlines.lapsing,
    )


def leaders_site(ledger: Ledger, settings: Settings, overview: Overview) -> Site:
    """All is well with the leader itself, and one operator may decide."""
    health = Health()
    health.become(Role.LEADER)
    for condition in Condition:
        health.holds(condition)
    reach: Reach[PageLedger] = Reach()
    deciding: Reach[DecidingLedger] = Reach()
    reach.attach(ledger)
    deciding.attach(ledger)
    site = Site(
        registry=observed.metrics().registry,
        health=health,
        overview=lambda: overview,
        reach=reach,
        story_terms=lambda: policies.story_terms(settings),
        settings=lambda: settings_in_force(settings),
    )
    operators = read_operators(operator_line(OPERATOR, PASSWORD))
    return replace(site, desk=Desk(operators=operators, reach=deciding))
