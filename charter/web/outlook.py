"""What a long queue means for whoever waits in it: how many are due before, and when their turn comes."""

from __future__ import annotations

from datetime import date

from charter import clock
from charter.domain.calendar import local_date
from charter.domain.queue import Outlook, expected_on
from charter.queries import queue
from charter.web import centre


def outlook(place: tuple[date, int] | None = None) -> Outlook | None:
    """For the application at (due_on, id), or for one that is confirmed now; None while the queue is not long.

    A forecast beside the day an answer is due, which it never moves.
    """
    today = local_date(clock.now())
    length = queue.find_length(place, today=today)
    if length is None:
        return None
    return Outlook(length.before, expected_on(length.before, week=length.week, today=today, holidays=centre.holidays()))
