"""The dashboards with something to show: the simulated fortnight in a real Prometheus and a real ledger, drawn in a real Chromium."""

import json
import os
from collections.abc import Iterator
from fcntl import LOCK_EX, flock
from pathlib import Path

import pytest

from grafana.__main__ import DIRECTORY
from tests.fortnight.answers import Answering, panels_of
from tests.fortnight.drawing import CHROMIUM, NODE, NPM, browser, bundle, drawn, input_of
from tests.fortnight.lived import Lived, lived
from tests.fortnight.prometheus import PROMETHEUS, PROMTOOL
from tests.support.postgres import PostgresServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.first,
    pytest.mark.skipif(
        PROMETHEUS is None or PROMTOOL is None, reason="prometheus or promtool not found: apt-get install prometheus"
    ),
]
UIDS = sorted(path.stem for path in DIRECTORY.glob("*.json"))


@pytest.fixture(scope="session")
def place() -> Path:
    """A directory that all processes of this run share."""
    return Path(os.environ["REFRESHD_TEST_POSTGRES"]) / "fortnight"


@pytest.fixture(scope="session")
def fortnight(postgres: PostgresServer, place: Path) -> Iterator[Lived]:
    with lived(postgres, place) as past:
        yield past


@pytest.fixture(scope="session")
def drawing_page(place: Path) -> Path:
    directory = place / "bundle"
    with (place / "lock").open("w") as lock:
        flock(lock, LOCK_EX)
        return directory / "page.html" if directory.exists() else bundle(directory)


def answering(fortnight: Lived, uid: str) -> Answering:
    return Answering(fortnight, json.loads((DIRECTORY / f"{uid}.json").read_text("utf-8")))


@pytest.mark.parametrize("uid", UIDS)
def test_every_query_of_every_panel_has_something_to_show(fortnight: Lived, uid: str) -> None:
    asked = answering(fortnight, uid)
    answers = asked.panels()
    empty = [
        (panel["id"], panel["title"], number)
        for panel in panels_of(asked.dashboard)
        for number, answer in enumerate(answers[panel["id"]])
        if not any(answer.values())
    ]
    assert empty == []


def test_alerts_fired_during_the_fortnight_and_plans_were_held(fortnight: Lived) -> None:
    notes = answering(fortnight, "refreshd-overview").notes()
    assert {"red", "orange", "blue"} <= {note["color"] for note in notes}


@pytest.mark.skipif(NODE is None or NPM is None, reason="node or npm not found: apt-get install nodejs npm")
@pytest.mark.skipif(CHROMIUM is None, reason="chromium not found: apt-get install chromium")
@pytest.mark.parametrize("uid", UIDS)
def test_every_panel_is_drawn_and_no_legend_and_no_cell_is_cut(fortnight: Lived, drawing_page: Path, uid: str) -> None:
    shown = input_of(answering(fortnight, uid))
    with browser() as chromium:
        page = drawn(chromium, drawing_page, shown)
        drawn_ids = {int(each.get_attribute("data-panel") or 0) for each in page.query_selector_all("[data-panel]")}
        nothing = [each.get_attribute("data-nothing") for each in page.query_selector_all("[data-nothing]")]
        blank = page.evaluate(_BLANK)
        cut = page.evaluate(_CUT)
    assert drawn_ids == {
        panel["id"] for panel in answering(fortnight, uid).dashboard["panels"] if panel["type"] != "row"
    }
    assert nothing == []
    assert blank == []
    assert cut == []


_BLANK = """() => [...document.querySelectorAll('[data-panel]')]
    .filter((panel) => {
        const canvas = panel.querySelector('canvas');
        if (!canvas) {
            return panel.innerText.split('\\n').length < 2 && !panel.querySelector('svg');
        }
        const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        return !pixels.some((value) => value !== 0);
    })
    .map((panel) => panel.dataset.panel)"""
"""Panels on which nothing is painted."""

_CUT = """() => [...document.querySelectorAll('[data-kind=timeseries] *, [data-kind=table] *:not([role=columnheader])')]
    .filter((each) => each.clientWidth > 0 && getComputedStyle(each).overflowX !== 'visible')
    .filter((each) => each.scrollWidth > each.clientWidth + 1
        || each.closest('[data-kind=timeseries]') && each.scrollHeight > each.clientHeight + 1)
    .map((each) => [each.closest('[data-panel]').dataset.panel, each.innerText.slice(0, 80)])"""
"""Legends that are scrolled, and cells and headings of tables that are wider than their columns. A list may be longer than its panel."""
