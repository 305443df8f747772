"""Draw everything into docs/images."""

from pathlib import Path

from tests.screenshots import dashboards

IMAGES = Path(__file__).parents[2] / "docs" / "images"


def main() -> None:
    dashboards.draw(IMAGES)


if __name__ == "__main__":
    main()
