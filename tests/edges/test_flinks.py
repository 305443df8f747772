"""The choke point: under which permit, with which secret, and what is kept of a call."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
import structlog
from yarl import URL

from refreshd.core import wire
from refreshd.core.errors import (
    CredentialRefused,
    FlinksError,
    FlinksThrottled,
    FlinksUnreachable,
    FlinksUnreadable,
    LeaseLost,
)
from refreshd.core.guard import GuardedChange
from refreshd.core.model import CallTrace, Change, Credential, FetchDepth, Flag, LoginId, Operation, PassId, Term
from refreshd.flinks import AiohttpTransport, FlinksConnection, FlinksReader, Leave, RawResponse, ScheduleWriter
from refreshd.pacing import Budget, Claim, Permit
from tests.support.aioresponses_314 import FlinksResponses

NOW = datetime(2026, 6, 18, 15, 0, tzinfo=UTC)
CUSTOMER = "43387ca6-0391-4c82-857d-70d95f087ecb"
BASE = f"https://toolbox-api.private.fin.ag/v3/{CUSTOMER}/BankingServices"
LOGIN = LoginId(UUID("d12c531b-9622-4477-38c5-08d779b6f27e"))
REQUEST_ID = "46d5f682-e9dd-46ba-8cf6-3e5eff34f600"
SECRETS = {
    Credential.SECRET_KEY: "secret-key-of-the-test",
    Credential.API_KEY: "api-key-of-the-test",
    Credential.API_SECRET: "api-secret-of-the-test",
}
TOKEN = wire.AuthorizeToken("token-of-the-test")
AUTHORIZE = wire.authorize(LOGIN, live=False, token=TOKEN)
SESSION = {"HttpStatusCode": 200, "Login": {"Id": str(LOGIN), "Username": "4540123456789012"}, "RequestId": REQUEST_ID}


class StoppedClock:
    def now(self) -> datetime:
        return NOW


class Leader:
    leads = True

    @property
    def term(self) -> Term:
        if not self.leads:
            raise LeaseLost("somebody else leads")
        return Term(1)

    async def claim(self, slots: int, slot_seconds: float) -> Claim:
        now = asyncio.get_running_loop().time()
        return Claim(granted=True, begins_at_seconds=now, opens_at_seconds=now)


class Wire:
    """A transport that the test plays: answers, fails or hangs, and remembers what was sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, Mapping[str, str], bytes | None]] = []
        self.limits: list[tuple[float, int]] = []
        self.answer: RawResponse | Exception = RawResponse(status=200, headers={}, body=json.dumps(SESSION).encode())
        self.asks_leave = 1
        self.hangs = False

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        leave: Leave,
        timeout_seconds: float,
        max_body: int,
    ) -> RawResponse:
        for _ in range(self.asks_leave):
            await leave()
        self.sent.append((method, url, headers, body))
        self.limits.append((timeout_seconds, max_body))
        if self.hangs:
            await asyncio.Event().wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def say(self, status: int, body: object) -> None:
        self.answer = RawResponse(status=status, headers={}, body=json.dumps(body).encode())


class Office:
    """A connection with its two doors, over any transport."""

    def __init__(self, transport: Wire | AiohttpTransport, secrets: Mapping[Credential, str] = SECRETS) -> None:
        self.traces: list[CallTrace] = []
        self.leader = Leader()
        self.budget = Budget(6000, self.leader)
        self.connection = FlinksConnection(
            transport,
            base_url="https://toolbox-api.private.fin.ag/v3/",
            customer_id=CUSTOMER,
            credentials=secrets,
            timeouts={operation: 30.0 + number for number, operation in enumerate(Operation)},
            max_body=1 << 24,
            clock=StoppedClock(),
            observers=[self.hear],
        )

    def hear(self, trace: CallTrace) -> None:
        self.traces.append(trace)

    def permit(self, *, age_seconds: float = 0.0) -> Permit:
        return Permit(self.budget, asyncio.get_running_loop().time() - age_seconds)

    async def call(self, request: wire.Request, permit: Permit | None = None) -> wire.VendorAnswer:
        reader = FlinksReader(self.connection)
        return await reader.call(request, permit or self.permit(), attempt=2, pass_id=PassId(7))

    async def change(
        self, change: Change, credential: Credential, token: wire.AuthorizeToken | None = None
    ) -> wire.VendorAnswer:
        writer = ScheduleWriter(self.connection, credential)
        guarded = GuardedChange(login_id=LOGIN, change=change)
        return await writer.set_schedule(guarded, self.permit(), token=token, attempt=1, pass_id=None)

    def used(self) -> int:
        return self.budget.used_in_last_minute(asyncio.get_running_loop().time())


