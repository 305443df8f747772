"""GenerateAuthorizeToken and Authorize, cached and live.

https://docs.flinks.com/api/authorize/endpoints/authorize
https://flinks.freshdesk.com/support/solutions/articles/43000436178-nightly-refresh-routine-flow
"""

from refreshd.simulator import codes
from refreshd.simulator.calls import Call, flag, is_guid
from refreshd.simulator.login import Attempt, Login, failed, succeeded
from refreshd.simulator.messages import Moment, Response, json_response, link, refusal
from refreshd.simulator.nightly import record
from refreshd.simulator.state import World

_CHALLENGE = 203
_WELL = frozenset({200, 201})


def generate_token(world: World, _call: Call, now: Moment) -> Response:
    """Mint a token (https://docs.flinks.com/reference/generateauthorizetoken)."""
    return json_response(200, {"HttpStatusCode": 200, "Token": world.tokens.mint(now.seconds)})


def authorize(world: World, call: Call, now: Moment) -> Response:
    """Open a session: on what was saved, or, unless MostRecentCached says true, by a real login at the bank."""
    if call.fields is None or not is_guid(call.login_id):
        return refusal(world.config.refusal_status, "INVALID_REQUEST", "A LoginId is required.")
    login = world.find(call.login_id)
    if login is None:
        return invalid_login(world, call.login_id)
    if call.wants_cached:
        login.last_cached_call = now.date
        return _answer(world, call, now, login, _as_cached(login.attempt))
    attempt = _live_attempt(world, login, now)
    if flag(call.fields.get("save")) is not False:
        record(login, attempt)
    if attempt.state == codes.COMPLETED:
        login.stuck = False
    return _answer(world, call, now, login, attempt)


def invalid_login(world: World, login_id: str) -> Response:
    """Refuse a LoginId that Flinks does not know; a bank's wrong credentials carry the same code, another message."""
    return refusal(world.config.refusal_status, "INVALID_LOGIN", f"The login '{login_id}' is invalid.")


def _as_cached(attempt: Attempt) -> Attempt:
    """Return what a cached call tells of the last attempt: a challenge without a code reads QUESTION_NOT_FOUND."""
    if attempt.code == "" and attempt.status == codes.USUAL_STATUS:
        return failed(attempt.at, "QUESTION_NOT_FOUND")
    return attempt


def _live_attempt(world: World, login: Login, now: Moment) -> Attempt:
    outage = world.outage(login.institution, now.date)
    if outage:
        return failed(now.date, outage.code)
    trouble = login.attempt if login.attempt.disqualifies else None
    if login.asks_mfa or (trouble and trouble.code in codes.ASKS_CHALLENGE):
        return failed(now.date, "", _CHALLENGE)
    return failed(now.date, trouble.code, trouble.status) if trouble else succeeded(now.date)


def _answer(world: World, call: Call, now: Moment, login: Login, attempt: Attempt) -> Response:
    session = world.sessions.open(login.login_id, authorized=attempt.status in _WELL, seconds=now.seconds)
    tail: dict[str, object] = {"Institution": login.institution.name, "RequestId": session.request_id}
    if call.fields and "tag" in call.fields:
        tail["Tag"] = call.fields["tag"]
    if attempt.status in _WELL:
        return json_response(attempt.status, _opened(login, attempt) | tail)
    if attempt.status == _CHALLENGE and not attempt.code:
        return json_response(_CHALLENGE, _challenged() | tail)
    status, code = attempt.status, attempt.code
    return refusal(status, code, codes.message_of(code), more={"Links": [link("Authorization")], **tail})


def _opened(login: Login, attempt: Attempt) -> dict[str, object]:
    said: dict[str, object] = {
        "Links": [link("AccountsDetail"), link("AccountsSummary"), link("Statements")],
        "HttpStatusCode": attempt.status,
        "Login": login_object(login),
        "InstitutionName": login.institution.name,
        "InstitutionId": login.institution.institution_id,
    }
    if attempt.code:
        said |= {"FlinksCode": attempt.code, "Message": codes.message_of(attempt.code)}
    return said


def login_object(login: Login) -> dict[str, object]:
    """Return the `Login` that Authorize and the data calls carry."""
    return {
        "Username": login.username,
        "IsScheduledRefresh": login.scheduled,
        "LastRefresh": login.stamp(login.last_refresh),
        "Type": "Personal",
        "Id": login.login_id,
    }


def _challenged() -> dict[str, object]:
    """Return an open security challenge (https://docs.flinks.com/guides/connect/resume-and-reconnect)."""
    return {
        "Links": [link("Authorization")],
        "HttpStatusCode": _CHALLENGE,
        "SecurityChallenges": [{"Type": "QuestionAndAnswer", "Prompt": "What shape do people like most?"}],
    }
