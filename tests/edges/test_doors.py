"""Deciding on the page: who may, how it is confirmed, and that there is no door where nobody may."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from http import HTTPStatus

import aiohttp
import pytest
from pydantic import ValidationError

from refreshd.clock import SystemClock
from refreshd.core.model import Term
from refreshd.health import Condition
from refreshd.inquiry import PageLedger, Reach
from refreshd.ledger import Ledger
from refreshd.operators import Operators, operator_line, read_operators
from refreshd.postgres import Connection
from refreshd.settings import Settings
from refreshd.watching import Watch
from refreshd.web import DecidingLedger, Desk, Site, make_app, serve
from refreshd.web.desk import FAILURES_OF_ONE, MOST_SESSIONS, SESSION_SECONDS, Attempts, Sessions
from tests.edges.test_pages import site_on
from tests.support.ledger import NOW, hold_all, judge_all, link, login_id, plan_of

PASSWORD = "correct horse battery"
LINE = operator_line("alice", PASSWORD)
PLAN = plan_of(*(login_id(number) for number in (1, 2, 3)))


@pytest.fixture(scope="module")
def operators() -> Operators:
    return read_operators(f"# who may\n\n{LINE}\n")


def with_desk(ledger: Ledger, operators: Operators) -> Site:
    deciding: Reach[DecidingLedger] = Reach()
    deciding.attach(ledger)
    return replace(site_on(ledger), desk=Desk(operators=operators, reach=deciding))


class Browser:
    """Does what a browser does: keeps the cookie, says where a form comes from, does not follow by itself."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._session = session

    async def get(self, path: str) -> tuple[int, str]:
        async with self._session.get(path, allow_redirects=False) as answer:
            return answer.status, answer.headers.get("Location", "") or await answer.text()

    async def post(
        self, path: str, data: Mapping[str, str], *, headers: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        said = {"Origin": self.url} if headers is None else headers
        async with self._session.post(path, data=data, headers=said, allow_redirects=False) as answer:
            return answer.status, answer.headers.get("Location", "") or await answer.text()

    async def sign_in(self, password: str = PASSWORD, name: str = "alice", to: str = "") -> tuple[int, str]:
        return await self.post("/sign-in", {"name": name, "password": password, "to": to})

    async def csrf(self, path: str) -> str:
        found = re.search(
            r'action="(?!/sign-out)[^"]*">\s*<input type="hidden" name="csrf" value="([^"]+)"',
            (await self.get(path))[1],
        )
        assert found is not None
        return found[1]

    async def decide(self, path: str, reason: str = "looked at it") -> tuple[int, str]:
        return await self.post(path, {"csrf": await self.csrf(path), "reason": reason})


@asynccontextmanager
async def at(site: Site) -> AsyncIterator[Browser]:
    jar = aiohttp.CookieJar(unsafe=True)  # a browser keeps cookies of 127.0.0.1 too
    async with (
        serve(make_app(site), "127.0.0.1:0") as url,
        aiohttp.ClientSession(base_url=url, cookie_jar=jar) as session,
    ):
        yield Browser(url, session)


@pytest.fixture
async def browser(ledger: Ledger, term: Term, connection: Connection, operators: Operators) -> AsyncIterator[Browser]:
    """A ledger with one held plan of three logins."""
    await link(connection, "gone", *(login_id(n) for n in range(1, 4)), active=False)
    await judge_all(ledger, term)
    pass_id = await ledger.start_pass(now=NOW, term=term)
    await hold_all(ledger, term, pass_id=pass_id)
    async with at(with_desk(ledger, operators)) as opened:
        yield opened


async def state(ledger: Ledger) -> str:
    plan = await ledger.plan(PLAN)
    assert plan is not None
    return plan.state.value


# No desk, no door -------------------------------------------------------------------------------------------------------------------------


def methods(site: Site) -> set[tuple[str, str]]:
    routes = make_app(site).router.routes()
    return {(each.method, each.resource.canonical) for each in routes if each.resource is not None}


def test_without_operators_no_path_takes_a_form_but_the_one_that_finds_a_login(ledger: Ledger) -> None:
    taking = {each for each in methods(site_on(ledger)) if each[0] not in {"GET", "HEAD"}}
    assert taking == {("POST", "/logins/find")}


async def test_without_operators_the_page_names_commands_and_shows_no_button(browser: Browser, ledger: Ledger) -> None:
    async with at(site_on(ledger)) as closed:
        _, text = await closed.get("/")
        assert f"refreshd approve {PLAN}" in text
        assert f"/plans/{PLAN}/approve" not in text
        assert (await closed.get(f"/plans/{PLAN}/approve"))[0] == 404
        assert (await closed.get("/sign-in"))[0] == 404


# Who may ----------------------------------------------------------------------------------------------------------------------------------


async def test_whoever_has_not_signed_in_is_led_to_the_sign_in_and_then_back(browser: Browser) -> None:
    path = f"/plans/{PLAN}/approve"
    assert await browser.get(path) == (303, f"/sign-in?to={path}")
    assert await browser.sign_in(to=path) == (303, path)
    status, text = await browser.get(path)
    assert status == 200
    assert "Disable 3 logins?" in text
    assert "alice" in text


@pytest.mark.parametrize(
    "to", ["https://evil.example/", "//evil.example", "/\\evil.example", "/sign-out", "javascript:alert(1)"]
)
async def test_the_sign_in_leads_nowhere_else(browser: Browser, to: str) -> None:
    assert await browser.sign_in(to=to) == (303, "/")


@pytest.mark.parametrize(("name", "password"), [("alice", "wrong"), ("bob", PASSWORD), ("", ""), ("alice", "x" * 2000)])
async def test_a_wrong_name_or_password_is_refused_with_the_same_words(
    browser: Browser, name: str, password: str
) -> None:
    status, text = await browser.sign_in(password, name)
    assert status == 403
    assert "This name and password do not match." in text


async def test_guessing_is_stopped_even_for_the_right_password(browser: Browser) -> None:
    for _ in range(FAILURES_OF_ONE):
        assert (await browser.sign_in("wrong"))[0] == 403
    assert (await browser.sign_in())[0] == 429


async def test_the_cookie_is_kept_from_scripts_other_sites_and_plain_connections(
    ledger: Ledger, operators: Operators
) -> None:
    form = {"name": "alice", "password": PASSWORD}
    async with serve(make_app(with_desk(ledger, operators)), "127.0.0.1:0") as url, aiohttp.ClientSession() as session:
        for scheme, is_secure in (("http", False), ("https", True)):
            said = {"Origin": url.replace("http", scheme)}
            async with session.post(f"{url}/sign-in", data=form, headers=said, allow_redirects=False) as answer:
                cookie = answer.headers["Set-Cookie"]
                assert "HttpOnly" in cookie
                assert "SameSite=Strict" in cookie
                assert ("Secure" in cookie) is is_secure


async def test_signing_out_ends_the_session(browser: Browser) -> None:
    await browser.sign_in()
    csrf = await browser.csrf("/writes/pause")
    assert await browser.post("/sign-out", {"csrf": csrf}) == (303, "/")
    assert (await browser.get("/writes/pause"))[0] == 303


# Deciding ---------------------------------------------------------------------------------------------------------------------------------


async def test_an_approval_is_recorded_with_who_and_why(browser: Browser, ledger: Ledger) -> None:
    await browser.sign_in()
    assert await browser.decide(f"/plans/{PLAN}/approve", " checked with\r\n billing ") == (303, f"/plans/{PLAN}")
    assert await state(ledger) == "approved"
    (decision,) = await ledger.plan_decisions(PLAN)
    assert (decision.decided_by, decision.decision, decision.reason) == ("alice", "approve", "checked with billing")
    assert "approved</strong> by alice: checked with billing" in (await browser.get(f"/plans/{PLAN}"))[1]


async def test_a_plan_is_rejected_and_may_be_approved_after_all(browser: Browser, ledger: Ledger) -> None:
    await browser.sign_in()
    assert (await browser.decide(f"/plans/{PLAN}/reject"))[0] == 303
    assert await state(ledger) == "rejected"
    assert (await browser.decide(f"/plans/{PLAN}/approve"))[0] == 303
    assert await state(ledger) == "approved"
    assert (await browser.get(f"/plans/{PLAN}/approve"))[0] == 404


async def test_a_plan_that_disabled_something_is_undone_by_asking_the_leader(
    browser: Browser, ledger: Ledger, connection: Connection
) -> None:
    await browser.sign_in()
    assert (await browser.get(f"/plans/{PLAN}/undo"))[0] == 404, "it has disabled nothing"
    assert f"/plans/{PLAN}/undo" not in (await browser.get(f"/plans/{PLAN}"))[1]
    await connection.execute(
        "UPDATE login SET plan_id = NULL, confirmed_off_at = $2 WHERE login_id = $1", login_id(1), NOW
    )
    await connection.execute(
        "INSERT INTO schedule_change (login_id, change, event, at, reason, plan_id)"
        " VALUES ($1, 'disable', 'confirmed', $3, 'leaking', $4), ($2, 'disable', 'confirmed', $3, 'leaking', $4)",
        login_id(1), login_id(99), NOW, PLAN,
    )  # fmt: skip
    assert f'href="/plans/{PLAN}/undo"' in (await browser.get(f"/plans/{PLAN}"))[1]
    _, text = await browser.get(f"/plans/{PLAN}/undo")
    assert "1 login: left off: no active client." in text
    assert re.search(rf"<code>{str(login_id(1))[:8]}…?</code></a> left off", text)
    assert "1 login: no longer in the ledger." in text
    assert re.search(rf"<li><code>{str(login_id(99))[:8]}…?</code> no longer in the ledger", text), "it has no page"
    assert await ledger.undo_of(PLAN) is None, "looking asks for nothing"

    assert await browser.decide(f"/plans/{PLAN}/undo", "one of theirs, ann@bank.example") == (303, f"/plans/{PLAN}")
    asked = await ledger.undo_of(PLAN)
    assert asked is not None
    assert (asked.asked_by, asked.reason, asked.planned_at) == ("alice", "one of theirs, ann@bank.example", None)
    _, text = await browser.get(f"/plans/{PLAN}")
    assert "Its undoing waits for the next pass that enforces" in text
    assert "one of theirs, [e-mail]" in text
    assert "ann@bank.example" not in text


async def test_vendor_writes_are_paused_and_resumed(browser: Browser, ledger: Ledger) -> None:
    await browser.sign_in()
    assert await browser.decide("/writes/pause", "the client list looks odd") == (303, "/")
    pause = await ledger.pause()
    assert pause is not None
    assert (pause.paused_by, pause.reason) == ("alice", "the client list looks odd")
    assert (await browser.decide("/writes/resume"))[0] == 303
    assert await ledger.pause() is None


@pytest.mark.parametrize("reason", ["", " \n ", "x" * 501])
async def test_a_decision_without_a_reason_changes_nothing(browser: Browser, ledger: Ledger, reason: str) -> None:
    await browser.sign_in()
    status, text = await browser.decide(f"/plans/{PLAN}/approve", reason)
    assert status == 422
    assert "Say why" in text
    assert await state(ledger) == "held"


@pytest.mark.parametrize("reason", ["", " \n "])
async def test_writes_are_not_resumed_without_a_reason(browser: Browser, ledger: Ledger, reason: str) -> None:
    assert await ledger.pause_writes(by="ann@desk", reason="the list looks odd", now=NOW)
    await browser.sign_in()
    status, text = await browser.decide("/writes/resume", reason)
    assert status == 422
    assert "Say why" in text
    assert await ledger.pause() is not None


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": "null"}, {"Origin": "https://evil.example"}, {"Origin": "SELF", "Sec-Fetch-Site": "same-site"}],
    ids=["no origin", "hidden origin", "another site", "a sister site"],
)
async def test_a_form_of_another_site_changes_nothing(
    browser: Browser, ledger: Ledger, headers: dict[str, str]
) -> None:
    await browser.sign_in()
    path = f"/plans/{PLAN}/approve"
    said = {name: browser.url if value == "SELF" else value for name, value in headers.items()}
    status, _ = await browser.post(path, {"csrf": await browser.csrf(path), "reason": "why not"}, headers=said)
    assert status == 403
    assert await state(ledger) == "held"


