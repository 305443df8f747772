"""Draw everything into docs/images."""

from pathlib import Path

from tests.screenshots import dashboards, page

IMAGES = Path(__file__).parents[2] / "docs" / "images"


def main() -> None:
    page.draw_for_documents(IMAGES)
    dashboards.draw(IMAGES)


if __name__ == "__main__":
    main()
