"""What the role of the dashboards may see: LoginIds masked, and of the tables nothing."""

from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest

from refreshd.core.model import LoginId
from refreshd.postgres import Connection
from tests.support.documents import document
from tests.support.ledger import link
from tests.support.postgres import SCHEMA

LOGIN = LoginId(UUID("2d4bd3d6-5f4f-4f3a-9c8e-6f3f0f4f8a11"))
VIEWS = ("masked_login", "masked_change", "masked_call")
DOCUMENT = document("docs/dashboards.md")


@pytest.fixture
async def reader(connection: Connection) -> AsyncIterator[Connection]:
    """A session under a role that was granted what the document grants. Roles belong to the whole server, so it is taken back."""
    (grants,) = (each.text for each in DOCUMENT.fences if each.info == "sql dashboards")
    role = f"reader_of_{await connection.fetchval('SELECT current_database()')}"
    await connection.execute(grants.replace("refreshd_dashboards", role))
    await link(connection, "client", LOGIN)
    await connection.execute(f"SET ROLE {role}")
    yield connection
    await connection.execute("RESET ROLE")
    await connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


async def test_whoever_reads_for_dashboards_sees_a_login_by_its_first_digits(reader: Connection) -> None:
    assert await reader.fetchval("SELECT login FROM masked_login") == "2d4bd3d6…"


async def test_whoever_may_read_the_ledger_sees_it_whole(connection: Connection) -> None:
    await link(connection, "client", LOGIN)
    assert await connection.fetchval("SELECT login FROM masked_login") == str(LOGIN)


async def test_the_views_are_all_that_the_role_may_read(reader: Connection) -> None:
    for view in VIEWS:
        await reader.fetch(f"SELECT count(*) FROM {view}")  # noqa: S608 - a name of ours
    tables = await reader.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind IN ('r', 'p', 'v')", SCHEMA
    )
    others = sorted({row["relname"] for row in tables} - set(VIEWS))
    assert {"client", "client_login", "login", "call", "schedule_change"} <= set(others)
    for name in others:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await reader.fetch(f"SELECT FROM {name}")


async def test_the_views_tell_nothing_of_clients_bodies_or_messages(connection: Connection) -> None:
    for view in VIEWS:
        shown = (await connection.prepare(f"SELECT * FROM {view}")).get_attributes()  # noqa: S608 - a name of ours
        assert not {each.name for each in shown} & {
            "login_id",
            "client_id",
            "url",
            "body",
            "message",
            "request_id",
            "detail",
        }
