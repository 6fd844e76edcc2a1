"""The day an answer is due: working days in Almaty, without weekends and holidays."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import charter.domain.calendar as rules
from charter.domain.calendar import CalendarError, due_on, is_working_day, local_date, parse_holidays

HOLIDAYS = parse_holidays((Path(rules.__file__).parents[1] / "data" / "holidays.json").read_bytes())
INSTANTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 1), timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        ("2026-11-22T18:59:59+00:00", "2026-11-22"),
        ("2026-11-22T19:00:00+00:00", "2026-11-23"),
        ("2026-11-22T23:59:59+05:00", "2026-11-22"),
        ("2024-02-28T18:30:00+00:00", "2024-02-29"),  # Almaty was at UTC+6 until 1 March 2024
    ],
)
def test_the_local_date_is_that_of_almaty(instant: str, day: str) -> None:
    assert local_date(datetime.fromisoformat(instant)) == date.fromisoformat(day)


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        local_date(datetime(2026, 1, 1))
    with pytest.raises(ValueError, match="zone"):
        due_on(datetime(2026, 1, 1), working_days=5, holidays=())


@pytest.mark.parametrize(
    ("confirmed", "due"),
    [
        ("2026-11-23T10:00:00+05:00", "2026-11-30"),  # Monday to Monday
        ("2026-11-27T23:30:00+05:00", "2026-12-04"),  # Friday night is still Friday
        ("2026-11-27T19:30:00+00:00", "2026-12-04"),  # Saturday in Almaty
        ("2026-11-28T10:00:00+05:00", "2026-12-04"),
        ("2026-12-14T10:00:00+05:00", "2026-12-22"),  # Independence Day between
        ("2026-03-19T10:00:00+05:00", "2026-03-31"),  # Nauryz with its transfers
        ("2025-12-31T10:00:00+05:00", "2026-01-12"),
        ("2027-05-06T10:00:00+05:00", "2027-05-17"),
    ],
)
def test_five_working_days_skip_weekends_and_holidays(confirmed: str, due: str) -> None:
    instant = datetime.fromisoformat(confirmed)
    assert due_on(instant, working_days=5, holidays=HOLIDAYS.days) == date.fromisoformat(due)


def test_at_least_one_day_is_needed() -> None:
    with pytest.raises(ValueError, match="one working day"):
        due_on(datetime(2026, 1, 1, tzinfo=UTC), working_days=0, holidays=())


@given(INSTANTS, st.integers(1, 30))
def test_the_due_day_is_a_working_day_with_exactly_so_many_before_it(instant: datetime, working_days: int) -> None:
    due = due_on(instant, working_days=working_days, holidays=HOLIDAYS.days)
    assert is_working_day(due, holidays=HOLIDAYS.days)
    start = local_date(instant)
    between = [start + timedelta(days=n) for n in range(1, (due - start).days + 1)]
    assert sum(day.weekday() < 5 and day not in HOLIDAYS.days for day in between) == working_days


@given(INSTANTS, INSTANTS, st.integers(1, 10), st.integers(0, 5))
def test_who_confirms_later_is_never_answered_earlier(a: datetime, b: datetime, working_days: int, more: int) -> None:
    early, late = sorted((a, b))
    first = due_on(early, working_days=working_days, holidays=HOLIDAYS.days)
    assert first <= due_on(late, working_days=working_days + more, holidays=HOLIDAYS.days)


def test_the_shipped_holidays_are_weekdays_of_two_years() -> None:
    assert (HOLIDAYS.first_on, HOLIDAYS.last_on) == (date(2026, 1, 1), date(2027, 12, 31))
    assert all(day.weekday() < 5 for day in HOLIDAYS.days)
    assert sum(day.year == 2026 for day in HOLIDAYS.days) == 15
    assert sum(day.year == 2027 for day in HOLIDAYS.days) == 14


@pytest.mark.parametrize("year", [2026, 2027])
@pytest.mark.parametrize(
    ("month", "day"),
    [(1, 1), (1, 2), (3, 8), (3, 21), (3, 22), (3, 23), (5, 1), (5, 7), (5, 9), (7, 6), (8, 30), (10, 25), (12, 16)],
)
def test_each_fixed_holiday_is_free_and_moved_where_it_falls_on_a_weekend(year: int, month: int, day: int) -> None:
    holiday = date(year, month, day)
    assert not is_working_day(holiday, holidays=HOLIDAYS.days)
    if holiday.weekday() >= 5:
        monday = holiday + timedelta(days=7 - holiday.weekday())
        assert not is_working_day(monday, holidays=HOLIDAYS.days)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"covers":{"from":"2026-01-01","until":"2026-12-31"}}',
        b'{"covers":{"from":"2026-01-01","until":"2026-12-31"},"days":[{"on":"2026-13-01"}]}',
        b'{"covers":{"from":"2026-01-01","until":"2026-12-31"},"days":[{"on":"2026-03-08"}]}',
        b'{"covers":{"from":"2026-01-01","until":"2026-12-31"},"days":[{"on":"2027-03-08"}]}',
        b'{"covers":{"from":"2026-01-01","until":"2026-12-31"},"days":[{"on":"2026-03-09"},{"on":"2026-03-09"}]}',
        b'{"covers":{"from":"2026-01-01","until":"2026-12-31"},"days":[{"on":20260309}]}',
    ],
)
def test_another_list_of_holidays_is_refused(data: bytes) -> None:
    with pytest.raises(CalendarError):
        parse_holidays(data)
