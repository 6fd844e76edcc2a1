"""The desk of corrections: what signatories want changed in their published entries, and the Centre's answer."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import abort, current_app, flash, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter import clock, mail, meters
from charter.domain.calendar import local_date
from charter.domain.duties import Right
from charter.domain.errors import DecidedMeanwhileError, DutyRefusedError, TooLateError
from charter.i18n import _, current_language
from charter.operations import corrections as operations
from charter.queries import corrections as queries
from charter.queries.corrections import Case
from charter.queries.review import Dossier
from charter.settings import Settings
from charter.web.forms.entry import AnswerCorrectionForm
from charter.web.gates import current_staff, duty
from charter.web.labels import CORRECTION_STATES
from charter.web.staff.desk import blueprint, dossier_part
from charter.web.staff.reads import note_read

#: Where the browser remembers the decision that it can still take back.
_LAST = "last_correction"


@dossier_part("corrections")
def of_dossier(found: Dossier) -> object:
    """What this person asked for, the newest first; nothing can have been before the entry was published."""
    if found.number is None:
        return []
    return queries.past_of(found.signature_id, current_language())


@blueprint.get("/corrections/")
@duty(Right.READ)
def corrections() -> str:
    """What waits, oldest due first."""
    regions = current_staff().regions
    page = queries.queue(current_language(), today=local_date(clock.now()), after=_after(), regions=regions)
    behind = page.next_after
    return render_template(
        "staff/corrections.html",
        section="corrections",
        page=page,
        count=queries.count_waiting(regions),
        most_counted=queries.MOST_COUNTED,
        next_url=None if behind is None else url_for("staff.corrections", after=f"{behind[0]}.{behind[1]}"),
        undo_correction=_undo_offer(),
    )


def _after() -> tuple[date, int] | None:
    raw = request.args.get("after", "")
    day, _dot, last = raw.partition(".")
    try:
        return (date.fromisoformat(day), int(last[:15])) if raw else None
    except ValueError:
        abort(404)


def _undo_offer() -> Case | None:
    last = session.get(_LAST)
    if not isinstance(last, int):
        return None
    return queries.find_undo_offer(last, staff_id=current_staff().id, language=current_language(), now=clock.now())


@blueprint.get("/corrections/<row:correction_id>/")
@duty(Right.READ)
def correction(correction_id: int) -> str:
    """One correction: what stands, what is asked for, the decision."""
    case = _get_case(correction_id)
    return _page(case, AnswerCorrectionForm(formdata=None, data={"version": case.version}))


def _get_case(correction_id: int) -> Case:
    case = queries.find_case(correction_id, current_language())
    if case is None:
        abort(404)
    if not current_staff().covers(case.before.region_code):
        raise DutyRefusedError
    return case


def _page(case: Case, form: AnswerCorrectionForm, **more: Any) -> str:
    note_read("correction", subject="correction", subject_id=case.correction_id)
    form.offer()
    return render_template(
        "staff/correction.html",
        section="corrections",
        case=case,
        form=form,
        late=case.due_on < local_date(clock.now()),
        undo_correction=_undo_offer(),
        **{"preview": None, **more},
    )


@blueprint.post("/corrections/<row:correction_id>/")
@duty(Right.REVIEW)
def decide_correction(correction_id: int) -> BaseResponse | str | tuple[str, int]:
    """Shows the mail, or decides; the next one follows."""
    case = _get_case(correction_id)
    form = AnswerCorrectionForm()
    form.offer()
    if not form.validate():
        return _page(case, form), 422
    answer = form.answer()
    if "preview" in request.form:
        return _page(case, form, preview=_preview_mail(case, **answer))
    try:
        operations.decide(
            correction_id,
            action=form.action.data,
            reason=answer["reason"],
            note=answer["note"],
            expected_version=form.version.data or 0,
            staff_id=current_staff().id,
            undo_seconds=_config().undo_seconds,
            now=clock.now(),
        )
    except DecidedMeanwhileError as error:
        return _told_meanwhile(correction_id, error), 409
    meters.decided(f"correction-{form.action.data}")
    session[_LAST] = correction_id
    following = queries.next_waiting(skip=correction_id, regions=current_staff().regions)
    if following is None:
        return redirect(url_for("staff.corrections"), code=303)
    return redirect(url_for("staff.correction", correction_id=following), code=303)


def _told_meanwhile(correction_id: int, error: DecidedMeanwhileError) -> str:
    state = CORRECTION_STATES.get(error.state, error.state)
    if error.by_staff_name is not None:
        words = _("%(name)s has decided meanwhile. State now: %(state)s", name=error.by_staff_name, state=state)
    else:
        words = _("The correction changed while you looked at it. State now: %(state)s", state=state)
    case = _get_case(correction_id)
    form = AnswerCorrectionForm()
    form.version.data = case.version
    form.version.raw_data = None
    return _page(case, form, meanwhile=words)


@blueprint.post("/corrections/<row:correction_id>/undo")
@duty(Right.REVIEW)
def undo_correction(correction_id: int) -> BaseResponse:
    """Takes back one's own decision while its seconds last."""
    try:
        operations.undo(correction_id, staff_id=current_staff().id, now=clock.now())
    except TooLateError:
        flash(_("It is too late to take this decision back."), "bad")
        return redirect(url_for("staff.corrections"), code=303)
    meters.decided("correction-undo")
    session.pop(_LAST, None)
    flash(_("The decision is taken back."), "good")
    return redirect(url_for("staff.correction", correction_id=correction_id), code=303)


def _preview_mail(case: Case, *, action: str | None, reason: str | None, note: str | None) -> mail.Words:
    """The exact mail that a decision sends; the personal link is not known here and is shown as such."""
    settings = _config()
    base = f"{settings.public_url}/{case.language}"
    values: dict[str, Any] = {"reason": reason, "note": note, "number": case.number}
    links = {"my_url": f"{base}/my/…", "entry_url": f"{base}/registry/entries/…"}
    kind = "correction-approved" if action == "approve" else operations.DECLINED_MAIL
    return mail.compose(kind, language=case.language, values=values, links=links, settings=settings)


def _config() -> Settings:
    settings: Settings = current_app.config["CHARTER"]
    return settings
