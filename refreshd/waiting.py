"""Calls of conversations already begun, each waiting for its time (a poll in ten seconds, another try in five).

Schedule changes stand in a line of their own: they share the budget with the rest by class (`core.urgency`), begun or not.
"""

import asyncio
import heapq
import itertools
from dataclasses import dataclass, field

from refreshd.core.conversation import Conversation, Kind
from refreshd.core.urgency import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One call to make now."""

    conversation: Conversation
    source: Source


@dataclass(order=True, slots=True)
class _Waiting:
    due_seconds: float
    number: int
    conversation: Conversation = field(compare=False)


class WaitingLines:
    """Ordered by due time, in seconds of loop time; among equals, first come first served."""

    def __init__(self) -> None:
        self._changes: list[_Waiting] = []
        self._others: list[_Waiting] = []
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._changes) + len(self._others)

    def put(self, conversation: Conversation, wait_seconds: float) -> None:
        """Let the conversation go on after so long."""
        due = asyncio.get_running_loop().time() + wait_seconds
        line = self._changes if conversation.kind is Kind.CHANGE else self._others
        heapq.heappush(line, _Waiting(due, next(self._numbers), conversation))

    def pop_due(self, at_seconds: float, *, change: bool) -> Conversation | None:
        """The conversation of that line that has been due longest, None when none is."""
        line = self._changes if change else self._others
        if not line or line[0].due_seconds > at_seconds:
            return None
        return heapq.heappop(line).conversation

    def next_due_seconds(self) -> float | None:
        """When the next one is due."""
        return min((line[0].due_seconds for line in (self._changes, self._others) if line), default=None)

    def clear(self) -> list[Conversation]:
        """Empty both lines and give back who stood in them."""
        left = [each.conversation for each in (*self._changes, *self._others)]
        self._changes.clear()
        self._others.clear()
        return left
