"""Correcting a detail while it waits, and answering the Centre's question."""

from __future__ import annotations

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter import clock
from charter.domain.errors import FieldRefusedError, MoveRefusedError
from charter.i18n import _
from charter.operations import signing
from charter.web.forms.signing import AnswerForm, CorrectForm
from charter.web.my.door import blueprint, get_mine, show
from charter.web.signing import is_switch, offer_choices, refusal_fields


@blueprint.route("/<lang:lang>/my/edit/", methods=["GET", "POST"])
def edit() -> BaseResponse | str | tuple[str, int]:
    """Correcting a detail before the decision."""
    mine = get_mine()
    if not mine.can_correct:
        return redirect(url_for("my.index"), code=303)
    form = CorrectForm() if request.method == "POST" else CorrectForm.filled(mine)
    offer_choices(form, stands=mine)
    status = 200
    if request.method == "POST" and not is_switch():
        if form.validate():
            try:
                signing.correct(mine.signature_id, form.to_details(), now=clock.now())
                return redirect(url_for("my.index", fresh="corrected"), code=303)
            except FieldRefusedError as error:
                field = form[refusal_fields(form)[error.field]]
                field.errors = [*field.errors, _("This can no longer be chosen; choose again")]
            except MoveRefusedError:
                return redirect(url_for("my.index", fresh="too-late"), code=303)
        status = 422
    return render_template("signing/edit.html", mine=mine, form=form), status


@blueprint.post("/<lang:lang>/my/answer/")
def answer() -> BaseResponse | str | tuple[str, int]:
    """The answer to the Centre's question."""
    mine = get_mine()
    form = AnswerForm()
    if is_switch():
        return show(mine, form)
    if mine.question is None:
        return redirect(url_for("my.index", fresh="too-late"), code=303)
    if not form.validate():
        return show(mine, form), 422
    try:
        signing.answer(mine.signature_id, form.answer.data, now=clock.now())
    except MoveRefusedError:
        return redirect(url_for("my.index", fresh="too-late"), code=303)
    return redirect(url_for("my.index", fresh="answered"), code=303)


@blueprint.get("/<lang:lang>/my/answer/")
def answershow() -> BaseResponse:
    """Somebody loads the address of the form anew, or changes the language there: the question is on the page."""
    return redirect(url_for("my.index"), code=303)
