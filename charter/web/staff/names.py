"""The list of notable names that staff keep, and hints on the page of a dossier."""

from __future__ import annotations

from flask import flash, redirect, render_template, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter import clock
from charter.domain.duties import Right
from charter.domain.errors import FieldRefusedError, NotFoundError
from charter.i18n import _
from charter.operations import names as operations
from charter.queries import hints as queries
from charter.queries.review import Dossier
from charter.web.forms.review import NotableNameForm
from charter.web.forms.signing import ButtonForm
from charter.web.gates import current_staff, duty
from charter.web.staff import hinting
from charter.web.staff.desk import blueprint, dossier_part


@dossier_part("hints")
def hints_of(dossier: Dossier) -> list[hinting.Said]:
    """What may be worth a second look; nothing once the person is forgotten."""
    subject = queries.find_subject(dossier.signature_id)
    return (
        []
        if subject is None
        else hinting.say(queries.hints_for(subject, throwaway=hinting.throwaway(), regions=current_staff().regions))
    )


@blueprint.get("/names/")
@duty(Right.READ)
def names() -> str:
    """The list, and the form for one more."""
    return _page(NotableNameForm(formdata=None))


def _page(form: NotableNameForm) -> str:
    return render_template("staff/names.html", section="names", form=form, names=queries.notable_names())


@blueprint.post("/names/")
@duty(Right.REVIEW)
def add_name() -> BaseResponse | tuple[str, int]:
    """Puts a name on the list."""
    form = NotableNameForm()
    if form.validate():
        try:
            operations.add(form.name.data, staff_id=current_staff().id, now=clock.now())
        except FieldRefusedError as error:
            form.name.errors = [
                _("The list is full; take a name off first")
                if error.code == "full"
                else _("Write first name and surname: one word alone would fit too many people")
            ]
        else:
            flash(_("The name is on the list."), "good")
            return redirect(url_for("staff.names"), code=303)
    return _page(form), 422


@blueprint.post("/names/<row:name_id>/remove")
@duty(Right.REVIEW)
def remove_name(name_id: int) -> BaseResponse:
    """Takes a name off the list."""
    if ButtonForm().validate():
        try:
            operations.remove(name_id, staff_id=current_staff().id, now=clock.now())
        except NotFoundError:
            flash(_("This name is no longer on the list."), "bad")
        else:
            flash(_("The name is off the list."), "good")
    return redirect(url_for("staff.names"), code=303)
