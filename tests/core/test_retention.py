"""How long what is kept."""

from datetime import timedelta

from refreshd.core.retention import PLANS_KEPT, Kept, Retention

DAY = timedelta(days=1)


def test_passes_go_with_the_trace_data_by_a_span_of_their_own_and_plans_after_a_year() -> None:
    kept = Retention(trace=30 * DAY, account_data=90 * DAY)
    assert {each: kept.of(each) for each in Kept} == {
        Kept.CALLS: 30 * DAY,
        Kept.PASSES: 30 * DAY,
        Kept.ACCOUNT_DATA: 90 * DAY,
        Kept.PLANS: PLANS_KEPT,
    }
    assert PLANS_KEPT >= 365 * DAY
