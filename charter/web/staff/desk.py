"""The reviewers' desk: the queue, a dossier, decisions, what was set aside, and mail that failed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from flask import (
    Blueprint,
    Flask,
    abort,
    current_app,
    flash,
    g,
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
from charter.domain.errors import DecidedMeanwhileError, NotFoundError, TooLateError
from charter.i18n import LANGUAGES, _, current_language
from charter.operations import outbox, review
from charter.queries import outbox as outbox_queries
from charter.queries import review as queries
from charter.queries.review import Dossier
from charter.settings import Settings
from charter.web.forms.review import DecisionForm
from charter.web.gates import current_staff, duty, open_to_all
from charter.web.labels import STATES
from charter.web.staff import hinting

blueprint = Blueprint("staff", __name__, url_prefix="/staff")

#: decision → the kind of mail it sends
_MAILS = {"approve": "published", "decline": "declined", "ask": "clarification"}


def _config() -> Settings:
    settings: Settings = current_app.config["CHARTER"]
    return settings


def _after() -> tuple[date, int] | None:
    raw = request.args.get("after", "")
    day, _dot, last = raw.partition(".")
    try:
        return (date.fromisoformat(day), int(last[:15])) if raw else None
    except ValueError:
        abort(404)


@blueprint.get("/")
@duty(Right.READ)
def queue() -> str:
    """What waits, oldest due first."""
    now = clock.now()
    state = request.args.get("state")
    if state not in {None, "confirmed", "clarification", "held"}:
        abort(404)
    language = current_language()
    page = None if state == "held" else queries.queue(language, today=local_date(now), after=_after(), state=state)
    return render_template(
        "staff/queue.html",
        section="queue",
        state=state or "confirmed",
        page=page,
        held=queries.held(language) if state == "held" else None,
        counts={name: queries.count_waiting(name) for name in ("confirmed", "clarification")},
        most_counted=queries.MOST_COUNTED,
        marks=hinting.marks_of(page.rows) if page is not None else {},
        next_url=(
            url_for("staff.queue", state=state, after=f"{page.next_after[0]}.{page.next_after[1]}")
            if page is not None and page.next_after is not None
            else None
        ),
        undo=_undo_offer(),
    )


def _undo_offer() -> queries.UndoOffer | None:
    decision_id = session.get("last_decision")
    if not isinstance(decision_id, int):
        return None
    return queries.find_undo_offer(decision_id, staff_id=current_staff().id, now=clock.now())


@blueprint.get("/review/<row:signature_id>/")
@duty(Right.READ)
def dossier(signature_id: int) -> str:
    """One application: what was written, what the public would see, history, decision."""
    found = _get_dossier(signature_id)
    form = DecisionForm(formdata=None, data={"version": found.version})
    return _dossier_page(found, form)


def _get_dossier(signature_id: int) -> Dossier:
    found = queries.find_dossier(signature_id, current_language())
    if found is None:
        abort(404)
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
    form.offer()
    return render_template(
        "staff/dossier.html",
        section="queue",
        dossier=found,
        form=form,
        late=found.due_on is not None and found.due_on < local_date(clock.now()),
        undo=_undo_offer(),
        **{name: find(found) for name, find in _parts.items()},
        **{"preview": None, **more},
    )


def preview_mail(found: Dossier, *, action: str, reason: str | None, note: str | None) -> mail.Words:
    """The exact mail that a decision sends; links and number are not known yet and are shown as such."""
    settings = _config()
    base = f"{settings.public_url}/{found.language}"
    values: dict[str, Any] = {"reason": reason, "note": note}
    links = {"my_url": f"{base}/my/…", "charter_url": f"{base}/charter/", "sign_url": f"{base}/sign/"}
    if action == "approve":
        values = {"number": "…", "has_receipt": True}
        links["entry_url"] = f"{base}/registry/entries/{found.entry}"
        links["verify_url"] = f"{base}/verify/?entry={found.entry}"
    return mail.compose(_MAILS[action], language=found.language, values=values, links=links, settings=settings)


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
    following = queries.next_in_queue(skip=signature_id)
    return redirect(
        url_for("staff.queue") if following is None else url_for("staff.dossier", signature_id=following), code=303
    )


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
    return render_template(
        "staff/mail.html",
        section="mail",
        failed=outbox_queries.failed_mail(),
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
