"""Views of the queue that one keeps under a name."""

from __future__ import annotations

from flask import flash, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from charter import clock
from charter.domain.duties import Right
from charter.domain.errors import FieldRefusedError, NotFoundError
from charter.i18n import _, ngettext
from charter.operations import views as operations
from charter.web.forms.review import ViewForm
from charter.web.gates import current_staff, duty
from charter.web.staff import filtering
from charter.web.staff.desk import blueprint
from charter.web.staff.queue import queue_page


@blueprint.post("/views/")
@duty(Right.READ)
def keep_view() -> BaseResponse | tuple[str, int]:
    """Keeps the filters under a name, or comes back with what was typed."""
    form = ViewForm()
    wanted = filtering.read_query(form.view.data or "")
    if form.validate():
        try:
            operations.keep(
                form.name.data or "", filtering.query_of(wanted), staff_id=current_staff().id, now=clock.now()
            )
        except FieldRefusedError:
            most = operations.MOST_VIEWS
            form.name.errors = [
                ngettext(
                    "You keep %(num)s view already; remove one first.",
                    "You keep %(num)s views already; remove one first.",
                    most,
                )
            ]
        else:
            flash(_("The view is kept."), "good")
            return redirect(filtering.queue_url(wanted), code=303)
    return queue_page(wanted, view_form=form), 422


@blueprint.post("/views/<row:view_id>/drop")
@duty(Right.READ)
def drop_view(view_id: int) -> BaseResponse:
    """Forgets one's own view."""
    try:
        operations.drop(view_id, staff_id=current_staff().id)
    except NotFoundError:
        flash(_("This view is not there any more."), "bad")
    wanted = filtering.read_query(request.form.get("view", ""))
    return redirect(filtering.queue_url(wanted), code=303)
