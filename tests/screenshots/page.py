"""Draws the page, from a simulated installation.

`python -m tests.screenshots.page` draws the pictures of the documents anew; with a DIRECTORY it draws every page into it, in both
colours, for desktop and phone, to look at.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page

from tests.support.chromium import chromium
from tests.support.installation import PASSWORD, Installation, installation
from tests.support.postgres import throwaway_postgres

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
                page.context.close()


def draw_for_documents(directory: Path) -> None:
    """The overview in both colours, and one login's story."""
    with _built() as here, chromium() as browser:
        for scheme in SCHEMES:
            page = _opened(browser, scheme, WIDTHS["desktop"])
            _draw(page, here.url, directory / f"page-{scheme}.png", most=_README_HEIGHT)
            _draw(page, here.url + here.pages["login"], directory / f"page-login-{scheme}.png")
            page.context.close()


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
    page.screenshot(path=path, clip={"x": 0, "y": 0, "width": width, "height": height}, full_page=True)


def _sign_in(page: Page, here: Installation) -> None:
    page.goto(f"{here.url}/sign-in")
    page.get_by_label("Name").fill("alice")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{here.url}/")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        target = Path(sys.argv[1])
        target.mkdir(parents=True, exist_ok=True)
        draw_all(target)
    else:
        draw_for_documents(Path(__file__).parent.parent.parent / "docs" / "images")
