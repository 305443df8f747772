"""What crosses the wire, as values: requests, responses, how a response is delivered, and the moment it happens."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

JSON_TYPE = "application/json; charset=utf-8"
TEXT_TYPE = "text/plain; charset=utf-8"
HTML_TYPE = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, as the vendor sees it: a date that may be scaled or set, and seconds that never are.

    Nights and seven-day clocks follow `date`; token lives, session lives and the rate limit follow `seconds`.
    """

    date: datetime
    seconds: float


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. Header names are lower case."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class DeliveryKind(StrEnum):
    """What becomes of a response on its way back."""

    WHOLE = "whole"
    DRIP = "drip"
    TRUNCATED = "truncated"
    RESET = "reset"
    HANG = "hang"


@dataclass(frozen=True, slots=True)
class Delivery:
    """How the door hands a response over: after how many real seconds, and in what shape."""

    kind: DeliveryKind = DeliveryKind.WHOLE
    delay_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response. Status 0 stands for no answer at all (a hang, a reset)."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delivery: Delivery = field(default_factory=Delivery)
    flinks_code: str = ""
    """What the body says, kept for the audit so that no body is parsed twice."""


def json_response(status: int, body: object, *, headers: Mapping[str, str] | None = None) -> Response:
    """Return `body` as JSON; its FlinksCode, if it is an object with one, is kept for the audit."""
    code = body.get("FlinksCode") if isinstance(body, dict) else None
    return Response(
        status=status,
        body=json.dumps(body, separators=(",", ":")).encode(),
        headers={"Content-Type": JSON_TYPE, **(headers or {})},
        flinks_code=code if isinstance(code, str) else "",
    )


def refusal(
    status: int,
    flinks_code: str,
    message: str,
    *,
    more: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return Flinks' error object. An empty code leaves the field out, as gateways in front of Flinks do.

    https://docs.flinks.com/api/authorize/error-codes
    """
    body: dict[str, object] = {**(more or {}), "HttpStatusCode": status}
    if flinks_code:
        body["FlinksCode"] = flinks_code
    body["Message"] = message
    return json_response(status, body, headers=headers)


def link(rel: str) -> dict[str, object]:
    """Return one entry of `Links`, in the form of the vendor's examples."""
    return {"rel": rel, "href": f"/Get{rel}" if rel != "Authorization" else "/Authorize", "example": None}
