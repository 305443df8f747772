"""The pages over real HTTP on a real ledger."""

import asyncio
import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import aiohttp
import pytest

from refreshd import policies
from refreshd.core.codes import meaning_of
from refreshd.core.model import LoginId, Term, VerdictName
from refreshd.handle import handle_of, masked, read_beginning, read_handle
from refreshd.health import Condition, Health, Role
from refreshd.inquiry import PageLedger, Reach
from refreshd.ledger import Ledger
from refreshd.overview import Overview
from refreshd.postgres import Connection
from refreshd.settings import Settings, settings_in_force
from refreshd.web import Site, make_app, serve
from tests.support import observed
from tests.support.ledger import NOW, hold_all, judge_all, link

A, B, C = (
    LoginId(UUID(f"{word}0000-0000-4000-8000-00000000000{n}")) for n, word in enumerate(("aaaa", "bbbb", "cccc"))
)
SECRET = "postgresql://refreshd:a-password-nobody-may-see@db/ledger"


def healthy(role: Role = Role.LEADER) -> Health:
    health = Health()
    health.become(role)
    for condition in Condition:
        health.holds(condition)
    return health


def site_on(ledger: PageLedger | None, settings: Settings | None = None) -> Site:
    reach: Reach[PageLedger] = Reach()
    if ledger is not None:
        reach.attach(ledger)
    known = settings or Settings()
    return Site(
        registry=observed.metrics().registry,
        health=healthy(),
        overview=lambda: Overview(now=NOW, version="1.2.3", mode="enforce"),
        reach=reach,
        story_terms=lambda: policies.story_terms(known),
        settings=lambda: settings_in_force(known),
    )


@asynccontextmanager
async def browsing(site: Site) -> AsyncIterator[aiohttp.ClientSession]:
    async with serve(make_app(site), "127.0.0.1:0") as url, aiohttp.ClientSession(base_url=url) as session:
        yield session


@pytest.fixture
async def reader(ledger: Ledger, term: Term, connection: Connection) -> AsyncIterator[aiohttp.ClientSession]:
    """A ledger of a leak, a reconnect and a fresh login, and somebody who looks at it."""
    await link(connection, "gone", A, active=False)
    await link(connection, "here", B)
    await judge_all(ledger, term)
    await link(connection, "there", C)
    await judge_all(ledger, term, active=VerdictName.RECONNECT)
    await connection.execute(
        "UPDATE login SET institution = 'Boreal & Sons', error_code = 'INVALID_PASSWORD' WHERE login_id = $1", C
    )
    async with browsing(site_on(ledger)) as session:
        yield session


async def source(session: aiohttp.ClientSession, path: str, status: int = 200) -> str:
    async with session.get(path) as answer:
        assert answer.status == status, path
        return await answer.text()


def words(text: str) -> str:
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", text).split()))


async def read(session: aiohttp.ClientSession, path: str, status: int = 200) -> str:
    return words(await source(session, path, status))


async def listed(session: aiohttp.ClientSession, query: str = "") -> list[str]:
    """The handles in a list, in its order."""
    return re.findall(r'<td><a href="/logins/([^"]+)"', await source(session, f"/logins{query}"))


# Names ------------------------------------------------------------------------------------------------------------------------------------


async def test_no_page_holds_a_whole_login_id_or_a_client(reader: aiohttp.ClientSession) -> None:
    for path in ("/", "/logins?verdict=all", f"/logins/{handle_of(A)}", f"/logins/{handle_of(B)}", "/institutions"):
        text = await source(reader, path)
        assert all(str(each) not in text and each.hex not in text for each in (A, B, C)), path
        assert ">here<" not in text


