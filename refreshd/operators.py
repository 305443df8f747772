"""Who may decide on the page: names with hashes of their passwords, as `refreshd password NAME` writes them. No password is ever kept."""

import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import scrypt
from hmac import compare_digest

_COST, _BLOCK, _LANES = 15, 8, 1
"""2^15 rounds of 8 blocks: a tenth of a second and 32 MB for each guess."""

_MEMORY = 64 * 1024 * 1024
_SALT_BYTES, _HASH_BYTES = 16, 32
_NAME = re.compile(r"[\w.@-]{1,64}")
_LINE = re.compile(
    rf"(?P<name>{_NAME.pattern}):\$scrypt\$ln={_COST},r={_BLOCK},p={_LANES}"
    r"\$(?P<salt>[A-Za-z0-9+/]{22})\$(?P<hash>[A-Za-z0-9+/]{43})"
)


@dataclass(frozen=True, slots=True)
class _Hashed:
    salt: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class Operators:
    """Those who may. Printing shows no hash."""

    _by_name: Mapping[str, _Hashed] = field(repr=False)
    _nobody: _Hashed = field(repr=False, default_factory=lambda: _Hashed(secrets.token_bytes(16), b""))

    def knows(self, name: str, password: str) -> bool:
        """Takes as long for a name that there is not. A tenth of a second: not for the event loop."""
        hashed = self._by_name.get(name, self._nobody)
        return compare_digest(_digest(password, hashed.salt), hashed.digest)


def read_operators(text: str) -> Operators:
    """One NAME:HASH a line; blank lines and lines that begin with # say nothing. Raises ValueError, which repeats none of it."""
    found: dict[str, _Hashed] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        matched = _LINE.fullmatch(line.strip())
        if matched is None:
            message = f"line {number} is no operator; write what `refreshd password NAME` prints"
            raise ValueError(message)
        if matched["name"] in found:
            message = f"line {number} names an operator that an earlier line names too"
            raise ValueError(message)
        found[matched["name"]] = _Hashed(_bytes(matched["salt"]), _bytes(matched["hash"]))
    if not found:
        message = "names no operator"
        raise ValueError(message)
    return Operators(found)


def operator_line(name: str, password: str) -> str:
    """Raises ValueError for a name that cannot stand in a line."""
    if not _NAME.fullmatch(name):
        message = "an operator's name has letters, digits and . _ @ - only"
        raise ValueError(message)
    salt = secrets.token_bytes(_SALT_BYTES)
    return f"{name}:$scrypt$ln={_COST},r={_BLOCK},p={_LANES}${_text(salt)}${_text(_digest(password, salt))}"


def _digest(password: str, salt: bytes) -> bytes:
    return scrypt(password.encode(), salt=salt, n=2**_COST, r=_BLOCK, p=_LANES, maxmem=_MEMORY, dklen=_HASH_BYTES)


def _text(value: bytes) -> str:
    return b64encode(value).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return b64decode(text + "=" * (-len(text) % 4))
