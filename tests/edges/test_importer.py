"""A client list is taken whole or not at all, and what is wrong with it is said line by line."""

import asyncio
import io
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from refreshd import migrate
from refreshd.core.errors import HeldByGuard, InputRejected, LedgerUnavailable
from refreshd.core.model import Term
from refreshd.importer import ImportResult, ImportTerms, import_file, import_source
from refreshd.importer.listing import FAULTS_KEPT, LINE_LIMIT, CsvListing
from refreshd.ledger import Ledger
from refreshd.postgres import Connection
from tests.support.ledger import NOW, active_logins, link, login_id
from tests.support.postgres import SCHEMA

A, B, C = login_id(1), login_id(2), login_id(3)
HEADER = "client_id,login_id,active\n"


class Importer:
    """Imports into the test's own database."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def text(self, text: str, **terms: Any) -> ImportResult:
        return await self.file(text.encode(), **terms)

    async def file(self, content: bytes, **terms: Any) -> ImportResult:
        return await import_file(io.BytesIO(content), url=self.url, schema=SCHEMA, terms=_terms(**terms))

    async def source(self, query: str, *, source_url: str = "", **terms: Any) -> ImportResult:
        return await import_source(
            query,
            source_url=source_url or self.url,
            url=self.url,
            limit_seconds=60,
            schema=SCHEMA,
            terms=_terms(**({"full": True} | terms)),
            term=Term(0),
        )

    async def refused(self, content: str | bytes) -> InputRejected:
        with pytest.raises(InputRejected) as error:
            await self.file(content.encode() if isinstance(content, str) else content)
        return error.value


def _terms(**given: Any) -> ImportTerms:
    terms: dict[str, Any] = {"now": NOW, "full": False, "allowance": 5} | given
    return ImportTerms(**terms)


@pytest.fixture
def importer(database_url: str) -> Importer:
    return Importer(database_url)


# What is taken ----------------------------------------------------------------------------------------------------------------------


async def test_a_list_makes_clients_links_and_logins(importer: Importer, connection: Connection) -> None:
    result = await importer.text(f"{HEADER}ann,{A},true\nann,{B},true\nbob,{B},false\nbob,{C},no\n")

    assert await active_logins(connection) == {A: True, B: True, C: False}
    assert (result.rows, result.clients_added, result.links_added) == (4, 2, 4)
    assert (result.logins_activated, result.logins_deactivated) == (2, 0)
    assert await connection.fetchval("SELECT inactive_since FROM login WHERE login_id = $1", C) == NOW


async def test_the_same_list_again_changes_nothing(importer: Importer, connection: Connection) -> None:
    text = f"{HEADER}ann,{A},true\nbob,{B},false\n"
    await importer.text(text)
    before = await connection.fetch(
        "SELECT xmin::text, client_id FROM client UNION ALL SELECT xmin::text, login_id::text FROM login"
    )

    result = await importer.text(text)

    assert (result.clients_added, result.clients_changed, result.links_added, result.links_changed) == (0, 0, 0, 0)
    assert before == await connection.fetch(
        "SELECT xmin::text, client_id FROM client UNION ALL SELECT xmin::text, login_id::text FROM login"
    )


async def test_what_differs_is_changed_and_what_is_absent_stays(importer: Importer, connection: Connection) -> None:
    await importer.text(f"{HEADER}ann,{A},true\nbob,{B},true\ncat,{C},false\n")

    result = await importer.text(f"{HEADER}ann,{A},false\ncat,{C},true\n")

    assert await active_logins(connection) == {A: False, B: True, C: True}
    assert (result.clients_changed, result.logins_activated, result.logins_deactivated) == (2, 1, 1)


async def test_columns_come_in_any_order_and_unknown_ones_are_named(importer: Importer, connection: Connection) -> None:
    result = await importer.text(f'Scheduled,note,ACTIVE, login_id ,client_id\nfalse,"a, b",1,{A},ann\n')

    assert await active_logins(connection) == {A: False}
    assert result.ignored_columns == ("note",)


@pytest.mark.parametrize("word", ["true", "TRUE", "t", "1", "yes", "Y", " true "])
async def test_truth_has_many_words(word: str) -> None:
    listing = CsvListing(io.BytesIO(f"{HEADER}ann,{A},{word}\n".encode()))
    assert list(listing.rows()) == [(2, "ann", str(A), True, True)]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
async def test_line_endings_and_a_byte_order_mark_do_not_matter(mark: str, ending: str) -> None:
    text = f'{mark}{HEADER}\nann,{A},true\n"b\n\nob",{B},f'.replace("\n", ending)
    rows = list(CsvListing(io.BytesIO(text.encode())).rows())

    assert [(row[0], row[3]) for row in rows] == [(3, True), (4, False)]


async def test_a_repeated_row_is_counted_and_harmless(importer: Importer) -> None:
    result = await importer.text(f"{HEADER}ann,{A},true\nann,{str(A).upper()},yes\n")

    assert (result.rows, result.duplicates, result.links_added) == (2, 1, 1)


async def test_progress_is_told_in_bytes(database_url: str) -> None:
    content = (HEADER + "".join(f"c{number},{login_id(number)},true\n" for number in range(1, 5000))).encode()
    heard: list[int] = []

    await import_file(io.BytesIO(content), url=database_url, schema=SCHEMA, terms=_terms(), progress=heard.append)

    assert heard[-1] == len(content)
    assert heard == sorted(heard)


# What is refused --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        (HEADER, "has no row"),
        (f"ann,{A},true\n", "has no header"),
        (f"client_id;login_id;active\nann;{A};true\n", "has no header"),
        ("client_id,login_id\n", "lacks active"),
        ("client_id,login_id,active,active\n", "names active twice"),
        (HEADER.encode("utf-16"), "UTF-16"),
    ],
)
async def test_a_file_that_is_no_client_list_is_refused(importer: Importer, content: str | bytes, says: str) -> None:
    error = await importer.refused(content)

    assert says in error.message
    assert error.hint


BAD_ROWS = {
    "no GUID": ("ann,123,true", "line 2, login_id: '123' is no GUID"),
    "the empty GUID": (f"ann,{login_id(0)},true", f"line 2, login_id: '{login_id(0)}' is no GUID"),
    "no login": ("ann,,true", "line 2, login_id: is empty"),
    "no client": (f" ,{A},true", "line 2, client_id: is empty"),
    "a long client": (f"{'x' * 1001},{A},true", "line 2, client_id: is longer than 1000 characters"),
    "an odd truth": (f"ann,{A},maybe", "line 2, active: 'maybe' is none of true, false, 1, 0, yes, no, t, f, y, n"),
    "too few columns": ("ann,true", "line 2: has 2 columns, the header has 3"),
    "too many columns": (f"ann,{A},true,x", "line 2: has 4 columns, the header has 3"),
    "a stray quote": (f'"ann"x,{A},true', "line 2: is no CSV: ',' expected after '\"'"),
    "Latin-1": (
        f"Ren\xe9,{A},true".encode("latin-1"),
        "line 2: is not UTF-8 (byte 0xe9 at 4); is the file in Latin-1?",
    ),
    "a NUL": (f"a\x00n,{A},true", "line 2: has a NUL byte"),
}


@pytest.mark.parametrize(("row", "says"), BAD_ROWS.values(), ids=BAD_ROWS)
async def test_a_bad_row_is_told_with_line_column_and_reason(
    importer: Importer, connection: Connection, row: str | bytes, says: str
) -> None:
    line = row.encode() if isinstance(row, str) else row
    error = await importer.refused(HEADER.encode() + line + f"\nbob,{B},true\n".encode())

    assert error.faults == (says,)
    assert await connection.fetchval("SELECT count(*) FROM client") == 0


async def test_every_bad_row_is_told_and_beyond_a_thousand_counted(importer: Importer) -> None:
    error = await importer.refused(HEADER + "ann,x,maybe\n" * FAULTS_KEPT)

    assert "2,000 bad rows (the first 1,000 are listed)" in error.message
    assert len(error.faults) == FAULTS_KEPT
    assert error.faults[-1].startswith("line 501, active")


async def test_an_endless_line_is_refused_without_being_kept(importer: Importer) -> None:
    error = await importer.refused(HEADER.encode() + b"x" * 10_000_000 + f"\nann,{A},maybe\n".encode())

    assert error.faults[0] == f"line 2: is longer than {LINE_LIMIT:,} bytes"
    assert error.faults[1].startswith("line 3, active")


async def test_a_quote_that_is_never_closed_does_not_eat_the_file(importer: Importer) -> None:
    error = await importer.refused(f'{HEADER}"ann,{A},true\n' + f"bob,{B},true\n" * 10_000)

    assert error.faults[0].startswith("line 2: is no CSV: field larger than field limit")


async def test_contradictions_are_told_with_both_lines(importer: Importer, connection: Connection) -> None:
    header = "client_id,login_id,active,scheduled\n"
    error = await importer.refused(f"{header}ann,{A},true,t\nann,{B},false,t\nbob,{C},true,true\nbob,{C},true,false\n")

    assert error.faults == (
        "line 2, active: client 'ann' is active here and inactive on line 3",
        f"line 4, scheduled: client 'bob' and {C} are scheduled here and not on line 5",
    )
    assert await connection.fetchval("SELECT count(*) FROM client") == 0


async def test_a_database_that_is_away_is_said_in_our_words() -> None:
    with pytest.raises(LedgerUnavailable):
        await Importer("postgresql://nobody@127.0.0.1:1/none").text(f"{HEADER}ann,{A},true\n")


# The whole truth --------------------------------------------------------------------------------------------------------------------


async def test_who_is_absent_from_the_whole_truth_is_inactive(importer: Importer, connection: Connection) -> None:
    await link(connection, "ann", A, B)
    await link(connection, "bob", C)

    result = await importer.text(f"{HEADER}ann,{A},true\n", full=True)

    assert await active_logins(connection) == {A: True, B: False, C: False}
    assert (result.clients_deactivated, result.links_unscheduled, result.logins_deactivated) == (1, 1, 2)
    assert await connection.fetchval("SELECT count(*) FROM client_login") == 3


async def test_a_list_that_lost_too_much_is_refused_before_anything_changes(
    importer: Importer, connection: Connection
) -> None:
    await link(connection, "ann", *[login_id(number) for number in range(1, 8)])
    text = f"{HEADER}zoe,{login_id(1)},true\nann,{login_id(1)},true\n"

    with pytest.raises(HeldByGuard, match="6 active logins inactive, at most 5") as error:
        await importer.text(text, full=True)
    assert "--accept-shrinkage 6" in error.value.hint
    assert await connection.fetchval("SELECT count(*) FROM client") == 1
    with pytest.raises(HeldByGuard):
        await importer.text(text, full=True, accept_shrinkage=5)

    result = await importer.text(text, full=True, accept_shrinkage=6)
    assert result.logins_deactivated == 6


async def test_a_shared_login_does_not_count_as_lost_while_another_client_has_it(
    importer: Importer, connection: Connection
) -> None:
    await link(connection, "ann", A)
    await link(connection, "bob", A)

    result = await importer.text(f"{HEADER}bob,{A},true\n", full=True, allowance=0)

    assert (result.clients_deactivated, result.logins_deactivated) == (1, 0)


# The source query -------------------------------------------------------------------------------------------------------------------


async def test_the_company_s_own_tables_are_a_list(importer: Importer, connection: Connection, ledger: Ledger) -> None:
    await connection.execute("CREATE TABLE public.account (number int, guid uuid, closed bool)")
    await connection.execute("INSERT INTO public.account VALUES (1, $1, false), (2, $2, true)", A, B)
    await link(connection, "gone", C)

    result = await importer.source(
        "SELECT guid AS login_id, number AS client_id, NOT closed AS active, 1 AS x FROM public.account;"
    )

    assert await active_logins(connection) == {A: True, B: False, C: False}
    assert (result.rows, result.ignored_columns) == (2, ("x",))
    assert await ledger.source_read_at() == NOW


async def test_the_source_may_be_another_database(
    importer: Importer, empty_database_url: str, connection: Connection
) -> None:
    other = await asyncpg.connect(empty_database_url)
    await other.execute(
        "CREATE TABLE account AS SELECT 'c' || n AS client_id, gen_random_uuid() AS login_id FROM generate_series(1, 5000) n"
    )
    await other.close()

    result = await importer.source(
        "SELECT client_id, login_id, 'yes' AS active FROM account", source_url=empty_database_url
    )

    assert (result.rows, result.logins_activated) == (5000, 5000)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("SELECT 1", "no header"),
        ("SELEC 1", "does not run"),
        ("SELECT * FROM nowhere", "does not run"),
        ("SELECT $1::int AS client_id", "has parameters"),
        (
            "SELECT 1/(n-1) AS client_id, gen_random_uuid() AS login_id, true AS active FROM generate_series(1,2) n",
            "does not run",
        ),
        ("SELECT 1 AS client_id, gen_random_uuid() AS login_id, true AS active WHERE false", "has no row"),
        (
            "INSERT INTO refreshd.client VALUES ('x') RETURNING client_id, gen_random_uuid() AS login_id, true AS active",
            "read-only",
        ),
        ("SELECT NULL AS client_id, gen_random_uuid() AS login_id, true AS active", "1 bad row"),
    ],
)
async def test_a_query_that_gives_no_list_is_refused(
    importer: Importer, connection: Connection, query: str, says: str
) -> None:
    with pytest.raises((InputRejected, LedgerUnavailable), match=says):
        await importer.source(query)

    assert await connection.fetchval("SELECT count(*) FROM client") == 0


async def test_a_broken_source_is_refused_like_a_file(importer: Importer, connection: Connection) -> None:
    await link(connection, "ann", *[login_id(number) for number in range(1, 8)])

    with pytest.raises(HeldByGuard):
        await importer.source(f"SELECT 'ann' AS client_id, '{A}' AS login_id, true AS active")


async def test_imports_do_not_cross_schemas(importer: Importer, connection: Connection, database_url: str) -> None:
    await migrate.apply(connection, schema="second", now=NOW)
    content = io.BytesIO(f"{HEADER}ann,{A},true\n".encode())

    await import_file(content, url=database_url, schema="second", terms=_terms())

    assert await connection.fetchval("SELECT count(*) FROM second.login") == 1
    assert await connection.fetchval("SELECT count(*) FROM refreshd.login") == 0


async def test_a_file_is_read_from_disk_too(importer: Importer, tmp_path: Path, term: Term) -> None:
    path = tmp_path / "clients.csv"
    path.write_text(f"{HEADER}ann,{A},true\n", encoding="utf-8")
    with path.open("rb") as file:
        result = await import_file(file, url=importer.url, schema=SCHEMA, terms=_terms())
    assert result.rows == 1


class Pipe(io.BytesIO):
    """Whoever writes to it takes his time before the first line, and others do something meanwhile."""

    def __init__(self, content: bytes, meanwhile: Callable[[], Coroutine[None, None, ImportResult]]) -> None:
        super().__init__(content)
        self._meanwhile = meanwhile

    def readline(self, size: int | None = -1, /) -> bytes:
        if self.tell() == 0:
            asyncio.run(self._meanwhile())
        return super().readline(size)


async def test_a_list_that_another_one_overtook_before_its_first_line_came_changes_nothing(
    importer: Importer, connection: Connection
) -> None:
    """Ann is back, says the newer one."""
    pipe = Pipe(f"{HEADER}ann,{A},false\n".encode(), lambda: importer.text(f"{HEADER}ann,{A},true\n"))
    with pytest.raises(InputRejected, match="another client list was merged"):
        await import_file(pipe, url=importer.url, schema=SCHEMA, terms=_terms())
    assert await active_logins(connection) == {A: True}
