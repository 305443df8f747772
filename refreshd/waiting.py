"""Calls of conversations already begun, each waiting for its time (a poll in ten seconds, another try in five)."""

import asyncio
import heapq
import itertools
from dataclasses import dataclass, field

from refreshd.core.conversation import Conversation


@dataclass(order=True, slots=True)
class _Waiting:
    due_seconds: float
    number: int
    conversation: Conversation = field(compare=False)


class WaitingLine:
    """Ordered by due time, in seconds of loop time; among equals, first come first served."""

    def __init__(self) -> None:
        self._heap: list[_Waiting] = []
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, conversation: Conversation, wait_seconds: float) -> None:
        """Let the conversation go on after so long."""
        due = asyncio.get_running_loop().time() + wait_seconds
        heapq.heappush(self._heap, _Waiting(due, next(self._numbers), conversation))

    def pop_due(self, at_seconds: float) -> Conversation | None:
        """The conversation that has been due longest, None when none is."""
        if not self._heap or self._heap[0].due_seconds > at_seconds:
            return None
        return heapq.heappop(self._heap).conversation

    def next_due_seconds(self) -> float | None:
        """When the next one is due."""
        return self._heap[0].due_seconds if self._heap else None

    def clear(self) -> list[Conversation]:
        """Empty the line and give back who stood in it."""
        left = [each.conversation for each in self._heap]
        self._heap.clear()
        return left
