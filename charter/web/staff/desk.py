"""The reviewers' desk: the queue, a dossier, decisions, what was set aside, and mail that failed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import (
    Blueprint,
    Flask,
    abort,
    current_app,
    flash,
    g,
    jsonify,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from werkzeug.wrappers import Response as BaseResponse

from charter import clock, mail, meters
from charter.domain.calendar import local_date
from charter.domain.duties import Right
from charter.domain.errors import DecidedMeanwhileError, DutyRefusedError, NotFoundError, TooLateError
from charter.domain.queue import QueueFilter
from charter.i18n import LANGUAGES, _, current_language
from charter.operations import claims, outbox, review
from charter.queries import outbox as outbox_queries
from charter.queries import queue as queue_queries
from charter.queries import review as queries
from charter.queries.neighbours import find_neighbours
from charter.queries.review import Dossier
from charter.settings import Settings
from charter.web.forms.review import DecisionForm
from charter.web.gates import current_staff, duty, open_to_all
from charter.web.labels import STATES
from charter.web.staff import filtering
from charter.web.staff.reads import note_read

blueprint = Blueprint("staff", __name__, url_prefix="/staff")

#: decision → the kind of mail it sends
_MAILS = {"approve": "published", "decline": "declined", "ask": "clarification"}


def _config() -> Settings:
    settings: Settings = current_app.config["CHARTER"]
    return settings


def undo_offer() -> queries.UndoOffer | None:
    decision_id = session.get("last_decision")
    if not isinstance(decision_id, int):
        return None
    return queries.find_undo_offer(decision_id, staff_id=current_staff().id, now=clock.now())


@blueprint.get("/review/<row:signature_id>/")
@duty(Right.READ)
def dossier(signature_id: int) -> str:
    """One application: what was written, what the public would see, history, decision."""
    found = _get_dossier(signature_id)
    wanted = filtering.read(request.args.to_dict(flat=False)) or QueueFilter()
    form = DecisionForm(formdata=None, data={"version": found.version, "view": filtering.query_of(wanted)})
    return _dossier_page(found, form)


def _get_dossier(signature_id: int) -> Dossier:
    member = current_staff()
    found = queries.find_dossier(signature_id, current_language(), regions=member.regions)
    if found is None:
        abort(404)
    if not member.covers(found.region_code):
        raise DutyRefusedError
    return found


#: What other rooms add to a dossier: the name in the template → what is shown there.
Part = Callable[[Dossier], object]
_parts: dict[str, Part] = {}


def dossier_part(name: str) -> Callable[[Part], Part]:
    """Makes what the function finds known to the page of a dossier under `name`."""

    def keep(find: Part) -> Part:
        _parts[name] = find
        return find

    return keep


def _dossier_page(found: Dossier, form: DecisionForm, **more: Any) -> str:
    note_read("dossier", subject="signature", subject_id=found.signature_id)
    form.offer()
    wanted = filtering.read_query(form.view.data or "")
    return render_template(
        "staff/dossier.html",
        section="queue",
        dossier=found,
        values=filtering.values_of(wanted),
        view=filtering.query_of(wanted),
        next_url=_url_behind(found.signature_id, wanted) if found.is_pending else None,
        neighbours=find_neighbours(found.signature_id, current_language(), regions=current_staff().regions),
        form=form,
        late=found.due_on is not None and found.due_on < local_date(clock.now()),
        undo=undo_offer(),
        **{name: find(found) for name, find in _parts.items()},
        **{"preview": None, **more},
    )


def _url_behind(signature_id: int, wanted: QueueFilter) -> str | None:
    """What comes next in the view after this one, fetched ahead by browsers that run our script."""
    member, now = current_staff(), clock.now()
    if not member.may(Right.REVIEW):
        return None
    following = queue_queries.next_in_queue(
        skip=signature_id,
        wanted=wanted,
        regions=member.regions,
        staff_id=member.id,
        today=local_date(now),
        now=now,
    )
    return None if following is None else filtering.dossier_url(following, wanted)


def preview_mail(found: Dossier, *, action: str, reason: str | None, note: str | None) -> mail.Words:
    """The exact mail that a decision sends; links and number are not known yet and are shown as such."""
    return compose_preview(found.language, found.entry, action=action, reason=reason, note=note)


def compose_preview(language: str, entry: str, *, action: str, reason: str | None, note: str | None) -> mail.Words:
    """The same in one language for one entry, or for many whose addresses differ."""
    settings = _config()
    base = f"{settings.public_url}/{language}"
    values: dict[str, Any] = {"reason": reason, "note": note}
    links = {"my_url": f"{base}/my/…", "charter_url": f"{base}/charter/", "sign_url": f"{base}/sign/"}
    if action == "approve":
        values = {"number": "…", "has_receipt": True}
        links["entry_url"] = f"{base}/registry/entries/{entry}"
        links["verify_url"] = f"{base}/verify/?entry={entry}"
    return mail.compose(_MAILS[action], language=language, values=values, links=links, settings=settings)


@blueprint.post("/review/<row:signature_id>/")
@duty(Right.REVIEW)
def decide(signature_id: int) -> BaseResponse | str | tuple[str, int]:
    """Shows the mail, or decides; the next application follows."""
    found = _get_dossier(signature_id)
    form = DecisionForm()
    form.offer()
    if not form.validate():
        return _dossier_page(found, form), 422
    choice = {"action": form.action.data, "reason": form.reason, "note": form.note.data or None}
    if "preview" in request.form:
        return _dossier_page(found, form, preview=preview_mail(found, **choice))
    try:
        decision_id = review.decide(
            signature_id,
            **choice,
            expected_version=form.version.data or 0,
            staff_id=current_staff().id,
            undo_seconds=_config().undo_seconds,
            now=clock.now(),
        )
    except DecidedMeanwhileError as error:
        return _told_meanwhile(signature_id, error), 409
    meters.decided(form.action.data)
    session["last_decision"] = decision_id
    return _go_on(signature_id, filtering.read_query(form.view.data or ""))


def _go_on(signature_id: int, wanted: QueueFilter) -> BaseResponse:
    """Takes the next application of the view and leads to it; a script that holds it already is told so."""
    now = clock.now()
    following = claims.take_next(wanted, staff_id=current_staff().id, today=local_date(now), now=now, skip=signature_id)
    target = filtering.queue_url(wanted) if following is None else filtering.dossier_url(following, wanted)
    if request.headers.get("Accept") != "application/json":
        return redirect(target, code=303)
    claim = None if following is None else queries.find_claim(following, now=now)
    page = render_template(
        "staff/_swapped.html", undo=undo_offer(), claim=claim, signature_id=following, view=filtering.query_of(wanted)
    )
    behind = None if following is None else _url_behind(following, wanted)
    return jsonify(url=target, slots=page, next=behind)


def _told_meanwhile(signature_id: int, error: DecidedMeanwhileError) -> str:
    """The other one won: says who and what, and shows the application as it stands now."""
    if error.by_staff_name is not None:
        words = _(
            "%(name)s has decided meanwhile. State now: %(state)s", name=error.by_staff_name, state=STATES[error.state]
        )
    else:
        words = _("The application changed while you looked at it. State now: %(state)s", state=STATES[error.state])
    found = _get_dossier(signature_id)
    form = DecisionForm()
    form.version.data = found.version
    form.version.raw_data = None
    form.view.data = request.form.get("view", "")
    return _dossier_page(found, form, meanwhile=words)


@blueprint.post("/decisions/<row:decision_id>/undo")
@duty(Right.REVIEW)
def undo(decision_id: int) -> BaseResponse:
    """Takes back one's own decision while its seconds last."""
    try:
        signature_id = review.undo(decision_id, staff_id=current_staff().id, now=clock.now())
    except TooLateError:
        flash(_("It is too late to take this decision back."), "bad")
        return redirect(url_for("staff.queue"), code=303)
    meters.decided("undo")
    session.pop("last_decision", None)
    flash(_("The decision is taken back."), "good")
    return redirect(url_for("staff.dossier", signature_id=signature_id), code=303)


