"""The ledger's side: the server answers, takes writes, tells the same time, and has our schema."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from refreshd import access, migrate
from refreshd.core.errors import LedgerUnavailable, RefreshdError, RowsLocked, SchemaMismatch
from refreshd.doctor.finding import Finding, Tell, bad, good, of_error, warning
from refreshd.ports import Clock
from refreshd.postgres import Connection, connect, database_trouble, open_database
from refreshd.settings import Settings
from refreshd.sqlfiles import Queries, load_queries

CLOCKS_DIFFER_BY = timedelta(seconds=5)
"""More than this between our clock and the server's is worth a word: the ledger's dates are ours, its lease is the server's."""


@cache
def queries() -> Queries:
    return load_queries("doctor")


@dataclass(slots=True, kw_only=True)
class Patient:
    """Who is examined, and what is known so far."""

    settings: Settings
    clock: Clock
    is_migrated: bool = False


async def examine_database(patient: Patient, url: str, tell: Tell) -> None:
    async with _session(patient, url) as session:
        await migrate.require_access(session, patient.settings.database_schema)
        tell(await _server(patient, session))
        tell(await _durability(session))
        tell(await _room(patient, session))
        tell(await _schema(patient, session))
        if patient.is_migrated:
            tell(await _writes(session))
            pooler = access.pooler_url(patient.settings)
            if pooler is not None:
                tell(await _pooler(patient, session, pooler))


async def _pooler(patient: Patient, session: Connection, url: str) -> Finding:
    """Whether both ways lead to one ledger: a lease on one and writes on another would be no lease."""
    schema, identity = patient.settings.database_schema, queries()["identity"]()
    try:
        async with open_database(url, schema=schema, size=1, name="refreshd doctor", lent=True) as database:
            found = await database.row(identity)
    except RefreshdError as error:
        return of_error("pooler", error)
    if found != await session.fetchrow(*identity):
        return bad(
            "pooler",
            "REFRESHD_DATABASE_URL and REFRESHD_DATABASE_DIRECT_URL lead to different ledgers",
            "have both lead to the same database; the second past the pooler",
            exit_code=2,
        )
    return good("pooler", "leads to the same ledger; queries go through it, the lease and notifications past it")


@asynccontextmanager
async def _session(patient: Patient, url: str) -> AsyncIterator[Connection]:
    session = await connect(url, schema=patient.settings.database_schema, name="refreshd doctor")
    try:
        with database_trouble():
            yield session
    finally:
        session.terminate()


async def _server(patient: Patient, session: Connection) -> Finding:
    row = await session.fetchrow(*queries()["server"]())
    if row is None:
        raise AssertionError("a SELECT of scalars has one row")
    name = f"PostgreSQL {row['version'].split()[0]}"
    if row["read_only"]:
        return bad("database", f"{name} is read-only", "name the primary in REFRESHD_DATABASE_URL", exit_code=4)
    apart = abs(patient.clock.now() - row["clock"])
    if apart > CLOCKS_DIFFER_BY and patient.settings.scaled_dates is None:
        seconds = round(apart.total_seconds())
        return warning("database", f"{name} answers; its clock is {seconds} s away from ours", "set both clocks by NTP")
    return good("database", f"{name} answers")


_FORGETS = {
    "fsync": "after a power cut the server may have lost or garbled what it said was stored",
    "full_page_writes": "after a power cut pages of the ledger may be torn",
    "synchronous_commit": "a crash of the server may forget the last intents, whose calls have left already",
}
"""What may happen while the setting is off."""


async def _durability(session: Connection) -> Finding:
    """No call leaves whose intent is not stored: that is worth as much as the server's word for it."""
    off = [row["name"] for row in await session.fetch(*queries()["durability"]())]
    if not off:
        return good("durability", "what the server says is stored outlives a crash")
    told = "; ".join(f"{name} is off: {_FORGETS[name]}" for name in off)
    return warning("durability", told, "turn it on for this database, or for refreshd's role")


async def _room(patient: Patient, session: Connection) -> Finding:
    room, wanted = await session.fetchval(*queries()["room"]()), access.sessions_wanted(patient.settings)
    both = wanted.leader + wanted.standby
    told = f"room for {room} sessions; a leader takes up to {wanted.leader}, each standby {wanted.standby}"
    if room >= both:
        return good("sessions", told)
    return warning(
        "sessions",
        f"{told}: not enough for a leader and a standby",
        "raise max_connections or the role's limit, lower REFRESHD_CONCURRENCY, or put a pooler in between",
    )


async def _schema(patient: Patient, session: Connection) -> Finding:
    schema = patient.settings.database_schema
    try:
        status = await migrate.require_current(session)
    except SchemaMismatch as error:
        return of_error("schema", error)
    patient.is_migrated = True
    if status.newer:
        names = ", ".join(each.label for each in status.newer)
        return warning("schema", f"{schema} has migrations of a newer refreshd, which only add: {names}")
    return good("schema", f"{schema} has every migration, up to {status.applied[-1].label}")


async def _writes(session: Connection) -> Finding:
    """A write that is rolled back."""
    transaction = session.transaction()
    await transaction.start()
    try:
        with database_trouble():
            await session.execute(*queries()["try_write"]())
    except (LedgerUnavailable, RowsLocked) as error:
        return of_error("writing", error)
    finally:
        await transaction.rollback()
    return good("writing", "the role may write the ledger")
