"""The pictures in the documents: every one is shown, none is missing, large or older than the layout of what it shows."""

import json
import re
from pathlib import Path

import pytest

from tests.screenshots.dashboards import picture_of
from tests.screenshots.layouts import DRAWN, boards, layout_of, layout_of_page, layouts

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
MOST_BYTES = 200_000


def _shown(document: Path) -> set[Path]:
    names = re.findall(r'(?:src|srcset)="([^"]+\.png)"', document.read_text("utf-8"))
    return {(document.parent / name).resolve() for name in names}


def test_every_picture_is_shown_in_a_document_and_every_one_that_is_shown_is_there() -> None:
    shown = set.union(*map(_shown, [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]))
    assert shown == {path.resolve() for path in IMAGES.glob("*.png")}


def test_no_picture_is_larger_than_a_reader_should_wait_for() -> None:
    assert [path.name for path in IMAGES.glob("*.png") if path.stat().st_size > MOST_BYTES] == []


@pytest.mark.parametrize("name", layouts())
def test_a_picture_is_of_the_present_layout_or_make_screenshots_draws_it_anew(name: str) -> None:
    assert json.loads((IMAGES / DRAWN).read_text("utf-8"))[name] == layouts()[name]


@pytest.mark.parametrize("uid", boards())
def test_every_dashboard_has_a_picture(uid: str) -> None:
    assert (IMAGES / picture_of(uid)).exists()


@pytest.mark.parametrize("other", ["<h2>News</h2><dt>Guard</dt>", "<dt>Guard</dt><h2>Work</h2>", "<h2>Work</h2>"])
def test_a_page_with_other_headings_or_facts_or_in_another_order_is_another_layout(other: str) -> None:
    assert layout_of_page(other) != layout_of_page('<h2>Work</h2>\n<dt class="faint">Guard</dt>')


def test_a_panel_that_is_added_called_something_else_or_moved_is_another_layout() -> None:
    board = next(iter(boards().values()))
    panel = board["panels"][1]
    others = [
        [*board["panels"], panel],
        [{**panel, "title": "Another"}, *board["panels"][1:]],
        [*board["panels"][:1], {**panel, "gridPos": {**panel["gridPos"], "y": 99}}, *board["panels"][2:]],
    ]
    assert len({layout_of({"panels": each}) for each in (board["panels"], *others)}) == len(others) + 1


def test_what_nobody_sees_is_no_other_layout() -> None:
    board = next(iter(boards().values()))
    assert layout_of({"panels": [{**each, "targets": []} for each in board["panels"]]}) == layout_of(board)
