"""Weeks have no seam: not at a year's end, not at the epoch."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.week import all_from_us, date_of, day_of, from_us, monday_of, to_us, week_of, week_start_us

_moments = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))


@given(_moments)
def test_a_week_starts_on_the_monday_before(moment: datetime) -> None:
    week = week_of(to_us(moment))
    assert from_us(week_start_us(week)) <= moment < from_us(week_start_us(week + 1))
    assert monday_of(week) == moment.date() - timedelta(days=moment.weekday())


@given(_moments)
def test_microseconds_go_there_and_back(moment: datetime) -> None:
    assert from_us(to_us(moment)) == moment
    assert all_from_us([to_us(moment), to_us(moment)]) == [moment, moment]
    assert date_of(day_of(to_us(moment))) == moment.date()


def test_the_turn_of_a_year_with_53_weeks_is_one_step() -> None:
    last, first = datetime(2026, 12, 31, tzinfo=UTC), datetime(2027, 1, 4, tzinfo=UTC)
    assert week_of(to_us(first)) == week_of(to_us(last)) + 1
    assert monday_of(0) == date(1969, 12, 29)
