"""Whatever body the wire lets through, Postgres keeps; one that it does not keep is named, and never quoted."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import from_json

from refreshd.core.effects import AccountData
from refreshd.core.errors import Unstorable
from refreshd.core.model import FetchDepth, Term
from refreshd.core.wire.body import read_document
from refreshd.ledger import Ledger
from refreshd.postgres import Connection
from tests.support.ledger import NOW, link, login_id

DEEP = b'{"a":' + b"[" * 190 + b"]" * 190 + b"}"
ODD = [
    b'\xef\xbb\xbf{"Accounts":[]}',
    b'{"a":"\\u0000"}',
    b'{"a":"\\ud83d\\ude00"}',
    b'{"a":"\\ud800"}',
    b'{"a":"\\udc00\\ud800"}',
    b'{"a":"\x7f"}',
    b'{"a":"\x00"}',
    b'{"a":"\xff"}',
    b'{"a":"\xed\xa0\x80"}',
    b'{"a":1e999999}',
    b'{"a":' + b"9" * 4_000 + b"}",
    b'{"a":-0.0e-0}',
    b'{"a":01}',
    b'{"a":1.}',
    b'{"a":NaN}',
    b'{"a":-Infinity}',
    b'{"a":1}\x00',
    b'\x0b{"a":1}',
    b'{"a":1,"a":2}',
    b'{"\\u0000":1}',
    DEEP,
    b" \t\r\n{}\n",
]

_PIECES = st.sampled_from([
    b"\\u0000", b"\\ud800", b"\\udc00", b"\\u00e9", b"\\/", b"\\x", b"\x00", b"\x1f", b"\x7f", b"\xc3\xa9", b"\xff", b"\xf4\x8f\xbf\xbf",
])  # fmt: skip
_STRINGS = st.lists(_PIECES, max_size=4).map(lambda pieces: b'"' + b"".join(pieces) + b'"')
_NUMBERS = st.from_regex(rb"-?[0-9]{1,30}(\.[0-9]{0,5})?([eE][+-]?[0-9]{0,6})?", fullmatch=True)
_PLAIN = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
).map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))
_VALUES = _STRINGS | _NUMBERS | _PLAIN
_BODIES = st.tuples(st.sampled_from([b"", b"\xef\xbb\xbf", b" ", b"\x0c"]), _VALUES).map(
    lambda parts: parts[0] + b'{"Accounts":' + parts[1] + b"}"
)


def _accepted(body: bytes) -> bytes | None:
    raw = read_document(body).raw
    try:
        return raw if isinstance(from_json(raw, allow_inf_nan=False), dict) else None
    except ValueError:
        return None


async def test_what_the_wire_lets_through_is_json_to_postgres(
    connection: Connection, ledger: Ledger, term: Term
) -> None:
    bodies = [raw for each in ODD if (raw := _accepted(each)) is not None]
    assert b'{"Accounts":[]}' in bodies
    assert DEEP in bodies

    @settings(max_examples=300, deadline=None, database=None)
    @given(_BODIES)
    def gather(body: bytes) -> None:
        if (raw := _accepted(body)) is not None:
            bodies.append(raw)

    gather()
    for number, body in enumerate(bodies):
        await link(connection, "c", login_id(number))
        await ledger.record((), [_data(number, body)], term=term)
    assert await connection.fetchval("SELECT count(*) FROM account_data") == len(bodies)


async def test_what_postgres_refuses_is_not_quoted(connection: Connection, ledger: Ledger, term: Term) -> None:
    await link(connection, "c", login_id(1))
    with pytest.raises(Unstorable) as caught:
        await ledger.record((), [_data(1, b'{"Holder": somebody')], term=term)
    assert "somebody" not in str(caught.value)
    assert caught.value.__suppress_context__


def _data(number: int, body: bytes) -> AccountData:
    return AccountData(login_id=login_id(number), refreshed_at=NOW, fetched_at=NOW, depth=FetchDepth.SUMMARY, body=body)
