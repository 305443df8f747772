"""Reads the house's own documents: their links, headings, tables, fenced blocks, and the names that they rely on."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from refreshd.settings import Settings
from refreshd.settings.model import PREFIX, SECRETS

ROOT = Path(__file__).parent.parent.parent

KNOWN_NAMES = (
    {PREFIX + name.upper() for name in Settings.model_fields}
    | {f"{PREFIX}{name.upper()}_FILE" for name in SECRETS}
    | {"REFRESHD_CONFIG"}
)
"""Every REFRESHD_* that refreshd reads."""

_NAME = re.compile(r"REFRESHD_[A-Z0-9_]*[A-Z0-9]")
_TESTS_OWN = re.compile(r"REFRESHD_TEST_\w+")


@dataclass(frozen=True, slots=True)
class Fence:
    """A fenced block: its info string (language first) and its text."""

    info: str
    text: str

    @property
    def language(self) -> str:
        return self.info.split()[0] if self.info else ""

    @property
    def words(self) -> tuple[str, ...]:
        """What follows the language."""
        return tuple(self.info.split()[1:])


@dataclass(frozen=True, slots=True)
class Document:
    """One Markdown file."""

    path: Path
    text: str

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix() if self.path.is_relative_to(ROOT) else self.path.name

    @property
    def fences(self) -> list[Fence]:
        return [Fence(token.info.strip(), token.content) for token in self._tokens() if token.type == "fence"]

    @property
    def links(self) -> list[str]:
        """Where links and images lead, in order."""
        children = [child for token in self._tokens() for child in token.children or ()]
        found = (child.attrGet("href") or child.attrGet("src") for child in children)
        return [str(each) for each in found if each]

    @property
    def inline_code(self) -> list[str]:
        children = [child for token in self._tokens() for child in token.children or ()]
        return [child.content for child in children if child.type == "code_inline"]

    @property
    def anchors(self) -> set[str]:
        """The names that a link may have after its #, as GitHub makes them from headings."""
        tokens = self._tokens()
        heads = (tokens[index + 1].content for index, token in enumerate(tokens) if token.type == "heading_open")
        return {re.sub(r"[^\w\- ]", "", head).strip().lower().replace(" ", "-") for head in heads}

    def tables(self) -> list[list[list[str]]]:
        """Every table, as rows of cells with their Markdown; the first row is the head."""
        found: list[list[list[str]]] = []
        for token in self._tokens():
            if token.type == "table_open":
                found.append([])
            elif token.type == "tr_open":
                found[-1].append([])
            elif token.type == "inline" and token.level and found and _in_cell(token):
                found[-1][-1].append(token.content)
        return found

    def table(self, *heads: str) -> list[list[str]]:
        """The rows of the one table that has this head."""
        matching = [table[1:] for table in self.tables() if tuple(table[0]) == heads]
        assert len(matching) == 1, f"{self.name} has {len(matching)} tables with the head {heads}"
        return matching[0]

    def _tokens(self) -> list[Token]:
        return [_marked(token, before) for token, before in _with_predecessor(_PARSER.parse(self.text))]


_PARSER = MarkdownIt("commonmark").enable("table")


def _with_predecessor(tokens: list[Token]) -> Iterator[tuple[Token, Token | None]]:
    before: Token | None = None
    for token in tokens:
        yield token, before
        before = token


def _marked(token: Token, before: Token | None) -> Token:
    if before is not None and before.type in {"td_open", "th_open"}:
        token.meta["cell"] = True
    return token


def _in_cell(token: Token) -> bool:
    return bool(token.meta.get("cell"))


def document(path: str) -> Document:
    return Document(ROOT / path, (ROOT / path).read_text(encoding="utf-8"))


def documents() -> list[Document]:
    """All that people read here."""
    paths = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")]
    return [document(path.relative_to(ROOT).as_posix()) for path in sorted(paths)]


def unknown_names(text: str) -> set[str]:
    """Every REFRESHD_* in the text that refreshd does not read."""
    named = {name for name in _NAME.findall(text) if not _TESTS_OWN.fullmatch(name)}
    return named - KNOWN_NAMES