async def test_a_login_id_in_a_vendor_s_words_is_masked_like_every_other(
    reader: aiohttp.ClientSession, ledger: Ledger, term: Term, connection: Connection
) -> None:
    pass_id = await ledger.start_pass(now=NOW, term=term)
    await connection.execute(
        "INSERT INTO call (called_at, operation, method, url, login_id, http_status, latency_seconds, attempt, pass_id, term, message)"
        " VALUES ($1, 'set_scheduled_refresh', 'PATCH', '/', $2, 200, 0.25, 1, $3, $4, $5)",
        NOW, A, pass_id, term, f"{A} has now been deactivated, as was {B.hex.upper()}",
    )  # fmt: skip
    await connection.execute(
        "INSERT INTO schedule_change (login_id, change, event, at, reason, detail, pass_id)"
        " VALUES ($1, 'disable', 'failed', $2, 'refused', $3, $4)",
        A, NOW, f"no such login: {A}", pass_id,
    )  # fmt: skip
    for path in (f"/passes/{pass_id}", f"/logins/{handle_of(A)}"):
        text = await source(reader, path)
        assert "aaaa0000… has now been deactivated, as was bbbb0000…" in text, path
        assert "no such login: aaaa0000…" in text, path
        assert str(A) not in text, path


async def test_where_it_is_allowed_the_page_shows_whole_login_ids_and_clients(ledger: Ledger, reader: object) -> None:
    async with browsing(replace(site_on(ledger), whole_ids=lambda: True)) as session:
        assert str(A) in await source(session, "/logins?verdict=all")
        assert "here active" in await read(session, f"/logins/{handle_of(B)}")


def test_a_handle_says_how_its_login_begins_and_is_read_back() -> None:
    handle = read_handle(handle_of(A).upper())
    assert handle is not None
    assert handle.span.first <= A <= handle.span.last
    assert masked(A) == "aaaa0000…"
    assert handle_of(A) != handle_of(LoginId(UUID(int=A.int + 1)))


@pytest.mark.parametrize("text", ["", "aaaa0000", "aaaa0000-xyz", "aaaa0000-0123456789a", "../../etc/passwd"])
def test_what_is_no_handle_is_none(text: str) -> None:
    assert read_handle(text) is None


@pytest.mark.parametrize(
    ("text", "reads"), [("aaaa", True), (str(A), True), (masked(A), True), ("aaa", False), ("xyzt", False)]
)
def test_four_digits_begin_a_login_id_and_fewer_do_not(text: str, reads: bool) -> None:  # noqa: FBT001 # a column of the table
    span = read_beginning(text)
    assert (span is not None and span.first <= A <= span.last) is reads


# Lists ------------------------------------------------------------------------------------------------------------------------------------


async def test_the_list_shows_those_that_need_somebody_worst_first(reader: aiohttp.ClientSession) -> None:
    assert await listed(reader) == [handle_of(A), handle_of(C)]


async def test_the_list_is_filtered_by_verdict_institution_code_and_beginning(reader: aiohttp.ClientSession) -> None:
    assert await listed(reader, "?verdict=fresh") == [handle_of(B)]
    assert await listed(reader, "?institution=Boreal+%26+Sons") == [handle_of(C)]
    assert await listed(reader, "?code=INVALID_PASSWORD&institution=") == [handle_of(C)]
    assert await listed(reader, "?verdict=all&begins=bbbb") == [handle_of(B)]
    assert await listed(reader, "?code=NOBODY_HAS_IT") == []


async def test_a_login_that_flinks_refuses_is_listed_and_found_by_the_code_of_the_refusal(
    reader: aiohttp.ClientSession, connection: Connection
) -> None:
    await connection.execute(
        "UPDATE login SET verdict = 'quarantined', refused_at = $2, refused_code = 'UNAUTHORIZED' WHERE login_id = $1",
        C, NOW,
    )  # fmt: skip
    assert await listed(reader, "?code=UNAUTHORIZED") == [handle_of(C)]
    assert await listed(reader, "?code=INVALID_PASSWORD") == []
    assert f"UNAUTHORIZED {meaning_of('UNAUTHORIZED').advice}" in html.unescape(await read(reader, "/logins"))


