"""Every login gauge against SQL that was written for this test alone, on ledgers that chance has filled."""

import random
from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest

from refreshd.core import forecast
from refreshd.core.judge import JudgePolicy, judge
from refreshd.core.model import Term, VerdictName
from refreshd.ledger import Ledger
from refreshd.ledger.totals import NAMED_INSTITUTIONS
from refreshd.metrics import Metrics, Prospects
from refreshd.metrics.fleet import FLEET
from refreshd.metrics.labels import failed_labels
from refreshd.postgres import Connection
from tests.support.ledger import DAY, HOUR, NOW, login_id
from tests.support.observed import DEFAULT_TERMS, metrics, series

LOGINS = 400
RATE = 0.3
"""Calls a minute, two for each login: few enough that some lapse before their turn."""

ROUTINE_START = NOW - HOUR

ACTIVE = [VerdictName.FRESH, VerdictName.STALE, VerdictName.FAILED, VerdictName.RECONNECT]
ACTIVE += [VerdictName.DRIFTED, VerdictName.QUARANTINED, VerdictName.UNSEEN]
INACTIVE = [VerdictName.LEAKING, VerdictName.HELD, VerdictName.DISABLED, VerdictName.QUARANTINED]
EXPLAINED = {VerdictName.FAILED, VerdictName.RECONNECT, VerdictName.QUARANTINED}
CODES = [*failed_labels(), ("A_CODE_OF_TOMORROW", "unknown")]

# One row a series: the gauge, its labels, and a question to the tables that shares no text with `totals.sql`.
ONES: Mapping[tuple[str, str], str] = {
    ("refreshd_leaking_login_seconds", ""): """
        SELECT coalesce(sum(extract(epoch FROM $1 - inactive_since)), 0) FROM login
        WHERE inactive_since IS NOT NULL AND NOT (flag <> 'on' AND listed_since IS NULL AND confirmed_off_at IS NOT NULL)""",
    ("refreshd_saved_login_seconds", ""): """
        SELECT coalesce(sum(extract(epoch FROM $1 - verdict_since)), 0) FROM login WHERE verdict = 'disabled'""",
    ("refreshd_oldest_refresh_timestamp_seconds", ""): """
        SELECT extract(epoch FROM refreshed_at) FROM login WHERE active ORDER BY refreshed_at LIMIT 1""",
    ("refreshd_oldest_inactive_scheduled_timestamp_seconds", ""): """
        SELECT extract(epoch FROM min(inactive_since)) FROM login
        WHERE flag = 'on' OR listed_since IS NOT NULL OR confirmed_off_at IS NULL""",
    ("refreshd_snapshot_timestamp_seconds", ""): "SELECT extract(epoch FROM $1)",
    ("refreshd_inactive_logins", "enabled"): """
        SELECT count(*) FROM login WHERE NOT active AND 'on' IN (flag, CASE WHEN listed_since < 'infinity' THEN 'on' END)""",
    ("refreshd_inactive_logins", "disabled"): """
        SELECT count(confirmed_off_at) FROM login WHERE NOT active AND flag <> 'on' AND listed_since IS NULL""",
    ("refreshd_ineligible_logins", "active"): "SELECT count(listed_since) FROM login WHERE active",
    ("refreshd_ineligible_logins", "inactive"): "SELECT count(listed_since) FROM login WHERE NOT active",
    ("refreshd_ineligible_logins", "absent"): "SELECT count(*) FROM orphan",
}
GROUPS: Mapping[str, str] = {
    "refreshd_logins": "SELECT verdict, count(*) FROM login GROUP BY 1",
    "refreshd_stale_logins": "SELECT verdict, count(*) FROM login WHERE stale GROUP BY 1",
    "refreshd_active_logins": """
        SELECT CASE
            WHEN days IS NULL THEN 'never' WHEN days >= 7 THEN 'ge_7d' WHEN days >= 6 THEN '6d_7d' WHEN days >= 3 THEN '3d_6d'
            WHEN days >= 2 THEN '2d_3d' WHEN days >= 1 THEN '1d_2d' ELSE 'lt_1d' END, count(*)
        FROM (SELECT extract(epoch FROM $1 - refreshed_at) / 86400 AS days FROM login WHERE active) AS aged GROUP BY 1""",
    "refreshd_lapsing_logins": """
        SELECT within || 'd', count(lapses) FROM generate_series(1, 3) AS within
        LEFT JOIN (
            SELECT least(refreshed_at, cached_call_at) + interval '7 days' AS lapses FROM login
            WHERE active AND flag IN ('on', 'unknown') AND refreshed_at IS NOT NULL AND cached_call_at IS NOT NULL
        ) AS clock ON lapses > $1 AND lapses <= $1 + within * interval '1 day'
        GROUP BY 1""",
}
MONEY = {
    "refreshd_leaking_cost": "refreshd_leaking_login_seconds",
    "refreshd_saved_cost": "refreshd_saved_login_seconds",
}
SET_BY_HAND = {"refreshd_cost_per_login_day", "refreshd_snapshot_interval_seconds", "refreshd_stale_threshold_seconds"}
TESTED_APART = {"refreshd_failed_logins", "refreshd_institution_logins"}
ROUTINE = {each.name for each in FLEET if each.name.startswith("refreshd_routine_")}


