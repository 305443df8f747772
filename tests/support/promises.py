"""What must hold after each life of a refreshd that was killed, and once nobody kills it any more, by Flinks' books and by the ledger."""

from collections import Counter
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta

from refreshd.recorder import GATHER_SECONDS
from refreshd.simulator import FaultKind
from refreshd.simulator.audit import Breach
from tests.support.announcements import ANNOUNCED, unannounced
from tests.support.restless import Restless
from tests.support.world import World, operation_at_flinks

COMMIT_GROUP = timedelta(seconds=1)
TRACED_WITHIN = timedelta(seconds=GATHER_SECONDS) + 2 * COMMIT_GROUP
"""Gathered, then written while the next group gathers: a call that has ended waits for one commit at most, and is in the next."""
FETCHED_DATA_KEPT = timedelta(days=89)
"""By default it is ninety."""
PERMIT_SECONDS = 1.0
JITTER_SECONDS = 0.5
SPANS_SECONDS = (5, 15, 30)
"""Beside the minute: a burst after a restart shows in these first."""

ANSWERED_LATE = frozenset({FaultKind.HANG, FaultKind.SLOW, FaultKind.DRIP})
"""A call is traced when it has ended: these may still be under way long after others have."""

UNENDED = """
    SELECT count(*) FROM schedule_change AS intended
    WHERE intended.event = 'intended'
        AND (
            SELECT count(*) FROM schedule_change AS ended
            WHERE ended.login_id = intended.login_id AND ended.intent_id = intended.intent_id
                AND ended.event IN ('confirmed', 'withdrawn') AND ended.event_id > intended.event_id
        ) <> CASE WHEN EXISTS (SELECT FROM login WHERE login.intent_id = intended.intent_id) THEN 0 ELSE 1 END
"""
"""An open intent has no end yet, every other one exactly one. What other intents of its login came to is no end of this one."""
UNANSWERED = """
    SELECT count(*) FROM schedule_change AS sent
    WHERE sent.event = 'sent'
        AND NOT EXISTS (
            SELECT FROM schedule_change AS later
            WHERE later.login_id = sent.login_id AND later.intent_id = sent.intent_id AND later.event_id > sent.event_id
                AND later.event IN ('confirmed', 'failed', 'withdrawn')
        )
        AND NOT EXISTS (SELECT FROM login WHERE login.intent_id = sent.intent_id)
"""
"""An answer that comes when the intent was withdrawn belongs to no intent; then its withdrawal is later than what was sent, too."""
UNANNOUNCED = """
    SELECT count(*) FROM schedule_change AS sent
    WHERE sent.event = 'sent'
        AND NOT EXISTS (
            SELECT FROM schedule_change AS earlier
            WHERE earlier.login_id = sent.login_id AND earlier.intent_id = sent.intent_id AND earlier.event = 'intended'
                AND earlier.event_id < sent.event_id
        )
"""
UNDER_A_CLOSED_PLAN = """
    SELECT count(*) FROM login JOIN plan ON plan.plan_id = login.plan_id WHERE plan.state = 'closed'
"""
HOLES = {
    "intended, and neither ended once nor open": UNENDED,
    "sent, and neither answered nor open": UNANSWERED,
    "sent without an intent before": UNANNOUNCED,
    "an active login that was judged disabled": """
        SELECT count(*) FROM login WHERE verdict = 'disabled' AND active AND verdict_until > '-infinity'
    """,
    "a login under a plan that is closed": UNDER_A_CLOSED_PLAN,
}
"""What stands in no ledger, whatever has happened: of each, so many."""
_ALL_OF = """
    SELECT jsonb_pretty(jsonb_build_object(
        'login', jsonb_strip_nulls(to_jsonb(login)),
        'plan', jsonb_strip_nulls(to_jsonb(plan)),
        'events', (
            SELECT jsonb_agg(
                concat_ws(' ', event.at, event.change, event.event, event.reason, event.plan_id, event.detail) ORDER BY event.event_id
            )
            FROM schedule_change AS event
            WHERE event.login_id = login.login_id
        ),
        'calls', (
            SELECT jsonb_agg(
                concat_ws(' ', call.called_at, call.operation, call.http_status, call.flinks_code, call.failure) ORDER BY call.called_at
            )
            FROM call
            WHERE call.login_id = login.login_id AND call.operation IN ('authorize', 'set_scheduled_refresh')
        )
    )) AS told
    FROM login
    LEFT JOIN plan ON plan.plan_id = login.plan_id
    WHERE login.login_id = ANY ($1::text[]::uuid[])
"""
_LOST = """
    SELECT count(*) FROM login
    WHERE fetched_refresh_at > $1
        AND NOT EXISTS (
            SELECT FROM account_data
            WHERE account_data.login_id = login.login_id AND account_data.refreshed_at = login.fetched_refresh_at
        )
"""
_UNFETCHED = """
    SELECT count(*) FROM login
    WHERE active AND refreshed_at > $1
        AND NOT EXISTS (
            SELECT FROM account_data
            WHERE account_data.login_id = login.login_id AND account_data.refreshed_at = login.refreshed_at
        )
"""