@blueprint.post("/review/<row:signature_id>/release")
@duty(Right.REVIEW)
def release(signature_id: int) -> BaseResponse:
    """Lets a signature that was set aside go on to its confirmation."""
    review.release(
        signature_id,
        staff_id=current_staff().id,
        confirm_link_days=_config().confirm_link_days,
        now=clock.now(),
    )
    meters.decided("release")
    flash(_("The signature goes on: the mail that asks for confirmation leaves now."), "good")
    return redirect(url_for("staff.queue", state="held"), code=303)


@blueprint.get("/mail/", endpoint="mail")
@duty(Right.READ)
def mail_page() -> str:
    """The state of the outbox, and mail that was given up."""
    failed = outbox_queries.failed_mail(current_staff().regions)
    if failed:
        # Their addresses stand there.
        note_read("failed-mail", subject="message")
    return render_template(
        "staff/mail.html",
        section="mail",
        failed=failed,
        health=outbox_queries.mail_health(now=clock.now()),
        flow=outbox_queries.mail_flow(budget=_config().mail_hourly_budget, now=clock.now()),
        most_counted=outbox_queries.MOST_COUNTED,
    )


@blueprint.post("/mail/<row:message_id>/retry")
@duty(Right.REVIEW)
def retry_mail(message_id: int) -> BaseResponse:
    """Sends a mail that failed once more."""
    try:
        outbox.retry(message_id, staff_id=current_staff().id, now=clock.now())
    except NotFoundError:
        flash(_("This mail is no longer among the failed ones."), "bad")
    else:
        flash(_("The mail is tried again."), "good")
    return redirect(url_for("staff.mail"), code=303)


@blueprint.post("/language")
@open_to_all
def language() -> BaseResponse:
    """The language of the desk, also before signing in."""
    chosen = request.form.get("lang")
    if chosen in LANGUAGES:
        session["staff_language"] = chosen
    target = request.form.get("next", "")
    is_ours = target.startswith("/staff") and "//" not in target and "\\" not in target
    return redirect(target if is_ours else url_for("staff.queue"), code=303)


def init_app(app: Flask) -> None:
    """Registers the desk; the mail page is known as `staff.mail`."""
    app.register_blueprint(blueprint)
    app.context_processor(lambda: {"staff_member": g.get("staff_member")})
