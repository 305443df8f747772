"""An operator who is killed in the middle of a word: nothing of it is stored before its commit, and all of it after."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL

from refreshd.crash import Word
from tests.support.restless import Restless
from tests.support.world import PATIENCE_SECONDS, World

REASON = ("--reason", "test")
HELD = 3
"""How `refreshd undo` ends where a pass has taken the undoing up already, and the guard holds it."""
_SPOKEN = {point: word for word in Word for point in (word.uncommitted, word.committed)}
_DECISIONS: Mapping[Word, str] = {
    Word.APPROVE: "approve",
    Word.REJECT: "reject",
    Word.ASK_UNDO: "undo",
    Word.PAUSE: "pause",
    Word.RESUME: "resume",
}
_HELD = "SELECT plan_id FROM plan WHERE state = 'held' AND change = 'disable' ORDER BY logins DESC LIMIT 1"
_OVER = """
    SELECT plan.plan_id FROM plan
    WHERE plan.state = 'closed'
        AND EXISTS (
            SELECT FROM schedule_change
            WHERE schedule_change.plan_id = plan.plan_id AND schedule_change.change = 'disable' AND schedule_change.event = 'confirmed'
        )
    ORDER BY plan.held_at DESC LIMIT 1
"""
_DONE: Mapping[Word, str] = {
    Word.APPROVE: "SELECT count(DISTINCT at) FROM schedule_change WHERE plan_id = $1 AND event = 'approved'",
    Word.REJECT: "SELECT count(DISTINCT at) FROM schedule_change WHERE plan_id = $1 AND event = 'rejected'",
    Word.ASK_UNDO: "SELECT count(*) FROM undoing WHERE undone = $1",
    Word.PAUSE: "SELECT count(*) FROM pause WHERE paused_at IS NOT NULL AND $1::text IS NOT NULL",
    Word.RESUME: "SELECT count(*) FROM pause WHERE paused_at IS NULL AND $1::text IS NOT NULL",
    Word.IMPORT: "SELECT count(*) FROM client WHERE client_id = $1 AND NOT active",
}
"""What a word does to the ledger, beside being kept as a decision."""


def word_at(point: str | None) -> Word | None:
    """Whose point it is, if it is an operator's."""
    return _SPOKEN.get(point or "")


@dataclass(frozen=True, kw_only=True)
class Order:
    """A command, and what it is about. `meanwhile`: what Flinks' audit must be told of once it is over."""

    argv: tuple[str, ...]
    about: str = ""
    meanwhile: AbstractContextManager[None] = field(default_factory=nullcontext)


@dataclass(frozen=True, kw_only=True)
class Operator:
    """Beside a daemon that leads."""

    here: World
    company: Restless
    home: Path

    async def dies(self, word: Word, point: str) -> None:
        """At this point of the word; one that was not stored is said again, and obeyed."""
        orders: Mapping[Word, Callable[[], Awaitable[Order]]] = {
            Word.APPROVE: self._about_a_held_plan("approve"),
            Word.REJECT: self._about_a_held_plan("reject"),
            Word.ASK_UNDO: self._undo,
            Word.PAUSE: self._pause,
            Word.RESUME: self._resume,
            Word.IMPORT: self._import,
        }
        order = await orders[word]()
        with order.meanwhile:
            before = await self._stored(word, order)
            ran = await self.here.command(*order.argv, env={"REFRESHD_CRASH_AT": point})
            assert ran.code == -SIGKILL, f"{point} was not come to: {ran.words}"
            stored = int(point == word.committed)
            wanted = tuple(each + stored for each in before)
            assert await self._stored(word, order) == wanted, f"{point}: half a word is stored, or none, or a lost one"
            if not stored:
                again = await self.here.command(*order.argv)
                assert again.code in {0, HELD}, again.words
        await self._goes_on(word, order)

    async def _stored(self, word: Word, order: Order) -> tuple[int, int]:
        """How often it was decided, and how often it was done: both, or none."""
        decisions = await self.here.sql.fetchval(
            "SELECT count(*) FROM decision WHERE decision = $1", _DECISIONS.get(word, "")
        )
        done = await self.here.sql.fetchval(_DONE[word], order.about)
        return (done if word is Word.IMPORT else decisions), done

    def _about_a_held_plan(self, verb: str) -> Callable[[], Awaitable[Order]]:
        async def order() -> Order:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while (plan := await self.here.sql.fetchval(_HELD)) is None:  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.02)
            return Order(argv=(verb, plan, *REASON), about=plan)

        return order

    async def _undo(self) -> Order:
        plan = await self.here.sql.fetchval(_OVER)
        return Order(argv=("undo", plan, *REASON, "--wait", "0"), about=plan)

    async def _pause(self) -> Order:
        return Order(argv=("pause", *REASON))

    async def _resume(self) -> Order:
        await self.company.ledger.pause_writes(by="test", reason="test", now=self.here.dates.now())
        return Order(argv=("resume", *REASON))

    async def _import(self) -> Order:
        """One client has left, says the list."""
        client = await self.company.somebody()
        links = [link for link in self.here.company.links if link.client_id == client]
        lines = ["client_id,login_id,active", *(f"{client},{link.login_id},false" for link in links)]
        file = self.home / "clients.csv"
        file.write_text("\n".join(lines), encoding="utf-8")
        return Order(argv=("import", str(file)), about=client, meanwhile=self.company.not_told_yet([client]))

    async def _goes_on(self, word: Word, order: Order) -> None:
        """Nobody waits for another word after this."""
        if word is Word.PAUSE:
            await self.company.ledger.resume_writes(by="test", reason="test", now=self.here.dates.now())
        if word is Word.REJECT:
            await self.company.approve("rejected")
        if word is Word.IMPORT:
            await self.company.leave_these([order.about])
