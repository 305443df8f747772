"""The client against the simulated Flinks, written by others from the vendor's documents alone: both must have read the same."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import pytest

from refreshd.core import wire
from refreshd.core.errors import CredentialRefused, FlinksError, FlinksRefused
from refreshd.core.guard import GuardedChange
from refreshd.core.model import CallTrace, Change, Credential, FetchDepth, Flag, LoginId, Operation
from refreshd.flinks import FlinksConnection, FlinksReader, ScheduleWriter
from refreshd.pacing import Budget
from refreshd.simulator import (
    AnswerForm,
    AnswerPrefix,
    FaultKind,
    InProcessDoor,
    ScheduleAuth,
    Simulator,
    SimulatorConfig,
    populate,
)
from tests.support.in_process import InProcessTransport
from tests.support.virtual_loop import VirtualClock, run_virtual

RATE = 300
START = datetime(2026, 1, 6, 16, 0, tzinfo=UTC)
CREDENTIALS = {
    ScheduleAuth.X_API_KEY: Credential.API_KEY,
    ScheduleAuth.BEARER: Credential.API_SECRET,
    ScheduleAuth.AUTHORIZE_TOKEN: Credential.AUTHORIZE_TOKEN,
    ScheduleAuth.NONE: Credential.NONE,
}


TRUE_ANSWERS = {
    *(FaultKind.SLOW, FaultKind.WRONG_CONTENT_TYPE, FaultKind.FLAG_COMES_BACK, FaultKind.PENDING_202),
    *(kind for kind in FaultKind if kind.startswith("status_list")),
}
"""Faults under which SetScheduledRefresh does what it says, at least for the moment."""


@dataclass
class Stage:
    """A simulated Flinks with five logins, and a client that plays by the rules."""

    flinks: Simulator
    clock: VirtualClock
    traces: list[CallTrace] = field(default_factory=list)

    def __post_init__(self) -> None:
        config = self.flinks.config
        door = InProcessDoor(self.flinks, self.clock.now, asyncio.get_running_loop().time)
        self.budget = Budget(RATE)
        self.connection = FlinksConnection(
            InProcessTransport(door),
            base_url="https://flinks.example/v3",
            customer_id=config.customer_id,
            credentials={
                Credential.SECRET_KEY: config.secret_key,
                Credential.API_KEY: config.api_key,
                Credential.API_SECRET: config.api_secret,
            },
            timeouts=dict.fromkeys(Operation, 30.0),
            max_body=1 << 22,
            clock=self.clock,
            observers=[self.hear],
        )
        self.reader = FlinksReader(self.connection)
        self.writer = ScheduleWriter(self.connection, CREDENTIALS[config.schedule_auth])

    def hear(self, trace: CallTrace) -> None:
        self.traces.append(trace)

    async def call(self, request: wire.Request) -> wire.VendorAnswer:
        return await self.reader.call(request, await self.budget.permit(), attempt=1, pass_id=None)

    async def token(self) -> wire.AuthorizeToken:
        minted = await self.call(wire.mint_token())
        assert isinstance(minted, wire.TokenMinted)
        return minted.token

    async def authorize(self, login_id: LoginId) -> wire.VendorAnswer:
        return await self.call(wire.authorize(login_id, live=False, token=await self.token()))

    async def set(self, login_id: LoginId, change: Change) -> wire.VendorAnswer:
        needs_token = self.flinks.config.schedule_auth is ScheduleAuth.AUTHORIZE_TOKEN
        token = await self.token() if needs_token else None
        guarded = GuardedChange(login_id=login_id, change=change)
        permit = await self.budget.permit()
        return await self.writer.set_schedule(guarded, permit, token=token, attempt=1, pass_id=None)


Story = Callable[[Stage, LoginId], Coroutine[object, object, None]]


def on_stage(story: Story, *faults: str, config: SimulatorConfig | None = None) -> Stage:
    """Tell the story in virtual time; afterwards the vendor's count and ours must agree."""

    async def main(clock: VirtualClock) -> Stage:
        population = populate(7, 5, start=START)
        stage = Stage(Simulator(config or SimulatorConfig(), population, faults=faults), clock)
        await story(stage, LoginId(UUID(population.logins[0].login_id)))
        return stage

    stage = run_virtual(main, START)
    assert len(stage.traces) == stage.flinks.audit.calls_counted
    assert stage.flinks.audit.most_calls_in(60.0) <= RATE
    return stage


def test_the_daily_routine_of_one_login() -> None:
    async def story(stage: Stage, login_id: LoginId) -> None:
        session = await stage.authorize(login_id)
        assert isinstance(session, wire.Authorized)
        assert (session.login_id, session.flag) == (login_id, Flag.ON)
        assert session.refreshed_at is not None
        assert session.request_id is not None
        data = await stage.call(wire.fetch_accounts(session.request_id, FetchDepth.DETAIL, login_id=login_id))
        assert isinstance(data, wire.AccountsReady)

    stage = on_stage(story, config=SimulatorConfig(pending_ratio=0.0))
    assert [trace.operation for trace in stage.traces] == [
        Operation.GENERATE_AUTHORIZE_TOKEN,
        Operation.AUTHORIZE,
        Operation.GET_ACCOUNTS_DETAIL,
    ]
    assert not stage.flinks.audit.breaches


