"""On Monday morning: the week in figures, by mail, to who answers for the desk."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from charter import clock
from charter.domain.calendar import TIME_ZONE, local_date
from charter.operations import summaries
from charter.queries import desk_figures
from charter.settings import Settings

#: In Kazakhstan. A worker that was away makes up for it until the end of Tuesday; later it is no beginning of a week.
FROM_HOUR, DAYS = 9, 2


def step(_settings: Settings) -> bool:
    """Queues the summary once; one row by its key is all that other times cost."""
    now = clock.now()
    today = local_date(now)
    week_on = today - timedelta(days=today.weekday())
    is_time = today.weekday() < DAYS and (today != week_on or now.astimezone(TIME_ZONE).hour >= FROM_HOUR)
    if is_time and not desk_figures.is_week_told(week_on):
        figures = desk_figures.week_figures(today=week_on, now=now)
        began_at = datetime.combine(week_on, time(), TIME_ZONE)
        summaries.queue(week_on, figures=figures, arrived_before=began_at, now=now)
    return False
