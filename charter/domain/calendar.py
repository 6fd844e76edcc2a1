"""Days in Kazakhstan: the local date of an instant, and the day by which an answer is due."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

#: The whole country has kept one time (UTC+5) since 1 March 2024; the zone also knows what was before.
TIME_ZONE = ZoneInfo("Asia/Almaty")

_SATURDAY = 5


class CalendarError(ValueError):
    """A holiday list that cannot be used."""


@dataclass(frozen=True, slots=True)
class HolidayCalendar:
    """days: the days from Monday to Friday on which nobody works; first_on, last_on: what the list covers."""

    days: frozenset[date]
    first_on: date
    last_on: date


def local_date(instant: datetime) -> date:
    """The date in Asia/Almaty at an aware instant. Raises ValueError for a naive one."""
    if instant.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return instant.astimezone(TIME_ZONE).date()


def due_on(confirmed_at: datetime, *, working_days: int, holidays: Collection[date]) -> date:
    """The last of `working_days` working days after the local day of confirmation, which is not counted.

    Working days are Monday to Friday without the holidays. Raises ValueError for a naive instant or no days at all.
    """
    if working_days < 1:
        raise ValueError("at least one working day")
    day, left = local_date(confirmed_at), working_days
    while left:
        day += timedelta(days=1)
        left -= is_working_day(day, holidays=holidays)
    return day


def is_working_day(day: date, *, holidays: Collection[date]) -> bool:
    """Whether the Centre works on this day."""
    return day.weekday() < _SATURDAY and day not in holidays


def parse_holidays(data: bytes) -> HolidayCalendar:
    """The shipped or the Centre's own holiday list (JSON). Raises CalendarError."""
    try:
        document = json.loads(data)
        first_on = date.fromisoformat(document["covers"]["from"])
        last_on = date.fromisoformat(document["covers"]["until"])
        days = [date.fromisoformat(entry["on"]) for entry in document["days"]]
    except (ValueError, KeyError, TypeError) as error:
        raise CalendarError("the holiday list has not the expected shape") from error
    if len(set(days)) != len(days):
        raise CalendarError("the holiday list names a day twice")
    for day in days:
        if not first_on <= day <= last_on:
            raise CalendarError(f"{day} lies outside the years that the holiday list covers")
        if day.weekday() >= _SATURDAY:
            raise CalendarError(f"{day} is a weekend already: list the day off that replaces it")
    return HolidayCalendar(days=frozenset(days), first_on=first_on, last_on=last_on)
