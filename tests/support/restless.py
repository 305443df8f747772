"""A company whose clients leave and return while refreshd works, and an operator who approves and undoes plans.

It remembers when it spoke of whom: what was on its way at that moment is no breach.
"""

import asyncio
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from random import Random

from refreshd.core.caps import WINDOW
from refreshd.core.errors import PlanUnknown
from refreshd.ledger import Ledger
from refreshd.simulator.audit import Breach, Rule
from tests.support.process import Process
from tests.support.world import World

QUICK_MOVES = 40
BETWEEN_MOVES_SECONDS = 0.15
BETWEEN_LATER_MOVES_SECONDS = 1.5
"""A life that is to reach a certain point needs a pass in which the guard has nothing new to hold."""
IN_FLIGHT_SECONDS = 2.0
"""What was decided before a client came or went may arrive this much later: a permit lives a second, and this machine is busy."""
FEW = 3
"""So many are away before the first returns."""


@dataclass(kw_only=True)
class Restless:
    """The company and its operator."""

    here: World
    ledger: Ledger
    chance: Random
    gone: list[str] = field(default_factory=list)
    _live_calls: list[tuple[float, bool]] = field(default_factory=list)
    """Whether live bank logins are allowed, from this moment on."""
    _returned: dict[str, float] = field(default_factory=dict)
    _untold: list[tuple[str, float, float]] = field(default_factory=list)

    async def live_beside(self, process: Process) -> None:
        """Ends by itself: cut off in the middle of a move, the company would not know what it has told the ledger."""
        moves = 0
        while process.is_running:
            move = self.chance.choice((self._one_leaves, self._one_leaves, self._one_returns, self.approve, self.undo))
            await move()
            moves += 1
            await asyncio.sleep(BETWEEN_MOVES_SECONDS if moves < QUICK_MOVES else BETWEEN_LATER_MOVES_SECONDS)

    async def _one_leaves(self) -> None:
        await self.leave(1)

    async def _one_returns(self) -> None:
        if len(self.gone) > FEW:
            await self.come_back([self.chance.choice(self.gone)])

    async def leave(self, count: int) -> None:
        """At most half of the clients are ever away."""
        clients = self._here()
        await self.leave_these(self.chance.sample(clients, k=min(count, max(0, len(clients) - len(self.gone) - 1))))

    async def many_leave(self, logins: int) -> bool:
        """So many clients at once that as many logins leak as are asked for; whether there are enough that are on at Flinks."""
        leaving: list[str] = []
        for client in self.chance.sample(clients := self._here(), k=len(clients)):
            if len(self._leaking_without(leaving)) >= logins:
                await self.leave_these(leaving)
                return True
            leaving.append(client)
        return False

    async def somebody(self) -> str:
        """A client that is there, and was not inactive from the start either."""
        rows = await self.here.sql.fetch("SELECT client_id FROM client WHERE active ORDER BY client_id")
        return self.chance.choice([str(row["client_id"]) for row in rows])

    def _here(self) -> list[str]:
        return sorted({link.client_id for link in self.here.company.links} - set(self.gone))

    def _leaking_without(self, clients: Collection[str]) -> frozenset[str]:
        """Logins that are on at Flinks and belong to these clients alone."""
        away = {*clients, *self.gone}
        kept = {link.login_id for link in self.here.company.links if link.client_id not in away}
        return self.here.switched_on() - kept

    async def leave_these(self, clients: Collection[str]) -> None:
        self.gone += clients
        with self.not_told_yet(clients):
            await self.here.leave(*clients)

    async def come_back(self, clients: Collection[str]) -> None:
        self.gone = [each for each in self.gone if each not in clients]
        at = asyncio.get_running_loop().time() + IN_FLIGHT_SECONDS
        self._returned.update(dict.fromkeys(self.here.company.logins_of(clients), at))
        with self.not_told_yet(clients):
            await self.here.come_back(*clients)

    @contextmanager
    def not_told_yet(self, clients: Collection[str]) -> Iterator[None]:
        """In this block the ledger may know already what Flinks' audit has not been told yet."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        yield
        self._untold += [(login_id, began, loop.time()) for login_id in self.here.company.logins_of(clients)]

    async def approve(self, *states: str) -> None:
        """The plans in these states, those that are held if none is named."""
        now = self.here.dates.now()
        plans = "SELECT plan_id FROM plan WHERE state = ANY($1::text[])"
        for row in await self.here.sql.fetch(plans, states or ("held",)):
            with suppress(PlanUnknown):  # it was closed just now, because the last of its clients has returned
                await self.ledger.approve_plan(row["plan_id"], by="test", reason="test", now=now, until=now + WINDOW)

    async def undo(self) -> bool:
        """Of a plan that is over: what is left of one on its way would wait for a word that nobody here gives. False: there is none."""
        over = "SELECT plan_id FROM plan WHERE state = 'closed' AND change = 'disable' ORDER BY held_at DESC LIMIT 5"
        plans = [row["plan_id"] for row in await self.here.sql.fetch(over)]
        if plans:
            undone = self.chance.choice(plans)
            await self.ledger.ask_undo(undone, by="test", reason="test", now=self.here.dates.now())
        return bool(plans)

    def allow_live_calls(self, *, allowed: bool) -> None:
        """The operator's word from now on, by what the next process is started with."""
        self._live_calls.append((asyncio.get_running_loop().time(), allowed))

    def _allowed_live_calls_at(self, seconds: float) -> bool:
        return next((allowed for since, allowed in reversed(self._live_calls) if since <= seconds), False)

    def accounts_for(self, breach: Breach) -> bool:
        """Live calls where an operator allows them are no breach; a disable may have been on its way when its client returned.

        And what was done in the moment between the company's commit and its word to Flinks' audit was right by the ledger.
        """
        match breach.rule:
            case Rule.LIVE_AUTHORIZE:
                return self._allowed_live_calls_at(breach.seconds)
            case Rule.AUTHORIZE_ON_INACTIVE:
                return self._was_not_told_yet(breach)
            case Rule.DISABLE_OF_ACTIVE:
                return self._was_not_told_yet(breach) or breach.seconds <= self._returned.get(breach.login_id, 0.0)
            case _:
                return False

    def _was_not_told_yet(self, breach: Breach) -> bool:
        return any(began <= breach.seconds <= ended for began, ended in self.moves_about(breach.login_id))

    def moves_about(self, login_id: str) -> list[tuple[float, float]]:
        """When its clients came or went."""
        return [(began, ended) for login, began, ended in self._untold if login == login_id]