@pytest.mark.parametrize("csrf", ["", "wrong", "ü"])
async def test_a_form_without_the_session_s_token_changes_nothing(browser: Browser, ledger: Ledger, csrf: str) -> None:
    await browser.sign_in()
    assert (await browser.post(f"/plans/{PLAN}/approve", {"csrf": csrf, "reason": "why not"}))[0] == 403
    assert await state(ledger) == "held"


async def test_a_form_without_a_session_changes_nothing(browser: Browser, ledger: Ledger) -> None:
    assert (await browser.post(f"/plans/{PLAN}/approve", {"csrf": "", "reason": "why not"}))[0] == 403
    assert await state(ledger) == "held"


# Sessions, attempts, operators ------------------------------------------------------------------------------------------------------------


def test_a_session_ends_by_itself_and_the_oldest_makes_room() -> None:
    sessions = Sessions()
    first = sessions.begin("alice", at=0)
    assert sessions.of(first, at=SESSION_SECONDS - 1) is not None
    assert sessions.of(first, at=SESSION_SECONDS) is None
    others = [sessions.begin("bob", at=1) for _ in range(MOST_SESSIONS)]
    assert sessions.of(first, at=2) is None
    assert all(sessions.of(each, at=2) is not None for each in others)


def test_failures_are_forgotten_after_a_minute_and_by_who_knows_the_password() -> None:
    attempts = Attempts()
    for _ in range(FAILURES_OF_ONE):
        attempts.failed("a", at=0)
    assert not attempts.is_open("a", at=59)
    assert attempts.is_open("b", at=59)
    assert attempts.is_open("a", at=60)
    attempts.failed("b", at=60)
    attempts.forgive("b")
    assert attempts.is_open("b", at=60)


