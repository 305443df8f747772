"""The pictures of the dashboards: the simulated fortnight, drawn with Grafana's own components."""

import json
import tempfile
from pathlib import Path

from grafana.__main__ import DIRECTORY
from tests.fortnight.answers import Answering
from tests.fortnight.drawing import browser, bundle, drawn, input_of
from tests.fortnight.lived import lived
from tests.screenshots.pixels import fewer_colours
from tests.support.postgres import throwaway_postgres


def draw(images: Path) -> None:
    """`dashboard-*.png`, one for each dashboard."""
    with tempfile.TemporaryDirectory(prefix="refreshd-screenshots-") as name:
        place = Path(name)
        place.chmod(0o755)
        with throwaway_postgres(place / "postgres") as server, lived(server, place / "fortnight") as past:
            boards = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(DIRECTORY.glob("*.json"))}
            shown = {uid: input_of(Answering(past, board)) for uid, board in boards.items()}
        page_file = bundle(place / "bundle")
        with browser() as chromium:
            for uid, each in shown.items():
                page = drawn(chromium, page_file, each)
                picture = images / f"{uid.replace('refreshd', 'dashboard')}.png"
                picture.write_bytes(fewer_colours(page.screenshot(full_page=True)))
                page.close()