async def test_a_code_in_the_list_is_explained_below_it(reader: aiohttp.ClientSession) -> None:
    assert "INVALID_PASSWORD Connect this bank again in Flinks Connect" in await read(reader, "/logins")


@pytest.mark.parametrize(
    "query",
    ["?verdict=nonsense", "?after=leaking.nonsense", "?begins=%00", "?after=" + "x" * 3000, "?institution=%00"],
)
async def test_an_address_that_says_nonsense_counts_as_not_said(reader: aiohttp.ClientSession, query: str) -> None:
    assert await listed(reader, query) == [handle_of(A), handle_of(C)]


async def test_paging_shows_every_login_once_across_verdicts(
    ledger: Ledger, term: Term, connection: Connection
) -> None:
    many = [LoginId(UUID(int=(n << 96) + n)) for n in range(1, 121)]
    await link(connection, "gone", *many[:60], active=False)
    await link(connection, "here", *many[60:])
    await judge_all(ledger, term, active=VerdictName.STALE)
    seen: list[str] = []
    async with browsing(site_on(ledger)) as session:
        path = "/logins"
        for _ in range(3):
            text = await source(session, path)
            seen += re.findall(r'<td><a href="/logins/([^"]+)"', text)
            following = re.search(r'rel="next" href="([^"]+)"', text)
            path = f"/logins{html.unescape(following[1])}" if following else ""
    assert path == ""
    assert seen == [handle_of(each) for each in many]


async def test_a_login_id_is_found_without_ever_standing_in_an_address(reader: aiohttp.ClientSession) -> None:
    async with reader.post("/logins/find", data={"login": f" {str(B).upper()} "}, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, f"/logins/{handle_of(B)}")


async def test_a_beginning_that_several_share_leads_to_their_list(
    reader: aiohttp.ClientSession, connection: Connection
) -> None:
    await link(connection, "more", LoginId(UUID("bbbb0000-0000-4000-8000-00000000ffff")))
    async with reader.post("/logins/find", data={"login": "bbbb"}, allow_redirects=False) as answer:
        assert answer.headers["Location"] == "/logins?verdict=all&begins=bbbb0000"


@pytest.mark.parametrize(("text", "said"), [("dddd", "knows no login"), ("acme", "no LoginId"), ("", "no LoginId")])
async def test_what_is_not_found_is_said_in_words(reader: aiohttp.ClientSession, text: str, said: str) -> None:
    async with reader.post("/logins/find", data={"login": text}) as answer:
        assert answer.status == 404
        assert said in await answer.text()


# Stories ----------------------------------------------------------------------------------------------------------------------------------


async def test_a_login_s_page_tells_its_story(reader: aiohttp.ClientSession) -> None:
    said = await read(reader, f"/logins/{handle_of(A)}")
    assert "Login aaaa0000… leaking" in said
    assert "next disable it at Flinks" in said
    assert "scheduled refresh not known: Flinks has not said" in said
    assert "1 client, inactive" in said
    assert "Last calls None in the trace" in said


@pytest.mark.parametrize(
    "path",
    ["/logins/nonsense", "/logins/aaaa0000-0123456789", "/plans/nonsense", "/passes/4711", f"/passes/{'9' * 19}"],
)
async def test_what_does_not_exist_is_a_page_that_says_so(reader: aiohttp.ClientSession, path: str) -> None:
    assert "Not found" in await read(reader, path, 404)


