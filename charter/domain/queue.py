"""What part of the queue somebody looks at, and what a long queue means for who waits."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta

from charter.domain.calendar import is_working_day
from charter.domain.signature import State

#: Affiliations that are none of the list: on one's own, and in the observer's own words.
NO_AFFILIATION, OWN_WORDS = "none", "own"
#: Who is at work on it: oneself, or nobody.
MINE, FREE = "mine", "free"
#: How long somebody is shown to be at work on an application.
CLAIM = timedelta(minutes=15)
#: A queue is long from here on, however fast it is answered.
LONG = 200
#: No day is foretold that lies further ahead: by then nothing of today's pace is true.
FURTHEST_DAYS = 120


@dataclass(frozen=True)
class QueueFilter:
    """Which of the applications that wait. Everything given has to be true; nothing given is all of them.

    state: `confirmed` (to decide) or `clarification` (the signatory has to answer). regions: codes.
    affiliation: a slug, NO_AFFILIATION or OWN_WORDS. claimed: MINE or FREE.
    """

    state: str = State.CONFIRMED.value
    regions: tuple[str, ...] = ()
    kind: str | None = None
    affiliation: str | None = None
    is_late: bool = False
    was_answered: bool = False
    claimed: str | None = None

    @property
    def is_narrow(self) -> bool:
        """Whether anything besides the state is asked for."""
        return self != QueueFilter(state=self.state)


@dataclass(frozen=True)
class Outlook:
    """What can be said to somebody who waits. before: how many are due earlier; expected_on: None if unsaid."""

    before: int
    expected_on: date | None


def expected_on(before: int, *, week: int, today: date, holidays: Collection[date]) -> date | None:
    """The working day by which so many are answered at the pace of the last seven days, in which `week` were.

    None where nothing was answered in them, or the day lies more than FURTHEST_DAYS ahead.
    """
    worked = sum(is_working_day(today - timedelta(days=back), holidays=holidays) for back in range(1, 8))
    if week < 1 or not worked:
        return None
    left = math.ceil(before * worked / week)
    day = today
    while left > 0 or not is_working_day(day, holidays=holidays):
        day += timedelta(days=1)
        left -= is_working_day(day, holidays=holidays)
        if day > today + timedelta(days=FURTHEST_DAYS):
            return None
    return day