async def fill(connection: Connection, dice: random.Random) -> None:
    rows = [_login(number, dice) for number in range(1, LOGINS + 1)]
    columns = list(rows[0])
    await connection.copy_records_to_table("login", records=[tuple(row.values()) for row in rows], columns=columns)
    strays = [(login_id(9_000 + number), NOW) for number in range(dice.randint(0, 9))]
    await connection.copy_records_to_table("orphan", records=strays, columns=["login_id", "first_reported_at"])
    await connection.execute("UPDATE landmark SET reported_at = $1", NOW)


def _login(number: int, dice: random.Random) -> dict[str, object]:
    active = dice.random() < 0.7
    name = dice.choice(ACTIVE if active else INACTIVE)
    flag = dice.choice(["on", "on", "off", "unknown"])
    code, disposition = dice.choice(CODES) if name in EXPLAINED else (None, None)
    off = name is VerdictName.DISABLED or (not active and dice.random() < 0.2)
    return {
        "login_id": login_id(number),
        "created_at": NOW - 90 * DAY,
        "active": active,
        "inactive_since": None if active else _ago(dice, days=60),
        "flag": flag,
        "flag_seen_at": None if flag == "unknown" else NOW - HOUR,
        "refreshed_at": _maybe_ago(dice),
        "cached_call_at": _maybe_ago(dice),
        "institution": dice.choice([None, *(f"Bank {'x' * each} no. {each}" for each in range(dice.randint(1, 14)))]),
        "listed_since": NOW - HOUR if dice.random() < 0.2 else None,
        "confirmed_off_at": NOW - DAY if off else None,
        "routine_at": _ago(dice, days=2),
        "lane": dice.choice(["savable", "rest", None]) if active else None,
        "verdict": name.value,
        "reason": "chance",
        "verdict_since": _ago(dice, days=60),
        "stale": active and name is not VerdictName.FRESH and dice.random() < 0.5,
        "error_code": code,
        "disposition": None if disposition is None else str(disposition),
    }


def _ago(dice: random.Random, *, days: int) -> datetime:
    return NOW - timedelta(seconds=dice.randint(1, days * 86_400))


def _maybe_ago(dice: random.Random) -> datetime | None:
    """Often right at an edge."""
    if dice.random() < 0.2:
        return None
    return NOW - dice.randint(0, 9) * DAY if dice.random() < 0.3 else _ago(dice, days=9)


async def publish(ledger: Ledger) -> Metrics:
    shown = metrics()
    shown.lead()
    deadlines = await ledger.deadlines(now=NOW, routine_start=ROUTINE_START, polling=True)
    outcome = forecast.routine_outcome(deadlines.routine_due, DEFAULT_TERMS, RATE, NOW)
    prospects = Prospects(lapsing=deadlines.lapsing, routine=outcome, counted_again_in_seconds=15)
    shown.publish(await ledger.totals(now=NOW), prospects)
    return shown


