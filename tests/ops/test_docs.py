"""The documents are true: links lead somewhere, every name in them exists, no reason, event or table is missing, and the SQL runs."""

import ast
import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import asyncpg
import pytest
import typer

import refreshd
from refreshd.cli import app
from refreshd.core.caps import HoldReason
from refreshd.core.effects import Confirmed
from refreshd.core.judge import judge
from refreshd.core.model import Change, LoginId, Report, ReportCard, Term, VerdictName
from refreshd.ledger import Ledger
from refreshd.postgres import Connection
from tests.support import metric_table
from tests.support.builders import JUDGE
from tests.support.documents import ROOT, Document, document, documents, unknown_names
from tests.support.judgements import judgements
from tests.support.ledger import DAY, link, login_id
from tests.support.postgres import SCHEMA

ALL = documents()
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
VERDICTS, LEDGER, OPERATING = (document(f"docs/{name}.md") for name in ("verdicts", "ledger", "operating"))

every_document = pytest.mark.parametrize("read", ALL, ids=lambda read: read.name)


# Links and names --------------------------------------------------------------------------------------------------------------------


def dead_links(read: Document) -> list[str]:
    """Links that lead nowhere in this checkout, and addresses that are not https."""
    in_html = re.findall(r'(?:src|srcset|href)="([^"]+)"', read.text)
    return [link for link in [*read.links, *in_html] if not leads_somewhere(read, link)]


def leads_somewhere(read: Document, link: str) -> bool:
    if "://" in link:
        return link.startswith("https://")
    path, _, anchor = link.partition("#")
    target = (read.path.parent / path).resolve() if path else read.path
    if not target.exists() or not target.is_relative_to(ROOT):
        return False
    return not anchor or anchor in Document(target, target.read_text(encoding="utf-8")).anchors


@every_document
def test_every_link_leads_somewhere(read: Document) -> None:
    assert dead_links(read) == []


def test_a_dead_link_is_found() -> None:
    text = "[a](nowhere.md) [b](README.md#settings) [c](README.md#nothing) [d](http://plain.example) <img src='x'>"
    assert dead_links(Document(ROOT / "CHANGELOG.md", text)) == [
        "nowhere.md",
        "README.md#nothing",
        "http://plain.example",
    ]


def test_every_document_is_linked_from_another() -> None:
    reached = {
        (read.path.parent / link.partition("#")[0]).resolve()
        for read in ALL
        for link in read.links
        if "://" not in link
    }
    assert [read.name for read in ALL if read.path not in reached | {ROOT / "README.md"}] == []


def test_every_picture_is_shown() -> None:
    shown = "".join(read.text for read in ALL)
    assert [path.name for path in (ROOT / "docs" / "images").iterdir() if path.name not in shown] == []


@every_document
def test_every_setting_that_is_named_exists(read: Document) -> None:
    assert unknown_names(read.text) == set()


@every_document
def test_no_path_of_somebodys_machine_stands_in_a_document(read: Document) -> None:
    assert re.findall(r"/(?:root|home|work|Users|mnt)/\S*", read.text) == []


def options_of_commands() -> dict[str, set[str]]:
    group = typer.main.get_command(app.build())
    found: dict[str, typer.core.TyperCommand] = getattr(group, "commands")  # noqa: B009 # typer's own type does not say so
    return {name: {option for each in command.params for option in each.opts} for name, command in found.items()}


_CALL = re.compile(r"(?:^|-- |&& |\| |/bin/)refreshd ((?:--)?[a-z]+)((?: +[^\s|#;&]+)*)")
_OPTIONS = options_of_commands()


def wrong_calls(read: Document) -> list[str]:
    """Calls of refreshd in code that name a command or an option that does not exist."""
    shell = [line for fence in read.fences if fence.language == "sh" for line in fence.text.splitlines()]
    typed = [line[2:] for fence in read.fences for line in fence.text.splitlines() if line.startswith("$ ")]
    return [text for text in [*read.inline_code, *shell, *typed] for call in _CALL.finditer(text) if not is_right(call)]


