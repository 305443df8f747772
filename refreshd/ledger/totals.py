"""The ledger counted: the groups that a few scans give become the totals behind the login metrics."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from functools import cache

from refreshd.core.model import Disposition, Lane, VerdictName
from refreshd.core.totals import Deadlines, LedgerTotals, RefreshValue
from refreshd.postgres import Database, Record
from refreshd.sqlfiles import Queries, load_queries

NAMED_INSTITUTIONS = 8
"""So many of the busiest are told apart."""

_LAPSES_WITHIN = ("1d", "2d", "3d")


@cache
def _doctor() -> Queries:
    return load_queries("doctor")


@cache
def _totals() -> Queries:
    return load_queries("totals")


async def totals(database: Database, *, now: datetime) -> LedgerTotals:
    """All of it from one snapshot of the ledger; ages are those at `now`."""
    async with database.snapshot() as session:
        await session.fetchrow(*_totals()["count_quietly"]())
        cube = await session.fetch(*_totals()["cube"](now=now))
        institutions = await session.fetch(*_totals()["institutions"](limit=NAMED_INSTITUTIONS))
        beside = await session.fetchrow(*_totals()["beside"]())
    if beside is None:
        raise AssertionError("a SELECT of scalars has one row")
    by_verdict = _count(cube, "verdict")
    return LedgerTotals(
        counted_at=now,
        by_verdict={VerdictName(each): logins for each, logins in by_verdict.items()},
        stale={
            VerdictName(each): logins
            for each, logins in _count([row for row in cube if row["stale"]], "verdict").items()
        },
        failed=_failed(cube),
        active_by_age=_count(cube, "refresh_age"),
        inactive_by_schedule=_count(cube, "schedule"),
        ineligible=_ineligible(cube, beside["orphans"]),
        leaking_login_days=sum(row["leaking_days"] for row in cube),
        saved_login_days=sum(row["saved_days"] for row in cube),
        by_institution={(row["institution"], RefreshValue(row["refresh"])): row["logins"] for row in institutions},
        oldest_refresh_at=_oldest(cube, "oldest_refresh_at"),
        oldest_leak_at=_oldest(cube, "oldest_leak_at"),
        held=beside["held"],
        backlog=by_verdict.get(VerdictName.LEAKING, 0),
        reported_at=beside["reported_at"],
        succeeded_at=beside["succeeded_at"],
        institutions_held=beside["institutions_held"],
    )


async def clock(database: Database) -> datetime:
    """The time as the database has it."""
    row = await database.row(_doctor()["clock"]())
    if row is None:
        raise AssertionError("a SELECT of a scalar has one row")
    theirs: datetime = row["at"]
    return theirs


async def deadlines(database: Database, *, now: datetime, routine_start: datetime, polling: bool) -> Deadlines:
    """`polling`: the clock of cached calls counts."""
    async with database.snapshot() as session:
        await session.fetchrow(*_totals()["count_quietly"]())
        lapsing = await session.fetchrow(*_totals()["lapsing"](now=now, polling=polling))
        due = await session.fetch(*_totals()["routine"](now=now, routine_start=routine_start, polling=polling))
    if lapsing is None:
        raise AssertionError("a SELECT of counts has one row")
    return Deadlines(
        lapsing={within: lapsing[f"within_{within}"] for within in _LAPSES_WITHIN},
        routine_due={(Lane(row["lane"]), row["lapses_at"]): row["logins"] for row in due},
    )


def _count(cube: Sequence[Record], label: str) -> dict[str, int]:
    counted: Counter[str] = Counter()
    for row in cube:
        if row[label] is not None:
            counted[row[label]] += row["logins"]
    return dict(counted)


def _failed(cube: Sequence[Record]) -> dict[tuple[str, Disposition], int]:
    counted: Counter[tuple[str, Disposition]] = Counter()
    for row in cube:
        if row["error_code"] is not None and row["disposition"] is not None:
            counted[row["error_code"], Disposition(row["disposition"])] += row["logins"]
    return dict(counted)


def _ineligible(cube: Sequence[Record], orphans: int) -> dict[str, int]:
    counted: Counter[str] = Counter({"absent": orphans} if orphans else {})
    for row in cube:
        if row["listed"]:
            counted["active" if row["active"] else "inactive"] += row["logins"]
    return dict(counted)


def _oldest(cube: Sequence[Record], label: str) -> datetime | None:
    return min((row[label] for row in cube if row[label] is not None), default=None)