async def test_a_pass_has_a_page_with_its_phases_what_it_withheld_and_its_changes(
    reader: aiohttp.ClientSession, ledger: Ledger, term: Term, connection: Connection
) -> None:
    pass_id = await ledger.start_pass(now=NOW, term=term)
    record = replace(observed.pass_record(), pass_id=pass_id, started_at=NOW, finished_at=NOW + timedelta(seconds=2))
    await ledger.finish_pass(record, term=term)
    await connection.execute(
        "INSERT INTO schedule_change (login_id, change, event, at, reason, plan_id, pass_id)"
        " VALUES ($1, 'disable', 'held', $2, 'first_plan', 'p1', $3)",
        A, NOW, pass_id,
    )  # fmt: skip
    await connection.execute(
        "INSERT INTO call (called_at, operation, method, url, login_id, http_status, latency_seconds, attempt, pass_id, term)"
        " VALUES ($1, 'authorize', 'POST', '/', $2, 200, 0.25, 1, $3, $4)",
        NOW + timedelta(seconds=1), B, pass_id, term,
    )  # fmt: skip
    assert f'<a href="/passes/{pass_id}">' in await source(reader, "/")
    said = await read(reader, f"/passes/{pass_id}")
    assert "Done after 2.0 s" in said
    assert "Judge 1.5 s" in said
    assert "no plan of this ledger was ever approved" in said
    assert "aaaa0000… disable held first_plan p1" in said
    assert "bbbb0000… authorize 250 ms 200" in said


async def test_a_plan_says_how_its_canary_goes(
    reader: aiohttp.ClientSession, ledger: Ledger, term: Term, connection: Connection
) -> None:
    pass_id = await ledger.start_pass(now=NOW, term=term)
    held = await hold_all(ledger, term, pass_id=pass_id)
    path = f"/plans/{held.plan_id}"
    assert "canary" not in await read(reader, path)
    await connection.execute("UPDATE plan SET canary = true")
    assert "Its canary: Flinks has confirmed 0 of 5 as expected; the rest waits." in await read(reader, path)
    await connection.execute(
        "INSERT INTO canary (plan_id, login_id, answer, answered_at, detail) SELECT plan_id, $1, 'unexpected', $2, $3 FROM plan",
        A, NOW, f"it speaks of {C}",
    )  # fmt: skip
    said = f"1 of its canary's answers were not expected (it speaks of {masked(C)})."
    assert said in await read(reader, path)


async def test_a_small_plan_that_went_at_once_has_a_page_too_and_was_made_not_held(
    reader: aiohttp.ClientSession, ledger: Ledger, term: Term, connection: Connection
) -> None:
    pass_id = await ledger.start_pass(now=NOW, term=term)
    held = await hold_all(ledger, term, pass_id=pass_id)
    await connection.execute(
        "UPDATE plan SET state = 'closed', reason = 'within_caps', sentence = 'within the caps; sent at once',"
        " approved_at = $1, approved_until = $1, approval_reason = 'looked'",
        NOW,
    )
    text = await read(reader, f"/plans/{held.plan_id}")
    assert "Within the caps; sent at once. Made 0 s ago . Approved until 2026-03-02 16:00 UTC: looked. Closed:" in text


async def test_the_page_of_institutions_says_how_each_stands_as_the_command_does(
    reader: aiohttp.ClientSession, connection: Connection
) -> None:
    assert "nothing heard yet" in await read(reader, "/institutions")
    await connection.execute(
        "INSERT INTO institution (name, state, since, proved_at, night, refreshed, failed, blaming_users)"
        " VALUES ('Boreal & Sons', 'down', $1, $1, $1, 2, 18, 0)",
        NOW,
    )
    text = await read(reader, "/institutions")
    assert "down 18 of the 20 logins heard of" in text
    assert "held: one login at a time asks it; its users are not blamed" in text
    story = await read(reader, f"/logins/{handle_of(C)}")
    assert "which is down, held: one login at a time asks it; its users are not blamed; 18 of the 20 logins" in story
    assert "which is" not in await read(reader, f"/logins/{handle_of(A)}"), "nobody knows its institution"
    await connection.execute("UPDATE institution SET state = 'not_enough_evidence'")
    assert "not enough evidence each login is judged alone" in await read(reader, "/institutions")


async def test_institutions_are_counted_the_busiest_first(reader: aiohttp.ClientSession) -> None:
    text = await read(reader, "/institutions")
    assert "not known yet nothing heard yet 2 1 1 0 0 0 0 Boreal & Sons nothing heard yet 1 1 0 0 1 0 0" in text


