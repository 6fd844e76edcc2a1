"""Days gathered into weeks and longer periods: what a plot of a few months or of many years shows as one bar."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

WEEK: Final = "week"
MONTH: Final = "month"
QUARTER: Final = "quarter"
YEAR: Final = "year"

#: A year of weeks and the one that is not over.
MOST_WEEKS: Final = 53
#: A young registry is drawn with the weeks before it, so that one bar does not fill the page.
LEAST_WEEKS: Final = 13
#: More bars than that cannot be told apart on a telephone.
MOST_BARS: Final = 60


@dataclass(frozen=True)
class Period:
    """first_on, last_on: both belong to it. by_kind: kind of observer → how many; without those that are none."""

    first_on: date
    last_on: date
    by_kind: Mapping[str, int]

    @property
    def total(self) -> int:
        """Of all kinds."""
        return sum(self.by_kind.values())


@dataclass(frozen=True)
class Series:
    """Periods of one length without gaps, oldest first. step: week | month | quarter | year."""

    step: str
    periods: tuple[Period, ...]

    def total(self, kind: str | None = None) -> int:
        """Of one kind, or of all."""
        return sum(one.total if kind is None else one.by_kind.get(kind, 0) for one in self.periods)


#: day → kind of observer → how many
Days = Mapping[date, Mapping[str, int]]


def weeks(days: Days, *, today: date, is_older: bool = False) -> Series:
    """Weeks from Monday to Sunday up to the one of `today`: since the first figure, but at least 13 and at most 53.

    is_older: whether there are figures from before `days`.
    """
    last = max([today, *days])
    least, most = (_monday(last) - timedelta(weeks=count - 1) for count in (LEAST_WEEKS, MOST_WEEKS))
    start = most if is_older else max(most, min(least, _monday(min([today, *days]))))
    return _gather(WEEK, days, start=start, end=last)


def first_of_weeks(*, today: date) -> date:
    """The day from which `weeks` needs days."""
    return _monday(today) - timedelta(weeks=MOST_WEEKS - 1)


def whole(months: Days, *, today: date) -> Series | None:
    """Everything since the first figure, in months, quarters or years; None without a figure.

    months: the first day stands for the whole month.
    """
    if not months:
        return None
    last = max([today, *months])
    first = min([today, *months])
    step = next((one for one in (MONTH, QUARTER) if _bars(one, first, last) <= MOST_BARS), YEAR)
    return _gather(step, months, start=_STARTS[step](first), end=last)


def _bars(step: str, first: date, last: date) -> int:
    begins, ends = _STARTS[step](first), _STARTS[step](last)
    return ((ends.year - begins.year) * 12 + ends.month - begins.month) // _MONTHS[step] + 1


def _gather(step: str, days: Days, *, start: date, end: date) -> Series:
    found: dict[date, dict[str, int]] = {}
    at = start
    while at <= end:
        found[at] = {}
        at = _next(step, at)
    for day, by_kind in days.items():
        if day < start:
            continue
        bar = found[_STARTS[step](day)]
        for kind, count in by_kind.items():
            if count:
                bar[kind] = bar.get(kind, 0) + count
    return Series(step, tuple(Period(at, _next(step, at) - timedelta(days=1), bar) for at, bar in found.items()))


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


_STARTS: dict[str, Callable[[date], date]] = {
    WEEK: _monday,
    MONTH: lambda day: day.replace(day=1),
    QUARTER: lambda day: date(day.year, (day.month - 1) // 3 * 3 + 1, 1),
    YEAR: lambda day: date(day.year, 1, 1),
}
_MONTHS = {MONTH: 1, QUARTER: 3, YEAR: 12}


def _next(step: str, start: date) -> date:
    if step == WEEK:
        return start + timedelta(weeks=1)
    months = start.month - 1 + _MONTHS[step]
    return date(start.year + months // 12, months % 12 + 1, 1)