@pytest.fixture
def played() -> Wire:
    return Wire()


@pytest.fixture
def office(played: Wire) -> Office:
    return Office(played)


async def test_a_call_leads_to_an_answer_and_a_trace(office: Office, played: Wire) -> None:
    answer = await office.call(AUTHORIZE)
    assert isinstance(answer, wire.Authorized)
    assert answer.login_id == LOGIN
    (trace,) = office.traces
    assert 0 <= trace.latency_seconds < 1
    assert replace(trace, latency_seconds=0) == CallTrace(
        called_at=NOW,
        operation=Operation.AUTHORIZE,
        method="POST",
        url=f"{BASE}/Authorize",
        body={"LoginId": str(LOGIN), "MostRecentCached": True},
        login_id=LOGIN,
        http_status=200,
        flinks_code=None,
        message=None,
        request_id=REQUEST_ID,
        latency_seconds=0,
        attempt=2,
        pass_id=PassId(7),
        failure=None,
    )
    assert office.used() == 1
    assert played.limits == [(31.0, 1 << 24)]


@pytest.mark.parametrize(
    ("request_", "name", "value"),
    [
        (wire.mint_token(), "flinks-auth-key", "secret-key-of-the-test"),
        (AUTHORIZE, "flinks-auth-key", "token-of-the-test"),
        (wire.fetch_accounts(REQUEST_ID, FetchDepth.DETAIL), "x-api-key", "api-key-of-the-test"),
        (wire.poll_accounts(REQUEST_ID, FetchDepth.DETAIL), "x-api-key", "api-key-of-the-test"),
        (wire.read_report(), "Authorization", "Bearer api-secret-of-the-test"),
    ],
    ids=lambda value: value.operation if isinstance(value, wire.Request) else value,
)
async def test_each_call_proves_itself_in_its_own_header(
    office: Office, played: Wire, request_: wire.Request, name: str, value: str
) -> None:
    played.say(503, {})
    with pytest.raises(FlinksUnreachable):
        await office.call(request_)
    ((_, _, headers, body),) = played.sent
    assert headers[name] == value
    assert len(headers.keys() & {"flinks-auth-key", "x-api-key", "Authorization"}) == 1
    assert ("Content-Type" in headers) is (body is not None)


@pytest.mark.parametrize(
    ("credential", "token", "header"),
    [
        (Credential.API_KEY, None, ("x-api-key", "api-key-of-the-test")),
        (Credential.API_SECRET, None, ("Authorization", "Bearer api-secret-of-the-test")),
        (Credential.AUTHORIZE_TOKEN, TOKEN, ("flinks-auth-key", "token-of-the-test")),
        (Credential.NONE, None, None),
    ],
)
async def test_the_write_gate_goes_with_the_credential_of_the_settings(
    office: Office,
    played: Wire,
    credential: Credential,
    token: wire.AuthorizeToken | None,
    header: tuple[str, str] | None,
) -> None:
    played.say(200, f"LoginId {LOGIN} has now been deactivated for automatic refresh")
    assert await office.change(Change.DISABLE, credential, token) == wire.ScheduleSet(login_id=LOGIN, flag=Flag.OFF)
    ((method, url, headers, body),) = played.sent
    assert (method, url) == ("PATCH", f"{BASE}/SetScheduledRefresh")
    assert json.loads(body or b"") == {"LoginId": str(LOGIN), "IsActivated": False}
    proofs = {name: value for name, value in headers.items() if name not in {"Accept", "Content-Type"}}
    assert proofs == (dict([header]) if header else {})
    assert office.traces[0].body == {"LoginId": str(LOGIN), "IsActivated": False}


