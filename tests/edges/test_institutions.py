"""The outcomes of a night, counted set-wise, and how institutions stand, kept for all who ask."""

from datetime import timedelta

import pytest

from refreshd.banks import PROBED_EVERY, Banks
from refreshd.core.errors import LeaseLost
from refreshd.core.institution import Outcome
from refreshd.core.model import LoginId, Term
from refreshd.core.standing import InstitutionState
from refreshd.core.timing import ELIGIBILITY, latest_night_start
from refreshd.ledger import Ledger
from refreshd.postgres import Connection
from tests.support.ledger import NOW, link, login_id

NIGHT = latest_night_start(NOW)
BEFORE = NIGHT - timedelta(hours=23)
DUE = "SELECT count(*) FROM login WHERE verdict_until = '-infinity'"


async def _fill(
    connection: Connection, numbers: range, bank: str, *, refreshed: object, code: str | None, answered: object = NOW
) -> list[LoginId]:
    ids = [login_id(number) for number in numbers]
    await link(connection, f"client {numbers}", *ids)
    await connection.execute(
        "UPDATE login SET institution = $2, refreshed_at = $3, answer_code = $4, answered_at = $5, verdict = 'failed',"
        " verdict_until = 'infinity' WHERE login_id = ANY ($1)",
        ids,
        bank,
        refreshed,
        code,
        answered,
    )
    return ids


async def _outcomes(ledger: Ledger) -> list[Outcome]:
    fresh_since = NIGHT - timedelta(hours=36)
    return list(await ledger.night_outcomes(night=NIGHT, fresh_since=fresh_since, eligible_since=NIGHT - ELIGIBILITY))


async def test_a_night_is_counted_by_bank_and_outcome(ledger: Ledger, connection: Connection) -> None:
    await _fill(connection, range(1, 6), "A", refreshed=NIGHT + timedelta(hours=1), code=None)
    await _fill(connection, range(11, 14), "A", refreshed=BEFORE, code="RETRY_LATER")
    await _fill(connection, range(21, 23), "A", refreshed=NIGHT - timedelta(days=3), code="INVALID_PASSWORD")
    await _fill(connection, range(31, 33), "A", refreshed=NIGHT - timedelta(days=8), code="RETRY_LATER")
    await _fill(
        connection, range(41, 45), "A", refreshed=BEFORE, code="RETRY_LATER", answered=NIGHT - timedelta(hours=1)
    )
    await _fill(connection, range(51, 53), "B", refreshed=BEFORE, code=None)

    def outcome(code: str | None, logins: int, *, refreshed: bool = False, fresh: bool = True) -> Outcome:
        return Outcome(institution="A", refreshed=refreshed, code=code, state=None, fresh=fresh, logins=logins)

    assert await _outcomes(ledger) == [
        outcome(None, 5, refreshed=True),
        outcome("RETRY_LATER", 3),
        outcome("INVALID_PASSWORD", 2, fresh=False),
    ], "not those that were given up, not those unheard of tonight, not those that are well so far"


async def test_what_the_report_says_later_than_the_answer_counts(ledger: Ledger, connection: Connection) -> None:
    ids = await _fill(connection, range(1, 4), "A", refreshed=BEFORE, code=None, answered=BEFORE)
    await connection.execute("UPDATE landmark SET reported_at = $1", NOW)
    await connection.execute(
        "UPDATE login SET listed_since = $2, listed_state = 'AnsweringSecurityChallenge' WHERE login_id = ANY ($1)",
        ids,
        NOW,
    )
    (found,) = await _outcomes(ledger)
    assert (found.code, found.state, found.logins) == (None, "AnsweringSecurityChallenge", 3)


async def test_trouble_has_the_failing_logins_judged_again_and_one_of_them_probes(
    ledger: Ledger, connection: Connection, term: Term
) -> None:
    await _fill(connection, range(1, 13), "A", refreshed=BEFORE, code="DISABLED_INSTITUTION")
    await _fill(connection, range(21, 24), "B", refreshed=BEFORE, code="RETRY_LATER")
    banks = Banks(ledger)

    assert await banks.weigh_if_news(now=NOW, term=term)
    standings = {each.institution: each for each in await ledger.standings()}
    assert {name: each.state for name, each in standings.items()} == {
        "A": InstitutionState.DOWN,
        "B": InstitutionState.NOT_ENOUGH_EVIDENCE,
    }
    assert standings["A"].probe is not None
    assert standings["B"].probe is None
    assert await connection.fetchval(DUE) == 12, "B's verdicts rest on nothing that changed"
    due = await ledger.evidence_due(now=NOW, limit=100)
    assert {each.standing for each in due} == {standings["A"]}
    assert (await ledger.totals(now=NOW)).institutions_held == 1


async def test_a_bank_is_weighed_every_few_minutes_and_whenever_a_report_came(
    ledger: Ledger, connection: Connection, term: Term
) -> None:
    banks = Banks(ledger)
    assert not await banks.weigh_if_news(now=NOW, term=term)
    await _fill(connection, range(1, 13), "A", refreshed=BEFORE, code="DISABLED_INSTITUTION")
    assert not await banks.weigh_if_news(now=NOW + timedelta(minutes=4), term=term)
    assert await ledger.standings() == []
    await connection.execute("UPDATE landmark SET reported_at = $1", NOW)
    assert await banks.weigh_if_news(now=NOW + timedelta(minutes=4), term=term)
    assert len(await ledger.standings()) == 1
    assert not await banks.weigh_if_news(now=NOW + timedelta(minutes=20), term=term), "weighed, and nothing turned"


async def test_the_probe_moves_on_after_an_hour(ledger: Ledger, connection: Connection, term: Term) -> None:
    await _fill(connection, range(1, 13), "A", refreshed=BEFORE, code="DISABLED_INSTITUTION")
    banks = Banks(ledger)
    await banks.weigh_if_news(now=NOW, term=term)
    first = (await ledger.standings())[0].probe
    await connection.execute("UPDATE login SET routine_at = $2 WHERE login_id = $1", first, NOW)
    await banks.weigh_if_news(now=NOW + PROBED_EVERY / 2, term=term)
    assert (await ledger.standings())[0].probe == first
    await banks.weigh_if_news(now=NOW + PROBED_EVERY, term=term)
    assert (await ledger.standings())[0].probe not in {None, first}


async def test_a_live_refresh_of_a_bank_that_is_down_is_the_probes_alone(
    ledger: Ledger, connection: Connection, term: Term
) -> None:
    await _fill(connection, range(1, 13), "A", refreshed=BEFORE, code="DISABLED_INSTITUTION")
    await Banks(ledger).weigh_if_news(now=NOW, term=term)
    await connection.execute("UPDATE login SET verdict = 'stale', verdict_until = 'infinity'")
    (only,) = await ledger.due_manual(now=NOW, busy=(), limit=100)
    assert only.evidence.login_id == (await ledger.standings())[0].probe


async def test_only_the_leader_says_how_banks_stand(ledger: Ledger, connection: Connection) -> None:
    await _fill(connection, range(1, 13), "A", refreshed=BEFORE, code="DISABLED_INSTITUTION")
    with pytest.raises(LeaseLost):
        await Banks(ledger).weigh_if_news(now=NOW, term=Term(99))
    assert await ledger.standings() == []
