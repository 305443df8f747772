# ruff: noqa: S608 - what is put into these statements stands in this file
"""Whatever the application writes, the ledger knows at once which logins are active, and forgets none."""

import asyncio
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest

from refreshd.postgres import Connection
from tests.support.ledger import NOW, active_logins, link, login_id, set_active, set_writer_clock
from tests.support.postgres import SCHEMA

A, B, C = login_id(1), login_id(2), login_id(3)


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Connection]:
    """A second session of the application."""
    session = await asyncpg.connect(database_url, server_settings={"search_path": SCHEMA})
    yield session
    await session.close()


async def _stored(connection: Connection, login: object) -> asyncpg.Record:
    row = await connection.fetchrow("SELECT * FROM login WHERE login_id = $1", login)
    assert row is not None
    return row


async def test_a_link_creates_its_login(connection: Connection) -> None:
    await set_writer_clock(connection, NOW)
    await link(connection, "ann", A)
    await link(connection, "bob", B, active=False)

    active, inactive = await _stored(connection, A), await _stored(connection, B)
    assert (active["active"], active["verdict"], active["inactive_since"]) == (True, "unseen", None)
    assert (inactive["active"], inactive["verdict"], inactive["inactive_since"]) == (False, "leaking", NOW)
    assert active["created_at"] == NOW
    assert await connection.fetchval("SELECT count(*) FROM login WHERE verdict_until = '-infinity'") == 2


async def test_a_shared_login_is_active_while_one_of_its_clients_is(connection: Connection) -> None:
    await link(connection, "ann", A)
    await link(connection, "bob", A)

    await set_active(connection, "ann", active=False)
    assert await active_logins(connection) == {A: True}
    await set_active(connection, "bob", active=False)
    assert await active_logins(connection) == {A: False}
    await set_active(connection, "ann", active=True)
    assert await active_logins(connection) == {A: True}