async def test_every_link_on_a_page_leads_somewhere(reader: aiohttp.ClientSession) -> None:
    for path in ("/", "/logins?verdict=all", f"/logins/{handle_of(A)}", "/plans", "/institutions", "/config"):
        for target in re.findall(r'(?:href|src)="([^"]+)"', await source(reader, path)):
            relative = f"/logins{target}" if target.startswith("?") else target
            async with reader.get(html.unescape(relative)) as answer:
                assert answer.status == 200, target


# What is secret, and what is away ---------------------------------------------------------------------------------------------------------


async def test_settings_are_shown_and_of_secrets_only_whether_they_are_set() -> None:
    settings = Settings.model_validate({"database_url": SECRET, "rate_per_minute": 77})
    async with browsing(site_on(None, settings)) as session:
        text = await source(session, "/config")
    assert "a-password-nobody-may-see" not in text
    said = words(text)
    assert "REFRESHD_DATABASE_URL set The ledger" in said
    assert "REFRESHD_FLINKS_API_KEY not set" in said
    assert "REFRESHD_RATE_PER_MINUTE 77" in said


@pytest.mark.parametrize("path", ["/logins", "/plans", "/institutions", "/passes/1"])
async def test_a_page_that_needs_the_ledger_says_when_it_is_away(path: str) -> None:
    async with browsing(site_on(None)) as session:
        assert "The ledger is away" in await read(session, path, 503)


async def test_the_overview_shows_what_the_daemon_knows_while_the_ledger_is_away() -> None:
    known = Overview(now=NOW, version="1.2.3", mode="enforce", totals=observed.totals())
    async with browsing(replace(site_on(None), overview=lambda: known)) as session:
        said = await read(session, "/")
    assert "The ledger is away" in said
    assert "12 billed until somebody approves their plan" in said


async def test_a_ledger_that_does_not_answer_keeps_no_reader_waiting_and_no_probe(
    ledger: Ledger, connection: Connection
) -> None:
    reach: Reach[PageLedger] = Reach(seconds=0.2)
    reach.attach(ledger)
    async with browsing(replace(site_on(None), reach=reach)) as session:
        async with connection.transaction():
            await connection.execute("LOCK TABLE reconcile_pass, login IN ACCESS EXCLUSIVE MODE")
            assert "did not answer within 0.2 s" in await read(session, "/institutions", 503)
            await _nobody_waits(connection)
            assert await read(session, "/livez") == "alive"
        assert "no login yet" in await read(session, "/institutions")


async def _nobody_waits(connection: Connection) -> None:
    """A statement that its reader has given up is cancelled at the server too, where it would go on to hold up others."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(10):
        while await connection.fetchval(waiting):
            await connection.execute("SELECT pg_stat_clear_snapshot()")
            await asyncio.sleep(0.02)


async def test_a_standby_names_the_leader_and_counts_for_its_readers(reader: object, ledger: Ledger) -> None:
    async with browsing(replace(site_on(ledger), health=healthy(Role.STANDBY))) as session:
        said = await read(session, "/")
    assert "This daemon is a standby. test leads, under term 1" in said
    assert "1 billed although no client is active" in said
    assert "3 logins in the ledger" in said


async def test_a_page_asks_for_nothing_that_its_policy_forbids(reader: aiohttp.ClientSession) -> None:
    for path in ("/", "/logins?verdict=all", f"/logins/{handle_of(A)}", "/config"):
        text = await source(reader, path)
        assert not re.search(
            r"<style|\sstyle=|\son[a-z]+=|<script(?! src=\"/page.js\")|https?://",
            text,
        ), path


async def test_forms_are_allowed_only_where_there_is_one(reader: aiohttp.ClientSession) -> None:
    for path, target in (("/", "'none'"), ("/config", "'none'"), ("/logins", "'self'")):
        async with reader.get(path) as answer:
            assert answer.headers["Content-Security-Policy"].endswith(f"form-action {target}")
