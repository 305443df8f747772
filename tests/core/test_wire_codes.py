"""Every row of the table of documented codes, through the whole of `interpret`, as the answer to a cached Authorize."""

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from refreshd.core import wire
from refreshd.core.errors import CredentialRefused, FlinksError, FlinksThrottled, FlinksUnreachable
from refreshd.core.model import LoginId, Reaction

TABLE = Path(__file__).parents[1] / "samples" / "flinks-codes.csv"
ROWS = list(csv.DictReader(TABLE.read_text().splitlines()))
LOGIN = LoginId(UUID("d12c531b-9622-4477-38c5-08d779b6f27e"))
REQUEST = wire.authorize(LOGIN, live=False, token=None)
SESSION = {"Login": {"Id": str(LOGIN)}, "RequestId": "r-1"}
STATUS = {"unknown": 401, "5xx": 503}

RAISED: dict[type[FlinksError], Reaction] = {
    CredentialRefused: Reaction.AUTH_CONFIG,
    FlinksThrottled: Reaction.THROTTLED,
    FlinksUnreachable: Reaction.RETRY_LATER,
}
VALUES: dict[type[wire.VendorAnswer], Reaction] = {
    wire.Authorized: Reaction.OK,
    wire.Challenged: Reaction.NEEDS_USER,
    wire.AccountsPending: Reaction.PENDING,
}

# The documents say retry-later of these; we make more of them, because they speak of all our calls, not of one login.
DEVIATIONS = {
    ("401", "TOO_MANY_REQUESTS"): "throttled",
    ("403", "TOO_MANY_REQUESTS"): "throttled",
    ("429", ""): "throttled",
}


def reaction_to(row: dict[str, str]) -> str:
    """The answer in the words of the table's column; OK and CREATED stand beside a whole session, a real code replaces it."""
    status = STATUS.get(row["http_status"]) or int(row["http_status"])
    body: dict[str, object] = {"FlinksCode": row["flinks_code"] or None, "RequestId": "r-1"}
    if row["reaction"] == "ok":
        body |= SESSION
    raw = json.dumps(body).encode()
    try:
        read = wire.interpret(REQUEST, status, {}, raw, received_at=datetime(2026, 6, 18, tzinfo=UTC))
    except FlinksError as error:
        return RAISED[type(error)]
    return read.reaction if isinstance(read, wire.CodeAnswer) else VALUES[type(read)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['http_status']}-{row['flinks_code'] or 'bare'}")
def test_every_row_is_decided_as_documented(row: dict[str, str]) -> None:
    assert reaction_to(row) == DEVIATIONS.get((row["http_status"], row["flinks_code"]), row["reaction"])
