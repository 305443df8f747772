"""The simulated Flinks: one pure machine, (state, request, now) -> (state, response).

The state is an object that the simulator owns and changes, because a fleet may have a hundred thousand logins. All the same
`respond` is a function: without I/O, clock or global chance, it depends on the state and its arguments alone, so that equal
seeds and equal calls give byte-identical answers.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from refreshd.simulator.audit import Audit
from refreshd.simulator.breaches import judge
from refreshd.simulator.calls import Call, read_call, request_id_of
from refreshd.simulator.config import SimulatorConfig
from refreshd.simulator.endpoints import Endpoints
from refreshd.simulator.faults import FaultRule, FaultScript
from refreshd.simulator.institutions import Outage
from refreshd.simulator.login import Login, failed, succeeded
from refreshd.simulator.messages import Delivery, Moment, Request, Response
from refreshd.simulator.misbehaviour import Scene, misbehave
from refreshd.simulator.nightly import advance, record
from refreshd.simulator.population import Population
from refreshd.simulator.state import World


def parse_faults(rules: Iterable[FaultRule | str]) -> list[FaultRule]:
    """Read those rules that are lines."""
    return [FaultRule.parse(rule) if isinstance(rule, str) else rule for rule in rules]


class Simulator:
    """One Flinks, its logins, and the hand of fate for tests and operators."""

    def __init__(
        self,
        config: SimulatorConfig,
        population: Population,
        *,
        faults: Iterable[FaultRule | str] = (),
    ) -> None:
        """Take a copy of `population`; its start is the simulator's first date."""
        self.config = config
        self.world = World(config, start=population.start, institutions=population.institutions)
        for login in population.logins:
            self.world.add(login)
        self.faults = FaultScript(seed=config.seed)
        self.add_faults(faults)
        self._endpoints = Endpoints(self.world)

    @property
    def audit(self) -> Audit:
        """What the vendor saw."""
        return self.world.audit

    def respond(self, request: Request, now: Moment) -> Response:
        """Answer one request. Nights that have passed since the last look are lived through first."""
        self.advance(now.date)
        call = self._read(request)
        self.audit.arrived(now.seconds)
        for breach in judge(self.world, call, now):
            self.audit.breach(breach)
        rule = self.faults.draw(call, now.date)
        response = self._answer(call, now) if rule is None else self._misbehave(rule, call, now)
        self.audit.seen(
            call.operation,
            call.login_id,
            now.date,
            now.seconds,
            status=response.status,
            flinks_code=response.flinks_code,
            fault=rule.kind if rule else "",
            host=call.headers.get("host", ""),
        )
        return self._late(response)

    def advance(self, date: datetime) -> None:
        """Let the nights up to `date` happen; an earlier date changes nothing."""
        advance(self.world, date)

    def login(self, login_id: str) -> Login:
        """Return a login as it is now, to look at."""
        return self.world.login(login_id)

    def link(self, login: Login) -> None:
        """Add a login, as when a user connects for the first time."""
        self.world.add(login)

    def forget(self, login_id: str) -> None:
        """Make a login unknown, as DeleteCard does."""
        self.world.forget(login_id)

    def afflict(self, login_id: str, code: str, *, status: int | None = None) -> None:
        """Let the last refresh attempt of a login have ended with `code`.

        An empty code with status None is the challenge without a code; with 203 Authorize answers the challenge itself,
        with another status the bare error of a gateway.
        """
        record(self.world.login(login_id), failed(self.world.date, code, status))

    def reconnect(self, login_id: str, *, scheduled: bool | None = None) -> None:
        """Let the user connect again: a good live refresh. `scheduled` is what the iframe's scheduleRefresh says, if anything.

        https://docs.flinks.com/guides/connect/resume-and-reconnect
        """
        login = self.world.login(login_id)
        record(login, succeeded(self.world.date))
        login.stuck = False
        if scheduled is not None:
            login.scheduled = scheduled

    def set_stuck(self, login_id: str, *, stuck: bool = True) -> None:
        """Let the job pass a login over without an error: silent staleness."""
        self.world.login(login_id).stuck = stuck

    def set_flag(self, login_id: str, *, scheduled: bool) -> None:
        """Switch scheduled refresh behind the integration's back, as a second connection of the user does."""
        self.world.login(login_id).scheduled = scheduled

    def institution_down(self, name: str, until: datetime, *, code: str = "DISABLED_INSTITUTION") -> None:
        """Take an institution down from now on: each attempt to refresh there ends with `code`."""
        self.world.outages[self.world.institution(name).name] = Outage(self.world.date, until, code)

    def institution_up(self, name: str) -> None:
        """End an outage early; nothing happens if there is none."""
        self.world.outages.pop(self.world.institution(name).name, None)

    def company_inactive(self, login_ids: Iterable[str] | None, *, seconds: float = 0.0) -> None:
        """Tell which logins the company calls inactive (all of them); the breach rules about it rest until then.

        `seconds` is when, on the door's monotonic clock; it matters only with `inactive_grace_seconds`.
        """
        self.audit.company_inactive(login_ids, seconds=seconds)

    def add_faults(self, rules: Iterable[FaultRule | str]) -> None:
        """Add rules to the fault script, as values or as lines."""
        self.faults.add(parse_faults(rules))

    def _read(self, request: Request) -> Call:
        call = read_call(request)
        if call.login_id:
            return call
        return replace(call, login_id=self.world.sessions.login_of(request_id_of(call)))

    def _answer(self, call: Call, now: Moment) -> Response:
        return self._endpoints.answer(call, now)

    def _misbehave(self, rule: FaultRule, call: Call, now: Moment) -> Response:
        scene = Scene(
            rule=rule,
            call=call,
            now=now,
            world=self.world,
            coin=self.faults.coin(),
            answer=lambda changed: self._answer(changed, now),
        )
        return misbehave(scene)

    def _late(self, response: Response) -> Response:
        if not self.config.latency_seconds:
            return response
        delay = response.delivery.delay_seconds + self.config.latency_seconds
        return replace(response, delivery=Delivery(response.delivery.kind, delay))
