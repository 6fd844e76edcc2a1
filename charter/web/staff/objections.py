"""The desk of objections: what signatories hold against a decision, and the answer of another reviewer."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import abort, current_app, flash, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter import clock, mail, meters
from charter.domain.calendar import due_on, local_date
from charter.domain.duties import Right
from charter.domain.errors import (
    DecidedMeanwhileError,
    DutyRefusedError,
    MoveRefusedError,
    SameReviewerError,
    TooLateError,
)
from charter.domain.signature import Move
from charter.i18n import _
from charter.operations import objections as operations
from charter.queries import objections as queries
from charter.queries.objections import ObjectionView
from charter.queries.review import Dossier
from charter.settings import Settings
from charter.web import centre
from charter.web.forms.rights import ObjectionAnswerForm
from charter.web.gates import current_staff, duty
from charter.web.labels import OBJECTIONS
from charter.web.staff.desk import blueprint, dossier_part
from charter.web.staff.reads import note_read

#: Where the browser remembers the answer that it can still take back.
_LAST = "last_objection"


@dossier_part("objections")
def of_dossier(found: Dossier) -> list[ObjectionView]:
    """What this person objected to."""
    return queries.of_signature(found.signature_id)


@dossier_part("taken_up")
def origin_of(found: Dossier) -> ObjectionView | None:
    """The objection that this application was taken up again by."""
    if not any(event.move == Move.REOPEN for event in found.events):
        return None
    return queries.find_origin(found.signature_id)


@blueprint.get("/objections/")
@duty(Right.READ)
def objections() -> str:
    """What waits, oldest due first."""
    member = current_staff()
    page = queries.queue(staff_id=member.id, today=local_date(clock.now()), after=_after(), regions=member.regions)
    behind = page.next_after
    return render_template(
        "staff/objections.html",
        section="objections",
        page=page,
        next_url=None if behind is None else url_for("staff.objections", after=f"{behind[0]}.{behind[1]}"),
        undo_objection=_undo_offer(),
    )


def _after() -> tuple[date, int] | None:
    raw = request.args.get("after", "")
    day, _dot, last = raw.partition(".")
    try:
        return (date.fromisoformat(day), int(last[:15])) if raw else None
    except ValueError:
        abort(404)


def _undo_offer() -> queries.UndoOffer | None:
    last = session.get(_LAST)
    if not isinstance(last, int):
        return None
    return queries.find_undo_offer(last, staff_id=current_staff().id, now=clock.now())


@blueprint.get("/objections/<row:objection_id>/")
@duty(Right.READ)
def objection(objection_id: int) -> str:
    """One objection: the decision, what the signatory says, the answer."""
    found = _get(objection_id)
    return _page(found, ObjectionAnswerForm(formdata=None, data={"version": found.version}))


def _get(objection_id: int) -> ObjectionView:
    found = queries.find(objection_id)
    if found is None:
        abort(404)
    if not current_staff().covers(found.region_code):
        raise DutyRefusedError
    return found


def _page(found: ObjectionView, form: ObjectionAnswerForm, **more: Any) -> str:
    note_read("objection", subject="objection", subject_id=found.objection_id)
    return render_template(
        "staff/objection.html",
        section="objections",
        found=found,
        form=form,
        is_yours=current_staff().id in {found.first_staff_id, found.approved_by},
        late=found.due_on < local_date(clock.now()),
        undo_objection=_undo_offer(),
        **{"preview": None, **more},
    )


@blueprint.post("/objections/<row:objection_id>/")
@duty(Right.REVIEW)
def answer_objection(objection_id: int) -> BaseResponse | str | tuple[str, int]:
    """Shows the mail, or answers."""
    found = _get(objection_id)
    form = ObjectionAnswerForm()
    if not form.validate():
        return _page(found, form), 422
    is_upheld, answer = form.verdict.data == "upheld", form.answer.data or None
    if "preview" in request.form:
        return _page(found, form, preview=_preview_mail(found, is_upheld=is_upheld, answer=answer))
    settings = _config()
    try:
        operations.decide(
            objection_id,
            is_upheld=is_upheld,
            answer=answer,
            expected_version=form.version.data or 0,
            staff_id=current_staff().id,
            answer_due_working_days=settings.answer_due_working_days,
            holidays=centre.holidays(),
            key=settings.secret_key.encode(),
            undo_seconds=settings.undo_seconds,
            now=clock.now(),
        )
    except DecidedMeanwhileError as error:
        return _told_meanwhile(objection_id, error), 409
    except SameReviewerError:
        return _page(found, form, meanwhile=_("You made the decision yourself: a colleague has to answer.")), 403
    except MoveRefusedError:
        words = _(
            "This cannot be upheld any more: the person has signed again, asked for something newer or left."
            " Reject the objection and say so."
        )
        return _page(found, form, meanwhile=words), 409
    meters.decided(f"objection-{form.verdict.data}")
    session[_LAST] = objection_id
    return redirect(url_for("staff.objections"), code=303)


def _told_meanwhile(objection_id: int, error: DecidedMeanwhileError) -> str:
    state = OBJECTIONS.get(error.state, error.state)
    if error.by_staff_name is not None:
        words = _("%(name)s has decided meanwhile. State now: %(state)s", name=error.by_staff_name, state=state)
    else:
        words = _("The objection changed while you looked at it. State now: %(state)s", state=state)
    found = _get(objection_id)
    form = ObjectionAnswerForm()
    form.version.data = found.version
    form.version.raw_data = None
    return _page(found, form, meanwhile=words)


@blueprint.post("/objections/<row:objection_id>/undo")
@duty(Right.REVIEW)
def undo_objection(objection_id: int) -> BaseResponse:
    """Takes back one's own answer while its seconds last."""
    try:
        operations.undo(objection_id, staff_id=current_staff().id, now=clock.now())
    except TooLateError:
        flash(_("It is too late to take this answer back."), "bad")
        return redirect(url_for("staff.objections"), code=303)
    meters.decided("objection-undo")
    session.pop(_LAST, None)
    flash(_("The answer is taken back."), "good")
    return redirect(url_for("staff.objection", objection_id=objection_id), code=303)


def _preview_mail(found: ObjectionView, *, is_upheld: bool, answer: str | None) -> mail.Words | None:
    """The exact mail that an answer sends; the personal link is not known here. None: the correction's own mail."""
    settings = _config()
    base = f"{settings.public_url}/{found.language}"
    values: dict[str, Any] = {"answer": answer}
    if is_upheld:
        if found.about == "correction":
            return None
        working_days = settings.answer_due_working_days
        values["due_on"] = due_on(clock.now(), working_days=working_days, holidays=centre.holidays()).isoformat()
    kind = "objection-upheld" if is_upheld else "objection-rejected"
    links = {"my_url": f"{base}/my/…"}
    return mail.compose(kind, language=found.language, values=values, links=links, settings=settings)


def _config() -> Settings:
    settings: Settings = current_app.config["CHARTER"]
    return settings