def shown_by(shown: Metrics, name: str) -> dict[tuple[str, ...], float]:
    family = next(each for each in shown.registry.collect() if each.name == name)
    return {tuple(sample.labels.values()): sample.value for sample in family.samples}


def not_zero(samples: Mapping[tuple[str, ...], float]) -> dict[tuple[str, ...], float]:
    return {labels: number for labels, number in samples.items() if number}


pytestmark = pytest.mark.parametrize("seed", [1, 2, 3])


async def _fetchval(connection: Connection, question: str) -> float:
    values = (NOW,) if "$1" in question else ()
    return float(await connection.fetchval(question.replace("$1", "$1::timestamptz"), *values) or 0)


async def test_every_gauge_of_logins_says_what_the_tables_say(
    seed: int, ledger: Ledger, connection: Connection
) -> None:
    await fill(connection, random.Random(seed))  # noqa: S311 # a seed that can be said again
    shown = await publish(ledger)
    for (name, label), question in ONES.items():
        expected = await _fetchval(connection, question)
        assert shown_by(shown, name)[(label,) if label else ()] == pytest.approx(expected), (name, label)
    for name, question in GROUPS.items():
        values = (NOW,) if "$1" in question else ()
        rows = await connection.fetch(question.replace("$1", "$1::timestamptz"), *values)
        assert not_zero(shown_by(shown, name)) == not_zero({(label,): number for label, number in rows}), name
    for name, of in MONEY.items():
        assert shown_by(shown, name)[()] == pytest.approx(shown_by(shown, of)[()] / 86_400 * 0.25)
    covered = {name for name, _ in ONES} | set(GROUPS) | set(MONEY) | SET_BY_HAND | TESTED_APART | ROUTINE
    assert covered == {each.name for each in FLEET}


async def test_failed_logins_say_which_code_and_a_code_without_a_name_is_other(
    seed: int, ledger: Ledger, connection: Connection
) -> None:
    await fill(connection, random.Random(seed))  # noqa: S311 # a seed that can be said again
    rows = await connection.fetch(
        "SELECT replace(error_code, 'A_CODE_OF_TOMORROW', 'other'), disposition, count(*) FROM login"
        " WHERE active AND error_code IS NOT NULL GROUP BY 1, 2"
    )
    expected = {(code, disposition): float(number) for code, disposition, number in rows}
    assert not_zero(shown_by(await publish(ledger), "refreshd_failed_logins")) == expected


async def test_billed_logins_are_shown_by_the_busiest_institutions_and_none_is_lost_among_the_others(
    seed: int, ledger: Ledger, connection: Connection
) -> None:
    await fill(connection, random.Random(seed))  # noqa: S311 # a seed that can be said again
    samples = shown_by(await publish(ledger), "refreshd_institution_logins")
    billed = "flag = 'on' OR listed_since IS NOT NULL"
    assert sum(samples.values()) == await connection.fetchval(f"SELECT count(*) FROM login WHERE {billed}")  # noqa: S608 # a constant
    never = await connection.fetchval(f"SELECT count(*) FROM login WHERE ({billed}) AND refreshed_at IS NULL")  # noqa: S608 # a constant
    assert sum(number for (_, value), number in samples.items() if value == "never") == never
    by_name = await connection.fetch(
        f"SELECT institution, count(*) FROM login WHERE institution IS NOT NULL AND ({billed}) GROUP BY 1 ORDER BY 2 DESC, 1"  # noqa: S608 # a constant
    )
    busiest = [name for name, _ in by_name[:NAMED_INSTITUTIONS]]
    assert {name for name, _ in samples} == {*busiest, "other"}
    for name, logins in by_name[:NAMED_INSTITUTIONS]:
        assert sum(number for (label, _), number in samples.items() if label == name) == logins


