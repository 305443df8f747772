"""FlinksCodes as the vendor's tables give them: status, sentence, state, and whether a login stays eligible.

https://docs.flinks.com/api/authorize/error-codes
https://docs.flinks.com/guides/connect/flinks-connect/handled-errors
"""

USUAL_STATUS = 401
"""The current table answers nearly every failed refresh with 401."""

STATUS: dict[str, int] = {
    "OK": 200,
    "CREATED": 201,
    "ALREADY_AUTHORIZED": 200,
    "OPERATION_PENDING": 202,
    "OPERATION_DISPATCHED": 202,
    "SESSION_NONEXISTENT": 400,
    "CARD_IN_USE": 400,
    "DISABLED_INSTITUTION": 405,
    "AGGREGATION_ERROR": 500,
}

KEEPS_ELIGIBLE = frozenset(
    {
        "RETRY_LATER",
        "AGGREGATION_ERROR",
        "SESSION_EXPIRED",
        "DISABLED_INSTITUTION",
        "UNAUTHORIZED",
        "SESSION_NONEXISTENT",
        "BANK MAINTENANCE_RETRY_LATER",
        "BANK_MAINTENENACE_RETRY_LATER",
        "BANK_MAINTENANCE_RETRY_LATER",
    }
)
"""Errors after which the job tries again. The maintenance code is spelt in two ways by the vendor, neither of them right.

https://docs.flinks.com/guides/connect/nightly-refresh
https://help.flinks.com/support/solutions/articles/43000637682-nightly-refreshes
"""

ASKS_CHALLENGE = frozenset({"", "QUESTION_NOT_FOUND", "UNKNOWN_CHALLENGE_KEY", "SECURITYRESPONSES_INCOMPLETE"})
"""Codes of a failed attempt after which a live login meets the bank's question again."""

COMPLETED = "Completed"
NOT_COMPLETED = "NotCompleted"
ANSWERING = "AnsweringSecurityChallenge"
"""The one state that the vendor documents; the others are the dashboard's, without their blanks."""

_STATE: dict[str, str] = {
    "OK": COMPLETED,
    "CREATED": COMPLETED,
    "ALREADY_AUTHORIZED": COMPLETED,
    "OPERATION_PENDING": "PartiallyCompleted",
    "OPERATION_DISPATCHED": "PartiallyCompleted",
    "SESSION_EXPIRED": "SessionExpired",
    "INVALID_PASSWORD": "InvalidPassword",
    "INVALID_USERNAME": "InvalidUsername",
    "INVALID_LOGIN": "InvalidLogin",
    "QUESTION_NOT_FOUND": ANSWERING,
    "INVALID_SECURITY_RESPONSE": ANSWERING,
}

_MESSAGE: dict[str, str] = {
    "QUESTION_NOT_FOUND": "The bank asked a question for which no answer is saved.",
    "INVALID_PASSWORD": "The password was not accepted by the institution.",
    "INVALID_USERNAME": "The username was not accepted by the institution.",
    "INVALID_LOGIN": "The credentials were not accepted by the institution.",
    "INVALID_SECURITY_RESPONSE": "The answer to the security question is wrong.",
    "DISABLED_LOGIN": "The institution has locked this account.",
    "NEW_ACCOUNT": "The holder has to act on the institution's own site first.",
    "DISABLED_INSTITUTION": "This institution is not available at the moment.",
    "RETRY_LATER": "No connection to the institution could be opened. Try again later.",
    "AGGREGATION_ERROR": "Something unexpected happened while the accounts were read.",
    "SESSION_EXPIRED": "The session has expired.",
    "SESSION_NONEXISTENT": "The session does not exist.",
    "UNAUTHORIZED": "The institution did not authorize the connection.",
    "TOO_MANY_REQUESTS": "Too many requests.",
    "OPERATION_PENDING": "The operation is still in progress.",
}


def status_of(code: str) -> int:
    """Return the status that the current table gives `code`."""
    return STATUS.get(code, USUAL_STATUS)


def state_of(code: str, status: int) -> str:
    """Return the LastRefreshState of an attempt that ended with `code`."""
    if not code:
        return {200: COMPLETED, 203: ANSWERING, USUAL_STATUS: ANSWERING}.get(status, NOT_COMPLETED)
    return _STATE.get(code, NOT_COMPLETED)


def message_of(code: str) -> str:
    """Return a sentence in the vendor's manner."""
    return _MESSAGE.get(code, f"The last refresh ended with {code}." if code else "The request could not be completed.")