async def test_the_reader_refuses_to_change_anything(office: Office, played: Wire) -> None:
    change = wire.set_scheduled_refresh(LOGIN, Change.DISABLE, credential=Credential.NONE, token=None)
    with pytest.raises(TypeError):
        await office.call(change)
    assert not played.sent


async def test_without_its_secret_a_call_does_not_leave(played: Wire) -> None:
    office = Office(played, secrets={})
    with pytest.raises(CredentialRefused) as caught:
        await office.call(wire.read_report())
    assert "REFRESHD_FLINKS_API_SECRET" in caught.value.hint
    assert not played.sent
    assert office.used() == 0


async def test_an_answer_that_is_a_failure_leaves_its_facts_in_the_trace(office: Office, played: Wire) -> None:
    played.say(403, {"FlinksCode": "TOO_MANY_REQUESTS", "Message": "slow down", "RequestId": REQUEST_ID})
    with pytest.raises(FlinksThrottled):
        await office.call(AUTHORIZE)
    (trace,) = office.traces
    assert (trace.http_status, trace.flinks_code, trace.message) == (403, "TOO_MANY_REQUESTS", "slow down")
    assert (trace.request_id, trace.failure) == (REQUEST_ID, "throttled")


async def test_a_code_about_a_login_is_an_answer(office: Office, played: Wire) -> None:
    played.say(401, {"FlinksCode": "QUESTION_NOT_FOUND"})
    assert isinstance(await office.call(AUTHORIZE), wire.CodeAnswer)
    assert (office.traces[0].failure, office.traces[0].flinks_code) == (None, "QUESTION_NOT_FOUND")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FlinksUnreachable("hung", reason="timeout"), "timeout"),
        (FlinksUnreachable("refused", reason="connect"), "connect"),
        (FlinksUnreadable("too long"), "malformed"),
    ],
)
async def test_a_call_without_an_answer_leaves_a_trace_too(
    office: Office, played: Wire, error: FlinksError, reason: str
) -> None:
    played.answer = error
    with pytest.raises(type(error)):
        await office.call(wire.fetch_accounts(REQUEST_ID, FetchDepth.DETAIL, login_id=LOGIN))
    (trace,) = office.traces
    assert (trace.http_status, trace.failure, trace.login_id) == (None, reason, LOGIN)
    assert (trace.request_id, trace.body) == (REQUEST_ID, {})


@pytest.mark.parametrize("asked_leave", [0, 1], ids=["no connection was made", "the answer did not come"])
async def test_a_call_without_an_answer_says_whether_bytes_of_it_may_have_left(
    office: Office, played: Wire, asked_leave: int
) -> None:
    played.asks_leave = asked_leave
    played.answer = FlinksUnreachable("hung", reason="timeout")
    with pytest.raises(FlinksUnreachable) as caught:
        await office.call(AUTHORIZE)
    assert caught.value.left is bool(asked_leave)


async def test_a_call_that_is_cut_off_by_a_stop_leaves_a_trace(office: Office, played: Wire) -> None:
    played.hangs = True
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await office.call(AUTHORIZE)
    assert [trace.failure for trace in office.traces] == ["timeout"]


async def test_nothing_leaves_when_the_lease_is_lost(office: Office, played: Wire) -> None:
    office.leader.leads = False
    with pytest.raises(LeaseLost):
        await office.call(AUTHORIZE)
    assert not played.sent
    assert not office.traces


async def test_a_permit_that_grew_old_on_the_way_is_replaced(office: Office, played: Wire) -> None:
    old = office.permit(age_seconds=2)
    await office.call(AUTHORIZE, old)
    assert len(played.sent) == 1
    assert office.used() == 1


async def test_a_second_sending_under_one_permit_does_not_leave(office: Office, played: Wire) -> None:
    played.asks_leave = 2
    with pytest.raises(FlinksUnreachable) as caught:
        await office.call(wire.read_report())
    assert caught.value.reason == "connect"
    assert not played.sent
    assert office.used() == 1


async def test_a_transport_that_asks_no_leave_is_a_bug(office: Office, played: Wire) -> None:
    played.asks_leave = 0
    with pytest.raises(AssertionError):
        await office.call(AUTHORIZE)


