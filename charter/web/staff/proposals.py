"""The desk of the second person: what waits for one, everything needed to judge it, and the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, abort, flash, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter import clock, meters
from charter.domain.duties import Right, Role, Second
from charter.domain.errors import (
    CharterError,
    DecidedMeanwhileError,
    DutyRefusedError,
    FieldRefusedError,
    MoveRefusedError,
    SamePersonError,
    TooLateError,
)
from charter.i18n import _
from charter.operations import proposals as operations
from charter.queries import proposals as queries
from charter.queries.proposals import ProposalView
from charter.queries.staff import StaffMember
from charter.web.forms.proposals import RejectionForm
from charter.web.gates import current_staff, duty
from charter.web.labels import PROPOSAL_STATES
from charter.web.staff.desk import blueprint


@dataclass(frozen=True)
class Part:
    """What a kind shows on the page of its proposals.

    template: a fragment, which gets `values` and `proposal`. obstacle: words why it cannot be approved just now, such
    as that its subject has changed. is_hidden: whoever looks may not read it; neither are the proposer's words shown.
    """

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    obstacle: str | None = None
    is_hidden: bool = False


PartOf = Callable[[ProposalView], Part]
_parts: dict[str, PartOf] = {}


def proposal_part(kind: Second) -> Callable[[PartOf], PartOf]:
    """Makes what the function finds the part of the page that tells what is proposed."""

    def keep(find: PartOf) -> PartOf:
        _parts[kind.value] = find
        return find

    return keep


def _plain(found: ProposalView) -> Part:
    """Of a kind that has nothing better: its codes."""
    return Part("staff/_proposal_plain.html")


@blueprint.get("/proposals/")
@duty(Right.PROPOSALS)
def proposals() -> str:
    """What waits, and what became of what waited."""
    now, member = clock.now(), current_staff()
    page = queries.closed_ones(now=now, before=_before())
    waiting = queries.open_ones(now=now) if _before() is None else []
    return render_template(
        "staff/proposals.html",
        section="proposals",
        waiting=[(one, one.turn_of(member.id, member.role)) for one in waiting],
        is_first_page=_before() is None,
        page=page,
        next_url=None if page.next_before is None else url_for("staff.proposals", before=page.next_before),
    )


def _before() -> int | None:
    raw = request.args.get("before", "")
    if not raw:
        return None
    if not raw.isascii() or not raw.isdigit() or len(raw) > 15:
        abort(404)
    return int(raw)


@blueprint.get("/proposals/<row:proposal_id>/")
@duty(Right.PROPOSALS)
def proposal(proposal_id: int) -> str:
    """One proposal: what, by whom, why, until when, and whose turn it is."""
    return _page(_get(proposal_id), RejectionForm(formdata=None))


def _get(proposal_id: int) -> ProposalView:
    found = queries.find(proposal_id, now=clock.now())
    if found is None:
        abort(404)
    return found


def _page(found: ProposalView, form: RejectionForm, *, meanwhile: str | None = None) -> str:
    member = current_staff()
    part = _parts.get(found.kind, _plain)(found)
    about = found.subject_id if found.subject == operations.STAFF else None
    others = queries.others_who_may(Second(found.kind), proposed_by=found.proposed_by, about=about)
    return render_template(
        "staff/proposal.html",
        section="proposals",
        proposal=found,
        part=part,
        turn=found.turn_of(member.id, member.role),
        nobody_else=found.is_open and not others,
        form=form,
        meanwhile=meanwhile,
        **part.values,
    )


@blueprint.post("/proposals/<row:proposal_id>/approve")
@duty(Right.PROPOSALS, fresh=True)
def approve_proposal(proposal_id: int) -> BaseResponse | tuple[str, int]:
    """The second person agrees, and it is done."""
    try:
        operations.approve(proposal_id, staff_id=current_staff().id, now=clock.now())
    except CharterError as error:
        return _refused(proposal_id, error)
    meters.decided("proposal-approved")
    flash(_("It is approved, and done."), "good")
    return redirect(url_for("staff.proposal", proposal_id=proposal_id), code=303)


@blueprint.post("/proposals/<row:proposal_id>/reject")
@duty(Right.PROPOSALS, fresh=True)
def reject_proposal(proposal_id: int) -> BaseResponse | tuple[str, int]:
    """The second person does not agree, and says why."""
    form = RejectionForm()
    if not form.validate():
        return _page(_get(proposal_id), form), 422
    try:
        operations.reject(proposal_id, staff_id=current_staff().id, reason=form.words.data, now=clock.now())
    except CharterError as error:
        return _refused(proposal_id, error, form)
    meters.decided("proposal-rejected")
    flash(_("It is rejected. Whoever proposed it reads your words on this page."), "good")
    return redirect(url_for("staff.proposal", proposal_id=proposal_id), code=303)


@blueprint.post("/proposals/<row:proposal_id>/cancel")
@duty(Right.PROPOSALS)
def cancel_proposal(proposal_id: int) -> BaseResponse | tuple[str, int]:
    """Takes back what one proposed oneself."""
    try:
        operations.cancel(proposal_id, staff_id=current_staff().id, now=clock.now())
    except DecidedMeanwhileError as error:
        return _refused(proposal_id, error)
    flash(_("The proposal is taken back."), "good")
    return redirect(url_for("staff.proposal", proposal_id=proposal_id), code=303)


#: What may come of an approval → status. A refusal leaves the proposal as it was.
_STATUSES: dict[type[CharterError], int] = {
    DecidedMeanwhileError: 409,
    SamePersonError: 422,
    DutyRefusedError: 422,
    MoveRefusedError: 409,
    FieldRefusedError: 409,
    TooLateError: 409,
}


def _refused(proposal_id: int, error: CharterError, form: RejectionForm | None = None) -> tuple[str, int]:
    status = _STATUSES.get(type(error))
    if status is None:
        raise error
    return _page(_get(proposal_id), form or RejectionForm(formdata=None), meanwhile=_words(error)), status


def _words(error: CharterError) -> str:
    if isinstance(error, DecidedMeanwhileError):
        state = PROPOSAL_STATES.get(error.state, error.state)
        return str(_("This no longer waits. State now: %(state)s", state=state))
    if isinstance(error, SamePersonError):
        return str(_("You proposed this, or it is about yourself: somebody else has to decide."))
    if isinstance(error, DutyRefusedError):
        return str(_("Your role cannot decide on this; the page says who can."))
    return str(
        _("This cannot be done any more: what it is about has changed since. Nothing was altered; reject the proposal.")
    )


def waiting_for_me() -> int:
    """How many proposals wait for whoever is at the desk; for the way through it."""
    member = g.get("staff_member")
    if not isinstance(member, StaffMember):
        return 0
    return queries.count_for(member.id, member.role, now=clock.now())


def second_roles(roles: list[Role]) -> str:
    """Of whom an approval may come, as the end of a sentence."""
    if set(roles) == {Role.ADMINISTRATOR, Role.EDITOR}:
        return str(_("an administrator or an editor"))
    return str(_("an administrator"))


def init_app(app: Flask) -> None:
    """Makes both known to the desk's templates."""
    app.add_template_global(waiting_for_me, "waiting_for_me")
    app.add_template_global(second_roles, "second_roles")
