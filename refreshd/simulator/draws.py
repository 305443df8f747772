"""Chance without a sequence: each draw is a hash of what it is about.

So one login's luck on one night does not depend on how many other logins were looked at before it, and a leap over ten
nights gives what ten small steps give.
"""

import uuid
from collections.abc import Sequence
from hashlib import blake2b

_SPAN = 1 << 64


def number(*about: object) -> int:
    """Return a 64-bit integer that depends on `about` alone."""
    text = "\x1f".join(map(str, about))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def fraction(*about: object) -> float:
    """Return a number in [0, 1)."""
    return number(*about) / _SPAN


def guid(*about: object) -> str:
    """Return a version-4 GUID in lower case."""
    text = "\x1f".join(map(str, about))
    return str(uuid.UUID(bytes=blake2b(text.encode(), digest_size=16).digest(), version=4))


def pick(weighted: Sequence[tuple[str, float]], at: float) -> str:
    """Return the entry that `at`, in [0, 1), falls on."""
    left = at * sum(weight for _, weight in weighted)
    for name, weight in weighted:
        left -= weight
        if left < 0:
            return name
    return weighted[-1][0]
