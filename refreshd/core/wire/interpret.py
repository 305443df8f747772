"""What an answer of Flinks means: FlinksCode before status, and nothing is a success that does not say so.

401 alone carries our own bad key, a rate limit, a bank's outage, a user who must reconnect, and a bad request:
https://docs.flinks.com/api/authorize/error-codes. 202 and 203 are 2xx and no success.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import NoReturn

from refreshd.core.codes import reaction_of
from refreshd.core.errors import CredentialRefused, FlinksRefused, FlinksThrottled, FlinksUnreachable, FlinksUnreadable
from refreshd.core.model import Credential, Operation, Reaction, check_aware
from refreshd.core.wire.answers import AccountsPending, Challenged, CodeAnswer, VendorAnswer
from refreshd.core.wire.body import GUID, Document, read_document
from refreshd.core.wire.reply import Reply
from refreshd.core.wire.requests import Request
from refreshd.core.wire.success import read_success

_AUTHORIZE = frozenset({Operation.AUTHORIZE, Operation.AUTHORIZE_LIVE})
_ABOUT_A_LOGIN = _AUTHORIZE | {Operation.SET_SCHEDULED_REFRESH}
_ABOUT_NO_LOGIN = frozenset({Operation.GENERATE_AUTHORIZE_TOKEN, Operation.GET_NIGHTLY_REFRESH_STATUS})
_MAY_BE_PENDING = frozenset(Operation) - _ABOUT_NO_LOGIN - {Operation.SET_SCHEDULED_REFRESH}

_SUCCESS = frozenset({HTTPStatus.OK, HTTPStatus.CREATED})
_BARE_REFUSALS = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})

_END_OF_STATUSES = 600

_LOGIN_ID = re.compile(r"\blogin ?id\b", re.IGNORECASE)
_NOT_KNOWN = re.compile(r"\binvalid\b|\bunknown\b|\bnot (?:belong|found|exist)", re.IGNORECASE)

_LONGEST_WAIT = timedelta(days=1)
"""A longer Retry-After is cut: the daily routine asks again anyway."""

_HINTS = {
    Credential.SECRET_KEY: "check REFRESHD_FLINKS_SECRET_KEY and REFRESHD_FLINKS_CUSTOMER_ID",
    Credential.AUTHORIZE_TOKEN: "the token was minted a moment ago: check REFRESHD_FLINKS_SECRET_KEY, base URL and customer id",
    Credential.API_KEY: "check REFRESHD_FLINKS_API_KEY, and that Flinks has enabled it",
    Credential.API_SECRET: "check REFRESHD_FLINKS_API_SECRET",
    Credential.NONE: "this call went without a credential: set REFRESHD_FLINKS_SECRET_KEY or REFRESHD_FLINKS_SCHEDULE_AUTH",
}


def interpret(
    request: Request, status: int, headers: Mapping[str, str], body: bytes, *, received_at: datetime
) -> VendorAnswer:
    """The value of an answer; whatever the bytes, this raises nothing but a `FlinksError`."""
    return interpret_document(request, status, headers, read_document(body), received_at=received_at)


def interpret_document(
    request: Request, status: int, headers: Mapping[str, str], document: Document, *, received_at: datetime
) -> VendorAnswer:
    """As `interpret`, for a body that has been read already."""
    check_aware(received_at=received_at)
    reply = Reply(request=request, http_status=status, headers=headers, document=document, received_at=received_at)
    if not document.is_readable:
        raise FlinksUnreadable(
            f"{reply.endpoint} answered {status}, with a FlinksCode or HttpStatusCode that is none", status=status
        )
    if document.code is not None:
        return _by_code(reply, document.code)
    if reply.status in _SUCCESS:
        return read_success(reply)
    return _by_status(reply)


def _by_code(reply: Reply, code: str) -> VendorAnswer:
    reaction = reaction_of(code)
    operation = reply.request.operation
    if reaction is Reaction.THROTTLED or (
        reaction is Reaction.UNKNOWN and reply.status == HTTPStatus.TOO_MANY_REQUESTS
    ):
        raise _throttled(reply, code)
    # Overloaded: on an authentication call UNAUTHORIZED is about our key, elsewhere about the bank (vendor's C# SDK).
    if reaction is Reaction.AUTH_CONFIG or (code == "UNAUTHORIZED" and operation in _ABOUT_NO_LOGIN):
        raise _credential_refused(reply, code)
    if operation in _ABOUT_NO_LOGIN:
        message = f"{reply.endpoint} answered {code}: {reply.document.message or 'no message'}"
        raise FlinksRefused(message, status=reply.http_status, code=code)
    if reaction is Reaction.PENDING and operation in _MAY_BE_PENDING:
        return _pending(reply)
    unknown_login = _is_unknown_login(reply, code)
    return CodeAnswer(
        code=code,
        reaction=Reaction.PERMANENT if unknown_login else reaction,
        status=reply.http_status,
        message=reply.document.message,
        institution=reply.document.institution,
        request_id=reply.document.request_id,
        unknown_login=unknown_login,
    )


def _is_unknown_login(reply: Reply, code: str) -> bool:
    """Whether Flinks says that the LoginId does not exist under our customer id; only the message tells this from bad bank credentials.

    "The LoginId provided is either invalid or does not belong to the CustomerId" (status table of Authorize), and
    "The login '<guid>' is invalid." (example of GetNightlyRefreshStatus). A mass of these speaks against the settings, not the logins.
    """
    message = reply.document.message or ""
    if code not in {"INVALID_LOGIN", "INVALID_REQUEST"} or reply.request.operation not in _ABOUT_A_LOGIN:
        return False
    named = {found.group().lower() for found in GUID.finditer(message)}
    is_ours = str(reply.login_id) in named if named else _LOGIN_ID.search(message) is not None
    return is_ours and _NOT_KNOWN.search(message) is not None


def _by_status(reply: Reply) -> VendorAnswer:
    match reply.status:
        case HTTPStatus.ACCEPTED:
            return _accepted(reply)
        case HTTPStatus.NON_AUTHORITATIVE_INFORMATION:
            return _challenged(reply)
        case HTTPStatus.TOO_MANY_REQUESTS:
            raise _throttled(reply, None)
        case status if status in _BARE_REFUSALS:
            raise _credential_refused(reply, None)
        case status:
            return _fail_by_status(reply, status)


def _fail_by_status(reply: Reply, status: int) -> NoReturn:
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        raise reply.unreadable(
            "refreshd never follows a redirect",
            hint="check REFRESHD_FLINKS_BASE_URL: scheme, host, and the path up to and with /v3",
        )
    if HTTPStatus.INTERNAL_SERVER_ERROR <= status < _END_OF_STATUSES:
        message = f"{reply.endpoint} answered {status} without a FlinksCode"
        raise FlinksUnreachable(message, reason="server", status=reply.http_status)
    raise reply.unreadable("with no FlinksCode this says nothing")


def _accepted(reply: Reply) -> VendorAnswer:
    """202 is work in the background: https://docs.flinks.com/guides/connect/retrieve-account-data."""
    if reply.request.operation in _MAY_BE_PENDING:
        return _pending(reply)
    raise reply.unreadable("this endpoint has no work in the background")


