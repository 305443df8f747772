"""What we send, as values. A request names its credential; the secret itself is added by the edge and never enters here."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from refreshd.core.model import Change, Credential, FetchDepth, LoginId, Operation

REQUEST_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
"""A RequestId that can be a path segment. Flinks' are GUIDs; anything with a dot, a slash or a blank could change the URL."""

_TOKEN = re.compile(r"[!-~]{1,256}")

# What of a body may be traced. An allow-list, so that a field added later is left out until somebody decides.
_TRACED = frozenset({"LoginId", "MostRecentCached", "Save", "IsActivated"})


@dataclass(frozen=True, slots=True)
class AuthorizeToken:
    """One authorize token: good for one Authorize, and printed as nothing.

    https://docs.flinks.com/guides/connect/authentication-reference
    """

    _value: str = field(repr=False)

    def __post_init__(self) -> None:
        """A token that could not stand in one HTTP header line is refused, with ValueError."""
        if not _TOKEN.fullmatch(self._value):
            message = "an authorize token is 1 to 256 visible ASCII characters"
            raise ValueError(message)

    def __str__(self) -> str:
        return "AuthorizeToken()"

    def reveal(self) -> str:
        return self._value


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP call; `path` is relative to `<base url>/<customer id>/`."""

    operation: Operation
    method: str
    path: str
    body: Mapping[str, object] | None
    credential: Credential
    login_id: LoginId | None
    token: AuthorizeToken | None = None


def mint_token() -> Request:
    return Request(
        operation=Operation.GENERATE_AUTHORIZE_TOKEN,
        method="POST",
        path="BankingServices/GenerateAuthorizeToken",
        body=None,
        credential=Credential.SECRET_KEY,
        login_id=None,
    )


def authorize(login_id: LoginId, *, live: bool, token: AuthorizeToken | None) -> Request:
    """`live` logs in at the bank; `token` None is for integrations older than October 2024.

    MostRecentCached is always said: one page of the vendor's gives its default as false, a live login and a prompt to the end user.
    """
    mode: dict[str, object] = {"MostRecentCached": False, "Save": True} if live else {"MostRecentCached": True}
    return Request(
        operation=Operation.AUTHORIZE_LIVE if live else Operation.AUTHORIZE,
        method="POST",
        path="BankingServices/Authorize",
        body=MappingProxyType({"LoginId": str(login_id), **mode}),
        credential=Credential.NONE if token is None else Credential.AUTHORIZE_TOKEN,
        login_id=login_id,
        token=token,
    )


_FETCH = MappingProxyType(
    {
        FetchDepth.SUMMARY: (Operation.GET_ACCOUNTS_SUMMARY, "GetAccountsSummary"),
        FetchDepth.DETAIL: (Operation.GET_ACCOUNTS_DETAIL, "GetAccountsDetail"),
    }
)
_POLL = MappingProxyType(
    {
        FetchDepth.SUMMARY: (Operation.GET_ACCOUNTS_SUMMARY_ASYNC, "GetAccountsSummaryAsync"),
        FetchDepth.DETAIL: (Operation.GET_ACCOUNTS_DETAIL_ASYNC, "GetAccountsDetailAsync"),
    }
)


def fetch_accounts(request_id: str, depth: FetchDepth, *, login_id: LoginId | None = None) -> Request:
    """The data behind an authorized session. With `login_id`, an answer about another login is refused; `FetchDepth.OFF` is a bug."""
    operation, endpoint = _FETCH[depth]
    return Request(
        operation=operation,
        method="POST",
        path=f"BankingServices/{endpoint}",
        body=MappingProxyType({"RequestId": _checked(request_id)}),
        credential=Credential.API_KEY,
        login_id=login_id,
    )


def poll_accounts(request_id: str, depth: FetchDepth, *, login_id: LoginId | None = None) -> Request:
    """Ask again after a 202; the vendor wants ten seconds between two polls."""
    operation, endpoint = _POLL[depth]
    return Request(
        operation=operation,
        method="GET",
        path=f"BankingServices/{endpoint}/{_checked(request_id)}",
        body=None,
        credential=Credential.API_KEY,
        login_id=login_id,
    )


def read_report() -> Request:
    return Request(
        operation=Operation.GET_NIGHTLY_REFRESH_STATUS,
        method="GET",
        path="BankingServices/GetNightlyRefreshStatus",
        body=None,
        credential=Credential.API_SECRET,
        login_id=None,
    )


def set_scheduled_refresh(
    login_id: LoginId, change: Change, *, credential: Credential, token: AuthorizeToken | None
) -> Request:
    """`credential` is the operator's word, because the vendor's page names no header; `token` goes with AUTHORIZE_TOKEN.

    PascalCase as in the vendor's own SDK: IsActivated defaults to false, so a name that is not understood would disable.
    """
    if (credential is Credential.AUTHORIZE_TOKEN) != (token is not None):
        message = f"a token goes with {Credential.AUTHORIZE_TOKEN} and with nothing else, not with {credential}"
        raise ValueError(message)
    return Request(
        operation=Operation.SET_SCHEDULED_REFRESH,
        method="PATCH",
        path="BankingServices/SetScheduledRefresh",
        body=MappingProxyType({"LoginId": str(login_id), "IsActivated": change is Change.ENABLE}),
        credential=credential,
        login_id=login_id,
        token=token,
    )


def traced_body(request: Request) -> Mapping[str, object] | None:
    """The part of the body that may be stored and shown: LoginId and flags."""
    if request.body is None:
        return None
    return {name: value for name, value in request.body.items() if name in _TRACED}


def _checked(request_id: str) -> str:
    if not REQUEST_ID.fullmatch(request_id):
        message = "a RequestId is 1 to 64 letters, digits and hyphens"
        raise ValueError(message)
    return request_id
