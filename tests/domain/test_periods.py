"""Weeks and longer periods: without gaps, whole, and no more of them than a plot can show."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter.domain import periods

DAY = timedelta(days=1)
TODAY = date(2026, 11, 20)  # a Friday
KINDS = st.dictionaries(st.sampled_from(["party", "independent", "international"]), st.integers(0, 9))
DAYS = st.dictionaries(st.dates(date(1999, 1, 1), date(2026, 11, 20)), KINDS, max_size=40)


def without_gaps(series: periods.Series) -> None:
    for one, after in zip(series.periods, series.periods[1:], strict=False):
        assert after.first_on == one.last_on + DAY
    assert all(one.first_on <= one.last_on for one in series.periods)
    assert series.periods[-1].first_on <= TODAY <= series.periods[-1].last_on


@given(DAYS)
def test_weeks_are_whole_without_gaps_and_reach_to_today(days: periods.Days) -> None:
    series = periods.weeks(days, today=TODAY)
    without_gaps(series)
    assert periods.LEAST_WEEKS <= len(series.periods) <= periods.MOST_WEEKS
    for one in series.periods:
        assert (one.first_on.weekday(), one.last_on.weekday()) == (0, 6)
        for kind in ("party", "independent", "international"):
            told = sum(by_kind.get(kind, 0) for day, by_kind in days.items() if one.first_on <= day <= one.last_on)
            assert one.by_kind.get(kind, 0) == told


@given(DAYS)
def test_the_whole_holds_everything(days: periods.Days) -> None:
    found = periods.whole(days, today=TODAY)
    if found is None:
        assert not days
        return
    without_gaps(found)
    assert len(found.periods) <= periods.MOST_BARS
    assert found.total() == sum(sum(by_kind.values()) for by_kind in days.values())
    assert found.total("party") == sum(by_kind.get("party", 0) for by_kind in days.values())


@pytest.mark.parametrize(
    ("first", "step", "count"),
    [
        (date(2026, 11, 20), "month", 1),
        (date(2025, 11, 16), "month", 13),
        (date(2021, 12, 1), "month", 60),
        (date(2021, 11, 30), "quarter", 21),
        (date(2012, 2, 29), "quarter", 60),
        (date(2011, 12, 31), "year", 16),
        (date(1970, 1, 1), "year", 57),
    ],
)
def test_the_older_the_registry_the_longer_the_steps(first: date, step: str | None, count: int) -> None:
    series = periods.whole({first: {"party": 1}}, today=TODAY)
    assert (series and series.step, len(series.periods) if series else 0) == (step, count)


def test_a_week_without_a_signature_is_there_and_empty() -> None:
    series = periods.weeks({TODAY: {"party": 2}, TODAY - 20 * DAY: {"party": 1}}, today=TODAY)
    assert [one.total for one in series.periods][-4:] == [1, 0, 0, 2]


def test_a_figure_of_a_day_to_come_is_not_lost() -> None:
    # The clock was ahead once: days of signing are what they are.
    series = periods.weeks({TODAY + 30 * DAY: {"party": 1}}, today=TODAY)
    assert series.total() == 1
