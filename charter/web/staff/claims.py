"""Taking an application, taking the next one, letting go: so that colleagues see who is at work on what."""

from __future__ import annotations

from flask import flash, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from charter import clock
from charter.domain.calendar import local_date
from charter.domain.duties import Right
from charter.domain.errors import NotFoundError
from charter.domain.queue import QueueFilter
from charter.i18n import _
from charter.operations import claims as operations
from charter.queries import review as queries
from charter.queries.review import ClaimView, Dossier
from charter.web.gates import current_staff, duty
from charter.web.staff import filtering
from charter.web.staff.desk import blueprint, dossier_part


@dossier_part("claim")
def claim_of(found: Dossier) -> ClaimView | None:
    """Who is at work on it."""
    return queries.find_claim(found.signature_id, now=clock.now()) if found.is_pending else None


def _view() -> QueueFilter:
    return filtering.read_query(request.form.get("view", ""))


def _to_dossier(signature_id: int, wanted: QueueFilter) -> BaseResponse:
    return redirect(
        filtering.dossier_url(signature_id, wanted),
        code=303,
    )


@blueprint.post("/next")
@duty(Right.REVIEW)
def take_next() -> BaseResponse:
    """Takes whatever is due first in this view and opens it."""
    wanted, now = _view(), clock.now()
    signature_id = operations.take_next(wanted, staff_id=current_staff().id, today=local_date(now), now=now)
    if signature_id is None:
        flash(_("Nothing waits here that nobody is at work on."))
        return redirect(filtering.queue_url(wanted), code=303)
    return _to_dossier(signature_id, wanted)


@blueprint.post("/claims/<row:signature_id>/take")
@duty(Right.REVIEW)
def claim(signature_id: int) -> BaseResponse:
    """Takes this one; from a colleague only where the button said so."""
    is_over = request.form.get("over") == "1"
    try:
        is_mine = operations.take(signature_id, staff_id=current_staff().id, now=clock.now(), is_taken_over=is_over)
    except NotFoundError:
        flash(_("Nothing waits here any more."), "bad")
    else:
        if not is_mine:
            flash(_("A colleague has taken it meanwhile."), "bad")
    return _to_dossier(signature_id, _view())


@blueprint.post("/claims/<row:signature_id>/free")
@duty(Right.REVIEW)
def free(signature_id: int) -> BaseResponse:
    """Lets go of it."""
    operations.free(signature_id, staff_id=current_staff().id)
    flash(_("You let go of it; colleagues can take it."))
    return redirect(filtering.queue_url(_view()), code=303)
