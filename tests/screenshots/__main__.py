"""Draw everything into docs/images."""

import tempfile
from pathlib import Path

from tests.fortnight.lived import lived
from tests.screenshots import dashboards, page
from tests.screenshots.layouts import write_layouts
from tests.support.postgres import throwaway_postgres

IMAGES = Path(__file__).parents[2] / "docs" / "images"


def main() -> None:
    """One fortnight for all of them."""
    with tempfile.TemporaryDirectory(prefix="refreshd-screenshots-") as name:
        place = Path(name)
        place.chmod(0o755)
        with throwaway_postgres(place / "postgres") as server, lived(server, place / "fortnight") as past:
            page.draw_for_documents(past, IMAGES)
            dashboards.draw(past, IMAGES)
    write_layouts(IMAGES)


if __name__ == "__main__":
    main()
