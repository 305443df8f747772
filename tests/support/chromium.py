"""The system's Chromium, driven by Playwright. Nothing is downloaded; where it is missing its tests say what to install."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

MISSING = "chromium not found: apt-get install chromium"
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def path() -> str | None:
    return shutil.which("chromium")


@contextmanager
def chromium() -> Iterator[Browser]:
    """One browser for many pages."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path(), args=_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()