@dataclass(frozen=True, kw_only=True)
class Life:
    """Of one process, in dates. `lag_seconds`: by how much its company and Flinks, who share its machine, were late meanwhile."""

    began_at: datetime
    died_at: datetime
    lag_seconds: float
    had_its_database: bool
    """Whether the ledger took every group of results at the first try."""

    @property
    def traced_until(self) -> datetime:
        """What had ended by then was gathered, written and committed when the process died."""
        if not self.had_its_database:
            return self.began_at
        return self.died_at - TRACED_WITHIN - timedelta(seconds=self.lag_seconds)


@dataclass(kw_only=True)
class Promises:
    """Looked at while nobody is alive."""

    here: World
    company: Restless
    rate_per_minute: int
    most_in_60s: int = 0
    missing: int = 0
    """Calls that the vendor saw and no trace tells of: lost with the process, within its last commit group."""

    async def hold(self, life: Life) -> None:
        """Whatever has happened; `life`: the one that has just ended."""
        breaches = [each for each in self.here.flinks.audit.breaches if not self.company.accounts_for(each)]
        assert not breaches, self._told(breaches[0])
        for hole, query in HOLES.items():
            assert await self.here.sql.fetchval(query) == 0, hole
        assert await self._of_data_still_kept(_LOST) == 0, "fetched, and the data are gone"
        self._the_budget_was_kept()
        await self._every_change_was_announced(life)
        await self._the_trace_is_complete(life)

    def _the_budget_was_kept(self) -> None:
        """Never more than the rate in a minute, nor more than its even spacing allows in less, but for the second that a permit lives."""
        audit, rate = self.here.flinks.audit, self.rate_per_minute
        self.most_in_60s = audit.most_in_60s
        assert self.most_in_60s <= rate, f"{self.most_in_60s} calls in a minute"
        for span in SPANS_SECONDS:
            most = audit.most_calls_in(span)
            assert most <= (span + PERMIT_SECONDS + JITTER_SECONDS) * rate / 60 + 1, f"{most} calls in {span} s"

    def _told(self, breach: Breach) -> str:
        """For who reads a failure: the breach, and when the company spoke of this login."""
        moves = [(round(began, 2), round(ended, 2)) for began, ended in self.company.moves_about(breach.login_id)]
        return f"{breach}\nits clients came or went at {moves}\ncalls: {self._calls_about(breach.login_id)}"

    def _calls_about(self, login_id: str) -> list[tuple[str, float]]:
        seen = self.here.flinks.audit.calls
        return [(each.operation, round(each.seconds, 2)) for each in seen if each.login_id == login_id][-8:]

    async def _every_change_was_announced(self, life: Life) -> None:
        """Whatever was lost of the trace, no change reached Flinks of which the ledger did not know before.

        What an earlier process had announced and never sent announces nothing of a later one.
        """
        announced = [(row["login_id"], row["at"]) for row in await self.here.sql.fetch(ANNOUNCED)]
        calls = self.here.flinks.audit.calls
        assert not (found := unannounced(calls, announced)), f"not announced: {found[0]}"
        in_it = [each for each in announced if each[1] >= life.began_at]
        found = unannounced([each for each in calls if each.date >= life.began_at], in_it)
        assert not found, f"not announced in its life: {found[0]}"

    async def _the_trace_is_complete(self, life: Life) -> None:
        """All that the vendor saw of this life stands in the trace, up to its last commit group; and nothing else does."""
        rows = await self.here.sql.fetch(
            "SELECT operation, login_id::text, called_at FROM call WHERE called_at >= $1", life.began_at
        )
        traced = Counter((operation_at_flinks(row["operation"]), row["login_id"] or "") for row in rows)
        seen = [each for each in self.here.flinks.audit.calls if each.date >= life.began_at]
        assert traced <= Counter((each.operation, each.login_id) for each in seen)
        last = max([life.traced_until, *(row["called_at"] - COMMIT_GROUP for row in rows)])
        ended = [each for each in seen if each.date <= last and each.fault not in ANSWERED_LATE]
        lost = Counter((each.operation, each.login_id) for each in ended) - traced
        assert not lost, f"it died at {life.died_at}, and this is not traced of what had ended by {last}: {lost}"
        self.missing += len(seen) - len(rows)

    async def are_kept_in_the_end(self) -> None:
        """Ledger and vendor agree, and nothing is open."""
        leaks, without_refresh = self.here.switched_on() - self.here.active, self.here.active - self.here.switched_on()
        assert not leaks, f"leaks: {await self._ledgers_word_on(leaks)}"
        assert not without_refresh, f"clients without refresh: {await self._ledgers_word_on(without_refresh)}"
        verdicts = await self.here.verdicts()
        assert {verdicts[each] for each in self.here.inactive} <= {"disabled"}
        assert {verdicts[each] for each in self.here.active} <= {"fresh", "stale"}
        assert await self.here.sql.fetchval("SELECT count(*) FROM login WHERE intent IS NOT NULL") == 0
        assert await self.here.sql.fetchval("SELECT count(*) FROM undoing WHERE planned_at IS NULL") == 0
        assert await self._of_data_still_kept(_UNFETCHED) == 0

    async def _ledgers_word_on(self, login_ids: AbstractSet[str]) -> str:
        """For who reads a failure: what the ledger has of these logins, and of the plans that they are under."""
        return "\n".join([row["told"] for row in await self.here.sql.fetch(_ALL_OF, sorted(login_ids))])

    async def _of_data_still_kept(self, query: str) -> int:
        """About refreshes so young that no retention can have taken their data."""
        return int(await self.here.sql.fetchval(query, self.here.dates.now() - FETCHED_DATA_KEPT))
