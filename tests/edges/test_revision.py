"""Which commit runs, told without git."""

from pathlib import Path

import pytest

from refreshd.revision import carried, checked_out

COMMIT, OTHER = "0f" * 20, "a1" * 20


def repository(path: Path, head: str) -> Path:
    git = path / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text(head, encoding="utf-8")
    return git


def test_a_checkout_stands_where_its_branch_does(tmp_path: Path) -> None:
    git = repository(tmp_path, "ref: refs/heads/main\n")
    (git / "refs" / "heads" / "main").write_text(f"{COMMIT}\n", encoding="utf-8")
    assert checked_out(git) == COMMIT


def test_a_branch_that_git_has_packed_is_found(tmp_path: Path) -> None:
    git = repository(tmp_path, "ref: refs/heads/main\n")
    (git / "packed-refs").write_text(
        f"# pack-refs\n{OTHER} refs/heads/other\n{COMMIT} refs/heads/main\n", encoding="utf-8"
    )
    assert checked_out(git) == COMMIT


def test_a_checkout_of_a_commit_names_it(tmp_path: Path) -> None:
    assert checked_out(repository(tmp_path, f"{COMMIT}\n")) == COMMIT


def test_a_worktree_leads_to_its_repository(tmp_path: Path) -> None:
    git = repository(tmp_path / "main", "ref: refs/heads/main\n")
    (git / "refs" / "heads" / "side").write_text(f"{COMMIT}\n", encoding="utf-8")
    own = git / "worktrees" / "side"
    own.mkdir(parents=True)
    (own / "HEAD").write_text("ref: refs/heads/side\n", encoding="utf-8")
    (own / "commondir").write_text("../..\n", encoding="utf-8")
    (tmp_path / "side").mkdir()
    (tmp_path / "side" / ".git").write_text(f"gitdir: {own}\n", encoding="utf-8")
    assert checked_out(tmp_path / "side" / ".git") == COMMIT


@pytest.mark.parametrize("head", ["ref: refs/heads/gone\n", "no commit\n"])
def test_what_leads_nowhere_is_no_commit(tmp_path: Path, head: str) -> None:
    assert checked_out(repository(tmp_path, head)) is None
    assert checked_out(tmp_path / "nothing") is None


def test_a_wheel_carries_its_commit_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "_revision"
    assert carried(file) is None
    file.write_text(COMMIT, encoding="utf-8")
    assert carried(file) == COMMIT
    file.write_text("<script>", encoding="utf-8")
    assert carried(file) is None