def is_right(call: re.Match[str]) -> bool:
    name, rest = call[1], call[2].split()
    options = {word for word in rest if word.startswith("-") and word != "-"}
    return name in _OPTIONS and options <= _OPTIONS[name] | {"--help"}


@every_document
def test_every_command_and_option_that_is_named_exists(read: Document) -> None:
    assert wrong_calls(read) == []


def test_a_command_or_option_that_does_not_exist_is_found() -> None:
    text = "`refreshd plan --all` `refreshd plan --every` `refreshd refuse X` `refreshd/core` `refreshd logins --verdict V --json`"
    assert wrong_calls(Document(ROOT / "x.md", text)) == ["refreshd plan --every", "refreshd refuse X"]


@every_document
def test_every_target_of_make_that_is_named_exists(read: Document) -> None:
    code = [
        *read.inline_code,
        *(line for fence in read.fences if fence.language == "sh" for line in fence.text.splitlines()),
    ]
    targets = {found for text in code for found in re.findall(r"(?:^|\s)make ([a-z-]+)", text)}
    assert {target for target in targets if not re.search(rf"^{target}:", MAKEFILE, flags=re.MULTILINE)} == set()


# Verdicts ---------------------------------------------------------------------------------------------------------------------------


def documented_verdicts() -> dict[tuple[bool, str, str], str]:
    inactive, active = VERDICTS.tables()[:2]
    rows = [(False, row) for row in inactive[1:]] + [(True, row) for row in active[1:]]
    return {(is_active, row[0].strip("`"), row[1].strip("`")): row[2] for is_active, row in rows}


def test_every_reason_of_the_judge_is_documented_and_no_other() -> None:
    assert documented_verdicts().keys() == judgements().keys()


def test_the_sentences_are_the_judges() -> None:
    forms = judgements()
    wrong = [
        (key, sentence)
        for key, sentence in documented_verdicts().items()
        if not any(form.fullmatch(sentence) for form in forms[key])
    ]
    assert wrong == []


# Operating --------------------------------------------------------------------------------------------------------------------------

_LEVELS = {"debug", "info", "warning", "error", "exception"}


def logged_events() -> dict[str, str]:
    """Every event that the daemon logs, with its level, read off the source."""
    found: dict[str, str] = {}
    for path in (ROOT / "refreshd").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for call in ast.walk(tree):
            match call:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="_log"), attr=level)) if level in _LEVELS:
                    found |= dict.fromkeys(event_names(call.args[0], tree), level)
    return found


def event_names(node: ast.expr, tree: ast.Module) -> list[str]:
    match node:
        case ast.Constant(value=str(name)):
            return [name]
        case ast.IfExp():
            return event_names(node.body, tree) + event_names(node.orelse, tree)
        case ast.Name(id=name):
            assigned = (each for each in ast.walk(tree) if isinstance(each, ast.Assign))
            values = (
                each.value
                for each in assigned
                if any(isinstance(to, ast.Name) and to.id == name for to in each.targets)
            )
            return [found for value in values for found in event_names(value, tree)]
        case _:
            raise AssertionError(f"an event is named in a way that this test does not read: {ast.unparse(node)}")


def test_every_event_in_the_logs_is_documented_with_its_level_and_no_other() -> None:
    documented = {
        row[0].strip("`"): row[1] for row in OPERATING.table("event", "level", "what it says, and what to do")
    }
    assert documented == logged_events()


def test_every_reason_of_the_guard_is_documented_and_no_other() -> None:
    documented = [row[0].strip("`") for row in OPERATING.table("reason", "what it says", "what you do")]
    assert sorted(documented) == sorted(HoldReason)


# The ledger -------------------------------------------------------------------------------------------------------------------------


def sql_of(read: Document, word: str) -> list[str]:
    return [fence.text for fence in read.fences if fence.language == "sql" and word in fence.words]


@contextmanager
def application(url: str) -> Iterator[str]:
    """A role that is granted what the document grants, and nothing more. Roles belong to the whole server, which other tests use
    meanwhile: it is named after the database, which is this test's own."""
    role = f"application_{urlsplit(url).path[1:]}"
    asyncio.run(execute(url, [f"CREATE ROLE {role}"]))
    try:
        yield role
    finally:
        asyncio.run(execute(url, [f"DROP OWNED BY {role}", f"DROP ROLE {role}"]))


