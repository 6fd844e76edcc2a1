"""The worker's part in lists of people: tries their rows, enters them, and empties what is no longer needed."""

from __future__ import annotations

from charter import clock
from charter.domain.calendar import local_date
from charter.domain.sheet import read_person
from charter.operations import entering, importing
from charter.operations.entering import Tried
from charter.queries import centre, schema
from charter.queries import importing as queries
from charter.queries.importing import Work
from charter.settings import Settings

#: Rows in one transaction: entering one takes some statements, trying one takes none of its own.
TRIED_AT_ONCE = 300
ENTERED_AT_ONCE = 100
EMPTIED_AT_ONCE = 1000


def step(settings: Settings) -> bool:
    """Some rows of the oldest job; whether there is more to do now."""
    work = queries.find_work(is_open=centre.find_public().signing.is_open(clock.now()))
    if work is None:
        return bool(queries.has_lapsed(now=clock.now()) and importing.lapse(now=clock.now()))
    if work.state == "ended":
        schema.let_go()
        importing.empty(work.job_id, most=EMPTIED_AT_ONCE)
        return True
    return _look_at(work, settings)


def _look_at(work: Work, settings: Settings) -> bool:
    now = clock.now()
    most = ENTERED_AT_ONCE if work.state == "running" else TRIED_AT_ONCE
    rows = queries.rows_after(work, most=most)
    lists = queries.lists(on=local_date(now), allowed=work.regions)
    edition = queries.current_edition()
    # What takes its time comes before the transaction that writes.
    schema.let_go()
    tried = [Tried(row, read_person(cells, work.mapping, work.defaults, lists)) for row, cells in rows]
    key = settings.secret_key.encode()
    is_last = len(rows) < most
    if work.state == "checking":
        entering.note_tried(
            work.job_id, tried, version=work.version, cursor=work.cursor, is_last=is_last, key=key, now=now
        )
    elif edition is None:
        return False
    else:
        entering.enter(
            work.job_id,
            tried,
            version=work.version,
            cursor=work.cursor,
            is_last=is_last,
            edition_slug=edition,
            confirm_link_days=settings.confirm_link_days,
            key=key,
            now=now,
        )
    return True
