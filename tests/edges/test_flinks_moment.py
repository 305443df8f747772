"""Of which moment an answer speaks."""

import asyncio
from datetime import UTC, datetime, timedelta

from refreshd.core import wire
from refreshd.core.model import Operation
from refreshd.flinks import FlinksConnection, FlinksReader, Leave, RawResponse
from refreshd.pacing import Budget
from tests.support.virtual_loop import VirtualClock, run_virtual

START = datetime(2026, 3, 10, 16, 0, tzinfo=UTC)
REPORT = b'{"HttpStatusCode": 200, "IneligibleCards": []}'


class _Slow:
    """A transport whose answer takes a minute."""

    async def send(
        self,
        method: str,
        url: str,
        headers: object,
        body: bytes | None,
        *,
        leave: Leave,
        timeout_seconds: float,
        max_body: int,
    ) -> RawResponse:
        await leave()
        await asyncio.sleep(60)
        return RawResponse(status=200, headers={}, body=REPORT)


def test_a_report_speaks_of_the_moment_at_which_it_was_asked_for() -> None:
    """A disable that Flinks confirms while a slow report is under way is newer than that report."""

    async def ask(clock: VirtualClock) -> tuple[datetime, datetime]:
        connection = FlinksConnection(
            _Slow(),
            base_url="https://flinks.example/v3",
            customer_id="43387ca6-0391-4c82-857d-70d95f087ecb",
            credentials={wire.read_report().credential: "a-secret-of-the-test"},
            timeouts=dict.fromkeys(Operation, 120.0),
            max_body=1 << 20,
            clock=clock,
        )
        permit = await Budget(600).permit()
        asked_at = clock.now()
        answer = await FlinksReader(connection).call(wire.read_report(), permit, attempt=1, pass_id=None)
        assert isinstance(answer, wire.ReportRead)
        return asked_at, answer.report.read_at

    asked_at, read_at = run_virtual(ask, START)
    assert abs(read_at - asked_at) < timedelta(seconds=1)