def _pending(reply: Reply) -> AccountsPending:
    """The RequestId to go on with: the answer's, or else the one that was asked with. An Authorize has none to ask with."""
    request_id = reply.document.request_id
    if request_id is None and reply.request.operation not in _AUTHORIZE:
        asked = (reply.request.body or {}).get("RequestId") or reply.request.path.rsplit("/", 1)[-1]
        request_id = str(asked)
    if request_id is None:
        raise reply.unreadable("it gives no RequestId to go on with")
    return AccountsPending(request_id=request_id)


def _challenged(reply: Reply) -> Challenged:
    """203 of Authorize: a RequestId that looks usable and is not (https://docs.flinks.com/guides/connect/resume-and-reconnect).

    A transforming proxy, too, makes 203 out of 200 (RFC 9110, 15.3.4); then there is a Login and no challenge.
    """
    fields = reply.document.fields
    if reply.request.operation not in _AUTHORIZE or ("login" in fields and "securitychallenges" not in fields):
        raise reply.unreadable("it carries no security challenge")
    return Challenged(request_id=reply.document.request_id)


def _credential_refused(reply: Reply, code: str | None) -> CredentialRefused:
    said = code or "no FlinksCode"
    message = f"{reply.endpoint} answered {reply.status} with {said}: the {reply.request.credential} or the customer id is not accepted"
    return CredentialRefused(message, hint=_HINTS[reply.request.credential], status=reply.http_status, code=code)


def _throttled(reply: Reply, code: str | None) -> FlinksThrottled:
    """TOO_MANY_REQUESTS comes with 401 (current table) or 403 (a client of 2019); 429 is documented nowhere, yet likely."""
    message = f"{reply.endpoint} answered {reply.status}: too many requests"
    return FlinksThrottled(message, retry_after=_retry_after(reply), status=reply.http_status, code=code)


def _retry_after(reply: Reply) -> timedelta | None:
    """Seconds or an HTTP date; a date is measured from the answer's own Date, because clocks differ. None when it cannot be read."""
    raw = (reply.header("retry-after") or "").strip()
    if re.fullmatch(r"[0-9]{1,9}", raw):
        return min(timedelta(seconds=int(raw)), _LONGEST_WAIT)
    until = _http_date(raw)
    if until is None:
        return None
    since = _http_date(reply.header("date") or "") or reply.received_at
    return min(max(until - since, timedelta()), _LONGEST_WAIT)


def _http_date(raw: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(raw)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.utcoffset() is not None else None
