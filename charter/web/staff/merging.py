"""Merging one affiliation into another at the desk, with what it would do before, and taking it back after."""

from __future__ import annotations

from flask import abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter import clock
from charter.domain.duties import Right
from charter.domain.errors import DecidedMeanwhileError, FieldRefusedError, NotFoundError
from charter.i18n import _, current_language
from charter.operations import merging as operations
from charter.queries import affiliation_desk as queries
from charter.web.forms.affiliations import MergeForm
from charter.web.forms.signing import ButtonForm
from charter.web.gates import current_staff, duty
from charter.web.staff.affiliations import get_view, meanwhile_words, refuse, today
from charter.web.staff.desk import blueprint


@blueprint.get("/affiliations/<row:affiliation_id>/merge/")
@duty(Right.AFFILIATIONS)
def merge_preview(affiliation_id: int) -> str:
    """What merging it into another one would do; nothing is done yet."""
    raw = request.args.get("into", "")
    into_id = int(raw) if raw.isascii() and raw.isdigit() and len(raw) <= 15 else None
    return _page(affiliation_id, into_id, MergeForm(formdata=None))


@blueprint.post("/affiliations/<row:affiliation_id>/merge/")
@duty(Right.AFFILIATIONS)
def merge_affiliation(affiliation_id: int) -> BaseResponse | tuple[str, int]:
    """Merges it; the worker moves those who wait."""
    form = MergeForm()
    view = get_view(affiliation_id)
    form.offer(queries.choices(view.line.type, current_language(), but=affiliation_id))
    if not form.validate():
        return _page(affiliation_id, None, form), 422
    into_id = int(form.into.data)
    try:
        operations.merge(
            affiliation_id,
            into_id,
            expected_version=form.version.data or 0,
            staff_id=current_staff().id,
            now=clock.now(),
        )
    except DecidedMeanwhileError as error:
        return _page(affiliation_id, into_id, MergeForm(formdata=None), meanwhile=meanwhile_words(error)), 409
    except FieldRefusedError as error:
        refuse(form, error)
        return _page(affiliation_id, into_id, form), 422
    flash(_("Merged. Whoever waits moves along in a moment; it can be undone here."), "good")
    return redirect(url_for("staff.affiliation", affiliation_id=affiliation_id, _anchor="mergers"), code=303)


def _page(affiliation_id: int, into_id: int | None, form: MergeForm, *, meanwhile: str | None = None) -> str:
    view = get_view(affiliation_id)
    preview = None if into_id is None else queries.preview(affiliation_id, into_id, today=today())
    if into_id is not None and preview is None:
        abort(404)
    form.offer(queries.choices(view.line.type, current_language(), but=affiliation_id))
    form.into.data = str(into_id or "")
    return render_template(
        "staff/affiliation_merge.html",
        section="affiliations",
        view=view,
        form=form,
        preview=preview,
        most_counted=queries.MOST_COUNTED,
        meanwhile=meanwhile,
    )


@blueprint.post("/affiliations/mergers/<row:merge_id>/undo")
@duty(Right.AFFILIATIONS)
def undo_merge(merge_id: int) -> BaseResponse:
    """Gives back what it took."""
    if not ButtonForm().validate():
        return redirect(url_for("staff.affiliations"), code=303)
    try:
        affiliation_id = operations.undo(merge_id, staff_id=current_staff().id, now=clock.now())
    except NotFoundError:
        flash(_("This merger is undone already."), "bad")
        return redirect(url_for("staff.affiliations"), code=303)
    flash(_("The merger is being undone: whoever moved and still waits there comes back in a moment."), "good")
    return redirect(url_for("staff.affiliation", affiliation_id=affiliation_id, _anchor="mergers"), code=303)
