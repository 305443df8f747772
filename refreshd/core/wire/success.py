"""What a success must look like, operation by operation; whatever does not is unreadable, never half believed."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Annotated, TypeVar
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, StrictBool, ValidationError, model_validator

from refreshd.core.model import Flag, LoginId, Operation, Report, ReportCard
from refreshd.core.wire.answers import AccountsReady, Authorized, ReportRead, ScheduleSet, TokenMinted, VendorAnswer
from refreshd.core.wire.body import GUID, code_or_none, folded, safe_text, vendor_time
from refreshd.core.wire.reply import Reply
from refreshd.core.wire.requests import AuthorizeToken

_CLOCKS_DIFFER_BY = timedelta(days=1)

_OFF = re.compile(r"\bdeactivated\b")
_ON = re.compile(r"\bactivated\b")
_DENIAL = re.compile(r"\b(?:not|cannot|can't|couldn't|wasn't|unable|invalid|error|fail\w*)\b")

VendorTime = Annotated[datetime | None, BeforeValidator(vendor_time)]


class _Payload(BaseModel):
    """A part of a success body: unknown members pass, names in any case."""

    model_config = ConfigDict(frozen=True, alias_generator=lambda name: name.replace("_", ""))

    @model_validator(mode="before")
    @classmethod
    def _fold(cls, members: object) -> object:
        return folded(members) if isinstance(members, dict) else members


_P = TypeVar("_P", bound=_Payload)


class _Token(_Payload):
    token: str


class _Login(_Payload):
    id: UUID | None = None
    is_scheduled_refresh: StrictBool | None = None
    last_refresh: VendorTime = None


class _Session(_Payload):
    login: _Login


class _Accounts(_Payload):
    accounts: list[object]
    login: _Login | None = None


class _Card(_Payload):
    login_id: UUID
    last_refresh_date: VendorTime = None
    last_refresh_state: str | None = None
    last_refresh_error_code: str | None = None


class _Status(_Payload):
    ineligible_cards: list[object]


def read_success(reply: Reply) -> VendorAnswer:
    """The value of an answer whose status says success and which carries no FlinksCode."""
    return _READERS[reply.request.operation](reply)


def _parsed(model: type[_P], reply: Reply) -> _P:
    return _part(model, reply.document.fields, reply)


def _part(model: type[_P], members: object, reply: Reply, *place: str | int) -> _P:
    """The members as the model; the error names the place and the kind of fault, never the value, which may be somebody's."""
    try:
        return model.model_validate(members)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        fault = f"{'.'.join(str(part) for part in (*place, *first['loc']))} is {first['type']}"
    raise reply.unreadable(fault)


def _minted(reply: Reply) -> TokenMinted:
    token = _parsed(_Token, reply).token
    try:
        return TokenMinted(token=AuthorizeToken(token))
    except ValueError:
        pass
    raise reply.unreadable("its token could not stand in a header")


def _authorized(reply: Reply) -> Authorized:
    login = _parsed(_Session, reply).login
    _check_login(login, reply)
    refreshed_at = login.last_refresh
    # A date to come would keep the login fresh for ever.
    if refreshed_at is not None and refreshed_at > reply.received_at + _CLOCKS_DIFFER_BY:
        raise reply.unreadable("its LastRefresh lies in the future", hint="compare the clock of this machine")
    return Authorized(
        login_id=reply.login_id,
        flag=_flag(is_on=login.is_scheduled_refresh),
        refreshed_at=refreshed_at,
        institution=reply.document.institution,
        request_id=reply.document.request_id,
    )


def _flag(*, is_on: bool | None) -> Flag:
    if is_on is None:
        return Flag.UNKNOWN
    return Flag.ON if is_on else Flag.OFF


def _check_login(login: _Login | None, reply: Reply) -> None:
    """What Flinks says about one login must not be believed about another."""
    asked = reply.request.login_id
    if login is not None and login.id is not None and asked is not None and login.id != asked:
        raise reply.unreadable(f"it speaks of another login than {asked}")


def _accounts(reply: Reply) -> AccountsReady:
    _check_login(_parsed(_Accounts, reply).login, reply)
    return AccountsReady(body=reply.document.raw)


def _report(reply: Reply) -> ReportRead:
    """A missing list is not an empty list, and one bad card makes the whole report unreadable.

    Card by card: a report may hold hundreds of thousands, and what lives all at once is what the garbage collector walks through while
    nobody else can run.
    """
    cards: dict[UUID, ReportCard] = {}
    for number, members in enumerate(_parsed(_Status, reply).ineligible_cards):
        card = _part(_Card, members, reply, "ineligiblecards", number)
        known = cards.get(card.login_id)
        if known is None or _is_later(card.last_refresh_date, known.attempted_at):
            cards[card.login_id] = _report_card(card)
    in_order = tuple(sorted(cards.values(), key=lambda card: card.login_id.int))
    return ReportRead(report=Report(read_at=reply.received_at, cards=in_order))


def _report_card(card: _Card) -> ReportCard:
    return ReportCard(
        login_id=LoginId(card.login_id),
        attempted_at=card.last_refresh_date,
        state=safe_text(card.last_refresh_state or ""),
        code=code_or_none(card.last_refresh_error_code),
    )


def _is_later(moment: datetime | None, than: datetime | None) -> bool:
    return moment is not None and (than is None or moment > than)


def _schedule_set(reply: Reply) -> ScheduleSet:
    """A bare sentence, as JSON or as text: `LoginId <guid> has now been deactivated for automatic refresh`.

    https://docs.flinks.com/api/connect/endpoints/account-linking/set-scheduled-refresh (on) and the vendor's C# SDK (off).
    """
    sentence = (reply.document.text or "").lower()
    if {found.group() for found in GUID.finditer(sentence)} != {str(reply.login_id)}:
        raise reply.unreadable(f"it does not speak of {reply.login_id}, and of it alone")
    flag = _spoken_flag(sentence)
    if flag is Flag.UNKNOWN:
        raise reply.unreadable(f"it does not say that {reply.login_id} was set")
    asked = Flag.ON if (reply.request.body or {}).get("IsActivated") else Flag.OFF
    if flag is not asked:
        raise reply.unreadable(f"it says that {reply.login_id} is {flag}, the contrary of what was asked")
    return ScheduleSet(login_id=reply.login_id, flag=flag)


def _spoken_flag(sentence: str) -> Flag:
    """Whole words, because "deactivated" contains "activated"; a sentence that denies, or says both, says nothing."""
    said = {flag for flag, word in ((Flag.OFF, _OFF), (Flag.ON, _ON)) if word.search(sentence)}
    return said.pop() if len(said) == 1 and not _DENIAL.search(sentence) else Flag.UNKNOWN


_READERS: Mapping[Operation, Callable[[Reply], VendorAnswer]] = MappingProxyType(
    {
        Operation.GENERATE_AUTHORIZE_TOKEN: _minted,
        Operation.AUTHORIZE: _authorized,
        Operation.AUTHORIZE_LIVE: _authorized,
        Operation.GET_ACCOUNTS_DETAIL: _accounts,
        Operation.GET_ACCOUNTS_DETAIL_ASYNC: _accounts,
        Operation.GET_ACCOUNTS_SUMMARY: _accounts,
        Operation.GET_ACCOUNTS_SUMMARY_ASYNC: _accounts,
        Operation.GET_NIGHTLY_REFRESH_STATUS: _report,
        Operation.SET_SCHEDULED_REFRESH: _schedule_set,
    }
)