def test_many_addresses_together_are_stopped_too() -> None:
    attempts = Attempts()
    for number in range(30):
        attempts.failed(str(number), at=0)
    assert not attempts.is_open("another", at=1)


def test_an_operator_is_known_by_name_and_password_and_printing_shows_no_hash(operators: Operators) -> None:
    assert operators.knows("alice", PASSWORD)
    assert not operators.knows("alice", "wrong")
    assert not operators.knows("bob", PASSWORD)
    assert LINE.split("$")[-1] not in repr(operators)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("alice:secret-in-the-clear", "line 1 is no operator"),
        (f"{LINE}\n{LINE}", "line 2 names an operator that an earlier line names too"),
        (LINE.replace("ln=15", "ln=4"), "line 1 is no operator"),
        ("# nobody", "names no operator"),
    ],
    ids=["a password", "a name twice", "cheap to guess", "nobody"],
)
def test_what_is_no_list_of_operators_is_refused_without_repeating_it(text: str, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"operators": text})
    (fault,) = caught.value.errors(include_input=False, include_url=False)
    assert said in fault["msg"]
    assert "secret-in-the-clear" not in fault["msg"]


@pytest.mark.parametrize("name", ["", "a:b", "a\nb", "x" * 65])
def test_a_name_that_cannot_stand_in_a_line_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="an operator's name"):
        operator_line(name, PASSWORD)


