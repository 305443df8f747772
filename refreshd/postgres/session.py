"""Sessions: what each one starts with, whatever the server, the database or the role set by default, and how it ends."""

from contextlib import suppress
from typing import TypeAlias

import asyncpg

from refreshd.core.errors import LedgerUnavailable
from refreshd.postgres.hosts import dial
from refreshd.postgres.trouble import database_trouble

Record: TypeAlias = asyncpg.Record
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

CONNECT_SECONDS = 10.0
COMMAND_SECONDS = 60.0
GOODBYE_SECONDS = 3.0
"""A server that has gone silent answers no goodbye either; waiting for one would keep a daemon from beginning again."""
CANCEL_SECONDS = 1.0
"""How long a server may take to acknowledge that a statement was cancelled. Whoever has lost the lease must not go on showing what it
knew as a leader, only because its database has gone silent."""
IDLE_IN_TRANSACTION = "15s"
GONE = {
    "client_connection_check_interval": "1s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
"""So the server notices a client that was killed or whose host is gone, and ends what it was doing."""

_PINNED = {
    "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION,
    "jit": "off",  # our plans are short: compiling them costs more than running them
}
_PINNED_ON_A_LEDGER = (
    _PINNED
    | GONE
    | {
        "default_transaction_isolation": "read committed",  # rows are locked and looked at again, which a snapshot cannot
        "idle_session_timeout": "0",  # a listener is idle by trade
        "statement_timeout": "0",  # every statement has a limit of our own, and some may take an hour
        "lock_timeout": "0",
        "DateStyle": "ISO",
        "IntervalStyle": "postgres",
        "TimeZone": "UTC",
        "standard_conforming_strings": "on",
    }
)


def session_settings(schema: str | None, *, name: str) -> dict[str, str]:
    """What a session starts with. `schema` None: somebody else's tables, perhaps on an older server, so only what all of them know."""
    if schema is None:
        return {"application_name": name} | _PINNED
    return {"application_name": name, "search_path": search_path(schema)} | _PINNED_ON_A_LEDGER


def search_path(schema: str) -> str:
    return '"' + schema.replace('"', '""') + '"'


async def connect(
    url: str, *, schema: str | None, name: str, command_seconds: float | None = COMMAND_SECONDS
) -> Connection:
    """A session of its own, for who must keep one: the lease, the listener, an import. `schema` None: the role's own search path."""
    with database_trouble():
        return await dial(
            url,
            timeout=CONNECT_SECONDS,
            command_timeout=command_seconds,
            server_settings=session_settings(schema, name=name),
        )


async def close(session: Connection) -> None:
    """Politely if the server answers, else at once. What fails here is nobody's trouble: the session is gone either way."""
    with suppress(LedgerUnavailable), database_trouble():
        await session.close(timeout=GOODBYE_SECONDS)
