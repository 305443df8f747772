"""The pictures of the dashboards: the simulated fortnight, drawn with Grafana's own components."""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grafana.__main__ import DIRECTORY
from tests.fortnight.answers import Answering
from tests.fortnight.drawing import browser, bundle, drawn, input_of
from tests.fortnight.lived import Lived
from tests.screenshots.pixels import fewer_colours

DRAWN = "drawn.json"
"""Beside the pictures: of what layout each dashboard was when it was drawn."""


def boards() -> dict[str, dict[str, Any]]:
    """The dashboards as they are, by uid."""
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(DIRECTORY.glob("*.json"))}


def picture_of(uid: str) -> str:
    return f"{uid.replace('refreshd', 'dashboard')}.png"


def layout_of(board: Mapping[str, Any]) -> str:
    """A digest of what anybody would miss in an old picture: which panels there are, of what kind, called what, and where."""
    seen = [(each["type"], each["title"], each["gridPos"]) for each in board["panels"]]
    return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()[:16]


def draw(past: Lived, images: Path) -> None:
    """`dashboard-*.png`, one for each dashboard."""
    shown = {uid: input_of(Answering(past, board)) for uid, board in boards().items()}
    with tempfile.TemporaryDirectory(prefix="refreshd-bundle-") as place, browser() as chromium:
        page_file = bundle(Path(place))
        for uid, each in shown.items():
            page = drawn(chromium, page_file, each)
            (images / picture_of(uid)).write_bytes(fewer_colours(page.screenshot(full_page=True)))
            page.close()
    write_layouts(images)


def write_layouts(images: Path) -> None:
    layouts = {uid: layout_of(board) for uid, board in boards().items()}
    (images / DRAWN).write_text(json.dumps(layouts, indent=2) + "\n", encoding="utf-8")