def test_two_lines_of_one_password_are_not_alike() -> None:
    assert operator_line("alice", PASSWORD) != operator_line("alice", PASSWORD)


# New settings -----------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def reloaded(ledger: Ledger) -> AsyncIterator[tuple[Watch, Browser]]:
    """The page of a daemon whose settings may be read anew."""
    watch = Watch(Settings.model_validate({"operators": LINE, "rate_per_minute": 77}), SystemClock())
    reading: Reach[PageLedger] = Reach()
    deciding: Reach[DecidingLedger] = Reach()
    reading.attach(ledger)
    deciding.attach(ledger)
    async with at(watch.site(reading, deciding)) as opened:
        yield watch, opened


async def test_the_page_follows_settings_that_are_read_anew(
    reloaded: tuple[Watch, Browser], term: Term, connection: Connection
) -> None:
    watch, browser = reloaded
    await link(connection, "gone", login_id(1), active=False)
    assert "<code>77</code>" in (await browser.get("/config"))[1]
    assert str(login_id(1)) not in (await browser.get("/logins?verdict=all"))[1]
    watch.follow_settings(
        Settings.model_validate(
            {"operators": LINE, "rate_per_minute": 78, "page_login_ids": "whole", "mode": "observe"}
        )
    )
    _, text = await browser.get("/config")
    assert "<code>78</code>" in text
    assert '<span class="badge warn">observe</span>' in text
    assert str(login_id(1)) in (await browser.get("/logins?verdict=all"))[1]


