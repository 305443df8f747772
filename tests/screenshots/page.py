"""Draws the page: for the documents from the simulated fortnight, and to look at from a small installation.

`python -m tests.screenshots.page DIRECTORY` draws every page into it, in both colours, for desktop and phone.
"""

import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import asyncpg
from playwright.sync_api import Browser, FloatRect, Page

from refreshd.core.model import LoginId
from refreshd.handle import handle_of
from refreshd.ledger import Ledger
from refreshd.postgres import open_database
from refreshd.web import make_app, serve
from tests.fortnight.lived import Lived
from tests.fortnight.town import END, settings_of_the_company
from tests.screenshots.pixels import fewer_colours
from tests.support.chromium import chromium
from tests.support.installation import Installation, installation
from tests.support.postgres import SCHEMA, throwaway_postgres
from tests.support.shown import OPERATOR, PASSWORD, leaders_site, on_a_thread, overview_at

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
WIDTHS = {"desktop": 1000, "phone": 390}
_HEIGHT = 900
_README_HEIGHT = 1240
_MOST = 2600
"""Pixels of a picture's height: enough to see how a page looks."""


def draw_all(directory: Path) -> None:
    """Every page there is, each in four pictures."""
    with _built() as here, chromium() as browser:
        for scheme in SCHEMES:
            for size, width in WIDTHS.items():
                page = _opened(browser, scheme, width)
                for name, path in here.pages.items():
                    _draw(page, here.url + path, directory / f"{name}-{size}-{scheme}.png")
                _sign_in(page, here)
                _draw(page, f"{here.url}/plans/{here.held}/approve", directory / f"confirm-{size}-{scheme}.png")
                _draw(page, f"{here.url}/plans/{here.done}/undo", directory / f"undo-{size}-{scheme}.png")
                page.context.close()


def draw_for_documents(past: Lived, directory: Path) -> None:
    """The overview in both colours, and one login's story: as they were when the fortnight ended."""
    with on_a_thread(lambda: _at_the_end(past)) as seen, chromium() as browser:
        for scheme in SCHEMES:
            page = _opened(browser, scheme, WIDTHS["desktop"])
            _draw(page, seen.url, directory / f"page-{scheme}.png", most=_README_HEIGHT)
            _draw(page, f"{seen.url}/logins/{seen.login}", directory / f"page-login-{scheme}.png")
            page.context.close()


@dataclass(frozen=True)
class _Seen:
    """Where the page is, and the login with the longest story."""

    url: str
    login: str


@asynccontextmanager
async def _at_the_end(past: Lived) -> AsyncIterator[_Seen]:
    async with open_database(past.owner_url, schema=SCHEMA, size=3) as database:
        ledger, settings = Ledger(database), settings_of_the_company()
        site = leaders_site(ledger, settings, await overview_at(ledger, settings, END))
        login = await _most_changed(past.owner_url)
        async with serve(make_app(site), "127.0.0.1:0") as url:
            yield _Seen(url, handle_of(login))


async def _most_changed(url: str) -> LoginId:
    session = await asyncpg.connect(url, server_settings={"search_path": SCHEMA})
    try:
        most = "SELECT login_id FROM schedule_change GROUP BY login_id ORDER BY count(*) DESC, login_id LIMIT 1"
        return LoginId(await session.fetchval(most))
    finally:
        await session.close()


@contextmanager
def _built() -> Iterator[Installation]:
    """A server, a database and an installation of their own."""
    with (
        tempfile.TemporaryDirectory(prefix="refreshd-pictures-") as place,
        throwaway_postgres(Path(place) / "postgres") as server,
        server.database(migrated=True) as url,
        installation(url) as here,
    ):
        yield here


def _opened(browser: Browser, scheme: Scheme, width: int) -> Page:
    context = browser.new_context(
        viewport={"width": width, "height": _HEIGHT}, color_scheme=scheme, reduced_motion="reduce"
    )
    return context.new_page()


def _draw(page: Page, url: str, path: Path, *, most: int = _MOST) -> None:
    page.goto(url)
    height = min(most, int(page.evaluate("document.documentElement.scrollHeight")))
    width = page.viewport_size["width"] if page.viewport_size else 1000
    clip: FloatRect = {"x": 0, "y": 0, "width": width, "height": height}
    path.write_bytes(fewer_colours(page.screenshot(clip=clip, full_page=True)))


def _sign_in(page: Page, here: Installation) -> None:
    page.goto(f"{here.url}/sign-in")
    page.get_by_label("Name").fill(OPERATOR)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{here.url}/")


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    draw_all(target)
