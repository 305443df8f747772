"""The page in a real browser: for eyes, for keyboards, for phones, with and without JavaScript."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import asyncpg
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped] # it has no types
from playwright.sync_api import Browser, Page, expect

from tests.support.chromium import MISSING, chromium, path
from tests.support.installation import LEAVING, Installation, installation
from tests.support.postgres import SCHEMA, LoopThread, PostgresServer
from tests.support.shown import PASSWORD

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(path() is None, reason=MISSING),
]

DESKTOP, PHONE = 1000, 360
MANY = 100_000
FILL = f"""
INSERT INTO login (login_id, created_at, active, verdict, reason, verdict_since, error_code, institution)
SELECT md5(n::text)::uuid, '2026-01-01', true, 'reconnect', 'needs_user', '2026-01-02', 'INVALID_PASSWORD', 'Bank ' || n % 9
FROM generate_series(1, {MANY}) AS n;
ANALYZE login
"""  # noqa: S608 - what is put into this statement stands in this file


@pytest.fixture(scope="module")
def here(postgres: PostgresServer) -> Iterator[Installation]:
    with postgres.database(migrated=True) as url, installation(url) as built:
        yield built


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@contextmanager
def opened(
    browser: Browser, here: Installation, *, width: int = DESKTOP, dark: bool = False, script: bool = True
) -> Iterator[Page]:
    """A page whose every complaint is a failure."""
    context = browser.new_context(
        base_url=here.url,
        viewport={"width": width, "height": 800},
        color_scheme="dark" if dark else "light",
        java_script_enabled=script,
    )
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda asked: said.append(asked.url) if not asked.url.startswith(here.url) else None)
    yield page
    context.close()
    assert said == []


SCROLLED_SIDEWAYS = """[...document.querySelectorAll("*")]
    .filter((each) => each.scrollWidth > each.clientWidth && ["auto", "scroll"].includes(getComputedStyle(each).overflowX)
        || each === document.documentElement && each.scrollWidth > each.clientWidth)
    .map((each) => each.outerHTML.slice(0, 120))"""
BROKEN_NAMES = """[...document.querySelectorAll("a code, nav a, .badge, time, button")]
    .filter((each) => each.getClientRects().length > 1 || each.offsetHeight > 48)
    .map((each) => each.innerText)"""
"""What is one name, one moment or one button, and goes over two lines."""

COMES_BACK = "document.dispatchEvent(new Event('visibilitychange'))"
"""Who comes back to a page sees it brought up to date at once."""


def sign_in(page: Page) -> None:
    page.get_by_label("Name").fill("alice")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")


# For everybody ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "dark"), [(DESKTOP, False), (PHONE, True)])
def test_every_page_can_be_read_by_everybody_and_nothing_on_it_is_scrolled_sideways_or_torn(
    browser: Browser,
    here: Installation,
    width: int,
    dark: bool,  # noqa: FBT001 # columns of the table
) -> None:
    with opened(browser, here, width=width, dark=dark) as page:
        for name, address in here.pages.items():
            page.goto(address)
            found = Axe().run(page)
            assert found.violations_count == 0, f"{name}:\n{found.generate_report()}"
            assert page.evaluate(SCROLLED_SIDEWAYS) == [], name
            assert page.evaluate(BROKEN_NAMES) == [], name


def test_every_page_is_read_without_javascript(browser: Browser, here: Installation) -> None:
    with opened(browser, here, script=False) as page:
        for name, address in here.pages.items():
            page.goto(address)
            assert page.locator("main").inner_text().strip(), name
        page.goto("/")
        page.get_by_role("link", name="waiting for their user").click()
        page.locator("table a").first.click()
        expect(page.get_by_role("heading", level=1)).to_have_text("reconnect")


def test_a_login_is_found_by_how_it_begins_and_its_address_does_not_hold_it(
    browser: Browser, here: Installation
) -> None:
    with opened(browser, here) as page:
        page.goto("/logins")
        page.get_by_label("LoginId, or how it begins").fill(here.reconnect.partition("-")[0])
        page.keyboard.press("Enter")
        page.wait_for_url(f"{here.url}/logins/{here.reconnect}")


# By keyboard ------------------------------------------------------------------------------------------------------------------------------


def test_the_first_tab_skips_to_the_content(browser: Browser, here: Installation) -> None:
    with opened(browser, here) as page:
        page.goto("/")
        page.keyboard.press("Tab")
        expect(page.get_by_text("Skip to the content")).to_be_in_viewport()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_attribute("href", "/logins?verdict=held")


def test_tab_walks_in_the_order_of_the_page(browser: Browser, here: Installation) -> None:
    with opened(browser, here) as page:
        page.goto("/")
        tops = []
        for _ in range(14):
            page.keyboard.press("Tab")
            tops.append(
                page.evaluate("document.activeElement.closest('header, main > div > section, a.skip').offsetTop")
            )
        assert tops[1:] == sorted(tops[1:])


def test_the_focus_stays_where_it_is_when_the_page_brings_itself_up_to_date(
    browser: Browser, here: Installation
) -> None:
    with opened(browser, here) as page:
        page.goto("/")
        page.get_by_role("link", name="stale").last.focus()
        page.evaluate("document.querySelector('#state section h2').textContent = 'old news'")
        expect(page.get_by_role("heading", name="What needs you")).to_be_visible(timeout=30_000)
        expect(page.locator(":focus")).to_have_attribute("href", "/logins?verdict=stale")


def test_a_daemon_that_went_silent_is_seen(browser: Browser, here: Installation) -> None:
    context = browser.new_context(base_url=here.url)
    page = context.new_page()
    page.goto("/")
    context.set_offline(True)
    page.evaluate(COMES_BACK)
    expect(page.get_by_role("alert")).to_contain_text("refreshd does not answer", timeout=30_000)
    context.set_offline(False)
    page.evaluate(COMES_BACK)
    expect(page.locator("#silence")).to_be_hidden(timeout=30_000)
    context.close()


# Deciding ---------------------------------------------------------------------------------------------------------------------------------


def test_an_operator_rejects_and_pauses_by_keyboard_alone(browser: Browser, here: Installation) -> None:
    with opened(browser, here) as page:
        page.goto(f"/plans/{here.held}")
        page.get_by_role("link", name="Reject…").press("Enter")
        sign_in(page)
        expect(page.get_by_role("heading", level=1)).to_have_text("Reject this plan?")
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        page.get_by_label("Why?").press_sequentially("half of them are on holiday")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url(f"{here.url}/plans/{here.held}")
        expect(page.get_by_text("by alice: half of them are on holiday")).to_be_visible()
        page.get_by_role("link", name="Approve…").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(f"Disable {LEAVING} logins?")
        page.get_by_role("link", name="Cancel").click()
        page.get_by_role("button", name="Sign out").click()
        page.goto(f"/plans/{here.held}/approve")
        expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_an_operator_asks_for_an_undoing_by_keyboard_alone(browser: Browser, here: Installation) -> None:
    with opened(browser, here) as page:
        page.goto(f"/plans/{here.done}")
        expect(page.get_by_text("Its canary is over: Flinks has confirmed 5 as expected.")).to_be_visible()
        page.get_by_role("link", name="Undo…").press("Enter")
        sign_in(page)
        expect(page.get_by_role("heading", level=1)).to_have_text("Undo this plan?")
        expect(page.get_by_text("24 logins: left off: no active client")).to_be_visible()
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        page.get_by_label("Why?").press_sequentially("the list lacked one region")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url(f"{here.url}/plans/{here.done}")
        expect(page.get_by_text("Its undoing waits for the next pass that enforces.")).to_be_visible()


# Many -------------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def many(here: Installation) -> Installation:
    """The same ledger with 100,000 logins more, from now on: it forgets no billed login, not even a test's.

    It is looked at through another copy of the page, which has kept nothing that was counted before.
    """
    loop = LoopThread()
    loop.run(_execute(here.database_url, FILL))
    loop.close()
    return replace(here, url=here.another_url)


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url, server_settings={"search_path": SCHEMA})
    await connection.execute(statement)
    await connection.close()


def test_a_hundred_thousand_logins_are_paged_through(browser: Browser, many: Installation) -> None:
    with opened(browser, many) as page:
        page.goto("/logins?verdict=reconnect&code=INVALID_PASSWORD")
        seen: set[str] = set()
        for _ in range(5):
            rows = page.locator("tbody a").evaluate_all("links => links.map(link => link.href)")
            assert len(rows) == 50
            assert not seen & set(rows)
            seen |= set(rows)
            page.get_by_role("link", name="Next page").click()
        page.goto("/institutions")
        expect(page.get_by_role("link", name="Bank 4")).to_be_visible()
