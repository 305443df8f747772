"""The pictures of the dashboards: the simulated fortnight, drawn with Grafana's own components."""

import tempfile
from pathlib import Path

from tests.fortnight.answers import Answering
from tests.fortnight.drawing import browser, bundle, drawn, input_of
from tests.fortnight.lived import Lived
from tests.screenshots.layouts import boards
from tests.screenshots.pixels import fewer_colours


def picture_of(uid: str) -> str:
    return f"{uid.replace('refreshd', 'dashboard')}.png"


def draw(past: Lived, images: Path) -> None:
    """`dashboard-*.png`, one for each dashboard."""
    shown = {uid: input_of(Answering(past, board)) for uid, board in boards().items()}
    with tempfile.TemporaryDirectory(prefix="refreshd-bundle-") as place, browser() as chromium:
        page_file = bundle(Path(place))
        for uid, each in shown.items():
            page = drawn(chromium, page_file, each)
            (images / picture_of(uid)).write_bytes(fewer_colours(page.screenshot(full_page=True)))
            page.close()
