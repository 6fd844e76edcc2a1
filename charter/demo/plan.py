"""What a plan is made of: acts at their times, the days of the demonstration, and how often each story is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from charter.demo.people import Person
from charter.domain.calendar import TIME_ZONE, due_on, is_working_day, local_date
from charter.domain.reasons import reasons_for

#: How far back the first signature lies.
OPEN_DAYS = 150
#: With fewer, only some stories are told.
ENOUGH_FOR_ALL = 60
#: Most of the signatories whose story is another than the plain one.
MOST_UNUSUAL = 0.66


@dataclass(frozen=True)
class Act:
    """One thing somebody does. verb: a method of `stage.Stage`; signer: place in the plan's people."""

    at: datetime
    signer: int
    verb: str
    reason: str | None = None
    words: str | None = None


@dataclass
class Plan:
    """people: one for each signature. past: in order of time; last: the present moments, in order."""

    people: list[Person] = field(default_factory=list)
    past: list[Act] = field(default_factory=list)
    last: list[Act] = field(default_factory=list)


@dataclass(frozen=True)
class Terms:
    """What the settings say about time and mailboxes."""

    answer_due_working_days: int
    confirm_link_days: int
    code_minutes: int
    people_per_mailbox: int
    undo_seconds: int
    holidays: frozenset[date]


class TooLateError(Exception):
    """The story would end after the past does."""


class Days:
    """The days of the demonstration in Kazakhstan's time, up to the one it is made on."""

    def __init__(self, now: datetime, terms: Terms) -> None:
        self.now = now.replace(microsecond=0)
        self.today = local_date(now)
        self.opened_on = self.today - timedelta(days=OPEN_DAYS)
        self._terms = terms

    def at(self, day: date, hour: int, minute: int, second: int) -> datetime:
        """An instant of the past; raises TooLateError for one of today or later."""
        if day >= self.today:
            raise TooLateError
        return datetime.combine(day, time(hour, minute, second), TIME_ZONE).astimezone(UTC)

    def is_working_day(self, day: date) -> bool:
        """Whether the Centre works."""
        return is_working_day(day, holidays=self._terms.holidays)

    def due_on(self, day: date) -> date:
        """When an answer is due to what is confirmed on this day."""
        noon = datetime.combine(day, time(12), TIME_ZONE)
        return due_on(noon, working_days=self._terms.answer_due_working_days, holidays=self._terms.holidays)

    def back(self, days: int) -> date:
        """So many days ago, but not before the opening."""
        return max(self.today - timedelta(days=days), self.opened_on)

    def due_between(self, first: date, last: date) -> list[date]:
        """Past days whose confirmations are due on the first day, the last or between."""
        days = (self.today - timedelta(days=back) for back in range(1, OPEN_DAYS))
        return [day for day in days if first <= self.due_on(day) <= last]

    def next_working_day(self) -> date:
        """Today, or the first working day after it."""
        day = self.today
        while not self.is_working_day(day):
            day += timedelta(days=1)
        return day


@dataclass(frozen=True)
class Share:
    """How often a story is told: once at least where there is room. rows: signatures that it takes."""

    story: str
    part: float
    rows: int = 1


_DECLINES = tuple(Share(f"declined {reason.code}", 0.004) for reason in reasons_for("decline"))

#: All but the plain one, in the order in which a small demonstration can afford them.
SHARES: Final = (
    Share("waiting", 0.03),
    Share("question open", 0.006),
    Share("withdrawn", 0.02),
    Share("overdue", 0.002),
    Share("due next", 0.004),
    _DECLINES[0],
    Share("just signed", 0),
    Share("answered", 0.03),
    Share("answer came back", 0.005),
    Share("corrected", 0.015),
    Share("signed twice", 0.008, rows=2),
    Share("unconfirmed", 0.012),
    Share("link ended", 0.02),
    *_DECLINES[1:],
    Share("just confirmed", 0),
    Share("just asked", 0),
    Share("just declined", 0),
    Share("just approved", 0),
    Share("just withdrawn", 0),
    Share("just signed", 0),
    Share("just signed", 0),
    Share("just signed again", 0),
    Share("held", 0.003),
    Share("released", 0.003),
    Share("undeliverable", 0.002),
    Share("undone", 0.004),
    Share("answered by telephone", 0.003),
    Share("withdrawn early", 0.006),
    Share("signed again", 0.004),
    Share("just asked for a code", 0),
)
