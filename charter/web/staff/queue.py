"""The queue: what waits, by the filters in its address, with views that are kept and boxes to choose several."""

from __future__ import annotations

from datetime import date

from flask import abort, render_template, request, session

from charter import clock
from charter.domain.calendar import local_date
from charter.domain.duties import Right
from charter.domain.queue import QueueFilter
from charter.i18n import current_language
from charter.queries import queue as queries
from charter.queries import selection
from charter.web.forms.review import ViewForm
from charter.web.gates import current_staff, duty
from charter.web.staff import filtering, hinting
from charter.web.staff.desk import blueprint, undo_offer


def _after() -> tuple[date, int] | None:
    raw = request.args.get("after", "")
    day, _dot, last = raw.partition(".")
    try:
        return (date.fromisoformat(day), int(last[:15])) if raw else None
    except ValueError:
        abort(404)


@blueprint.get("/")
@duty(Right.READ)
def queue() -> str:
    """What waits, oldest due first, as far as the filters in the address say."""
    if request.args.get("state") == "held":
        return _held_page()
    wanted = filtering.read(request.args.to_dict(flat=False))
    if wanted is None:
        abort(404)
    return queue_page(wanted, after=_after(), is_all_chosen=request.args.get("choose") == "all")


def _held_page() -> str:
    member = current_staff()
    return render_template(
        "staff/queue.html",
        section="queue",
        state="held",
        held=queries.held(current_language(), regions=member.regions),
        counts=_counts(),
        most_counted=queries.MOST_COUNTED,
        undo=undo_offer(),
        open_bulk=_open_bulk(),
    )


def _open_bulk() -> str | None:
    """One's own selection that can still be taken back."""
    mark = session.get("last_bulk")
    is_open = isinstance(mark, str) and selection.is_open(mark, staff_id=current_staff().id, now=clock.now())
    return mark if is_open else None


def _counts() -> dict[str, int]:
    regions = current_staff().regions
    return {name: queries.count_waiting(name, regions=regions) for name in ("confirmed", "clarification")}


def queue_page(
    wanted: QueueFilter,
    *,
    after: tuple[date, int] | None = None,
    is_all_chosen: bool = False,
    view_form: ViewForm | None = None,
) -> str:
    """The list itself. is_all_chosen: a large page on which every box is ticked."""
    member, language, now = current_staff(), current_language(), clock.now()
    page = queries.queue(
        language,
        today=local_date(now),
        wanted=wanted,
        regions=member.regions,
        staff_id=member.id,
        now=now,
        after=after,
        size=queries.LARGE_PAGE if is_all_chosen else queries.PAGE_SIZE,
    )
    values = filtering.values_of(wanted)
    next_after = None if page.next_after is None else f"{page.next_after[0]}.{page.next_after[1]}"
    return render_template(
        "staff/queue.html",
        section="queue",
        state=wanted.state,
        wanted=wanted,
        values=values,
        view=filtering.query_of(wanted),
        page=page,
        choices=queries.choices(language, regions=member.regions),
        views=queries.saved_views(member.id),
        view_form=view_form or ViewForm(formdata=None, data={"view": filtering.query_of(wanted)}),
        counts=_counts(),
        most_counted=queries.MOST_COUNTED,
        marks=hinting.marks_of(page.rows),
        is_all_chosen=is_all_chosen,
        most_chosen=queries.LARGE_PAGE,
        here=None if after is None else f"{after[0]}.{after[1]}",
        next_url=None if next_after is None else filtering.queue_url(wanted, after=next_after),
        undo=undo_offer(),
        open_bulk=_open_bulk(),
    )
