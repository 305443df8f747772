"""A caller of a simulated Flinks in tests: knows its keys, keeps the time, and reads answers as JSON."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from refreshd.simulator import FaultRule, Moment, Population, Request, Response, Simulator, SimulatorConfig
from refreshd.simulator.institutions import Institution
from refreshd.simulator.login import Login, succeeded

START = datetime(2026, 1, 5, 15, tzinfo=UTC)
"""A Monday, in the afternoon: seven hours after the night."""
ONE = "aaaaaaaa-0000-4000-8000-000000000001"
TWO = "aaaaaaaa-0000-4000-8000-000000000002"
NOBODY = "ffffffff-0000-4000-8000-00000000ffff"


def bank(failure_chance: float = 0.0, *codes: str, name: str = "Reliable Bank", number: int = 14) -> Institution:
    failures = tuple((code, 1.0) for code in codes) or (("RETRY_LATER", 1.0),)
    return Institution(
        institution_id=number,
        name=name,
        failure_chance=failure_chance,
        failures=failures,
        needs_user_share=0.0,
        asks_mfa_share=0.0,
    )


def healthy(login_id: str = ONE, institution: Institution | None = None, *, scheduled: bool = True) -> Login:
    refreshed = START - timedelta(hours=9)
    return Login(
        login_id=login_id,
        institution=institution or bank(),
        username="somebody",
        scheduled=scheduled,
        last_refresh=refreshed,
        attempt=succeeded(refreshed),
        last_cached_call=START - timedelta(days=1),
    )


def of(*logins: Login, start: datetime = START) -> Population:
    banks = {login.institution.name: login.institution for login in logins}
    return Population(seed=7, start=start, institutions=tuple(banks.values()), logins=logins)


class Caller:
    """Calls one simulator; `date` and `seconds` move only by hand."""

    def __init__(
        self,
        *logins: Login,
        config: SimulatorConfig | None = None,
        population: Population | None = None,
        faults: Iterable[FaultRule | str] = (),
    ) -> None:
        self.config = config or SimulatorConfig(pending_ratio=0.0)
        self.flinks = Simulator(self.config, population or of(*(logins or (healthy(),))), faults=faults)
        self.date = self.flinks.world.date
        self.seconds = 1000.0

    def wait(self, *, seconds: float = 0.0, days: float = 0.0, hours: float = 0.0) -> None:
        self.seconds += seconds
        self.date += timedelta(days=days, hours=hours)

    def send(self, method: str, path: str, headers: Mapping[str, str] | None = None, body: object = None) -> Response:
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return self.flinks.respond(Request(method, path, headers or {}, raw), Moment(self.date, self.seconds))

    def call(self, method: str, operation: str, headers: Mapping[str, str], body: object = None) -> Response:
        return self.send(method, f"/v3/{self.config.customer_id}/BankingServices/{operation}", headers, body)

    def mint(self) -> Response:
        return self.call("POST", "GenerateAuthorizeToken", {"flinks-auth-key": self.config.secret_key})

    def token(self) -> str:
        return str(read(self.mint())["Token"])

    def authorize(self, login_id: str = ONE, *, cached: bool | None = True, token: str | None = None) -> Response:
        body: dict[str, object] = {"LoginId": login_id, "Save": True}
        if cached is not None:
            body["MostRecentCached"] = cached
        headers = {"flinks-auth-key": self.token() if token is None else token}
        return self.call("POST", "Authorize", headers, body)

    def session(self, login_id: str = ONE) -> str:
        return str(read(self.authorize(login_id))["RequestId"])

    def data(self, request_id: str, operation: str = "GetAccountsDetail") -> Response:
        return self.call("POST", operation, {"x-api-key": self.config.api_key}, {"RequestId": request_id})

    def poll(self, request_id: str, operation: str = "GetAccountsDetailAsync") -> Response:
        return self.call("GET", f"{operation}/{request_id}", {"x-api-key": self.config.api_key})

    def schedule(self, login_id: str = ONE, *, on: bool) -> Response:
        body = {"LoginId": login_id, "IsActivated": on}
        return self.call("PATCH", "SetScheduledRefresh", {"x-api-key": self.config.api_key}, body)

    def report(self) -> Response:
        return self.call("GET", "GetNightlyRefreshStatus", {"authorization": f"Bearer {self.config.api_secret}"})

    def listed(self) -> dict[str, dict[str, Any]]:
        return {card["LoginId"]: card for card in read(self.report())["IneligibleCards"]}


def read(response: Response) -> dict[str, Any]:
    body = json.loads(response.body)
    assert isinstance(body, dict)
    return body


def said(response: Response) -> tuple[int, str]:
    """Status and FlinksCode, the latter from the body itself."""
    code = read(response).get("FlinksCode", "")
    assert code == response.flinks_code
    return response.status, code
