"""Removing a published entry: proposed from its dossier, and what the second person needs to judge it."""

from __future__ import annotations

from dataclasses import dataclass

from flask import abort, current_app, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter import clock, mail
from charter.domain.duties import Right, Second
from charter.domain.errors import AlreadyProposedError, MoveRefusedError
from charter.domain.reasons import find_revocation
from charter.domain.signature import Move, State, may
from charter.i18n import _, current_language
from charter.operations import revoking as operations
from charter.queries import proposals, review
from charter.queries.proposals import ProposalView
from charter.queries.review import Dossier
from charter.settings import Settings
from charter.web.forms.proposals import RevocationForm
from charter.web.gates import current_staff, duty
from charter.web.labels import STATES
from charter.web.staff.desk import blueprint, dossier_part
from charter.web.staff.proposals import Part, proposal_part
from charter.web.staff.reads import note_read


@dataclass(frozen=True)
class Revoking:
    """may_propose: whether whoever looks may propose it now. proposals: of removing this entry, newest first."""

    may_propose: bool
    proposals: list[ProposalView]


@dossier_part("revoking")
def of_dossier(found: Dossier) -> Revoking:
    """What was proposed about this entry."""
    if found.number is None:
        return Revoking(may_propose=False, proposals=[])
    made = proposals.of_subject(Second.REVOKE, operations.SUBJECT, found.signature_id, now=clock.now())
    return Revoking(may_propose=_may_propose(found) and not any(one.is_open for one in made), proposals=made)


def _may_propose(found: Dossier) -> bool:
    member = current_staff()
    return may(State(found.state), Move.REVOKE) and member.may(Right.REVOKE) and member.covers(found.region_code)


@blueprint.route("/review/<row:signature_id>/revoke/", methods=["GET", "POST"])
@duty(Right.REVOKE)
def propose_revocation(signature_id: int) -> BaseResponse | str | tuple[str, int]:
    """Why a published entry is to be removed; a second person decides."""
    found = review.find_dossier(signature_id, current_language())
    if found is None or not current_staff().covers(found.region_code):
        abort(404)
    now = clock.now()
    waiting = proposals.find_open(Second.REVOKE, operations.SUBJECT, signature_id, now=now)
    if request.method != "POST":
        if waiting is not None:
            flash(_("This is proposed already."))
            return redirect(url_for("staff.proposal", proposal_id=waiting.proposal_id), code=303)
        if not may(State(found.state), Move.REVOKE):
            flash(_("Only a published entry can be removed. State now: %(state)s", state=STATES[found.state]), "bad")
            return redirect(url_for("staff.dossier", signature_id=signature_id), code=303)
        note_read("dossier", subject="signature", subject_id=signature_id)
        return _page(found, RevocationForm(formdata=None))
    form = RevocationForm()
    if not form.validate():
        return _page(found, form), 422
    if "preview" in request.form:
        return _page(found, form, preview=_preview(found, reason=form.reason.data))
    if waiting is not None:
        # Their words stay on the page: what they know may be news to who decides.
        return _page(found, form, waiting=waiting), 409
    try:
        proposal_id = operations.propose(
            signature_id, reason=form.reason.data, words=form.words.data, staff_id=current_staff().id, now=now
        )
    except AlreadyProposedError:
        waiting = proposals.find_open(Second.REVOKE, operations.SUBJECT, signature_id, now=now)
        return _page(found, form, waiting=waiting, meanwhile=None if waiting else _("This is proposed already.")), 409
    except MoveRefusedError as error:
        words = _("Only a published entry can be removed. State now: %(state)s", state=STATES[error.state])
        return _page(found, form, meanwhile=words), 409
    flash(_("It is proposed. Until somebody else has approved it the entry stays as it is."), "good")
    return redirect(url_for("staff.proposal", proposal_id=proposal_id), code=303)


def _page(
    found: Dossier,
    form: RevocationForm,
    *,
    preview: mail.Words | None = None,
    meanwhile: str | None = None,
    waiting: ProposalView | None = None,
) -> str:
    others = proposals.others_who_may(Second.REVOKE, proposed_by=current_staff().id)
    return render_template(
        "staff/revoke.html",
        section="queue",
        dossier=found,
        form=form,
        preview=preview,
        meanwhile=meanwhile,
        waiting=waiting,
        nobody_else=not others,
    )


def _preview(found: Dossier, *, reason: str) -> mail.Words:
    """The exact mail that an approval sends; the personal link is not known here."""
    settings: Settings = current_app.config["CHARTER"]
    base = f"{settings.public_url}/{found.language}"
    values = {"reason": reason, "number": found.number}
    return mail.compose(
        operations.MAIL, language=found.language, values=values, links={"my_url": f"{base}/my/…"}, settings=settings
    )


@proposal_part(Second.REVOKE)
def part(proposal: ProposalView) -> Part:
    """The entry and its person as they stand now, the mail, and what the log will say."""
    template = "staff/_proposal_revoke.html"
    found = review.find_dossier(proposal.subject_id, current_language())
    if found is None or not current_staff().covers(found.region_code):
        return Part(template, {"entry": None}, is_hidden=True)
    note_read("dossier", subject="signature", subject_id=found.signature_id)
    reason = str(proposal.payload.get("reason", ""))
    known = find_revocation(reason)
    obstacle = None
    if proposal.is_open and not may(State(found.state), Move.REVOKE):
        obstacle = _(
            "The entry has ended meanwhile, so there is nothing left to remove. State now: %(state)s",
            state=STATES[found.state],
        )
    values = {
        "entry": found,
        "revocation": reason,
        "said_in_log": None if known is None else known.log,
        "preview": _preview(found, reason=reason) if proposal.is_open and obstacle is None else None,
    }
    return Part(template, values, obstacle=obstacle)