async def test_the_gauges_agree_with_each_other(seed: int, ledger: Ledger, connection: Connection) -> None:
    await fill(connection, random.Random(seed))  # noqa: S311 # a seed that can be said again
    shown = await publish(ledger)
    active = await connection.fetchval("SELECT count(*) FROM login WHERE active")
    assert sum(shown_by(shown, "refreshd_active_logins").values()) == active
    assert sum(shown_by(shown, "refreshd_inactive_logins").values()) == LOGINS - active
    assert sum(shown_by(shown, "refreshd_logins").values()) == LOGINS
    within = [shown_by(shown, "refreshd_lapsing_logins")[days,] for days in ("1d", "2d", "3d")]
    assert within == sorted(within)


async def test_when_all_were_seen_just_now_the_stale_ones_are_those_in_the_buckets_past_the_threshold(
    seed: int, ledger: Ledger, connection: Connection, term: Term
) -> None:
    await fill(connection, random.Random(seed))  # noqa: S311 # a seed that can be said again
    await connection.execute("UPDATE login SET answered_at = $1 WHERE active", NOW)
    policy = JudgePolicy(stale_after=2 * DAY, unobserved_after=9 * DAY, reassert_after=90 * DAY)
    while due := await ledger.evidence_due(now=NOW, limit=LOGINS):
        await ledger.store_verdicts([judge(each, policy, NOW) for each in due], now=NOW, term=term)
    shown = await publish(ledger)
    ages = shown_by(shown, "refreshd_active_logins")
    at_the_edge = await connection.fetchval(
        "SELECT count(*) FROM login WHERE active AND refreshed_at = $1", NOW - 2 * DAY
    )
    past = sum(ages[age,] for age in ("2d_3d", "3d_6d", "6d_7d", "ge_7d", "never")) - at_the_edge
    assert sum(shown_by(shown, "refreshd_stale_logins").values()) == past
    waiting = {verdict: shown_by(shown, "refreshd_logins")[verdict,] for verdict in ("leaking", "held")}
    inactive = shown_by(shown, "refreshd_inactive_logins")
    assert inactive["enabled",] + inactive["unknown",] == sum(waiting.values())
    assert shown_by(shown, "refreshd_disable_backlog_logins")[()] == waiting["leaking"]


async def test_the_routine_forecast_follows_from_the_logins_that_are_due(
    seed: int, ledger: Ledger, connection: Connection
) -> None:
    await fill(connection, random.Random(seed))  # noqa: S311 # a seed that can be said again
    await connection.execute(
        "UPDATE login SET cached_call_at = $1::timestamptz - interval '7 days' + abs(hashtext(login_id::text)) % 720 * interval '1 minute'"
        " WHERE hashtext(login_id::text) % 2 = 0",
        NOW,
    )
    due = await connection.fetch(
        "SELECT lane, cached_call_at, refreshed_at FROM login WHERE lane IS NOT NULL AND routine_at < $1", ROUTINE_START
    )
    shown = await publish(ledger)
    assert series(shown.registry)["refreshd_routine_remaining_logins", frozenset()] == len(due)
    # One after the other, all before the night: who waits in vain?
    minutes, lapsing = 0.0, 0
    fleeting = [row for row in due if row["lane"] == "savable" and _lives(row["refreshed_at"])]
    without_clock = sum(row["lane"] == "savable" for row in due) - sum(
        _lives(row["cached_call_at"]) for row in fleeting
    )
    minutes += without_clock * 2 / RATE
    for called_at in sorted(row["cached_call_at"] for row in fleeting if _lives(row["cached_call_at"])):
        minutes += 2 / RATE
        hour = (called_at + 7 * DAY).replace(minute=0, second=0, microsecond=0)
        lapsing += NOW + timedelta(minutes=minutes) > hour
    assert series(shown.registry)["refreshd_routine_lapsing_logins", frozenset()] == lapsing > 0


def _lives(clock: datetime | None) -> bool:
    return clock is not None and clock > NOW - 7 * DAY
