"""No write of a leader goes past the fence: by the source text, for whatever is added; and on a real ledger, for what there is."""

import hashlib
import inspect
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import pytest

from refreshd.core.caps import HoldReason
from refreshd.core.effects import Deferral
from refreshd.core.errors import LeaseLost
from refreshd.core.guard import AdmittedPlan
from refreshd.core.model import Change, Credential, PassId, PlanId, Report, Term, VerdictName
from refreshd.core.planner import plan
from refreshd.core.retention import Kept
from refreshd.core.standing import InstitutionState, Standing
from refreshd.ledger import Ledger
from refreshd.ports import PassRecord
from refreshd.postgres import Connection
from tests.support.architecture import Source, sources
from tests.support.fences import breaches, writes, writing_queries
from tests.support.ledger import DAY, HOUR, NOW, guarded, hold_all, judge_all, link, login_id, take_lease, verdict
from tests.support.observed import WEIGHED, trace, withheld

ROOT = Path(__file__).parents[2]
QUERIES = writing_queries()

OPERATORS_WORD = "an operator's word, stored with who and why; it holds whoever leads, and the leader reads it"
ITS_OWN_FENCE = "the lease's own statement: it names the term, or the holder, and finds no row where that is over"
EXCUSED = {
    "refreshd/ledger/deciding.py:approve_plan": OPERATORS_WORD,
    "refreshd/ledger/deciding.py:reject_plan": OPERATORS_WORD,
    "refreshd/ledger/deciding.py:pause_writes": OPERATORS_WORD,
    "refreshd/ledger/deciding.py:resume_writes": OPERATORS_WORD,
    "refreshd/ledger/undoing.py:ask_undo": OPERATORS_WORD,
    "refreshd/importer/__init__.py:import_file": OPERATORS_WORD,
    "refreshd/lease.py:_ask_for_it": ITS_OWN_FENCE,
    "refreshd/lease.py:renew": ITS_OWN_FENCE,
    "refreshd/lease.py:release": ITS_OWN_FENCE,
    "refreshd/lease.py:take_budget": ITS_OWN_FENCE,
    "refreshd/lease.py:claim": ITS_OWN_FENCE,
    "refreshd/migrate.py:_apply_one": "a schema is made before anybody can lead its ledger",
    "refreshd/doctor/database.py:_writes": "a try, taken back in its own transaction",
    "refreshd/demo/company.py:_write": "plays the company's own application",
}


# By the source text ---------------------------------------------------------------------------------------------------------------------


def test_every_statement_that_writes_is_fenced_or_has_its_reason() -> None:
    found = breaches(sources(ROOT), QUERIES)
    assert [told for place, told in found.items() if place not in EXCUSED] == []
    assert [place for place in EXCUSED if place not in found] == [], "an excuse that nobody needs"


def test_the_operators_words_are_spoken_by_commands_by_pages_and_by_the_demos_operator_alone() -> None:
    words = {place.rpartition(":")[2] for place, reason in EXCUSED.items() if reason is OPERATORS_WORD}
    speakers = {
        source.path.split("/")[1]
        for source in sources(ROOT)
        for word in words
        if f".{word}(" in source.text or f" {word}(" in source.text.replace(f"def {word}(", "")
    }
    assert speakers == {"cli", "web", "demo"}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('return await self._database.value(self._plan["settle"](now=now))', id="by itself"),
        pytest.param(
            'async with self._database.transaction() as s:\n            await s.execute(*self._plan["settle"](now=now))',
            id="in a plain transaction",
        ),
        pytest.param(
            'async with fenced(self._database, term, w) as s:\n            pass\n        await s.execute(*self._plan["settle"]())',
            id="when the fence has ended",
        ),
        pytest.param(
            'query = self._plan["one" if x else "settle"]\n        await self._database.row(query())', id="perhaps"
        ),
        pytest.param('await self._database.row(self._plan[f"set{x}"]())', id="by a name that is put together"),
        pytest.param("await self._database.row(self._built(now))", id="by a helper that builds it"),
        pytest.param(
            "async with self._database.transaction() as s:\n            await self._done(s, now)",
            id="by a helper that runs it",
        ),
    ],
)
def test_a_write_outside_the_fence_is_found(text: str) -> None:
    assert list(breaches([_room(text)], QUERIES)) == ["refreshd/ledger/somewhere.py:method"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('return await self._database.row(self._plan["one"](plan_id=x))', id="a read"),
        pytest.param(
            'async with fenced(d, t, w) as s:\n            await s.execute(*self._plan["settle"]())', id="fenced"
        ),
        pytest.param("async with fenced(d, t, w) as s:\n            await self._done(s, now)", id="by a fenced helper"),
        pytest.param(
            "async with _transaction(url) as s:\n            await keep_out_successors(s, t)\n            await self._done(s, now)",
            id="fenced by its first statement",
        ),
    ],
)
def test_a_read_or_a_fenced_write_is_no_breach(text: str) -> None:
    assert not breaches([_room(text)], QUERIES)


