"""Every named point at which a test can have this process kill itself, and the one place where it does.

Armed with REFRESHD_CRASH_AT, which is refused unless Flinks is a simulated one on this machine. A process that is not armed looks into an
empty dict. The kill is SIGKILL: no handler runs, nothing is flushed, the server sees a closed socket.
"""

import os
import signal
from enum import StrEnum
from itertools import chain


class Transaction(StrEnum):
    """What is stored as a whole: a crash before its commit leaves nothing of it, one after it all."""

    @property
    def uncommitted(self) -> str:
        return f"{self}.uncommitted"

    @property
    def committed(self) -> str:
        return f"{self}.committed"


class Write(Transaction):
    """The leader's writes to the ledger."""

    START_PASS = "start_pass"  # noqa: S105 - a name
    FINISH_PASS = "finish_pass"  # noqa: S105 - a name
    STORE_VERDICTS = "store_verdicts"
    INTEND = "intend"
    HOLD = "hold"
    ADMIT = "admit"
    HOLD_BACK = "hold_back"
    UNDO = "undo"
    CLOSE_PLANS = "close_plans"
    ACCEPT_TOTALS = "accept_totals"
    SETTLE_STRAYS = "settle_strays"
    RELEASE_REFUSED = "release_refused"
    MARK_SENT = "mark_sent"
    WITHDRAW = "withdraw"
    MARK_MANUAL = "mark_manual"
    RECORD = "record"
    RECORD_REPORT = "record_report"
    KEEP_HOUSE = "keep_house"
    STORE_STANDINGS = "store_standings"
    CHOOSE_PROBES = "choose_probes"
    KEEP_RATE = "keep_rate"
    STOP_CREDENTIAL = "stop_credential"
    RELEASE_CREDENTIAL = "release_credential"
    MERGE_SOURCE = "merge_source"


class Word(Transaction):
    """What people tell the ledger, by a command or a page, whoever leads."""

    APPROVE = "approve"
    REJECT = "reject"
    ASK_UNDO = "ask_undo"
    PAUSE = "pause"
    RESUME = "resume"
    IMPORT = "import"


class Point(StrEnum):
    """All the others."""

    LEASE_TAKEN = "lease_taken"
    BUDGET_TAKEN = "budget_taken"
    CALL_LEAVES = "call_leaves"
    """The permit is spent, no byte has left."""
    CALL_ANSWERED = "call_answered"
    """Flinks has done what it was asked, and nothing is stored of it."""
    DRAINED = "drained"
    """SIGTERM: all work has ended, the last traces are still to be written."""


POINTS: tuple[str, ...] = (
    *Point,
    *chain.from_iterable((each.uncommitted, each.committed) for each in (*Write, *Word)),
)

_armed: dict[str, int] = {}  # a process is killed as a whole, so this is the process's


def arm(point: str, *, time: int = 1) -> None:
    """Have this process killed when it comes to the point for the `time`-th time."""
    _armed[point] = time


def reach(point: str) -> None:
    """Say that the point is reached."""
    if point in _armed:
        _count_down(point)


def _count_down(point: str) -> None:
    _armed[point] -= 1
    if _armed[point] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
