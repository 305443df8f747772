"""The day itself: what happens when, told as it happens.

Each scene waits for what it tells of (an event in the ledger or at the vendor), never for a length of time, except where the story waits
for an hour of the day.
"""

import asyncio
import shutil
import sys
from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.table import Table

from refreshd.core.caps import WINDOW
from refreshd.core.judge import judge
from refreshd.core.model import Lane, VerdictName
from refreshd.core.plan import HeldPlan
from refreshd.core.totals import LedgerTotals
from refreshd.demo.stage import DOWN, FACTOR, LOGINS, MORNING, RATE_PER_MINUTE, Stage
from refreshd.ledger import Ledger
from refreshd.policies import judge_policy
from refreshd.reading import StoredLogin

_LOOK_SECONDS = 0.05
_PATIENCE_SECONDS = 60.0

APPROVAL = timedelta(hours=1)
ROUTINE = timedelta(hours=8)
LEAVING = timedelta(hours=8, minutes=40)
RETURN = timedelta(hours=16)
NIGHT = timedelta(hours=20)
END = timedelta(hours=24, minutes=10)

T = TypeVar("T")


class DemoFailedError(RuntimeError):
    """Something that the story tells of did not happen: a bug, or a machine that is far too slow."""


class Day:
    """Plays the scenes in order and tells what happens."""

    def __init__(self, built: Stage, ledger: Ledger, console: Console) -> None:
        self._stage = built
        self._ledger = ledger
        self._console = console
        self._left: list[str] = []
        self.disabled = 0

    def introduce(self, address: str) -> None:
        """Who, what, and where to look meanwhile."""
        self._console.print(
            f"\n[bold]Maple Lending[/] reads {LOGINS} bank logins of its clients through Flinks, every night, and pays for each"
            f" one.\nLast night it was billed for {self._stage.night_billed}; [bold red]{self._stage.night_leaked}[/] of those"
            " belong to clients who left long ago.\n"
            f"refreshd starts now. A day takes two minutes: dates pass {FACTOR} times as fast, calls and durations are real,\n"
            f"and at most {RATE_PER_MINUTE} calls leave in any 60 seconds.\n\n"
            f"  look meanwhile    {address}/\n"
            f"                    {address}/metrics\n"
            f"  in another shell  export {_on_path()}REFRESHD_CONFIG={self._stage.config_file}\n"
            "                    refreshd status\n"
            "                    refreshd plans\n"
            "                    refreshd logins --verdict reconnect\n"
            f"                    refreshd explain {self._stage.company.links[0].login_id}\n",
            highlight=False,
            soft_wrap=True,
        )

    async def play(self) -> None:
        """The day, scene by scene."""
        for scene in (
            self._first_plan,
            self._approval,
            self._first_look,
            self._routine_begins,
            self._clients_leave,
            self._routine_ends,
            self._silent_staleness,
            self._client_returns,
            self._night,
        ):
            await scene()

    # Scenes -------------------------------------------------------------------------------------------------------------------------

    async def _first_plan(self) -> None:
        plan = await self._until("the guard to hold the first plan", self._open_plan)
        self._tell(
            f"The guard [yellow]holds[/] plan {plan.plan_id}: disable {plan.logins} logins that have no active client any more."
            " It is the first one, and nobody has looked at the client list yet. Nothing is switched off; all else goes on."
        )

    async def _approval(self) -> None:
        await self._hour(APPROVAL)
        plan = await self._until("a plan to approve", self._open_plan)
        self._tell(f"An operator has looked at it: [bold]refreshd approve {plan.plan_id}[/]")
        now = self._stage.clock.now()
        count = await self._ledger.approve_plan(
            plan.plan_id, by="the demo", reason="looked at in the demo", now=now, until=now + WINDOW
        )
        await self._until("the approved plan to be carried out", lambda: self._disabled(count))
        self._tell(
            f"All {count} are [green]off[/]: Flinks has said so about each LoginId. Not one of them was authorized, which would"
            " have kept it alive."
        )

    async def _first_look(self) -> None:
        totals = await self._until("every active login to be seen", self._all_seen)
        self._tell(f"Every active login has been looked at once: {_fleet(totals)}.")
        down = sum(count for (code, _), count in totals.failed.items() if code == "DISABLED_INSTITUTION")
        self._tell(
            f"{DOWN} was down last night: {down} logins [yellow]failed[/] with DISABLED_INSTITUTION. That heals by itself, so no"
            " user is asked to do anything."
        )

    async def _routine_begins(self) -> None:
        await self._hour(ROUTINE)
        self._tell("11:00 in Toronto: the daily routine begins, one cached Authorize for every active login.")

    async def _clients_leave(self) -> None:
        await self._hour(LEAVING)
        company = self._stage.company
        self._left = company.sole_clients(3)
        logins = company.logins_of(self._left)
        waiting = await self._ledger.routine_due(MORNING + ROUTINE)
        self._tell(
            "Three clients leave, in plain SQL: [bold]UPDATE client SET active = false WHERE client_id IN (...)[/]"
        )
        self._tell(f"{sum(waiting.values())} logins of the routine are still waiting at this moment.")
        began = asyncio.get_running_loop().time()
        await company.leave(self._left)
        self._say_who_is_inactive()
        await self._until("the three logins to be off", lambda: self._flags_are(logins, on=False))
        self._tell(
            f"[green]Off at Flinks {asyncio.get_running_loop().time() - began:.1f} s later[/], ahead of all that waited."
        )

    async def _routine_ends(self) -> None:
        await self._until("the routine to end", self._routine_done)
        totals = await self._ledger.totals(now=self._stage.clock.now())
        users = totals.by_verdict.get(VerdictName.RECONNECT, 0)
        self._tell(
            f"The routine is done: {sum(totals.failed.values())} active logins fail, and {users} of them only their user can"
            " mend: [bold]refreshd logins --verdict reconnect[/]"
        )

    async def _silent_staleness(self) -> None:
        login = await self._until("a silently stale login", self._silent_one)
        verdict = judge(login.evidence, judge_policy(self._stage.settings), self._stage.clock.now())
        self._tell(
            f"A silent one is found: Flinks reports no error for {login.evidence.login_id}, yet it is [yellow]stale[/]:"
            f" {verdict.sentence}."
        )

    async def _client_returns(self) -> None:
        await self._hour(RETURN)
        company, back = self._stage.company, self._left[:1]
        await company.come_back(back)
        self._say_who_is_inactive()
        await self._until("the login to be on again", lambda: self._flags_are(company.logins_of(back), on=True))
        self._tell(
            "One of the three comes back. refreshd had disabled the login itself, so it [green]enables[/] it again."
        )

    async def _night(self) -> None:
        await self._hour(NIGHT)
        self._tell("04:00 UTC: the vendor's night. refreshd authorizes nobody until 08:00.")
        await self._hour(END)

    # Waiting and looking ------------------------------------------------------------------------------------------------------------

    def _tell(self, text: str) -> None:
        """One line of the story: when, and what; long ones hang under their beginning."""
        line = Table.grid(padding=(0, 2))
        line.add_column(no_wrap=True, style="dim")
        line.add_column()
        line.add_row(f"{self._stage.clock.now():%a %H:%M}", text)
        self._console.print(line)

    def _say_who_is_inactive(self) -> None:
        """The simulator judges our calls by what the company says, from this moment on."""
        inactive = self._stage.company.inactive_logins()
        self._stage.flinks.company_inactive(inactive, seconds=asyncio.get_running_loop().time())

    async def _hour(self, since_morning: timedelta) -> None:
        while (left := MORNING + since_morning - self._stage.clock.now()) > timedelta(0):  # noqa: ASYNC110 - a date, no event
            await asyncio.sleep(left.total_seconds() / FACTOR)

    async def _until(self, what: str, look: Callable[[], Awaitable[T | None]]) -> T:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while not (seen := await look()):  # noqa: ASYNC110 - an onlooker, whom nobody notifies
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError as error:
            message = f"waited {_PATIENCE_SECONDS:.0f} s in vain for {what}"
            raise DemoFailedError(message) from error
        return seen

    async def _open_plan(self) -> HeldPlan | None:
        return next(iter(await self._ledger.plans()), None)

    async def _disabled(self, count: int) -> bool:
        totals = await self._ledger.totals(now=self._stage.clock.now())
        return totals.by_verdict.get(VerdictName.DISABLED, 0) >= count

    async def _all_seen(self) -> LedgerTotals | None:
        totals = await self._ledger.totals(now=self._stage.clock.now())
        waiting = await self._ledger.routine_due(MORNING)
        return totals if not any(waiting.values()) and not totals.by_verdict.get(VerdictName.UNSEEN) else None

    async def _flags_are(self, login_ids: Collection[str], *, on: bool) -> bool:
        return all(self._stage.flinks.login(each).scheduled is on for each in login_ids)

    async def _routine_done(self) -> bool:
        return not any((await self._ledger.routine_due(MORNING + ROUTINE)).values())

    async def _silent_one(self) -> StoredLogin | None:
        found = await self._ledger.logins(VerdictName.STALE, after=None, limit=100)
        silent = [each for each in found if each.evidence.refreshed_at is not None and each.lane is Lane.SAVABLE]
        return next(iter(silent or found), None)


def _on_path() -> str:
    """What another shell needs to find `refreshd`; nothing where the name leads here already (it does not after `make demo`)."""
    found, own = shutil.which("refreshd"), Path(sys.executable).with_name("refreshd")
    if not own.exists() or (found is not None and own.samefile(found)):
        return ""
    return f"PATH={own.parent}:$PATH "


def _fleet(totals: LedgerTotals) -> str:
    return ", ".join(f"{totals.by_verdict[name]} {name}" for name in VerdictName if totals.by_verdict.get(name))
