"""The desk of letters: what signatories ask for on paper, done and recorded with the letter's reference."""

from __future__ import annotations

from flask import abort, current_app, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter import clock, meters
from charter.domain.calendar import local_date
from charter.domain.duties import Right
from charter.domain.errors import DecidedMeanwhileError, DutyRefusedError, FieldRefusedError, MoveRefusedError
from charter.i18n import _, current_language
from charter.operations import rights as operations
from charter.operations.rights import Letter
from charter.queries import holdings, review
from charter.queries import objections as objection_queries
from charter.queries import rights as queries
from charter.queries.holdings import Holdings
from charter.queries.review import Dossier
from charter.settings import Settings
from charter.web import centre
from charter.web.forms.rights import CorrectByLetterForm, LetterForm
from charter.web.gates import current_staff, duty
from charter.web.handing_over import as_file
from charter.web.signing import offer_choices, refusal_fields
from charter.web.staff.desk import blueprint, dossier_part
from charter.web.staff.reads import note_read


@dossier_part("letters")
def of_dossier(found: Dossier) -> list[queries.LetterRow]:
    """What this person asked for in writing."""
    return queries.letters_of(found.signature_id)


@blueprint.get("/letters/")
@duty(Right.REVIEW)
def letters() -> str:
    """All that were recorded, newest first; and why people withdrew."""
    raw = request.args.get("before", "")
    if raw and not (raw.isascii() and raw.isdigit() and len(raw) <= 15):
        abort(404)
    rows, behind = queries.letters(before=int(raw) if raw else None, regions=current_staff().regions)
    if rows:
        note_read("letters", subject="signature")
    return render_template(
        "staff/letters.html",
        section="objections",
        rows=rows,
        next_url=None if behind is None else url_for("staff.letters", before=behind),
        withdrawals=queries.withdrawal_figures(now=clock.now()),
    )


@blueprint.route("/review/<row:signature_id>/letter/", methods=["GET", "POST"])
@duty(Right.REVIEW)
def record_letter(signature_id: int) -> BaseResponse | str | tuple[str, int]:
    """Says what each letter leads to; records one and does what it asks for."""
    found = _get(signature_id)
    if request.method != "POST":
        return _page(found, LetterForm(formdata=None, data={"version": found.version}))
    form = LetterForm()
    if not form.validate():
        return _page(found, form), 422
    letter = Letter(
        kind=form.kind.data,
        reference=form.reference.data,
        received_on=form.received_on.data,
        words=form.words.data or None,
    )
    try:
        request_id = _record(found, letter, version=form.version.data or 0)
    except DecidedMeanwhileError:
        return _page(_get(signature_id), form, meanwhile=_changed()), 409
    except MoveRefusedError:
        form.kind.errors = [_("This is not possible in the present state")]
        return _page(found, form), 422
    except FieldRefusedError as error:
        form[error.field].errors = [_unlikely()]
        return _page(found, form), 422
    if letter.kind in {"withdraw", "erase"} and found.state not in {"declined", "revoked", "withdrawn"}:
        meters.withdrawn()
    if letter.kind == "data":
        return redirect(url_for("staff.hand_over", request_id=request_id), code=303)
    flash(_("The letter is recorded, and what it asks for is done."), "good")
    return redirect(url_for("staff.dossier", signature_id=signature_id), code=303)


