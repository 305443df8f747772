"""Which commit this refreshd was built from: what the wheel carries, or where the checkout stands."""

import re
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).parent
UNKNOWN = "unknown"

_HASH = re.compile(r"[0-9a-f]{40,64}")


@cache
def revision() -> str:
    """The commit, or `unknown`; git itself is not asked, because a server need not have it."""
    return carried(_PACKAGE / "_revision") or checked_out(_PACKAGE.parent / ".git") or UNKNOWN


def carried(file: Path) -> str | None:
    """What the build wrote into the wheel."""
    return _hash(file)


def checked_out(git: Path) -> str | None:
    """The commit that HEAD of this `.git` names, a directory or, in a worktree, a file that leads to one."""
    if git.is_file():
        git = git.parent / git.read_text("utf-8").removeprefix("gitdir:").strip()
    try:
        head = (git / "HEAD").read_text("utf-8").strip()
        if not head.startswith("ref: "):
            return head if _HASH.fullmatch(head) else None
        common = git / "commondir"
        shared = git / common.read_text("utf-8").strip() if common.is_file() else git
        name = head.removeprefix("ref: ")
        return _hash(shared / name) or _packed(shared / "packed-refs", name)
    except OSError:
        return None


def _hash(file: Path) -> str | None:
    if not file.is_file():
        return None
    text = file.read_text("utf-8").strip()
    return text if _HASH.fullmatch(text) else None


def _packed(file: Path, name: str) -> str | None:
    if not file.is_file():
        return None
    lines = (line.partition(" ") for line in file.read_text("utf-8").splitlines())
    return next((commit for commit, _, ref in lines if ref == name and _HASH.fullmatch(commit)), None)