@pytest.mark.parametrize("depth", [FetchDepth.SUMMARY, FetchDepth.DETAIL])
def test_data_that_is_not_ready_is_polled_for(depth: FetchDepth) -> None:
    async def story(stage: Stage, login_id: LoginId) -> None:
        session = await stage.authorize(login_id)
        assert isinstance(session, wire.Authorized)
        assert session.request_id is not None
        answer = await stage.call(wire.fetch_accounts(session.request_id, depth, login_id=login_id))
        polls = 0
        while isinstance(answer, wire.AccountsPending):
            await asyncio.sleep(10)
            polls += 1
            answer = await stage.call(wire.poll_accounts(answer.request_id, depth, login_id=login_id))
        assert isinstance(answer, wire.AccountsReady)
        assert polls

    on_stage(story, config=SimulatorConfig(pending_ratio=1.0))


@pytest.mark.parametrize("prefix", AnswerPrefix)
@pytest.mark.parametrize("form", AnswerForm)
@pytest.mark.parametrize("auth", ScheduleAuth)
def test_a_schedule_is_set_under_every_reading_of_the_documents(
    auth: ScheduleAuth, form: AnswerForm, prefix: AnswerPrefix
) -> None:
    async def story(stage: Stage, login_id: LoginId) -> None:
        off = await stage.set(login_id, Change.DISABLE)
        assert off == wire.ScheduleSet(login_id=login_id, flag=Flag.OFF)
        assert not stage.flinks.login(str(login_id)).scheduled
        on = await stage.set(login_id, Change.ENABLE)
        assert on == wire.ScheduleSet(login_id=login_id, flag=Flag.ON)
        assert stage.flinks.login(str(login_id)).scheduled

    on_stage(story, config=SimulatorConfig(schedule_auth=auth, schedule_answer=form, schedule_prefix=prefix))


@pytest.mark.parametrize("status", [400, 401])
def test_a_login_that_flinks_does_not_know(status: int) -> None:
    async def story(stage: Stage, _login_id: LoginId) -> None:
        stranger = LoginId(UUID(int=1))
        for answer in (await stage.authorize(stranger), await stage.set(stranger, Change.DISABLE)):
            assert isinstance(answer, wire.CodeAnswer)
            assert answer.unknown_login

    on_stage(story, config=SimulatorConfig(refusal_status=400 if status == 400 else 401))


def test_the_report_is_read() -> None:
    async def story(stage: Stage, _login_id: LoginId) -> None:
        answer = await stage.call(wire.read_report())
        assert isinstance(answer, wire.ReportRead)

    on_stage(story)


def test_a_report_that_is_mixed_with_an_error_is_refused() -> None:
    async def story(stage: Stage, _login_id: LoginId) -> None:
        with pytest.raises(FlinksRefused):
            await stage.call(wire.read_report())

    on_stage(story, "status_list_mixed@GetNightlyRefreshStatus")


def test_a_token_that_was_used_is_refused() -> None:
    async def story(stage: Stage, login_id: LoginId) -> None:
        request = wire.authorize(login_id, live=False, token=await stage.token())
        await stage.call(request)
        with pytest.raises(CredentialRefused):
            await stage.call(request)

    on_stage(story)


@pytest.mark.parametrize("kind", FaultKind)
def test_no_fault_of_the_vendor_is_taken_for_anything_else(kind: FaultKind) -> None:
    """Whatever goes wrong, each call ends as a value or a FlinksError, and what Flinks did not do is never believed done."""
    ends: Counter[str] = Counter()

    async def story(stage: Stage, login_id: LoginId) -> None:
        request_id = "46d5f682-e9dd-46ba-8cf6-3e5eff34f600"
        requests = [
            wire.mint_token(),
            wire.authorize(login_id, live=False, token=wire.AuthorizeToken("used")),
            wire.fetch_accounts(request_id, FetchDepth.DETAIL, login_id=login_id),
            wire.poll_accounts(request_id, FetchDepth.DETAIL, login_id=login_id),
            wire.read_report(),
        ]
        for request in requests:
            try:
                ends[type(await stage.call(request)).__name__] += 1
            except FlinksError as error:
                ends[error.reason] += 1
        for change in (Change.DISABLE, Change.ENABLE):
            try:
                said = await stage.set(login_id, change)
            except FlinksError as error:
                ends[error.reason] += 1
            else:
                assert not isinstance(said, wire.ScheduleSet) or kind in TRUE_ANSWERS

    detail = {FaultKind.SLOW: "(2.5)", FaultKind.CODE: "(RETRY_LATER)"}.get(kind, "")
    on_stage(story, f"{kind.value}{detail}@any")
    assert ends.total() >= 5
