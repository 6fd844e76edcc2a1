"""Affiliations at the desk: the list, one of them with its names and words, adding and changing."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter import clock
from charter.domain.affiliation import TYPES
from charter.domain.calendar import local_date
from charter.domain.duties import Right
from charter.domain.errors import DecidedMeanwhileError, FieldRefusedError, NotFoundError
from charter.i18n import _, current_language
from charter.operations import affiliations as operations
from charter.operations.naming import NameTakenError
from charter.queries import affiliation_desk as queries
from charter.queries import own_words
from charter.queries.affiliation_desk import View
from charter.web.forms.affiliations import AffiliationForm, AliasForm, MergeForm, NewAffiliationForm
from charter.web.forms.base import BaseForm
from charter.web.forms.signing import ButtonForm
from charter.web.gates import current_staff, duty
from charter.web.staff.desk import blueprint


@blueprint.get("/affiliations/")
@duty(Right.READ)
def affiliations() -> str:
    """The list, by type, or what is looked for in any alphabet."""
    chosen = request.args.get("type") or None
    if chosen is not None and chosen not in TYPES:
        abort(404)
    asked = " ".join(request.args.get("q", "").split())[:200]
    after = request.args.get("after") or None
    if after is not None and not after.isprintable():
        abort(404)
    page = queries.find_page(type=chosen, asked=asked, after=after, today=today())
    given: dict[str, Any] = {"type": chosen, "q": asked or None}
    return render_template(
        "staff/affiliations.html",
        section="affiliations",
        page=page,
        chosen=chosen,
        types=TYPES,
        asked=asked,
        may_write=may_write(),
        next_url=page.next_after and url_for("staff.affiliations", **given, after=page.next_after),
    )


@blueprint.route("/affiliations/new/", methods=["GET", "POST"])
@duty(Right.AFFILIATIONS)
def add_affiliation() -> BaseResponse | str | tuple[str, int]:
    """One more; from own words it begins with these."""
    if request.method != "POST":
        return render_template("staff/affiliation_new.html", section="affiliations", form=_begun())
    form = NewAffiliationForm()
    if form.validate():
        try:
            added = operations.add(form.wanted(), type=form.type.data, staff_id=current_staff().id, now=clock.now())
        except FieldRefusedError as error:
            refuse(form, error)
        else:
            flash(_("It is on the list. Applications that wait with this name are matched in a moment."), "good")
            return redirect(url_for("staff.affiliation", affiliation_id=added), code=303)
    return render_template("staff/affiliation_new.html", section="affiliations", form=form), 422


def _begun() -> NewAffiliationForm:
    raw = request.args.get("words", "")
    words = None
    if raw.isascii() and raw.isdigit() and len(raw) <= 15:
        words = own_words.find(int(raw), regions=current_staff().regions)
    if words is None:
        return NewAffiliationForm.begun(request.args.get("type", ""), "")
    return NewAffiliationForm.begun(words.type, words.text)


@blueprint.get("/affiliations/<row:affiliation_id>/")
@duty(Right.READ)
def affiliation(affiliation_id: int) -> str:
    """One of them."""
    view = get_view(affiliation_id)
    return show(view, AffiliationForm.filled(view))


@blueprint.post("/affiliations/<row:affiliation_id>/")
@duty(Right.AFFILIATIONS)
def edit_affiliation(affiliation_id: int) -> BaseResponse | tuple[str, int]:
    """Changes names, days and whether it can be chosen."""
    form = AffiliationForm()
    if not form.validate():
        return show(get_view(affiliation_id), form), 422
    try:
        operations.edit(
            affiliation_id,
            form.wanted(),
            expected_version=form.version.data or 0,
            renamed_on=form.renamed_on.data if form.why.data == "rename" else None,
            staff_id=current_staff().id,
            now=clock.now(),
        )
    except DecidedMeanwhileError as error:
        view = get_view(affiliation_id)
        keep_version(form, view.version)
        return show(view, form, meanwhile=meanwhile_words(error)), 409
    except FieldRefusedError as error:
        refuse(form, error)
        return show(get_view(affiliation_id), form), 422
    flash(_("Saved. The public pages follow with the next publication."), "good")
    return redirect(url_for("staff.affiliation", affiliation_id=affiliation_id), code=303)


@blueprint.post("/affiliations/<row:affiliation_id>/words")
@duty(Right.AFFILIATIONS)
def add_alias(affiliation_id: int) -> BaseResponse | tuple[str, int]:
    """Further words that mean it."""
    form = AliasForm()
    if form.validate():
        try:
            operations.give_alias(affiliation_id, form.name.data, staff_id=current_staff().id, now=clock.now())
        except FieldRefusedError as error:
            refuse(form, error)
        else:
            flash(_("Whoever writes these words means it from now on. Those who wait are matched in a moment."), "good")
            return redirect(url_for("staff.affiliation", affiliation_id=affiliation_id, _anchor="words"), code=303)
    view = get_view(affiliation_id)
    return show(view, AffiliationForm.filled(view), alias_form=form), 422


@blueprint.post("/affiliations/words/<row:alias_id>/remove")
@duty(Right.AFFILIATIONS)
def remove_alias(alias_id: int) -> BaseResponse:
    """Takes such words away."""
    if not ButtonForm().validate():
        return redirect(url_for("staff.affiliations"), code=303)
    try:
        affiliation_id = operations.take_alias(alias_id, staff_id=current_staff().id, now=clock.now())
    except NotFoundError:
        flash(_("These words are gone already."), "bad")
        return redirect(url_for("staff.affiliations"), code=303)
    flash(_("These words no longer mean it; whoever was matched by them stays."), "good")
    return redirect(url_for("staff.affiliation", affiliation_id=affiliation_id, _anchor="words"), code=303)


# ── shared by the room ───────────────────────────────────────────────────────────────────────────────────────────────


def today() -> date:
    """The day in Astana."""
    return local_date(clock.now())


def may_write() -> bool:
    """Whether whoever looks may also change."""
    return current_staff().may(Right.AFFILIATIONS)


def get_view(affiliation_id: int) -> View:
    """One of them; 404 where there is none."""
    view = queries.find(affiliation_id, today=today(), regions=current_staff().regions)
    if view is None:
        abort(404)
    return view


def show(
    view: View, form: AffiliationForm, *, alias_form: AliasForm | None = None, meanwhile: str | None = None
) -> str:
    """The page of one."""
    merge_form = MergeForm(formdata=None)
    merge_form.offer(queries.choices(view.line.type, current_language(), but=view.line.affiliation_id))
    return render_template(
        "staff/affiliation.html",
        section="affiliations",
        view=view,
        form=alias_form if alias_form is not None else form,
        details_form=form,
        alias_form=alias_form or AliasForm(formdata=None),
        merge_form=merge_form,
        may_write=may_write(),
        most_counted=queries.MOST_COUNTED,
        meanwhile=meanwhile,
        today=today(),
    )


def meanwhile_words(error: DecidedMeanwhileError) -> str:
    """That a colleague was faster."""
    if error.by_staff_name is None:
        return str(_("This changed while you were writing. What you typed is kept; save again to put it in place."))
    return str(
        _(
            "%(name)s has changed this while you were writing. What you typed is kept; save again to put it in place.",
            name=error.by_staff_name,
        )
    )


def keep_version(form: Any, version: int) -> None:
    """The next attempt is against what stands now: whoever sends it again has seen the notice."""
    form.version.data = version
    form.version.raw_data = None


def refuse(form: BaseForm, error: FieldRefusedError) -> None:
    """Says at the field what the operation refused."""
    field = form[error.field] if error.field in form else next(iter(form))
    field.errors = [*field.errors, _words(error)]


def _words(error: FieldRefusedError) -> str:
    if isinstance(error, NameTakenError):
        names = queries.find_name(error.affiliation_id) or {}
        return str(_("These words mean another one already: %(name)s", name=names.get(current_language(), "")))
    words = {
        "unknown": _("Write it with letters or figures"),
        "taken": _("This is taken already"),
        "before": _("The last day comes before the first"),
        "future": _("This day is still to come; rename it on that day"),
        "merged": _("It was merged into another one, or the other one was; undo that first"),
        "type": _("The two are not of one kind"),
        "self": _("Choose another one"),
        "busy": _("A merger of one of them is just being undone; wait a moment"),
        "abroad": _("Abroad does not end"),
    }
    return str(words.get(error.code, _("This cannot be done")))
