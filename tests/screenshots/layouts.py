"""What the pictures were drawn of: beside them stands which layout each dashboard and each page had, so that an old picture is found."""

import hashlib
import json
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from grafana.__main__ import DIRECTORY

DRAWN = "drawn.json"
_TEMPLATES = resources.files("refreshd").joinpath("templates")
_PAGES = {"page": ("overview.html",), "page-login": ("login.html", "parts.html")}
"""Picture -> the templates of what it shows."""
_NAMED = re.compile(r"<(h1|h2|dt|th)\b[^>]*>(.*?)</\1>", re.DOTALL)


def boards() -> dict[str, dict[str, Any]]:
    """The dashboards as they are, by uid."""
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(DIRECTORY.glob("*.json"))}


def layout_of(board: Mapping[str, Any]) -> str:
    """A digest of what anybody would miss in an old picture: which panels there are, of what kind, called what, and where."""
    return _digest([(each["type"], each["title"], each["gridPos"]) for each in board["panels"]])


def layout_of_page(*templates: str) -> str:
    """Likewise of a page: its headings, the names of its facts and of its columns, in their order."""
    return _digest([_NAMED.findall(each) for each in templates])


def layouts() -> dict[str, str]:
    """Of everything that is drawn, as it is now."""
    pages = {
        name: layout_of_page(*(_TEMPLATES.joinpath(each).read_text("utf-8") for each in files))
        for name, files in _PAGES.items()
    }
    return {uid: layout_of(board) for uid, board in boards().items()} | pages


def write_layouts(images: Path) -> None:
    (images / DRAWN).write_text(json.dumps(layouts(), indent=2) + "\n", encoding="utf-8")


def _digest(seen: object) -> str:
    return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()[:16]
