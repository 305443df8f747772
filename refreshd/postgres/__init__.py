"""The one way to Postgres: sessions that find the ledger's schema, and asyncpg's errors in our own words.

Knows no table. What it cannot explain as a database that is away, full, closed to us or not migrated is a bug, and goes through as it
came.
"""

from refreshd.postgres.pool import Database, Observer, Session, Statement, open_database
from refreshd.postgres.session import CANCEL_SECONDS, Connection, Record, close, connect, search_path, session_settings
from refreshd.postgres.trouble import AWAY, database_trouble

__all__ = [
    "AWAY",
    "CANCEL_SECONDS",
    "Connection",
    "Database",
    "Observer",
    "Record",
    "Session",
    "Statement",
    "close",
    "connect",
    "database_trouble",
    "open_database",
    "search_path",
    "session_settings",
]
