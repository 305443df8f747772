"""How a page names a login without its LoginId: the first eight digits, which people recognise, and a check that makes them unique.

A handle finds its login by the primary key, stays the same for ever and on every copy, and gives no LoginId away. Whoever holds a
LoginId can work its handle out; nobody can go the other way.
"""

import re
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from refreshd.core.model import LoginId

CHECK_DIGITS = 10
_SHOWN = 8
_DIGITS = 32
_FEWEST = 4
_HANDLE = re.compile(rf"(?P<shown>[0-9a-f]{{{_SHOWN}}})-(?P<check>[0-9a-f]{{{CHECK_DIGITS}}})")
_LOGIN_ID = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])", re.IGNORECASE
)
_MAIL = re.compile(r"[^\s@<>]{1,64}@[^\s@<>]{1,255}\.[a-z]{2,24}", re.IGNORECASE)
_BEGINNING = re.compile(rf"[0-9a-f]{{{_FEWEST},{_DIGITS}}}")


class Span(NamedTuple):
    """All LoginIds that begin alike; `whole`: there is but one."""

    first: LoginId
    last: LoginId

    @property
    def whole(self) -> bool:
        return self.first == self.last


class Handle(NamedTuple):
    """A handle taken apart, as the ledger looks it up."""

    span: Span
    check: str


EVERY = Span(LoginId(UUID(int=0)), LoginId(UUID(int=2**128 - 1)))


def handle_of(login_id: LoginId) -> str:
    return f"{login_id.hex[:_SHOWN]}-{sha256(login_id.bytes).hexdigest()[:CHECK_DIGITS]}"


def masked(login_id: LoginId) -> str:
    """What is shown of a LoginId to people who may not see all of it."""
    return f"{login_id.hex[:_SHOWN]}…"


def masked_in(text: str) -> str:
    """The same words with every LoginId and e-mail address in them masked: vendors' sentences and people's reasons name them too."""
    return _MAIL.sub("[e-mail]", _LOGIN_ID.sub(lambda found: masked(LoginId(UUID(found[0]))), text))


def read_handle(text: str) -> Handle | None:
    matched = _HANDLE.fullmatch(text.strip().lower())
    return None if matched is None else Handle(_span(matched["shown"]), matched["check"])


def read_beginning(text: str) -> Span | None:
    """The LoginIds that begin so; the hyphens may be left out. None for what begins no LoginId, or too many."""
    digits = text.strip().lower().rstrip("…").replace("-", "")
    return _span(digits) if _BEGINNING.fullmatch(digits) else None


def _span(digits: str) -> Span:
    return Span(LoginId(UUID(digits.ljust(_DIGITS, "0"))), LoginId(UUID(digits.ljust(_DIGITS, "f"))))
