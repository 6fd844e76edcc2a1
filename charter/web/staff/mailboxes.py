"""What is known of a mailbox, by the address that somebody names, and what staff can lift from it."""

from __future__ import annotations

from flask import current_app, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from charter import clock
from charter.domain.duties import Right
from charter.domain.email import EmailAddress, mailbox_of
from charter.i18n import _
from charter.operations import mailboxes as operations
from charter.operations.mailboxes import Lifting
from charter.queries import mailboxes as queries
from charter.queries.mailboxes import MailboxView
from charter.queries.review import Dossier
from charter.settings import Settings
from charter.web.forms.contact import AskForm
from charter.web.gates import current_staff, duty
from charter.web.staff.desk import blueprint, dossier_part
from charter.web.staff.reads import note_read


def _config() -> Settings:
    settings: Settings = current_app.config["CHARTER"]
    return settings


def _find(mailbox: str) -> MailboxView:
    return queries.find_mailbox(
        mailbox,
        key=_config().secret_key.encode(),
        waiting_codes=operations.WAITING,
        longest_stop=operations.LONGEST_STOP,
        regions=current_staff().regions,
        now=clock.now(),
    )


@dossier_part("mailbox")
def mailbox_of_dossier(dossier: Dossier) -> MailboxView | None:
    """What keeps mail from this person, if anything does."""
    if dossier.is_forgotten:
        return None
    found = _find(mailbox_of(dossier.email))
    return found if found.is_troubled else None


@blueprint.get("/mailboxes/")
@duty(Right.READ)
def mailboxes() -> str:
    """Asks for an address. It is sent in a form and never stands in an address line, where logs would keep it."""
    return _page(AskForm(formdata=None), None)


def _page(form: AskForm, email: EmailAddress | None, told: tuple[str, str] | None = None) -> str:
    box = None if email is None else _find(email.mailbox)
    if box is not None:
        newest = max((one.signature_id for one in box.signatures), default=None)
        note_read("mailbox", subject="mailbox", subject_id=newest)
    return render_template(
        "staff/mailboxes.html",
        section="mail",
        form=form,
        email=email,
        box=box,
        told=told,
        most_counted=queries.MOST_COUNTED,
    )


@blueprint.post("/mailboxes/")
@duty(Right.REVIEW)
def find_mailbox() -> str | tuple[str, int]:
    """What is known of the mailbox behind the typed address; changes nothing."""
    form = AskForm()
    if not form.validate():
        return _page(form, None), 422
    return _page(form, form.address)


@blueprint.post("/mailboxes/lift")
@duty(Right.REVIEW)
def lift_mailbox() -> BaseResponse | str | tuple[str, int]:
    """Lifts a stop, a bounce or what waits beyond the limits."""
    form = AskForm()
    what = request.form.get("what", "")
    if not form.validate() or what not in set(Lifting):
        return _page(form, None), 422
    is_done = operations.lift(
        form.address.mailbox,
        Lifting(what),
        key=_config().secret_key.encode(),
        staff_id=current_staff().id,
        now=clock.now(),
    )
    told = (_("It is lifted."), "good") if is_done else (_("There was nothing to lift."), "bad")
    return _page(form, form.address, told)
