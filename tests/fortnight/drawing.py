"""Pictures of dashboards: Grafana's own components in a real Chromium, fed with the answers of the fortnight."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.fortnight.answers import Answering

CHROMIUM = shutil.which("chromium")
NODE = shutil.which("node")
NPM = shutil.which("npm")
RENDER = Path(__file__).parents[2] / "grafana" / "render"
WIDTH = 1500


def bundle(directory: Path) -> Path:
    """Build the page that draws; installs what it is made of when it is not there. Returns the page."""
    if not (RENDER / "node_modules" / "@grafana").exists():
        _run(str(NPM), "ci", "--no-audit", "--no-fund", "--ignore-scripts")
    _run(str(NODE), "build.mjs", str(directory))
    return directory / "page.html"


def _run(*command: str) -> None:
    ended = subprocess.run(command, cwd=RENDER, capture_output=True, text=True, check=False)  # noqa: S603 - tools of the machine
    if ended.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {ended.stderr[-2000:]}")


@contextmanager
def browser() -> Iterator[Browser]:
    """The system's Chromium."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield chromium
        finally:
            chromium.close()


def drawn(chromium: Browser, page_file: Path, shown: Mapping[str, object]) -> Page:
    """A page with the dashboard on it (`input_of`). Whatever the page complains of raises."""
    page = chromium.new_page(viewport={"width": WIDTH, "height": 1000})
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(page_file.as_uri())
    page.evaluate("input => window.draw(input)", shown)
    page.evaluate("() => document.fonts.ready.then(() => new Promise(requestAnimationFrame))")
    if complaints:
        raise RuntimeError(f"the page broke: {complaints[0]}")
    return page


def input_of(answering: Answering, theme: str = "dark") -> dict[str, object]:
    """All that the page draws; asked for before the browser begins, whose loop lets no other run."""
    shown = {
        "dashboard": answering.dashboard,
        "theme": theme,
        "from": answering.span.since.timestamp() * 1000,
        "to": answering.span.until.timestamp() * 1000,
        "panels": answering.panels(),
        "notes": answering.notes(),
    }
    plain: dict[str, object] = json.loads(json.dumps(shown, default=float))
    return plain
