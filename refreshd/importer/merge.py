"""A checked client list goes into the ledger: staged by COPY, looked through, judged as a whole, and merged set-wise in one transaction."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import islice

from refreshd.core.errors import HeldByGuard, InputRejected
from refreshd.importer.listing import FAULTS_KEPT, Faults, Row
from refreshd.postgres import Connection
from refreshd.sqlfiles import Queries, load_queries

_STAGED = ("line", "client_id", "login_id", "active", "scheduled")
_BATCH = 2_000
_COPIED_AT_ONCE = 10_000


@cache
def _queries() -> Queries:
    return load_queries("import")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportTerms:
    """How a list is taken. `full`: it is the whole truth. `allowance`: how many active logins a full list may turn inactive.

    `accept_shrinkage`: the exact number that a person has looked at and accepts beyond the allowance.
    """

    now: datetime
    full: bool
    allowance: int
    accept_shrinkage: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """What a list has changed. Rows that repeat another one are in `duplicates`."""

    rows: int
    duplicates: int
    clients_added: int
    clients_changed: int
    clients_deactivated: int
    links_added: int
    links_changed: int
    links_unscheduled: int
    logins_activated: int
    logins_deactivated: int
    ignored_columns: tuple[str, ...]


async def batched(rows: Iterator[Row]) -> AsyncIterator[Row]:
    """The rows, read and checked on a thread, so that neither a slow pipe nor a million lines hold up the loop."""
    while batch := await asyncio.to_thread(list, islice(rows, _BATCH)):
        for row in batch:
            yield row


async def stage(session: Connection, rows: AsyncIterator[Row]) -> None:
    """Copy the rows into the session's own staging table, a batch at a time: between two of them no transaction is open."""
    await session.execute(*_queries()["create_staging"]())
    batch: list[Row] = []
    async for row in rows:
        batch.append(row)
        if len(batch) == _COPIED_AT_ONCE:
            await _copy(session, batch)
            batch.clear()
    await _copy(session, batch)


async def _copy(session: Connection, batch: Sequence[Row]) -> None:
    if batch:
        await session.copy_records_to_table("staged_link", records=batch, columns=_STAGED)


async def look_through(session: Connection, faults: Faults) -> None:
    """Raise InputRejected when any of the staged rows is bad, or contradicts another one, or all of them are missing."""
    faults.refuse()
    if not await session.fetchval(*_queries()["staged"]()):
        raise InputRejected("the client list has no row", hint="an empty list says nothing about any client")
    await session.execute(*_queries()["analyze_staging"]())
    await _find_contradictions(session, faults)
    faults.refuse()


async def lists_merged(session: Connection) -> int:
    """How many lists the ledger has taken so far."""
    return int(await session.fetchval(*_queries()["lists_merged"]()))


async def lock(session: Connection, *, begun_after: int) -> None:
    """For the rest of the session's transaction. Raises InputRejected where a list was merged since ours began to be read."""
    await session.fetchval(*_queries()["lock"]())
    if await lists_merged(session) != begun_after:
        raise InputRejected(
            "another client list was merged while this one was read, and may be newer; nothing was changed",
            hint="read it again: the source query is by itself, a minute from now",
        )


async def _find_contradictions(session: Connection, faults: Faults) -> None:
    for row in await session.fetch(*_queries()["contradictory_clients"](limit=FAULTS_KEPT)):
        reason = f"client {row['client_id']!r} is active here and inactive on line {row['inactive_line']}"
        faults.add(f"line {row['active_line']}, active", reason)
    for row in await session.fetch(*_queries()["contradictory_links"](limit=FAULTS_KEPT)):
        reason = f"client {row['client_id']!r} and {row['login_id']} are scheduled here and not on line {row['unscheduled_line']}"
        faults.add(f"line {row['scheduled_line']}, scheduled", reason)


async def merge(session: Connection, terms: ImportTerms, *, ignored_columns: tuple[str, ...]) -> ImportResult:
    """Bring the application's tables into agreement with the staged list; raises HeldByGuard before anything was changed."""
    if terms.full:
        await _judge_shrinkage(session, terms)
    await session.execute(*_queries()["create_before"]())
    await session.execute(*_queries()["analyze_before"]())
    await session.fetchval(*_queries()["set_writer_clock"](now=terms.now.isoformat()))
    changed = [await _count(session, name) for name in ("add_clients", "change_clients", "add_links", "change_links")]
    absent = [await _count(session, name) for name in _ABSENT] if terms.full else [0, 0]
    turned = await session.fetchrow(*_queries()["turned"]())
    # Last: whoever decides about a plan locks logins before the landmark.
    await session.execute(*_queries()["count_list"]())
    return ImportResult(
        rows=await _count(session, "staged"),
        duplicates=await _count(session, "duplicates"),
        clients_added=changed[0],
        clients_changed=changed[1],
        links_added=changed[2],
        links_changed=changed[3],
        clients_deactivated=absent[0],
        links_unscheduled=absent[1],
        logins_activated=turned["activated"] if turned else 0,
        logins_deactivated=turned["deactivated"] if turned else 0,
        ignored_columns=ignored_columns,
    )


_ABSENT = ("deactivate_absent_clients", "unschedule_absent_links")


async def _count(session: Connection, name: str) -> int:
    return int(await session.fetchval(*_queries()[name]()))


async def _judge_shrinkage(session: Connection, terms: ImportTerms) -> None:
    """A list that lost more than the caps allow is rather a broken export than the truth."""
    lost = await _count(session, "shrinkage")
    if lost <= terms.allowance or lost == terms.accept_shrinkage:
        return
    raise HeldByGuard(
        f"the list would turn {lost:,} active logins inactive, at most {terms.allowance:,} may go; nothing was changed",
        hint=f"is the list complete? if it is: --accept-shrinkage {lost}",
    )


async def mark_source_read(session: Connection, now: datetime) -> None:
    await session.execute(*_queries()["mark_source_read"](now=now))