async def test_a_session_outlives_settings_with_the_same_operators_and_no_others(
    reloaded: tuple[Watch, Browser],
) -> None:
    watch, browser = reloaded
    await browser.sign_in()
    watch.follow_settings(Settings.model_validate({"operators": LINE, "rate_per_minute": 78}))
    assert (await browser.get("/writes/pause"))[0] == 200
    csrf = await browser.csrf("/writes/pause")

    watch.follow_settings(Settings.model_validate({"operators": operator_line("bob", PASSWORD)}))
    assert (await browser.post("/writes/pause", {"csrf": csrf, "reason": "why not"}))[0] == 403
    assert (await browser.sign_in())[0] == 403
    assert (await browser.sign_in(name="bob"))[0] == 303
    assert (await browser.get("/writes/pause"))[0] == 200


async def test_whoever_signs_in_while_others_become_operators_is_not_let_in(
    reloaded: tuple[Watch, Browser], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, browser = reloaded
    loop = asyncio.get_running_loop()
    knows = Operators.knows

    def slowly(operators: Operators, name: str, password: str) -> bool:
        others = Settings.model_validate({"operators": operator_line("bob", PASSWORD)})
        loop.call_soon_threadsafe(watch.follow_settings, others)
        return knows(operators, name, password)

    monkeypatch.setattr(Operators, "knows", slowly)
    assert (await browser.sign_in())[0] == 403


async def test_nothing_is_decided_under_a_date_of_a_clock_that_is_wrong(
    ledger: Ledger, connection: Connection, operators: Operators
) -> None:
    site = with_desk(ledger, operators)
    async with at(site) as browser:
        await browser.sign_in()
        csrf = await browser.csrf("/writes/pause")
        site.health.fails(Condition.CLOCK, "our clock is 172800 s ahead of the database's")
        status, said = await browser.post("/writes/pause", {"csrf": csrf, "reason": "stop"})
        assert status == HTTPStatus.FORBIDDEN
        assert "172800 s ahead" in said
        assert await connection.fetchval("SELECT count(*) FROM decision") == 0

        site.health.holds(Condition.CLOCK)
        assert (await browser.post("/writes/pause", {"csrf": csrf, "reason": "stop"}))[0] == HTTPStatus.SEE_OTHER
