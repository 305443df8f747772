"""What a code of Flinks asks of us: one table, read from top to bottom, and the few rules the table cannot say.

Everything that decides about a code is in this file; which code an answer carries is `wire`'s business. Sources of each row, with the
statuses it was seen with: https://docs.flinks.com/api/authorize/error-codes and the pages around it. A code that stands nowhere is a
class of its own: it is alerted on and tried daily, and never leads to a destructive step.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from refreshd.core.model import Disposition, Reaction

CODE_LIMIT = 64
"""Characters of a code that are kept; the longest documented one has 34."""

CHALLENGED = "ANSWERING_SECURITY_CHALLENGE"
"""Our name for a failure that Flinks gives no FlinksCode: a 203, and the card state `AnsweringSecurityChallenge` with a null code."""

_BANK_MAINTENANCE = "BANK_MAINTENANCE_RETRY_LATER"
# Three spellings in three documents: with a blank, misspelt, and right.
_BANK_MAINTENANCE_SPELLINGS = re.compile(r"BANK[ _]MAINT\w*_RETRY_LATER")

_CONNECT_AGAIN = "Connect this bank again in Flinks Connect"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeMeaning:
    """One row of the table.

    `keeps_eligibility` None: the code is about the call, not about a refresh, so eligibility is as it was. `advice` tells whoever must
    act (the end user for `needs-user-reconnect`, the operator otherwise) what to do, in the vendor's terms.
    """

    code: str
    reaction: Reaction
    keeps_eligibility: bool | None
    advice: str


def _meaning(code: str, reaction: Reaction, advice: str, *, keeps: bool | None = None) -> CodeMeaning:
    return CodeMeaning(code=code, reaction=reaction, keeps_eligibility=keeps, advice=advice)


# Kept eligible is an allow-list: https://docs.flinks.com/guides/connect/nightly-refresh, "Eligibility Criteria".
_TABLE = (
    _meaning("OK", Reaction.OK, "Nothing to do.", keeps=True),
    _meaning("CREATED", Reaction.OK, "Nothing to do."),
    _meaning("ALREADY_AUTHORIZED", Reaction.OK, "Nothing to do: the session is authorized already."),
    _meaning("OPERATION_PENDING", Reaction.PENDING, "Flinks is still working on it; refreshd asks again."),
    _meaning("OPERATION_DISPATCHED", Reaction.PENDING, "Flinks moved it to the background; refreshd asks again."),
    _meaning("RETRY_LATER", Reaction.RETRY_LATER, "The bank could not be reached; Flinks tries again.", keeps=True),
    _meaning("AGGREGATION_ERROR", Reaction.RETRY_LATER, "Flinks failed unexpectedly; it tries again.", keeps=True),
    _meaning("SESSION_EXPIRED", Reaction.RETRY_LATER, "The session ran out; the next Authorize opens one.", keeps=True),
    _meaning(
        "SESSION_NONEXISTENT", Reaction.RETRY_LATER, "The RequestId is gone; the next Authorize opens one.", keeps=True
    ),
    # Overloaded: as a stored card error the bank did not authorise; on an authentication call the key is wrong, which `wire` decides.
    _meaning(
        "UNAUTHORIZED", Reaction.RETRY_LATER, "The bank did not authorise access; Flinks tries again.", keeps=True
    ),
    _meaning("CARD_IN_USE", Reaction.RETRY_LATER, "Flinks is still processing this login; refreshd tries again."),
    _meaning(
        "CONCURRENT_SESSION",
        Reaction.RETRY_LATER,
        "Another session is open for this login; refreshd tries again.",
        keeps=False,
    ),
    _meaning("NO_BROWSER_AVAILABLE", Reaction.RETRY_LATER, "Flinks has no capacity right now; refreshd tries again."),
    _meaning(
        "TOO_MANY_REQUESTS",
        Reaction.THROTTLED,
        "Flinks asks for fewer calls; lower REFRESHD_RATE_PER_MINUTE if it lasts.",
    ),
    _meaning(
        "DISABLED_INSTITUTION",
        Reaction.INSTITUTION_DOWN,
        "Flinks has switched this bank off for now; wait.",
        keeps=True,
    ),
    _meaning(_BANK_MAINTENANCE, Reaction.INSTITUTION_DOWN, "The bank is under maintenance; wait.", keeps=True),
    _meaning(CHALLENGED, Reaction.NEEDS_USER, f"{_CONNECT_AGAIN} and answer the security question.", keeps=False),
    _meaning(
        "QUESTION_NOT_FOUND",
        Reaction.NEEDS_USER,
        f"{_CONNECT_AGAIN}: the bank asked a security question to which no answer is saved.",
        keeps=False,
    ),
    _meaning("INVALID_USERNAME", Reaction.NEEDS_USER, f"{_CONNECT_AGAIN} and enter the username anew.", keeps=False),
    _meaning("INVALID_PASSWORD", Reaction.NEEDS_USER, f"{_CONNECT_AGAIN} and enter the password anew.", keeps=False),
    # Overloaded: only the message tells an unknown LoginId (refused for good, see `wire`) from wrong bank credentials.
    _meaning("INVALID_LOGIN", Reaction.NEEDS_USER, f"{_CONNECT_AGAIN} and check username and password.", keeps=False),
    _meaning(
        "INVALID_CREDENTIALS", Reaction.NEEDS_USER, f"{_CONNECT_AGAIN} and check username and password.", keeps=False
    ),
    _meaning(
        "INVALID_SECURITY_RESPONSE", Reaction.NEEDS_USER, f"{_CONNECT_AGAIN}: a saved answer is wrong.", keeps=False
    ),
    _meaning(
        "INVALID_SECURITY_RESPONSE_NO_RETRY",
        Reaction.NEEDS_USER,
        f"{_CONNECT_AGAIN}: a saved answer is wrong.",
        keeps=False,
    ),
    _meaning(
        "DISABLED_LOGIN",
        Reaction.NEEDS_USER,
        "Ask the bank to reactivate the account, then connect it again in Flinks Connect.",
        keeps=False,
    ),
    _meaning(
        "NEW_ACCOUNT",
        Reaction.NEEDS_USER,
        "Log in on the bank's own site first (it may want its terms accepted), then connect again in Flinks Connect.",
        keeps=False,
    ),
    _meaning("INVALID_REQUEST", Reaction.PERMANENT, "Flinks refuses the request itself; look at its message."),
    _meaning(
        "UNKNOWN_CHALLENGE_KEY",
        Reaction.PERMANENT,
        "An answer was keyed by a question that was not asked.",
        keeps=False,
    ),
    _meaning(
        "SECURITYRESPONSES_INCOMPLETE", Reaction.PERMANENT, "Not every security question was answered.", keeps=False
    ),
    _meaning("NO_TRANSACTION", Reaction.PERMANENT, "The account has no (or too few) transactions."),
    _meaning("ACCESS_DENIED", Reaction.AUTH_CONFIG, "Flinks does not accept the key or token; run refreshd doctor."),
    _meaning("METHOD_NOT_AVAILABLE", Reaction.AUTH_CONFIG, "This endpoint is not enabled for you; ask Flinks."),
    _meaning("CUSTOMER_NOT_FOUND", Reaction.AUTH_CONFIG, "Flinks does not know REFRESHD_FLINKS_CUSTOMER_ID; check it."),
)

MEANINGS: Mapping[str, CodeMeaning] = MappingProxyType({row.code: row for row in _TABLE})

KNOWN_CODES = frozenset(MEANINGS)
"""The bounded set behind every metric label that names a code."""

_UNKNOWN_ADVICE = "Flinks sent a code that no document describes; ask Flinks what it means."

# "LastRefreshState" has one documented value; the others are the Client Dashboard's statuses, written without blanks.
# https://docs.flinks.com/api/authorize/error-codes, "Errors in the Client Dashboard".
_STATES: Mapping[str, Reaction] = MappingProxyType(
    {
        "COMPLETED": Reaction.OK,
        "PARTIALLYCOMPLETED": Reaction.PENDING,
        "NOTCOMPLETED": Reaction.RETRY_LATER,
        "SESSIONEXPIRED": Reaction.RETRY_LATER,
        "ANSWERINGSECURITYCHALLENGE": Reaction.NEEDS_USER,
        "INVALIDPASSWORD": Reaction.NEEDS_USER,
        "INVALIDUSERNAME": Reaction.NEEDS_USER,
        "INVALIDLOGIN": Reaction.NEEDS_USER,
    }
)

_DISPOSITIONS: Mapping[Reaction, Disposition] = MappingProxyType(
    {
        Reaction.OK: Disposition.VENDOR_RETRIES,
        Reaction.PENDING: Disposition.VENDOR_RETRIES,
        Reaction.RETRY_LATER: Disposition.VENDOR_RETRIES,
        Reaction.THROTTLED: Disposition.VENDOR_RETRIES,
        Reaction.INSTITUTION_DOWN: Disposition.VENDOR_RETRIES,
        Reaction.NEEDS_USER: Disposition.NEEDS_CLIENT,
        Reaction.PERMANENT: Disposition.OPERATOR,
        Reaction.AUTH_CONFIG: Disposition.OPERATOR,
        Reaction.UNKNOWN: Disposition.UNKNOWN,
    }
)


def normalise(raw: str) -> str:
    """Trim, upper case, blanks to underscores, cut to `CODE_LIMIT`; the spellings of the maintenance code become one.

    Flinks' own C# SDK has a constant with a trailing blank, and its documents spell one code in three ways.
    """
    code = "_".join(raw.upper().split())[:CODE_LIMIT]
    return _BANK_MAINTENANCE if _BANK_MAINTENANCE_SPELLINGS.fullmatch(code) else code


def meaning_of(code: str) -> CodeMeaning:
    """The row of a code, in whatever spelling; for one that no document describes, a row that says so."""
    name = normalise(code)
    return MEANINGS.get(name) or _meaning(name, Reaction.UNKNOWN, _UNKNOWN_ADVICE)


def reaction_of(code: str | None) -> Reaction:
    """None and blank are no code at all, hence OK."""
    if code is None or not code.strip():
        return Reaction.OK
    return meaning_of(code).reaction


def state_reaction(state: str | None) -> Reaction:
    """What a card's `LastRefreshState` says, compared without regard to case and blanks; None and blank say nothing: UNKNOWN."""
    name = re.sub(r"[\W_]+", "", state or "").upper()
    return _STATES.get(name, Reaction.UNKNOWN)


