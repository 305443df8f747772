"""How the bytes of an answer are read: JSON or text, the fields every answer may carry, texts made safe to keep, timestamps.

Nothing here knows which call was made, and only `folded` and `vendor_time` may raise (ValueError).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

from pydantic_core import from_json

from refreshd.core.codes import normalise
from refreshd.core.errors import MESSAGE_LIMIT
from refreshd.core.wire.answers import AnswerFacts
from refreshd.core.wire.requests import REQUEST_ID

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_NO_FIELDS: Mapping[str, object] = MappingProxyType({})
_STATUSES = range(100, 600)
_NO_CODES = frozenset({"", "OK", "CREATED"})

_TEXT_LIMIT = 4 * MESSAGE_LIMIT
"""Characters of a text that are looked at at all, before it is cut to what is kept."""

# A vendor's message may quote an account number or an address of somebody. GUIDs stay: they say which login is meant.
GUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_PERSONAL = re.compile(rf"(?P<guid>{GUID.pattern})|\S+@\S+|(?<![\w-])\d[\d -]{{4,}}\d(?![\w-])", re.IGNORECASE)

_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A body, read once; `raw` is its bytes without a byte order mark, which no JSON column takes.

    `fields` are the members of a JSON object, names in lower case (empty for anything else); `text` is the body where it is a JSON
    string or no JSON at all; `clash` says that one name came in two spellings with two values, so that neither can be believed.
    """

    raw: bytes = field(repr=False)
    fields: Mapping[str, object] = field(repr=False)
    text: str | None = field(repr=False)
    clash: bool

    @property
    def code(self) -> str | None:
        """The FlinksCode, normalised; OK and CREATED count as none, as does a value that is no string (see `is_readable`)."""
        raw = self.fields.get("flinkscode")
        return code_or_none(raw) if isinstance(raw, str) else None

    @property
    def status(self) -> int | None:
        """The body's own HttpStatusCode."""
        value = self.fields.get("httpstatuscode")
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    @property
    def is_readable(self) -> bool:
        """Whether the two fields that decide are as documented: a FlinksCode that is a string, an HttpStatusCode that is one."""
        code, status = self.fields.get("flinkscode"), self.fields.get("httpstatuscode")
        status_is_one = status is None or (self.status is not None and self.status in _STATUSES)
        return not self.clash and isinstance(code, str | None) and status_is_one

    @property
    def message(self) -> str | None:
        """The Message, or a bare sentence, made safe to keep; markup of a gateway is no message."""
        value = self.fields.get("message", self.text)
        return safe_text(value) if isinstance(value, str) and "<" not in value else None

    @property
    def request_id(self) -> str | None:
        """None also for one that could not stand in a URL."""
        value = self.fields.get("requestid")
        return value if isinstance(value, str) and REQUEST_ID.fullmatch(value) else None

    @property
    def institution(self) -> str | None:
        value = self.fields.get("institution")
        return safe_text(value) if isinstance(value, str) else None


def read_document(body: bytes) -> Document:
    """Never raises. Of a name that is repeated in the same spelling the last value counts."""
    body = body.removeprefix(_BYTE_ORDER_MARK)
    try:
        value: object = from_json(body, allow_inf_nan=False, cache_strings="keys")
    except ValueError:  # no JSON, too deep, a number too long, a lone surrogate
        return Document(raw=body, fields=_NO_FIELDS, text=body.decode("utf-8", "replace").strip(), clash=False)
    if isinstance(value, str):
        return Document(raw=body, fields=_NO_FIELDS, text=value.strip(), clash=False)
    if not isinstance(value, dict):
        return Document(raw=body, fields=_NO_FIELDS, text=None, clash=False)
    try:
        return Document(raw=body, fields=folded(value), text=None, clash=False)
    except ValueError:
        return Document(raw=body, fields=_NO_FIELDS, text=None, clash=True)


def folded(members: Mapping[str, object]) -> dict[str, object]:
    """The members with their names in lower case; ValueError when two spellings of one name disagree.

    Flinks documents PascalCase, its examples and clients are not of one mind, and its server looks case-insensitive.
    """
    result: dict[str, object] = {}
    for name, value in members.items():
        folded_name = name.lower()
        if folded_name in result and result[folded_name] != value:
            message = "one name in two spellings, with two values"
            raise ValueError(message)
        result[folded_name] = value
    return result


def facts(status: int, body: bytes) -> AnswerFacts:
    """What the trace keeps of an answer, as far as it can be read. Never raises."""
    return facts_of(status, read_document(body))


def facts_of(status: int, document: Document) -> AnswerFacts:
    return AnswerFacts(
        http_status=status,
        flinks_code=document.code,
        message=document.message,
        request_id=document.request_id,
    )


def code_or_none(raw: str | None) -> str | None:
    """A code as the vendor sent it, normalised; blank, OK and CREATED are no code."""
    code = normalise(_printable(raw or ""))
    return None if code in _NO_CODES else code


def safe_text(raw: str) -> str | None:
    """One line, cut, with long numbers and addresses masked; None when nothing is left."""
    line = " ".join(_printable(raw).split())
    return _PERSONAL.sub(lambda found: found["guid"] or "***", line)[:MESSAGE_LIMIT] or None


def _printable(raw: str) -> str:
    """Its beginning, with blanks for what no line of a log shows: control characters, surrogates, marks that turn the writing around.

    Postgres stores no NUL, and a log line is one line.
    """
    return "".join(each if each.isprintable() else " " for each in raw[:_TEXT_LIMIT])


def vendor_time(raw: object) -> datetime | None:
    """A timestamp of Flinks, aware and in UTC; None for null and for year 1, which is .NET's way to say never.

    Seven, six or no fraction digits, and no zone: https://docs.flinks.com/reference/authorize says UTC. A zone, if sent, is honoured.
    """
    if raw is None:
        return None
    if not isinstance(raw, str) or not _TIME.fullmatch(raw.strip()):
        message = "not a timestamp"
        raise ValueError(message)
    moment = datetime.fromisoformat(raw.strip())
    if moment.year == 1:
        return None
    try:
        return moment.replace(tzinfo=UTC) if moment.utcoffset() is None else moment.astimezone(UTC)
    except OverflowError as error:
        message = "a timestamp outside the calendar"
        raise ValueError(message) from error
