"""Whether the ledger knew of each change before Flinks did: intended, then sent, then the call, each by its date."""

from collections import defaultdict, deque
from collections.abc import Iterable
from datetime import datetime

from refreshd.simulator.audit import CallSeen
from refreshd.simulator.calls import Operation

Announcement = tuple[str, datetime]
"""Of which login, and when."""

ANNOUNCED = """
    SELECT sent.login_id::text, sent.at
    FROM schedule_change AS sent
    WHERE sent.event = 'sent'
        AND EXISTS (
            SELECT FROM schedule_change AS intended
            WHERE intended.login_id = sent.login_id AND intended.intent_id = sent.intent_id AND intended.event = 'intended'
                AND intended.event_id < sent.event_id AND intended.at <= sent.at
        )
    ORDER BY sent.event_id
"""
"""What may leave: marked as sent under an intent that was stored before."""


def unannounced(calls: Iterable[CallSeen], announced: Iterable[Announcement]) -> list[CallSeen]:
    """The changes at Flinks that were not announced: a login's n-th comes after its n-th announcement, one announcement for each."""
    waiting: defaultdict[str, deque[datetime]] = defaultdict(deque)
    for login_id, at in announced:
        waiting[login_id].append(at)
    return [
        call
        for call in sorted(calls, key=lambda call: call.date)
        if call.operation == Operation.SET_SCHEDULED_REFRESH and not _takes_one(waiting[call.login_id], call.date)
    ]


def _takes_one(waiting: deque[datetime], date: datetime) -> bool:
    if not waiting or waiting[0] > date:
        return False
    waiting.popleft()
    return True
