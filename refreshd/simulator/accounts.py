"""GetAccountsDetail and GetAccountsSummary, with their Async forms. The accounts are made up, one set for each refresh.

https://docs.flinks.com/api/connect/endpoints/account-linking/get-accounts-detail
https://docs.flinks.com/guides/connect/retrieve-account-data
"""

from refreshd.simulator import codes
from refreshd.simulator.authorize import login_object
from refreshd.simulator.calls import Call, Operation, request_id_of
from refreshd.simulator.draws import fraction, guid, number
from refreshd.simulator.login import Login
from refreshd.simulator.messages import Moment, Response, json_response, refusal
from refreshd.simulator.sessions import Session
from refreshd.simulator.state import World

_TRANSACTIONS = 3
_TITLES = (("Chequing", "Operations"), ("Savings", "Products"))


def accounts(world: World, call: Call, now: Moment) -> Response:
    """Answer a data call at once, or with 202 and the work to be collected later."""
    session = world.sessions.find(request_id_of(call))
    if session is None or session.taken_by:
        return _no_session()
    if not session.authorized:
        return refusal(401, "UNAUTHORIZED", "The session has not been authorized.")
    if now.seconds - session.opened_seconds >= world.config.session_life_seconds:
        return _expired()
    session.taken_by = call.operation
    if call.force_pending or fraction("pending", session.request_id) < world.config.pending_ratio:
        session.ready_seconds = now.seconds + world.config.pending_seconds
        return _pending(session)
    return _data(world, session)


def accounts_async(world: World, call: Call, now: Moment) -> Response:
    """Answer a poll: 202 until the work is done, then the data, for as long as it is kept."""
    session = world.sessions.find(call.request_id)
    if session is None or session.ready_seconds is None or f"{session.taken_by}Async" != call.operation:
        return _no_session()
    if now.seconds - session.opened_seconds >= world.config.processing_life_seconds:
        return _expired()
    if call.force_pending or now.seconds < session.ready_seconds:
        return _pending(session)
    return _data(world, session)


def _no_session() -> Response:
    return refusal(400, "SESSION_NONEXISTENT", codes.message_of("SESSION_NONEXISTENT"))


def _expired() -> Response:
    return refusal(401, "SESSION_EXPIRED", codes.message_of("SESSION_EXPIRED"))


def _pending(session: Session) -> Response:
    operation = session.taken_by
    links = [{"rel": operation.removeprefix("Get"), "href": f"/{operation}Async/{session.request_id}", "example": None}]
    more = {"Links": links, "RequestId": session.request_id}
    return refusal(202, "OPERATION_PENDING", codes.message_of("OPERATION_PENDING"), more=more)


def _data(world: World, session: Session) -> Response:
    login = world.find(session.login_id)
    if login is None:
        return _no_session()
    detailed = session.taken_by == Operation.ACCOUNTS_DETAIL
    body = {
        "HttpStatusCode": 200,
        "Accounts": [_account(login, index, detailed=detailed) for index in range(len(_TITLES))],
        "Login": login_object(login),
        "Institution": login.institution.name,
        "InstitutionName": login.institution.name,
        "InstitutionId": login.institution.institution_id,
        "RequestId": session.request_id,
    }
    return json_response(200, body)


def _account(login: Login, index: int, *, detailed: bool) -> dict[str, object]:
    title, category = _TITLES[index]
    digits = f"{number('account', login.login_id, index) % 10**9:09d}"
    account: dict[str, object] = {
        "Id": guid("account", login.login_id, index),
        "Title": title,
        "AccountNumber": digits,
        "LastFourDigits": digits[-4:],
        "TransitNumber": "00001",
        "InstitutionNumber": str(login.institution.institution_id),
        "Category": category,
        "Type": title,
        "Currency": "CAD",
        "Balance": {"Available": None, "Current": _amount(login, index, 0), "Limit": None},
        "Holder": {"Name": f"Holder of {login.username}", "Email": f"{login.username}@example.invalid"},
    }
    if detailed:
        account["Transactions"] = [_transaction(login, index, entry) for entry in range(1, _TRANSACTIONS + 1)]
    return account


def _transaction(login: Login, index: int, entry: int) -> dict[str, object]:
    return {
        "Id": guid("transaction", login.login_id, index, entry, login.last_refresh),
        "Date": login.stamp(login.last_refresh)[:10],
        "Description": f"Purchase {entry}",
        "Debit": _amount(login, index, entry),
        "Credit": None,
    }


def _amount(login: Login, index: int, entry: int) -> float:
    return number("amount", login.login_id, index, entry, login.last_refresh) % 100_000 / 100
