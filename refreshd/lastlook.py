"""What was decided before a wait is looked at once more after it: meanwhile clients return, plans are rejected, and people pause.

Whoever marks a change as sent does so with a permit in hand, and sends at once. Where that permit is void all the same (the ledger or a
connection took too long) and another one has to be waited for, this comes after that wait, through `Permit.but_look_again`.
What is let go of then, and may be wanted again, is handed back.
"""

from contextlib import suppress
from datetime import datetime
from typing import Protocol

from refreshd.core import conversation as conversations
from refreshd.core import timing
from refreshd.core.conversation import Conversation, Step
from refreshd.core.errors import CallAbandoned, RowsLocked, WritesPaused
from refreshd.core.guard import GuardedChange, Withdrawn
from refreshd.core.model import Change, LoginId, Term
from refreshd.ports import Clock


class Present(Protocol):
    """The ledger as it is at this moment."""

    async def is_active(self, login_id: LoginId) -> bool: ...

    async def look_again(self, login_id: LoginId, change: Change, *, now: datetime) -> Withdrawn | None: ...


class Marks(Protocol):
    """The ledger as it was marked before the call."""

    async def unmark_manual(self, login_id: LoginId, *, term: Term) -> None: ...


async def look_again(ledger: Present, conversation: Conversation, clock: Clock) -> None:
    """Raises CallAbandoned where the next call of the conversation is not wanted any more."""
    if conversation.login_id is None or conversation.step is Step.MINT:
        return
    if conversation.change is not None:
        await _at_a_change(ledger, conversation.change, clock.now())
        return
    if conversation.step is Step.AUTHORIZE and timing.in_vendor_window(clock.now()):
        raise CallAbandoned("not sent: the vendor's night has begun")
    if not await ledger.is_active(conversation.login_id):
        raise CallAbandoned("not sent: no client of this login is active any more")


async def hand_back(ledger: Marks, conversation: Conversation, term: Term) -> None:
    """The live Authorize of a stale episode, where it was spent on a call that never left: it may be drawn again.

    Where somebody has locked the login it stays spent, until the next good refresh.
    """
    if conversations.holds_live_authorize(conversation):
        with suppress(RowsLocked):
            await ledger.unmark_manual(conversation.subject, term=term)


async def _at_a_change(ledger: Present, change: GuardedChange, now: datetime) -> None:
    try:
        withdrawn = await ledger.look_again(change.login_id, change.change, now=now)
    except WritesPaused as paused:
        raise CallAbandoned(f"not sent: {paused.message}") from paused
    if withdrawn is not None:
        raise CallAbandoned(f"not sent: {withdrawn.reason}")