def _room(text: str) -> Source:
    return Source(
        "refreshd/ledger/somewhere.py",
        f"""
class Some:
    def __init__(self):
        self._plan = load_queries("plan")
    def _built(self, now):
        return self._plan["settle"](now=now)
    async def _done(self, session, now):
        await session.execute(*self._built(now))
    async def method(self, now):
        {text}
""",
    )


@pytest.mark.parametrize(
    ("sql", "does"),
    [
        ("SELECT term FROM lease FOR NO KEY UPDATE OF lease", False),
        ("-- UPDATE login SET\nSELECT 'DELETE FROM login'", False),
        ("WITH gone AS (DELETE FROM login RETURNING 1) SELECT count(*) FROM gone", True),
        ("UPDATE login AS l\nSET x = 1", True),
        ("SELECT add_call_day(now(), 1)", True),
        ("CREATE TABLE kept (line bigint)", True),
        ("CREATE TEMPORARY TABLE staged (line bigint)", False),
    ],
)
def test_a_statement_that_writes_is_known(sql: str, *, does: bool) -> None:
    assert writes(sql, {"add_call_day"}) is does


# On a real ledger -----------------------------------------------------------------------------------------------------------------------

Write: TypeAlias = Callable[[Term], Awaitable[object]]
A, B, C, D, E, F, G, STRAY = (login_id(number) for number in range(1, 9))
LATER = NOW + 30 * DAY


async def test_no_write_of_a_leader_is_stored_when_another_term_was_issued(
    ledger: Ledger, connection: Connection
) -> None:
    """And each of them is one that would have changed something: under the newest term it does."""
    old = await take_lease(connection)
    every = await _stage(ledger, connection, old)
    assert {name.split()[0] for name in every} == _fenced_methods()
    new = await take_lease(connection)
    for name, write in every.items():
        before = await _digest(connection)
        with pytest.raises(LeaseLost):
            await write(old)
        assert await _digest(connection) == before, name
        await write(new)
        assert await _digest(connection) != before, name


def _fenced_methods() -> set[str]:
    methods = inspect.getmembers(Ledger, inspect.iscoroutinefunction)
    return {name for name, each in methods if "term" in inspect.signature(each).parameters and not name.startswith("_")}


async def _digest(connection: Connection) -> str:
    """Of every row of every table but the lease, which tells of takeovers."""
    tables = await connection.fetch(
        "SELECT oid::regclass::text AS name FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace AND relname <> 'lease' ORDER BY 1"
    )
    rows = {name: await connection.fetch(f"SELECT each::text FROM {name} AS each ORDER BY 1") for (name,) in tables}  # noqa: S608 # a catalogue's
    return hashlib.sha256(repr(rows).encode()).hexdigest()


async def _stage(ledger: Ledger, connection: Connection, term: Term) -> Mapping[str, Write]:
    """A ledger on which each write finds something to do, in this order."""
    await link(connection, "ann", A, B, C, G)
    await link(connection, "bob", D, E, F, active=False)
    await judge_all(ledger, term, active=VerdictName.STALE)
    await connection.execute(
        "UPDATE landmark SET accepted_at = $1, accepted_logins = 6, accepted_active = 3", NOW - DAY
    )
    await _an_admitted_plan_that_is_empty(ledger, connection, term)
    await connection.execute(TO_BE_ENABLED, G)
    await connection.execute("UPDATE login SET refused_at = $2, refused_code = 'x' WHERE login_id = $1", B, NOW)
    await connection.execute(
        "UPDATE login SET institution = 'Boreal', refreshed_at = $2 WHERE login_id = $1", A, NOW - DAY
    )
    await connection.execute("INSERT INTO account_data VALUES ($1, $2, $2, 'summary', '{}')", A, NOW - DAY)
    await connection.execute("SET session_replication_role = replica")
    await link(connection, "eve", STRAY)
    await connection.execute("SET session_replication_role = origin")
    pass_id = await ledger.start_pass(now=NOW, term=term)
    return {**await _of_passes(ledger, pass_id), **_of_work(ledger), **_of_the_rest(ledger)}


TO_BE_ENABLED = "UPDATE login SET verdict = 'drifted', reason = 'disabled_by_refreshd' WHERE login_id = $1"