@blueprint.route("/review/<row:signature_id>/letter/correction/", methods=["GET", "POST"])
@duty(Right.REVIEW)
def correct_by_letter(signature_id: int) -> BaseResponse | str | tuple[str, int]:
    """The details as a letter wants them: at once before the decision, for review once published."""
    found = _get(signature_id)
    stands = queries.find_details(signature_id, current_language())
    if stands is None:
        abort(404)
    if request.method != "POST":
        form = CorrectByLetterForm.filled(stands, version=found.version)
        offer_choices(form, stands=stands)
        return _details_page(found, form)
    form = CorrectByLetterForm()
    offer_choices(form, stands=stands)
    if not form.validate():
        return _details_page(found, form), 422
    letter = Letter(
        kind="correct",
        reference=form.reference.data,
        received_on=form.received_on.data,
        details=form.to_details(),
    )
    try:
        _record(found, letter, version=form.version.data or 0)
    except DecidedMeanwhileError:
        return _details_page(_get(signature_id), form, meanwhile=_changed()), 409
    except MoveRefusedError:
        words = _("This is not possible in the present state")
        return _details_page(found, form, meanwhile=words), 422
    except FieldRefusedError as error:
        if error.field == "received_on":
            form.received_on.errors = [_unlikely()]
        else:
            field = form[refusal_fields(form)[error.field]]
            field.errors = [*field.errors, _("This can no longer be chosen; choose again")]
        return _details_page(found, form), 422
    flash(_("The letter is recorded, and what it asks for is done."), "good")
    return redirect(url_for("staff.dossier", signature_id=signature_id), code=303)


def _record(found: Dossier, letter: Letter, *, version: int) -> int:
    settings = _config()
    return operations.record(
        found.signature_id,
        letter,
        expected_version=version,
        staff_id=current_staff().id,
        answer_due_working_days=settings.answer_due_working_days,
        holidays=centre.holidays(),
        now=clock.now(),
    )


def _get(signature_id: int) -> Dossier:
    found = review.find_dossier(signature_id, current_language())
    # Who is forgotten can be asked nothing and given nothing.
    if found is None or found.is_forgotten:
        abort(404)
    if not current_staff().covers(found.region_code):
        raise DutyRefusedError
    return found


def _page(found: Dossier, form: LetterForm, *, meanwhile: str | None = None) -> str:
    note_read("dossier", subject="signature", subject_id=found.signature_id)
    if meanwhile is not None:
        form.version.data, form.version.raw_data = found.version, None
    return render_template(
        "staff/letter.html",
        section="queue",
        dossier=found,
        form=form,
        may_object=objection_queries.may_object(found.signature_id, found.state, now=clock.now()),
        today=local_date(clock.now()),
        meanwhile=meanwhile,
    )


def _details_page(found: Dossier, form: CorrectByLetterForm, *, meanwhile: str | None = None) -> str:
    note_read("dossier", subject="signature", subject_id=found.signature_id)
    if meanwhile is not None:
        form.version.data, form.version.raw_data = found.version, None
    return render_template(
        "staff/letter_correction.html",
        section="queue",
        dossier=found,
        form=form,
        today=local_date(clock.now()),
        meanwhile=meanwhile,
    )


def _changed() -> str:
    return str(_("The application changed while you looked at it. Nothing was done: look again, and press once more."))


def _unlikely() -> str:
    return str(_("Give a day within the last year, not in the future"))


# ── handing over ─────────────────────────────────────────────────────────────────────────────────────────────────────


@blueprint.get("/letters/<row:request_id>/data/")
@duty(Right.REVIEW)
def hand_over(request_id: int) -> str:
    """Everything held about the person, to print for them; for an hour, for whoever recorded the letter."""
    held = _held(request_id)
    return render_template(
        "staff/hand_over.html", section="queue", held=held, request_id=request_id, made_at=clock.now()
    )


@blueprint.get("/letters/<row:request_id>/data/file/")
@duty(Right.REVIEW)
def hand_over_file(request_id: int) -> BaseResponse:
    """The same as a file for programs."""
    return as_file(_held(request_id), public_url=_config().public_url, now=clock.now())


def _held(request_id: int) -> Holdings:
    now = clock.now()
    signature_id = queries.find_hand_over(request_id, staff_id=current_staff().id, now=now)
    held = None
    if signature_id is not None:
        key = _config().secret_key.encode()
        held = holdings.holdings_of(signature_id, language=current_language(), key=key, now=now)
    if held is None:
        abort(404)
    note_read("hand-over", subject="signature", subject_id=signature_id, request=request_id)
    return held


def _config() -> Settings:
    settings: Settings = current_app.config["CHARTER"]
    return settings