WRITES = {
    "the client is deleted": "DELETE FROM client WHERE client_id = 'ann'",
    "the link is removed": "DELETE FROM client_login WHERE client_id = 'ann'",
    "nightly refresh is not wanted": "UPDATE client_login SET scheduled = false WHERE client_id = 'ann'",
    "the links are truncated": "TRUNCATE client_login",
    "the clients are truncated": "TRUNCATE client CASCADE",
    "the link goes to another login": f"UPDATE client_login SET login_id = '{B}' WHERE client_id = 'ann'",
    "the link goes to an inactive client": "UPDATE client_login SET client_id = 'idle' WHERE client_id = 'ann'",
    "the client is renamed and set inactive": "UPDATE client SET client_id = 'anna', active = false WHERE client_id = 'ann'",
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_a_login_turns_inactive_and_stays_when(connection: Connection, write: str) -> None:
    await link(connection, "idle", active=False)
    await link(connection, "ann", A)
    await connection.execute(
        "UPDATE login SET lane = 'savable', attempts = 2, not_before = now(), change_attempts = 2, change_not_before = now(),"
        " verdict_until = 'infinity'"
    )
    await set_writer_clock(connection, NOW)

    await connection.execute(write)

    row = await _stored(connection, A)
    assert (row["active"], row["inactive_since"], row["lane"]) == (False, NOW, None)
    assert (row["attempts"], row["not_before"], row["evidence_version"]) == (0, None, 1)
    assert (row["change_attempts"], row["change_not_before"]) == (0, None)
    assert await connection.fetchval("SELECT verdict_until = '-infinity' FROM login WHERE login_id = $1", A)


async def test_renaming_a_client_changes_nothing(connection: Connection) -> None:
    await link(connection, "ann", A)

    await connection.execute("UPDATE client SET client_id = 'anna' WHERE client_id = 'ann'")

    assert (await _stored(connection, A))["evidence_version"] == 0


async def test_a_login_that_comes_back_leaves_the_plan_that_held_it(connection: Connection) -> None:
    await link(connection, "ann", A, active=False)
    await connection.execute(
        "INSERT INTO plan (plan_id, change, state, held_at, reason, sentence, logins, allowance, ledger_logins, ledger_active,"
        " not_confirmed_off, changed_in_window, max_fraction, max_count)"
        " VALUES ('p', 'disable', 'held', now(), 'count', '', 1, 0, 1, 0, 1, 0, 0.1, 500)"
    )
    await connection.execute("UPDATE login SET plan_id = 'p'")

    await set_active(connection, "ann", active=True)

    assert (await _stored(connection, A))["plan_id"] is None


async def test_the_writer_has_a_clock_of_its_own_only_when_it_says_so(connection: Connection) -> None:
    await link(connection, "ann", A, active=False)

    assert await connection.fetchval("SELECT clock_timestamp() - inactive_since < interval '1 minute' FROM login")


async def test_only_a_change_notifies_and_only_once(connection: Connection, other: Connection) -> None:
    heard: list[str] = []
    await other.add_listener(await other.fetchval("SELECT activity_channel()"), _remember(heard))
    await link(connection, "ann", A, B, C)
    await other.fetchval("SELECT 1")
    assert heard == ["activity"]
    heard.clear()

    await connection.execute("UPDATE client SET active = active")
    await connection.execute("UPDATE client_login SET scheduled = scheduled")
    await other.fetchval("SELECT 1")
    assert not heard
    await connection.execute("UPDATE client SET active = false")
    await other.fetchval("SELECT 1")
    assert heard == ["activity"]


def _remember(heard: list[str]) -> Callable[..., None]:
    return lambda _connection, _pid, _channel, payload: heard.append(payload)


async def test_the_application_needs_rights_on_its_two_tables_only(connection: Connection, database_url: str) -> None:
    role = f"application_{await connection.fetchval('SELECT pg_backend_pid()')}"
    await connection.execute(
        f"CREATE ROLE {role}; GRANT USAGE ON SCHEMA {SCHEMA} TO {role};"
        f"GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON client, client_login TO {role}; GRANT SELECT ON login_status TO {role}"
    )
    application = await asyncpg.connect(database_url)
    await application.execute(f"SET ROLE {role}; SET search_path = pg_catalog")
    await application.execute(
        "CREATE TEMPORARY TABLE login (LIKE refreshd.client)"
    )  # a trap for functions that look here first
    await application.execute("INSERT INTO refreshd.client (client_id) VALUES ('ann')")
    await application.execute("INSERT INTO refreshd.client_login (client_id, login_id) VALUES ('ann', $1)", A)
    await application.execute("UPDATE refreshd.client SET active = false")
    status = await application.fetchrow("SELECT * FROM refreshd.login_status")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await application.execute("SELECT refreshd.settle_logins('{}')")
    await application.execute("TRUNCATE refreshd.client, refreshd.client_login")
    await application.close()
    await connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")

    assert status is not None
    assert (status["login_id"], status["active"], status["must_reconnect"]) == (A, False, False)


# Two writers at once ----------------------------------------------------------------------------------------------------------------


async def _both(
    first: Connection, one: str, second: Connection, two: str, *, isolation: str = "read_committed"
) -> BaseException | None:
    """`one` is written but not committed, then `two` is written and waits, then both commit. The error of the second, if any."""
    earlier, later = first.transaction(), second.transaction(isolation=isolation)  # type: ignore[arg-type]
    await earlier.start()
    await later.start()
    await second.fetchval("SELECT count(*) FROM login")  # takes the snapshot, where there is one
    await first.execute(one)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(_outcome(second, two))
        await asyncio.sleep(0.1)
        await earlier.commit()
    error = waiting.result()
    await (later.commit() if error is None else later.rollback())
    return error


async def _outcome(connection: Connection, statement: str) -> BaseException | None:
    try:
        await connection.execute(statement)
    except asyncpg.PostgresError as error:
        return error
    return None


async def test_two_writers_who_each_set_one_client_inactive_leave_the_shared_login_inactive(
    connection: Connection, other: Connection
) -> None:
    await link(connection, "ann", A)
    await link(connection, "bob", A)

    error = await _both(
        connection, "UPDATE client SET active = false WHERE client_id = 'ann'",
        other, "UPDATE client SET active = false WHERE client_id = 'bob'",
    )  # fmt: skip

    assert error is None
    assert await active_logins(connection) == {A: False}


async def test_a_writer_on_an_older_snapshot_fails_rather_than_decides(
    connection: Connection, other: Connection
) -> None:
    await link(connection, "ann", A)
    await link(connection, "bob", A)

    error = await _both(
        connection, "UPDATE client SET active = false WHERE client_id = 'ann'",
        other, "UPDATE client SET active = false WHERE client_id = 'bob'",
        isolation="repeatable_read",
    )  # fmt: skip

    assert isinstance(error, asyncpg.SerializationError)


@pytest.mark.parametrize("linked_first", [True, False])
async def test_a_link_that_meets_its_client_leaving_ends_inactive(
    connection: Connection, other: Connection, *, linked_first: bool
) -> None:
    await link(connection, "ann")
    writes = [
        f"INSERT INTO client_login (client_id, login_id) VALUES ('ann', '{A}')",
        "UPDATE client SET active = false WHERE client_id = 'ann'",
    ]
    first, second = writes if linked_first else reversed(writes)

    error = await _both(connection, first, other, second)

    assert error is None
    assert await active_logins(connection) == {A: False}


async def test_two_clients_who_link_one_new_login_at_once_share_it(connection: Connection, other: Connection) -> None:
    await link(connection, "ann", active=False)
    await link(connection, "bob")

    error = await _both(
        connection, f"INSERT INTO client_login (client_id, login_id) VALUES ('ann', '{A}')",
        other, f"INSERT INTO client_login (client_id, login_id) VALUES ('bob', '{A}')",
    )  # fmt: skip

    assert error is None
    assert await active_logins(connection) == {A: True}


async def test_bulk_writers_of_the_same_logins_do_not_deadlock(connection: Connection, other: Connection) -> None:
    logins = [login_id(number) for number in range(1, 200)]
    await link(connection, "ann", *logins)
    await link(connection, "bob", *reversed(logins))

    async with asyncio.TaskGroup() as group:
        for session, client in ((connection, "ann"), (other, "bob")):
            group.create_task(_flip(session, client, times=20))

    assert set((await active_logins(connection)).values()) == {False}


async def _flip(connection: Connection, client_id: str, *, times: int) -> None:
    for turn in range(times):
        await set_active(connection, client_id, active=turn % 2 == 1)
    await set_active(connection, client_id, active=False)


# What the database refuses ----------------------------------------------------------------------------------------------------------


CONFIRMED = "UPDATE login SET confirmed_off_at = now(), flag = 'off', flag_seen_at = now()"
NOT_FORGOTTEN = {
    "one that is linked and active": "SELECT",
    "one that is linked and confirmed off": f"UPDATE client SET active = false; {CONFIRMED}",
    "one that nobody has confirmed off": "DELETE FROM client",
    "one that is on again": f"DELETE FROM client; {CONFIRMED}; UPDATE login SET flag = 'on'",
    "one that the report lists again": f"DELETE FROM client; {CONFIRMED}; UPDATE login SET listed_since = now()",
}


@pytest.mark.parametrize("before", NOT_FORGOTTEN.values(), ids=NOT_FORGOTTEN)
async def test_a_login_cannot_be_deleted(connection: Connection, before: str) -> None:
    await link(connection, "ann", A)
    await connection.execute(before)

    with pytest.raises(asyncpg.RestrictViolationError, match="may still be billed") as refused:
        await connection.execute("DELETE FROM login")

    assert refused.value.hint


async def test_a_login_that_is_confirmed_off_and_unlinked_may_be_deleted(connection: Connection) -> None:
    await link(connection, "ann", A)
    await connection.execute(f"DELETE FROM client; {CONFIRMED}; DELETE FROM login")

    assert await active_logins(connection) == {}


@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE login",
        "UPDATE login SET login_id = gen_random_uuid()",
        "UPDATE schedule_change SET reason = ''",
        "DELETE FROM schedule_change",
        "TRUNCATE schedule_change",
        "UPDATE decision SET reason = ''",
        "DELETE FROM decision",
        "TRUNCATE decision CASCADE",
    ],
)
async def test_history_cannot_be_rewritten(connection: Connection, statement: str) -> None:
    await link(connection, "ann", A)

    with pytest.raises(asyncpg.RestrictViolationError, match="refused"):
        await connection.execute(statement)
