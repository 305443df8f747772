"""Where settings come from: environment, secret files, one TOML file. Each reading keeps the name the operator gave it.

The environment wins over the secret directory, and that over the TOML file.
"""

import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from pydantic_settings import EnvSettingsSource, TomlConfigSettingsSource

from refreshd.settings.model import PREFIX, SECRETS, Settings

CONFIG = f"{PREFIX}CONFIG"
CREDENTIALS_DIRECTORY = "CREDENTIALS_DIRECTORY"

_FILE = "_file"
_LARGEST_SECRET = 16 * 1024
_TEST_PREFIX = f"{PREFIX}TEST_"
# Kubernetes puts such variables into every container beside a Service whose name begins with "refreshd".
_FROM_KUBERNETES = re.compile(
    rf"{PREFIX}(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)


@dataclass(slots=True)
class Readings:
    """Values by field, the name under which the operator knows each, and what was wrong with reading them."""

    values: dict[str, object] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def take(self, name: str, value: object, *, known_as: str) -> None:
        self.values[name] = value
        self.names[name] = known_as

    def override_with(self, stronger: "Readings") -> None:
        self.values |= stronger.values
        self.names |= stronger.names
        self.faults += stronger.faults


def read_sources(config: Path | None) -> Readings:
    """All sources, the weakest first; `config` wins over REFRESHD_CONFIG."""
    path = config or (Path(os.environ[CONFIG]) if os.environ.get(CONFIG) else None)
    readings = _read_toml(path) if path else Readings()
    readings.override_with(_read_secret_directory())
    readings.override_with(_read_environment())
    return readings


def variable_of(name: str) -> str:
    return f"{PREFIX}{name.upper()}"


def _read_environment() -> Readings:
    readings = Readings()
    for name, value in EnvSettingsSource(Settings)().items():
        readings.take(name, value, known_as=variable_of(name))
    files = {name: os.environ.get(variable_of(name + _FILE), "") for name in SECRETS}
    _read_files(readings, files, known_as=variable_of)
    known = {variable_of(name) for name in _known_names()} | {CONFIG}
    foreign = [
        name
        for name in os.environ
        if name.startswith(PREFIX)
        and name not in known
        and not name.startswith(_TEST_PREFIX)
        and not _FROM_KUBERNETES.fullmatch(name)
    ]
    readings.faults += [_unknown(name, known, "there is no such setting") for name in sorted(foreign)]
    return readings


def _read_secret_directory() -> Readings:
    """What systemd (LoadCredential=) or a mounted secret offers. Opened by name: a directory may hold other things."""
    readings = Readings()
    directory = os.environ.get(CREDENTIALS_DIRECTORY)
    if directory:
        found = {name: str(path) for name in SECRETS if (path := Path(directory) / name).is_file()}
        _read_files(readings, found, known_as=lambda name: f"credential {name}")
    return readings


def _read_toml(path: Path) -> Readings:
    readings = Readings()
    if not path.is_file():
        readings.faults.append(f"{path}: there is no such settings file; mend --config or {CONFIG}")
        return readings
    try:
        given = TomlConfigSettingsSource(Settings, toml_file=path)()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        readings.faults.append(f"{path}: is no readable TOML: {error}")
        return readings
    known = _known_names()
    readings.faults += [
        _unknown(name, known, f"there is no such setting (in {path})") for name in sorted(given.keys() - known)
    ]
    for name in sorted(given.keys() & Settings.model_fields.keys()):
        if isinstance(given[name], bool | dict | list):  # true would pass for the number 1
            readings.faults.append(f"{name} (in {path}): must be a text or a number")
        else:
            readings.take(name, given[name], known_as=f"{name} (in {path})")
    files = {name: str(given.get(name + _FILE, "")) for name in SECRETS}
    _read_files(readings, files, known_as=lambda name: f"{name} (in {path})")
    return readings


def _known_names() -> set[str]:
    return Settings.model_fields.keys() | {name + _FILE for name in SECRETS}


def _unknown(name: str, known: Iterable[str], what: str) -> str:
    by_end = {other.removeprefix(PREFIX): other for other in known}  # what all begin with says nothing
    close = [by_end[end] for end in get_close_matches(name.removeprefix(PREFIX), by_end, n=1, cutoff=0.7)]
    return f"{name}: {what}" + (f"; did you mean {close[0]}?" if close else "; remove it")


def _read_files(readings: Readings, files: Mapping[str, str], *, known_as: Callable[[str], str]) -> None:
    """Take the secrets that are given as a file; to give a secret and a file is a contradiction, not a choice."""
    for name in sorted(name for name, path in files.items() if path):
        if name in readings.values:
            readings.faults.append(f"{known_as(name)}: is given, and {known_as(name + _FILE)} too; keep one")
            continue
        try:
            readings.take(name, _secret_in(Path(files[name])), known_as=known_as(name))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            readings.faults.append(f"{known_as(name)}: the file {files[name]} cannot be used: {reason}")


def _secret_in(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(_LARGEST_SECRET + 1)
    if len(content) > _LARGEST_SECRET:
        message = "it is too large for a secret"
        raise ValueError(message)
    try:
        text = content.decode().strip()
    except UnicodeDecodeError:
        message = "it is no UTF-8 text"
        raise ValueError(message) from None  # the error itself would show the bytes
    if not text:
        message = "it is empty"
        raise ValueError(message)
    return text
