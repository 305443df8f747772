from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from refreshd.core.agenda import Agenda
from tests.support.builders import TERMS

AGENDA = Agenda(
    terms=TERMS,
    writes=True,
    reads_report=True,
    report_interval=timedelta(minutes=15),
    routine_at=time(11),
    routine_zone=ZoneInfo("America/Toronto"),
    manual_refresh=False,
)
MORNING = datetime(2026, 7, 15, 14, 59, tzinfo=UTC)


def test_before_its_hour_the_routine_that_counts_is_yesterdays() -> None:
    assert AGENDA.routine_start(MORNING) == datetime(2026, 7, 14, 15, tzinfo=UTC)


def test_from_its_hour_on_the_routine_that_counts_is_todays() -> None:
    assert AGENDA.routine_start(MORNING + timedelta(minutes=1)) == datetime(2026, 7, 15, 15, tzinfo=UTC)


def test_when_asked_for_at_once_the_routine_is_due_from_the_end_of_the_vendors_night() -> None:
    at_once = replace(AGENDA, at_once=True)
    assert at_once.routine_start(MORNING) == datetime(2026, 7, 15, 8, tzinfo=UTC)
    assert at_once.routine_start(datetime(2026, 7, 15, 7, 59, tzinfo=UTC)) == datetime(2026, 7, 14, 8, tzinfo=UTC)
