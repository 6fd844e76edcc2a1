"""The room of editions: drafts in three languages, their checks and differences, and the way to a second person."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import abort, flash, redirect, render_template, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter import clock
from charter.domain.calendar import local_date
from charter.domain.duties import Right, Second
from charter.domain.edition import EditionError, parse_edition, problems, tidy, words_of
from charter.domain.errors import AlreadyProposedError, DecidedMeanwhileError, FieldRefusedError
from charter.domain.wording import Passage, differences
from charter.i18n import LANGUAGES, _
from charter.operations import editions as operations
from charter.operations.editions import EditionNotReadyError
from charter.queries import editions as queries
from charter.queries.editions import Draft
from charter.queries.proposals import ProposalView
from charter.queries.registry import EditionFile, EditionView
from charter.web.forms.editions import (
    MATERIAL,
    DraftForm,
    DropDraftForm,
    NewDraftForm,
    ProposeEditionForm,
    slug_words,
)
from charter.web.gates import current_staff, duty
from charter.web.public import EditionPage, read_edition
from charter.web.staff.desk import blueprint
from charter.web.staff.edition_words import problem_words
from charter.web.staff.proposals import Part, proposal_part


@blueprint.get("/editions/")
@duty(Right.READ)
def editions() -> str:
    """What is published, who signed which, and the drafts."""
    return _list(NewDraftForm(formdata=None))


def _list(form: NewDraftForm) -> str:
    return render_template(
        "staff/editions.html",
        section="editions",
        form=form,
        published=queries.published(),
        drafts=queries.drafts(),
        may_write=current_staff().may(Right.EDITIONS),
    )


@blueprint.post("/editions/")
@duty(Right.EDITIONS)
def begin_edition() -> BaseResponse | tuple[str, int]:
    """Begins a draft with the texts of today."""
    form = NewDraftForm()
    if not form.validate():
        return _list(form), 422
    try:
        draft_id = operations.begin(form.slug.data, staff_id=current_staff().id, now=clock.now())
    except FieldRefusedError as error:
        form.slug.errors = [slug_words(error.code)]
        return _list(form), 422
    return redirect(url_for("staff.edition_draft", draft_id=draft_id), code=303)


@blueprint.get("/editions/<row:draft_id>/")
@duty(Right.READ)
def edition_draft(draft_id: int) -> str:
    """One draft: three texts side by side, what keeps them from being published, what they change."""
    draft = _get(draft_id)
    return _page(draft, DraftForm.filled(draft))


@blueprint.get("/editions/<row:draft_id>/preview/")
@duty(Right.READ)
def edition_preview(draft_id: int) -> str:
    """The draft as the public page would show it, in each language whose text has the shape."""
    draft = _get(draft_id)
    pages = {language: _preview(draft, language) for language in LANGUAGES}
    return render_template("staff/edition_preview.html", section="editions", draft=draft, pages=pages)


def _preview(draft: Draft, language: str) -> EditionPage | None:
    body = draft.bodies.get(language, "").encode()
    try:
        note = parse_edition(body).specimen_note
    except EditionError:
        return None
    files = [EditionFile(one, digest, len(draft.bodies[one].encode())) for one, digest in sorted(draft.digests.items())]
    view = EditionView(draft.slug, note is not None, local_date(draft.updated_at), body, files, is_current=False)
    return read_edition(view, language)


def _get(draft_id: int) -> Draft:
    draft = queries.find_draft(draft_id)
    if draft is None:
        abort(404)
    return draft


def _page(draft: Draft, form: DraftForm, **more: Any) -> str:
    return render_template(
        "staff/edition_draft.html",
        section="editions",
        form=form,
        propose_form=more.pop("propose_form", None) or ProposeEditionForm(formdata=None),
        faults=[(language, problem_words(error)) for language, error in problems(draft.bodies)],
        changes={language: _changes(draft, language) for language in LANGUAGES},
        may_write=current_staff().may(Right.EDITIONS) and draft.is_open,
        draft=draft,
        **{"meanwhile": None, "stored": {}, **more},
    )


def _changes(draft: Draft, language: str) -> list[Passage]:
    before, after = draft.published.get(language, ""), draft.bodies.get(language, "")
    return differences(words_of(before), words_of(after))


@blueprint.post("/editions/<row:draft_id>/")
@duty(Right.EDITIONS)
def save_edition(draft_id: int) -> BaseResponse | tuple[str, int]:
    """Keeps the draft. Whatever is refused comes back as it was typed, beside what a colleague kept meanwhile."""
    draft = _get(draft_id)
    form = DraftForm()
    typed = replace(draft, bodies={language: tidy(text) for language, text in form.bodies().items()})
    if not form.validate():
        return _page(typed, form), 422
    try:
        is_kept = operations.save(
            draft_id,
            slug=form.slug.data,
            bodies=form.bodies(),
            is_material=form.kind.data == MATERIAL,
            expected_version=form.version.data or 0,
            staff_id=current_staff().id,
            now=clock.now(),
        )
    except FieldRefusedError as error:
        form.slug.errors = [slug_words(error.code)]
        return _page(typed, form), 422
    except DecidedMeanwhileError as error:
        form.version.data = form.version.raw_data = None
        form.version.data = draft.version
        kept = {language: body for language, body in draft.bodies.items() if body != typed.bodies[language]}
        return _page(replace(typed, version=draft.version), form, meanwhile=_meanwhile(error), stored=kept), 409
    flash(_("The draft is kept.") if is_kept else _("Nothing was different, so nothing was changed."), "good")
    return redirect(url_for("staff.edition_draft", draft_id=draft_id), code=303)


def _meanwhile(error: DecidedMeanwhileError) -> str:
    if error.state in {"published", "dropped"}:
        return str(_("This draft was published or put away meanwhile. Nothing was changed; copy what you need."))
    if error.by_staff_name is None:
        return str(_("The draft was changed meanwhile. What you typed is kept on this page."))
    return str(
        _("%(name)s has changed the draft meanwhile. What you typed is kept on this page.", name=error.by_staff_name)
    )


@blueprint.post("/editions/<row:draft_id>/propose")
@duty(Right.EDITIONS)
def propose_edition(draft_id: int) -> BaseResponse | tuple[str, int]:
    """Hands the kept texts to a second person."""
    draft = _get(draft_id)
    form = ProposeEditionForm()
    if not form.validate():
        return _page(draft, DraftForm.filled(draft), propose_form=form), 422
    try:
        operations.propose(
            draft_id,
            expected_version=form.version.data or 0,
            reason=form.reason.data,
            staff_id=current_staff().id,
            now=clock.now(),
        )
    except (DecidedMeanwhileError, EditionNotReadyError, AlreadyProposedError):
        words = _("The draft was changed meanwhile, or cannot be published as it stands. Look at it once more.")
        draft = _get(draft_id)
        return _page(draft, DraftForm.filled(draft), propose_form=form, meanwhile=words), 409
    flash(_("The edition waits for a second person. With any change of the draft this ends."), "good")
    return redirect(url_for("staff.edition_draft", draft_id=draft_id), code=303)


@blueprint.post("/editions/<row:draft_id>/drop")
@duty(Right.EDITIONS)
def drop_edition(draft_id: int) -> BaseResponse | tuple[str, int]:
    """Puts a draft away."""
    draft = _get(draft_id)
    form = DropDraftForm()
    if not form.validate():
        return _page(draft, DraftForm.filled(draft)), 422
    try:
        operations.drop(draft_id, expected_version=form.version.data or 0, staff_id=current_staff().id, now=clock.now())
    except DecidedMeanwhileError as error:
        draft = _get(draft_id)
        return _page(draft, DraftForm.filled(draft), meanwhile=_meanwhile(error)), 409
    flash(_("The draft is put away."), "good")
    return redirect(url_for("staff.editions"), code=303)


@proposal_part(Second.EDITION)
def _part(found: ProposalView) -> Part:
    draft = queries.find_draft(found.subject_id)
    if draft is None:
        return Part("staff/_proposal_edition.html", {"draft": None, "changes": {}})
    proposed = {"charter": draft.slug, "material": draft.is_material, "files": draft.digests}
    obstacle = None
    if found.is_open and (proposed != found.payload or not draft.is_ready):
        obstacle = str(_("The draft is no longer what was proposed, or another edition was published meanwhile."))
    changes = {language: _changes(draft, language) for language in LANGUAGES}
    return Part("staff/_proposal_edition.html", {"draft": draft, "changes": changes}, obstacle=obstacle)
