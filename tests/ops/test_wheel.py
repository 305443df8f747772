"""The wheel alone, in an empty environment and outside the checkout, is a working refreshd."""

import os
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from zipfile import ZipFile

import pytest

from refreshd.revision import checked_out

ROOT = Path(__file__).parent.parent.parent
NOTHING: Mapping[str, str] = MappingProxyType({})


def run(
    *command: str | Path, cwd: Path, check: bool = True, settings: Mapping[str, str] = NOTHING
) -> "subprocess.CompletedProcess[str]":
    """Run as a stranger would: with nothing of this checkout, and no settings but the given ones, in the environment."""
    bare = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("REFRESHD_", "PYTHON", "COVERAGE", "VIRTUAL_ENV"))
    }
    result = subprocess.run(  # noqa: S603 # the commands of this file
        [str(word) for word in command],
        cwd=cwd,
        env={**bare, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    if check:
        assert result.returncode == 0, result.stderr
    return result


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", directory, ROOT, cwd=directory)
    (built,) = directory.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin directory of an environment that holds the wheel and what it needs to run, as locked."""
    directory = tmp_path_factory.mktemp("elsewhere")
    venv.create(directory / "venv", with_pip=True, symlinks=True)
    binaries = directory / "venv" / "bin"
    pip = (binaries / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    locked = run(
        *pip, "--require-hashes", "--requirement", ROOT / "requirements" / "run.txt", cwd=directory, check=False
    )
    if locked.returncode != 0 and "connection" in locked.stderr.lower():
        pytest.skip("the wheel in an empty environment (no package index reachable: connect the machine)")
    assert locked.returncode == 0, locked.stderr
    run(*pip, "--no-deps", "--no-index", wheel, cwd=directory)
    run(binaries / "python", "-m", "pip", "check", cwd=directory)
    return binaries


def test_the_wheel_carries_the_sql_and_nothing_of_the_tests(wheel: Path) -> None:
    names = ZipFile(wheel).namelist()
    in_checkout = {path.relative_to(ROOT / "sql").as_posix() for path in (ROOT / "sql").rglob("*.sql")}
    assert {name.removeprefix("refreshd/_sql/") for name in names if name.endswith(".sql")} == in_checkout
    assert "refreshd/py.typed" in names
    assert {name.split("/")[0] for name in names} == {
        "refreshd",
        next(name for name in names if ".dist-info/" in name).split("/")[0],
    }


def test_the_wheel_says_which_commit_it_was_built_from(wheel: Path) -> None:
    commit = checked_out(ROOT / ".git")
    names = ZipFile(wheel).namelist()
    if commit is None:
        assert "refreshd/_revision" not in names
    else:
        assert ZipFile(wheel).read("refreshd/_revision").decode() == commit


@pytest.mark.slow
def test_the_installed_command_explains_itself(installed: Path, tmp_path: Path) -> None:
    shown = run(installed / "refreshd", "--help", cwd=tmp_path).stdout
    assert "migrate" in shown
    assert run(installed / "python", "-m", "refreshd", "--help", cwd=tmp_path).stdout == shown


@pytest.mark.slow
def test_the_installed_command_migrates_an_empty_database(
    installed: Path, tmp_path: Path, empty_database_url: str
) -> None:
    migrate = (installed / "refreshd", "migrate")
    where = {"REFRESHD_DATABASE_URL": empty_database_url}
    assert run(*migrate, "--check", cwd=tmp_path, check=False, settings=where).returncode != 0
    run(*migrate, cwd=tmp_path, settings=where)
    run(*migrate, "--check", cwd=tmp_path, settings=where)


@pytest.mark.slow
def test_without_the_extra_an_embedded_database_is_refused_with_the_command_that_installs_it(
    installed: Path, tmp_path: Path
) -> None:
    refused = run(
        installed / "refreshd",
        "migrate",
        cwd=tmp_path,
        check=False,
        settings={"REFRESHD_DATABASE_URL": f"embedded:{tmp_path}/pg"},
    )
    assert refused.returncode == 2
    assert "refreshd[embedded]" in refused.stdout + refused.stderr
