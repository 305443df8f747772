"""A request read: which operation it asks for, about which login, with which fields."""

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from refreshd.simulator.messages import Request


class Operation(StrEnum):
    """The endpoints that are simulated, and one name for all else."""

    GENERATE_TOKEN = "GenerateAuthorizeToken"  # noqa: S105 - the vendor's name of an endpoint
    AUTHORIZE = "Authorize"
    ACCOUNTS_DETAIL = "GetAccountsDetail"
    ACCOUNTS_DETAIL_ASYNC = "GetAccountsDetailAsync"
    ACCOUNTS_SUMMARY = "GetAccountsSummary"
    ACCOUNTS_SUMMARY_ASYNC = "GetAccountsSummaryAsync"
    SET_SCHEDULED_REFRESH = "SetScheduledRefresh"
    NIGHTLY_REFRESH_STATUS = "GetNightlyRefreshStatus"
    UNKNOWN = "Unknown"


METHOD: Mapping[Operation, str] = {
    Operation.GENERATE_TOKEN: "POST",
    Operation.AUTHORIZE: "POST",
    Operation.ACCOUNTS_DETAIL: "POST",
    Operation.ACCOUNTS_DETAIL_ASYNC: "GET",
    Operation.ACCOUNTS_SUMMARY: "POST",
    Operation.ACCOUNTS_SUMMARY_ASYNC: "GET",
    Operation.SET_SCHEDULED_REFRESH: "PATCH",
    Operation.NIGHTLY_REFRESH_STATUS: "GET",
}

TAKES_REQUEST_ID = frozenset({Operation.ACCOUNTS_DETAIL_ASYNC, Operation.ACCOUNTS_SUMMARY_ASYNC})
"""In the path."""

_PATH = re.compile(r"/v3/(?P<customer>[^/]+)/BankingServices/(?P<operation>[A-Za-z]+)(?:/(?P<request_id>[^/]+))?/?")


@dataclass(frozen=True, slots=True)
class Call:
    """One request, read as far as it could be."""

    operation: Operation
    method: str
    customer_id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, object] | None = None
    """The JSON object of the body, keys in lower case as the server reads them; None if it was no object."""
    login_id: str = ""
    request_id: str = ""
    force_pending: bool = False
    """The fault script wants a 202."""

    @property
    def wants_cached(self) -> bool | None:
        """MostRecentCached, or None if the caller left it out."""
        return flag((self.fields or {}).get("mostrecentcached"))

    @property
    def wants_activation(self) -> bool:
        """IsActivated, whose default is false: a flag that is not understood switches off.

        https://docs.flinks.com/api/connect/endpoints/account-linking/set-scheduled-refresh
        """
        return flag((self.fields or {}).get("isactivated")) or False


def flag(value: object) -> bool | None:
    """Read a boolean; clients have sent them as the strings "true" and "false", and were understood."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    return None


def is_guid(text: str) -> bool:
    """Tell whether `text` is a GUID with its four dashes."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def read_call(request: Request) -> Call:
    """Read a request; a path that leads nowhere gives the operation UNKNOWN."""
    match = _PATH.fullmatch(request.path.partition("?")[0])
    operation = _operation(match["operation"], match["request_id"]) if match else Operation.UNKNOWN
    fields = _fields(request.body)
    return Call(
        operation=operation,
        method=request.method.upper(),
        customer_id=match["customer"].lower() if match else "",
        headers=request.headers,
        fields=fields,
        login_id=_text(fields, "loginid"),
        request_id=(match["request_id"] or "").lower() if match else "",
    )


def request_id_of(call: Call) -> str:
    """Return the RequestId that a data call names, in its path or in its body."""
    return call.request_id or _text(call.fields, "requestid")


def _operation(name: str, request_id: str | None) -> Operation:
    if name not in METHOD:
        return Operation.UNKNOWN
    operation = Operation(name)
    return operation if (operation in TAKES_REQUEST_ID) == bool(request_id) else Operation.UNKNOWN


def _fields(body: bytes) -> Mapping[str, object] | None:
    try:
        parsed: object = json.loads(body) if body else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(parsed, dict):
        return None
    return {str(key).lower(): value for key, value in parsed.items()}


def _text(fields: Mapping[str, object] | None, name: str) -> str:
    value = (fields or {}).get(name)
    return value.strip().lower() if isinstance(value, str) else ""