async def execute(url: str, statements: list[str], role: str | None = None) -> list[list[asyncpg.Record]]:
    session = await asyncpg.connect(url, server_settings={"search_path": SCHEMA})
    try:
        if role is not None:
            await session.execute(f"SET ROLE {role}")
        return [await session.fetch(each) for each in statements]
    finally:
        await session.close()


def single(text: str) -> list[str]:
    """The statements of a block."""
    return [each.strip() for each in text.split(";\n") if each.strip().strip(";")]


@pytest.mark.parametrize("name", ["README.md", "docs/ledger.md"])
def test_the_applications_sql_runs_with_the_rights_that_are_granted_and_no_more(database_url: str, name: str) -> None:
    read = document(name)
    (grants,) = sql_of(read, "grants")
    statements = [each for block in sql_of(read, "application") for each in single(block)]
    assert len(statements) >= 4
    with application(database_url) as role:
        asyncio.run(execute(database_url, single(re.sub(r"\bapplication\b", role, grants))))
        asyncio.run(execute(database_url, statements, role))
        for forbidden in ("SELECT login_id FROM login", "SELECT call_id FROM call", "DELETE FROM login"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                asyncio.run(execute(database_url, [forbidden], role))


def test_what_the_application_says_makes_a_login_active_and_inactive_and_an_erased_client_leaves_it_to_be_disabled(
    database_url: str,
) -> None:
    connects, leaves, returns, unscheduled, erased = (sql_of(LEDGER, "application"))[:5]
    states = []
    for block in (connects, leaves, returns, unscheduled, erased):
        asyncio.run(execute(database_url, single(block)))
        ((row,),) = asyncio.run(execute(database_url, ["SELECT active FROM login"]))
        states.append(row["active"])
    assert states == [True, False, True, False, False]
    ((clients,), (logins,)) = asyncio.run(
        execute(database_url, ["SELECT count(*) FROM client", "SELECT count(*) FROM login"])
    )
    assert (clients[0], logins[0]) == (0, 1)


def test_the_owners_sql_runs(database_url: str) -> None:
    blocks = sql_of(LEDGER, "owner")
    assert len(blocks) >= 4
    asyncio.run(execute(database_url, [each for block in blocks for each in single(block)]))


def test_the_source_query_has_the_columns_that_are_asked_for(database_url: str) -> None:
    (query,) = sql_of(LEDGER, "source")
    tables = [
        "CREATE TABLE customer (id int, number text, closed_at timestamptz)",
        "CREATE TABLE bank_link (customer_id int, flinks_login_id uuid)",
        "INSERT INTO customer VALUES (1, 'acme-17', NULL)",
        "INSERT INTO bank_link VALUES (1, gen_random_uuid())",
    ]
    *_, rows = asyncio.run(execute(database_url, [*tables, query]))
    assert list(rows[0].keys()) == ["client_id", "login_id", "active"]


async def test_every_table_is_documented_and_no_other(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    query = """
        SELECT relname FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
    """
    tables = {row["relname"] for row in await connection.fetch(query)}
    written = {row[0] for row in LEDGER.table("table", "column", "meaning")} - {""}
    kept = {name for row in LEDGER.table("table", "what it holds") for name in row[0].split(", ")}
    assert {name.strip("`") for name in written | kept} == tables


async def columns_of(connection: "asyncpg.Connection[asyncpg.Record]", table: str) -> list[str]:
    query = "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
    return [row["attname"] for row in await connection.fetch(query, table)]


async def test_the_view_has_the_columns_that_are_listed(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    (listed,) = re.findall(r"`login_status` has one row a login: (.+)\.", LEDGER.text)
    assert [name.strip("`") for name in listed.split(", ")] == await columns_of(connection, "login_status")


# Changes ----------------------------------------------------------------------------------------------------------------------------


def test_the_changelog_speaks_of_this_version_first_in_one_sentence_a_line() -> None:
    text = document("CHANGELOG.md").text
    newest = re.findall(r"^## (\S+)", text, flags=re.MULTILINE)[0]
    assert newest == refreshd.__version__
    entries = [line for line in text.splitlines() if line.startswith("- ")]
    assert entries
    assert [line for line in entries if not line.endswith(".") or re.search(r"[.!?] [A-Z]", line)] == []


# The metrics ------------------------------------------------------------------------------------------------------------------------


def test_every_metric_stands_in_the_table_as_it_is() -> None:
    text = metric_table.PAGE.read_text(encoding="utf-8")
    assert metric_table.page(text) == text, "run python -m tests.support.metric_table"


DATED = (
    "routine_at",
    "cached_call_at",
    "flag_seen_at",
    "answered_at",
    "confirmed_off_at",
    "maybe_off_since",
    "intended_at",
    "manual_at",
    "not_before",
    "change_not_before",
)
"""What refreshd decides by, of the dates of a login that it writes itself."""


@pytest.mark.parametrize("column", DATED)
def test_dates_of_the_future_are_found_and_taken_back_by_the_statements_for_it(database_url: str, column: str) -> None:
    look, mend = sql_of(OPERATING, "future")
    beside = {
        "flag_seen_at": ", flag = 'off'",
        "intended_at": ", intent = 'disable', intent_id = 1, intent_reason = 'flag_on', intent_plan_id = 'a'",
    }
    at = f"{column} = now() + interval '10 days'{beside.get(column, '')}"
    steps = [
        "INSERT INTO client (client_id) VALUES ('ann')",
        "INSERT INTO client_login (client_id, login_id) SELECT 'ann', gen_random_uuid() FROM generate_series(1, 2)",
        f"UPDATE login SET {at} WHERE login_id = (SELECT login_id FROM login LIMIT 1)",  # noqa: S608 - the names above
        look,
        mend,
        look,
        "SELECT * FROM login WHERE evidence_version = (SELECT max(evidence_version) FROM login)",
        "SELECT now() AS now",
    ]
    *_, found, _, left, mended, [clock] = asyncio.run(execute(database_url, steps))
    assert len(found) == 1
    assert left == []
    assert [row["login_id"] for row in mended] == [row["login_id"] for row in found]
    assert mended[0][column] is None or mended[0][column] <= clock["now"]


async def confirmed_off_in_ten_days(ledger: Ledger, connection: Connection, term: Term) -> tuple[LoginId, datetime]:
    """A login without a client that was confirmed off under a date of the future, and the moment that it really was."""
    gone = login_id(1)
    await link(connection, "ann", gone, active=False)
    now: datetime = await connection.fetchval("SELECT clock_timestamp()")
    off = Confirmed(login_id=gone, change=Change.DISABLE, confirmed_at=now + 10 * DAY)
    await ledger.record([], [off], term=term)
    return gone, now


async def test_a_login_that_was_confirmed_off_in_the_future_leaks_again_once_its_dates_are_taken_back(
    ledger: Ledger, connection: Connection, term: Term
) -> None:
    _, mend = sql_of(OPERATING, "future")
    gone, now = await confirmed_off_in_ten_days(ledger, connection, term)

    await connection.execute(mend)

    [evidence] = await ledger.evidence_due(now=now, limit=10)
    assert judge(evidence, JUDGE, now).name is VerdictName.DISABLED
    later = now + timedelta(minutes=15)
    card = ReportCard(login_id=gone, attempted_at=None, state=None, code=None)
    await ledger.record_report(Report(read_at=later, cards=(card,)), term=term)
    [evidence] = await ledger.evidence_due(now=later, limit=10)
    assert judge(evidence, JUDGE, later).reason == "flag_came_back"


async def test_what_was_seen_on_after_it_was_confirmed_off_stays_later_when_both_dates_are_taken_back(
    ledger: Ledger, connection: Connection, term: Term
) -> None:
    _, mend = sql_of(OPERATING, "future")
    _, now = await confirmed_off_in_ten_days(ledger, connection, term)
    await connection.execute("UPDATE login SET flag = 'on', flag_seen_at = confirmed_off_at + interval '1 hour'")

    await connection.execute(mend)

    [evidence] = await ledger.evidence_due(now=now, limit=10)
    assert judge(evidence, JUDGE, now).reason == "flag_came_back"
