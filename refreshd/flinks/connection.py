"""The choke point: who may call, under which permit, with which secret, and what is kept of the call."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from types import MappingProxyType

import structlog

from refreshd import crash
from refreshd.core import wire
from refreshd.core.errors import CredentialRefused, FlinksError, FlinksUnreachable
from refreshd.core.guard import GuardedChange
from refreshd.core.model import CallTrace, Credential, Operation, PassId
from refreshd.crash import Point
from refreshd.flinks.transport import RawResponse, Transport
from refreshd.pacing import Permit
from refreshd.ports import CallObserver, Clock

_log = structlog.get_logger(__name__)

# https://docs.flinks.com/guides/connect/authentication-reference
_HEADERS = MappingProxyType(
    {
        Credential.SECRET_KEY: ("flinks-auth-key", ""),
        Credential.AUTHORIZE_TOKEN: ("flinks-auth-key", ""),
        Credential.API_KEY: ("x-api-key", ""),
        Credential.API_SECRET: ("Authorization", "Bearer "),
    }
)

_OFF_LOOP_BYTES = 1 << 20
_SHORTEST_SECRET = 8
"""Shorter words are not masked in answers, where they would mean something else."""


class FlinksConnection:
    """One customer at one Flinks instance. `base_url` is the whole base up to and with `/v3`."""

    def __init__(
        self,
        transport: Transport,
        *,
        base_url: str,
        customer_id: str,
        credentials: Mapping[Credential, str],
        timeouts: Mapping[Operation, float],
        max_body: int,
        clock: Clock,
        observers: Sequence[CallObserver] = (),
    ) -> None:
        self._transport = transport
        self._base = f"{base_url.rstrip('/')}/{customer_id}"
        self._secrets = dict(credentials)
        self._timeouts = timeouts
        self._max_body = max_body
        self._clock = clock
        self._observers = (log_call, *observers)

    async def _send(
        self, request: wire.Request, permit: Permit, *, attempt: int, pass_id: PassId | None
    ) -> wire.VendorAnswer:
        """The choke point: every byte to Flinks passes here, and every call is told of, whatever becomes of it."""
        headers = self._headers(request)
        departure = _Departure(permit, self._clock)

        def tell(facts: wire.AnswerFacts | None, failure: str | None) -> None:
            trace = self._trace(request, departure, facts, failure, attempt, pass_id)
            for observer in self._observers:
                observer(trace)

        try:
            facts, outcome = await self._exchange(request, headers, departure)
        except FlinksError as error:
            error.left = departure.has_left
            tell(None, error.reason)
            raise
        except asyncio.CancelledError:
            if departure.has_left:
                tell(None, "timeout")
            raise
        if isinstance(outcome, FlinksError):
            tell(facts, outcome.reason)
            raise outcome
        tell(facts, None)
        return outcome

    async def _exchange(
        self, request: wire.Request, headers: Mapping[str, str], departure: "_Departure"
    ) -> tuple[wire.AnswerFacts, wire.VendorAnswer | FlinksError]:
        raw = await self._transport.send(
            request.method,
            f"{self._base}/{request.path}",
            headers,
            None if request.body is None else json.dumps(dict(request.body)).encode(),
            leave=departure.leave,
            timeout_seconds=self._timeouts[request.operation],
            max_body=self._max_body,
        )
        crash.reach(Point.CALL_ANSWERED)
        if not departure.has_left:
            message = f"{type(self._transport).__name__} sent a request without leave"
            raise AssertionError(message)
        # An answer speaks of the moment at which it was asked for: a disable that is confirmed while a slow report is under way is
        # newer than that report, whichever arrives first.
        read = partial(_read, request, raw, self._unspeakable(request), departure.at)
        return await asyncio.to_thread(read) if len(raw.body) > _OFF_LOOP_BYTES else read()

    def _headers(self, request: wire.Request) -> Mapping[str, str]:
        headers = {"Accept": "application/json"}
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        if request.credential is not Credential.NONE:
            name, scheme = _HEADERS[request.credential]
            headers[name] = f"{scheme}{self._secret(request)}"
        return headers

    def _secret(self, request: wire.Request) -> str:
        if request.token is not None:
            return request.token.reveal()
        secret = self._secrets.get(request.credential)
        if secret is None:
            raise CredentialRefused(
                f"{request.operation} needs the {request.credential}, and none is set",
                hint=f"set REFRESHD_FLINKS_{request.credential.upper()}",
            )
        return secret

    def _unspeakable(self, request: wire.Request) -> tuple[bytes, ...]:
        """What must not come out of an answer, should it echo a header."""
        token = () if request.token is None else (request.token.reveal(),)
        return tuple(each.encode() for each in (*self._secrets.values(), *token) if len(each) >= _SHORTEST_SECRET)

    def _trace(
        self,
        request: wire.Request,
        departure: "_Departure",
        facts: wire.AnswerFacts | None,
        failure: str | None,
        attempt: int,
        pass_id: PassId | None,
    ) -> CallTrace:
        return CallTrace(
            called_at=departure.at,
            operation=request.operation,
            method=request.method,
            url=f"{self._base}/{request.path}",
            body=wire.traced_body(request),
            login_id=request.login_id,
            http_status=facts.http_status if facts else None,
            flinks_code=facts.flinks_code if facts else None,
            message=facts.message if facts else None,
            request_id=(facts.request_id if facts else None) or _asked_request_id(request),
            latency_seconds=asyncio.get_running_loop().time() - departure.at_seconds,
            attempt=attempt,
            pass_id=pass_id,
            failure=failure,
            left=departure.has_left,
        )


class FlinksReader:
    """Every call but the schedule change."""

    def __init__(self, connection: FlinksConnection) -> None:
        self._send = connection._send  # noqa: SLF001 - one of the two doors of a connection

    async def call(
        self, request: wire.Request, permit: Permit, *, attempt: int, pass_id: PassId | None
    ) -> wire.VendorAnswer:
        """Send, and give the answer or raise a `FlinksError`. LeaseLost means that nothing was sent."""
        if request.operation is Operation.SET_SCHEDULED_REFRESH:
            message = "a schedule change goes through the ScheduleWriter"
            raise TypeError(message)
        return await self._send(request, permit, attempt=attempt, pass_id=pass_id)


class ScheduleWriter:
    """The write gate: the one class that can call SetScheduledRefresh, and it takes what the guard has let through.

    In observe mode nobody makes one. `credential` is the operator's word: the vendor's page of this call names no header.
    """

    def __init__(self, connection: FlinksConnection, credential: Credential) -> None:
        self._send = connection._send  # noqa: SLF001 - the other door
        self._credential = credential

    async def set_schedule(
        self,
        change: GuardedChange,
        permit: Permit,
        *,
        token: wire.AuthorizeToken | None,
        attempt: int,
        pass_id: PassId | None,
    ) -> wire.VendorAnswer:
        """As `FlinksReader.call`; `token` where the credential is an authorize token."""
        request = wire.set_scheduled_refresh(change.login_id, change.change, credential=self._credential, token=token)
        return await self._send(request, permit, attempt=attempt, pass_id=pass_id)


class _Departure:
    """The moment a call leaves: once, under a permit that is still good, by the one who leads."""

    def __init__(self, permit: Permit, clock: Clock) -> None:
        self._permit = permit
        self._clock = clock
        self.has_left = False
        self.at: datetime = clock.now()
        self.at_seconds = asyncio.get_running_loop().time()

    async def leave(self) -> None:
        """Spend the permit, or a new one where it took long to connect.

        Refused a second time: aiohttp repeats a GET by itself when a kept connection breaks, and that would be a call of its own.
        """
        if self.has_left:
            raise FlinksUnreachable("the connection broke before an answer came", reason="connect")
        permit = await self._permit.fresh()
        permit.spend()
        self.has_left = True
        self.at = self._clock.now()
        self.at_seconds = asyncio.get_running_loop().time()
        crash.reach(Point.CALL_LEAVES)


def _read(
    request: wire.Request, raw: RawResponse, unspeakable: tuple[bytes, ...], received_at: datetime
) -> tuple[wire.AnswerFacts, wire.VendorAnswer | FlinksError]:
    body = raw.body
    for secret in unspeakable:
        body = body.replace(secret, b"***")
    document = wire.read_document(body)
    facts = wire.facts_of(raw.status, document)
    try:
        answer = wire.interpret_document(request, raw.status, raw.headers, document, received_at=received_at)
    except FlinksError as error:
        return facts, error
    return facts, answer


def _asked_request_id(request: wire.Request) -> str | None:
    """The RequestId that a data call was made with; a call that got no answer can still be asked about."""
    asked = (request.body or {}).get("RequestId")
    return asked if isinstance(asked, str) else None


def log_call(trace: CallTrace) -> None:
    """One line a call, with all that the vendor's guide wants traced; it may be stored and shown, see `CallTrace`.

    https://flinks.freshdesk.com/support/solutions/articles/43000436178-nightly-refresh-routine-flow
    """
    _log.debug(
        "flinks_call",
        operation=trace.operation.value,
        method=trace.method,
        url=trace.url,
        parameters=None if trace.body is None else dict(trace.body),
        login_id=None if trace.login_id is None else str(trace.login_id),
        status=trace.http_status,
        code=trace.flinks_code,
        message=trace.message,
        request_id=trace.request_id,
        failure=trace.failure,
        latency_seconds=round(trace.latency_seconds, 3),
        attempt=trace.attempt,
        pass_id=trace.pass_id,
    )