def code_of_state(state: str | None) -> str:
    """The code that says the same as a card's state (`InvalidPassword` is INVALID_PASSWORD), else the state, written as a code."""
    letters = re.sub(r"[\W_]+", "", state or "").upper()
    return next((code for code in MEANINGS if code.replace("_", "") == letters), normalise(state or "") or "NO_STATE")


def disposition_of(reaction: Reaction) -> Disposition:
    """What clears a login that failed with this reaction; what needs nobody (OK, pending) clears by itself."""
    return _DISPOSITIONS[reaction]


def label_of(code: str | None) -> str:
    """The code as a bounded metric label: itself when documented, else `other`; `none` where there is none."""
    if code is None or not code.strip():
        return "none"
    name = normalise(code)
    return name if name in KNOWN_CODES else "other"


ABOUT_THE_CALL = frozenset({"CONCURRENT_SESSION", "CARD_IN_USE"})
"""Codes of an Authorize that speak of this very call, and not of last night's refresh."""

SESSION_GONE = frozenset({"SESSION_NONEXISTENT", "SESSION_EXPIRED", "UNAUTHORIZED"})
"""Codes of a data call that another Authorize mends."""

ON_THE_WAY_TO_THE_BANK = frozenset({"RETRY_LATER", "AGGREGATION_ERROR", "UNAUTHORIZED"})
"""Codes of a refresh that may be one login's bad luck or the bank's bad night: their number tells."""