async def test_a_secret_that_an_answer_echoes_is_masked(office: Office, played: Wire) -> None:
    echoed = f"no access with {TOKEN.reveal()} or {SECRETS[Credential.API_KEY]}"
    played.say(401, {"FlinksCode": "RETRY_LATER", "Message": echoed})
    answer = await office.call(AUTHORIZE)
    assert isinstance(answer, wire.CodeAnswer)
    assert answer.message == office.traces[0].message == "no access with *** or ***"


async def test_a_big_answer_is_read_beside_the_loop(office: Office, played: Wire) -> None:
    cards = [{"LoginId": str(UUID(int=number)), "LastRefreshState": "Completed"} for number in range(20_000)]
    played.say(200, {"IneligibleCards": cards})
    answer = await office.call(wire.read_report())
    assert isinstance(answer, wire.ReportRead)
    assert len(answer.report.cards) == 20_000


async def test_every_call_is_one_line_without_a_secret(office: Office) -> None:
    with structlog.testing.capture_logs() as lines:
        await office.call(AUTHORIZE)
    (line,) = lines
    assert line["event"] == "flinks_call"
    assert (line["operation"], line["status"], line["attempt"], line["pass_id"]) == ("authorize", 200, 2, 7)
    assert line["login_id"] == str(LOGIN)
    assert line["url"].endswith("/BankingServices/Authorize")
    assert line["parameters"]["LoginId"] == str(LOGIN)
    assert {"code", "message", "request_id"} <= line.keys()


@pytest.mark.parametrize("status", [200, 401, 502])
async def test_no_secret_and_nobodys_data_is_in_what_is_kept(office: Office, played: Wire, status: int) -> None:
    played.say(status, {**SESSION, "Message": f"user 4540123456789012 said {' '.join(SECRETS.values())}"})
    kept = ""
    with structlog.testing.capture_logs() as lines:
        for request in (AUTHORIZE, wire.mint_token(), wire.read_report()):
            try:
                await office.call(request)
            except FlinksError as error:
                kept += f"{error!r} {error.hint}"
    kept += f"{lines} {office.traces} {office.connection!r}"
    for secret in (*SECRETS.values(), TOKEN.reveal(), "4540123456789012"):
        assert secret not in kept


# Over aiohttp, with the network replaced


@pytest.fixture
async def http() -> AsyncIterator[Office]:
    async with AiohttpTransport.opened() as transport:
        yield Office(transport)


@pytest.fixture
def flinks() -> FlinksResponses:
    return FlinksResponses()


async def test_what_goes_over_http_is_what_was_meant(http: Office, flinks: FlinksResponses) -> None:
    with flinks:
        flinks.post(f"{BASE}/Authorize", payload=SESSION)
        assert isinstance(await http.call(AUTHORIZE), wire.Authorized)
    (sent,) = flinks.requests[("POST", URL(f"{BASE}/Authorize"))]
    assert json.loads(sent.kwargs["data"]) == {"LoginId": str(LOGIN), "MostRecentCached": True}
    assert sent.kwargs["headers"]["flinks-auth-key"] == "token-of-the-test"
    assert sent.kwargs["allow_redirects"] is False
    assert http.used() == 1


async def test_the_vendors_sentence_comes_over_http(http: Office, flinks: FlinksResponses) -> None:
    sentence = f"LoginId {LOGIN} has now been deactivated for automatic refresh"
    with flinks:
        flinks.patch(f"{BASE}/SetScheduledRefresh", body=sentence, content_type="text/plain")
        assert await http.change(Change.DISABLE, Credential.API_KEY) == wire.ScheduleSet(login_id=LOGIN, flag=Flag.OFF)


async def test_retry_after_comes_over_http(http: Office, flinks: FlinksResponses) -> None:
    with flinks:
        flinks.get(f"{BASE}/GetNightlyRefreshStatus", status=429, headers={"Retry-After": "30"})
        with pytest.raises(FlinksThrottled) as caught:
            await http.call(wire.read_report())
    assert caught.value.retry_after is not None
    assert caught.value.retry_after.total_seconds() == 30