async def _an_admitted_plan_that_is_empty(ledger: Ledger, connection: Connection, term: Term) -> None:
    await connection.execute(TO_BE_ENABLED, B)
    await hold_all(ledger, term, Change.ENABLE)
    await connection.execute(
        "UPDATE login SET verdict = 'stale', reason = 'test', plan_id = NULL WHERE login_id = $1", B
    )
    await connection.execute(
        "UPDATE plan SET plan_id = 'b', state = 'admitted', approved_at = $1, approved_until = $2", NOW, NOW + DAY
    )


async def _of_passes(ledger: Ledger, pass_id: PassId) -> Mapping[str, Write]:
    done = PassRecord(pass_id=pass_id, started_at=NOW, finished_at=NOW, judged=6, intended=2, held=1)
    evidence = next(each for each in [await ledger.login(C)] if each is not None).evidence
    waiting = {each.login_id: each for each in await ledger.candidates(Change.DISABLE, now=NOW, after=None, limit=9)}
    asked = await ledger.ask_undo(PlanId("p9"), by="test", reason="test", now=NOW)
    rest = _admitted(plan([waiting[F]]).plan_id)
    return {
        "take_up": lambda term: ledger.take_up(asked, None, now=NOW, until=LATER, pass_id=pass_id, term=term),
        "start_pass": lambda term: ledger.start_pass(now=NOW, term=term),
        "finish_pass": lambda term: ledger.finish_pass(done, term=term),
        "accept_totals": lambda term: ledger.accept_totals(now=NOW, if_before=NOW, term=term),
        "store_verdicts": lambda term: ledger.store_verdicts(
            [verdict(evidence, VerdictName.FRESH)], now=NOW, term=term
        ),
        "intend": lambda term: ledger.intend(guarded([waiting[D], waiting[E]]), now=NOW, pass_id=pass_id, term=term),
        "admit": lambda term: ledger.admit(rest, now=NOW, until=NOW + DAY, pass_id=pass_id, term=term),
        "hold_back": lambda term: ledger.hold_back(
            rest.plan_id, withheld(HoldReason.CANARY), now=NOW, pass_id=pass_id, term=term
        ),
        "hold": lambda term: ledger.hold(Change.ENABLE, withheld(), now=NOW, pass_id=pass_id, term=term),
        "close_empty_plans": lambda term: ledger.close_empty_plans(now=NOW, term=term),
        "settle_strays": lambda term: ledger.settle_strays(now=NOW, limit=9, term=term),
    }


def _of_work(ledger: Ledger) -> Mapping[str, Write]:
    deferral = Deferral(login_id=C, attempts=1, not_before=NOW + HOUR, error="x")
    return {
        "mark_sent": lambda term: ledger.mark_sent(D, Change.DISABLE, now=NOW, pass_id=None, term=term),
        "withdraw": lambda term: ledger.withdraw(E, reason="", now=NOW, term=term),
        "mark_manual": lambda term: ledger.mark_manual(A, now=NOW, term=term),
        "unmark_manual": lambda term: ledger.unmark_manual(A, term=term),
        "record": lambda term: ledger.record([trace()], [deferral], term=term),
        "record_report": lambda term: ledger.record_report(Report(read_at=NOW, cards=()), term=term),
        "release_refused": lambda term: ledger.release_refused(since=NOW, until=LATER, term=term),
    }


def _of_the_rest(ledger: Ledger) -> Mapping[str, Write]:
    down = Standing(
        institution="Boreal",
        state=InstitutionState.DOWN,
        since=NOW,
        proved_at=NOW,
        night=NOW,
        refreshed=0,
        failed=9,
        blaming_users=0,
    )
    key = Credential.API_KEY
    return {
        "store_standings": lambda term: ledger.store_standings([down], forget=[], rejudge=[], term=term),
        "choose_probes": lambda term: ledger.choose_probes(
            now=NOW, before=NOW, eligible_since=NOW - 7 * DAY, term=term
        ),
        "keep_rate": lambda term: ledger.keep_rate(10, rest_seconds=5.0, term=term),
        "stop": lambda term: ledger.stop(key, "11111111", rest_seconds=5.0, term=term),
        "release": lambda term: ledger.release(key, term=term),
        "add_day": lambda term: ledger.add_day(now=NOW + 9 * DAY, ahead=0, term=term),
        "drop_day": lambda term: ledger.drop_day(before=LATER, term=term),
        **{f"forget {each}": _forget(ledger, each) for each in Kept},
    }


def _forget(ledger: Ledger, kept: Kept) -> Write:
    return lambda term: ledger.forget(kept, before=LATER, limit=9, term=term)


def _admitted(plan_id: PlanId) -> AdmittedPlan:
    return AdmittedPlan(plan_id=plan_id, change=Change.DISABLE, logins=1, sentence="go", allowance=5, weighed=WEIGHED)
