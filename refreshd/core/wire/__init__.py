"""Flinks without sockets: request values out; status, headers and body in, a value or a `FlinksError` out.

All quirks of the vendor live here and nowhere else, each with its reason beside it:
`requests` what we send, `body` how bytes are read, `interpret` what an answer means, `answers` the values it can mean.
"""

from refreshd.core.wire.answers import (
    AccountsPending,
    AccountsReady,
    AnswerFacts,
    Authorized,
    Challenged,
    CodeAnswer,
    ReportRead,
    ScheduleSet,
    TokenMinted,
    VendorAnswer,
)
from refreshd.core.wire.body import Document, facts, facts_of, read_document
from refreshd.core.wire.interpret import interpret, interpret_document
from refreshd.core.wire.requests import (
    AuthorizeToken,
    Request,
    authorize,
    fetch_accounts,
    mint_token,
    poll_accounts,
    read_report,
    set_scheduled_refresh,
    traced_body,
)

__all__ = [
    "AccountsPending",
    "AccountsReady",
    "AnswerFacts",
    "AuthorizeToken",
    "Authorized",
    "Challenged",
    "CodeAnswer",
    "Document",
    "ReportRead",
    "Request",
    "ScheduleSet",
    "TokenMinted",
    "VendorAnswer",
    "authorize",
    "facts",
    "facts_of",
    "fetch_accounts",
    "interpret",
    "interpret_document",
    "mint_token",
    "poll_accounts",
    "read_document",
    "read_report",
    "set_scheduled_refresh",
    "traced_body",
]
