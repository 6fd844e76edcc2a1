"""What observers wrote instead of choosing: the words that wait, the most frequent first, and what they mean."""

from __future__ import annotations

from flask import abort, flash, redirect, render_template, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter import clock
from charter.domain.duties import Right
from charter.domain.errors import FieldRefusedError, NotFoundError
from charter.i18n import _, current_language
from charter.operations import matching as operations
from charter.queries import affiliation_desk
from charter.queries import own_words as queries
from charter.queries.own_words import Words
from charter.web.forms.affiliations import TargetForm
from charter.web.gates import current_staff, duty
from charter.web.staff.affiliations import may_write, refuse
from charter.web.staff.desk import blueprint


@blueprint.get("/affiliations/words/")
@duty(Right.READ)
def own_words() -> str:
    """Every group of words that wait."""
    return render_template(
        "staff/affiliation_words.html",
        section="affiliations",
        found=queries.groups(regions=current_staff().regions),
        may_write=may_write(),
    )


@blueprint.get("/affiliations/words/<row:signature_id>/")
@duty(Right.AFFILIATIONS)
def words_meant(signature_id: int) -> str:
    """The words of one application, and which affiliation they might mean."""
    return _page(_get(signature_id), TargetForm(formdata=None))


@blueprint.post("/affiliations/words/<row:signature_id>/")
@duty(Right.AFFILIATIONS)
def match_words(signature_id: int) -> BaseResponse | tuple[str, int]:
    """These words mean that one, wherever they wait and from now on."""
    words = _get(signature_id)
    form = TargetForm()
    _offer(words, form)
    if form.validate():
        try:
            operations.match(signature_id, int(form.into.data), staff_id=current_staff().id, now=clock.now())
        except FieldRefusedError as error:
            if error.field != "into":
                error.field = "into"
            refuse(form, error)
        except NotFoundError:
            abort(404)
        else:
            flash(
                _("Matched. Everybody who waits with these words follows in a moment, and who writes them later too."),
                "good",
            )
            return redirect(url_for("staff.own_words"), code=303)
    return _page(words, form), 422


def _get(signature_id: int) -> Words:
    words = queries.find(signature_id, regions=current_staff().regions)
    if words is None:
        abort(404)
    return words


def _offer(words: Words, form: TargetForm) -> None:
    form.offer(affiliation_desk.choices(words.type, current_language()))


def _page(words: Words, form: TargetForm) -> str:
    _offer(words, form)
    return render_template("staff/affiliation_match.html", section="affiliations", words=words, form=form)
