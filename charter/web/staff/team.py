"""The team: who is there, invitations, roles by two persons, sessions, accounts that are closed or begin anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import abort, current_app, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from charter import clock
from charter.domain.duties import Right, Role, Second
from charter.domain.errors import AlreadyProposedError, FieldRefusedError, NotFoundError, TooOftenError
from charter.i18n import _, current_language
from charter.operations import roles as operations
from charter.operations.staff import AlreadyStaffError, LastStaffError
from charter.queries import registry
from charter.queries import team as queries
from charter.queries.proposals import ProposalView
from charter.queries.team import Colleague
from charter.settings import Settings
from charter.web.forms.signing import ButtonForm
from charter.web.forms.team import InvitationForm, RoleForm
from charter.web.gates import current_staff, duty, session_digest
from charter.web.staff.account import live_sessions
from charter.web.staff.desk import blueprint
from charter.web.staff.proposals import Part, proposal_part


def _config() -> Settings:
    settings: Settings = current_app.config["CHARTER"]
    return settings


def _key() -> bytes:
    return _config().secret_key.encode()


def _regions() -> list[tuple[str, str]]:
    return [(region.code, region.name) for region in registry.regions(current_language())]


# ── everybody ────────────────────────────────────────────────────────────────────────────────────────────────────────


@blueprint.get("/team/")
@duty(Right.TEAM)
def team() -> str:
    """The list, and the form that invites one more."""
    form = InvitationForm(formdata=None, data={"role": Role.REVIEWER.value, "language": current_language()})
    return _team_page(form)


def _team_page(form: InvitationForm) -> str:
    regions = _regions()
    form.offer(regions)
    raw = request.args.get("after", "")
    if raw and not (raw.isascii() and raw.isdigit() and len(raw) <= 15):
        abort(404)
    page = queries.team(now=clock.now(), after=int(raw) if raw else None)
    return render_template(
        "staff/team.html",
        section="team",
        page=page,
        form=form,
        strength=queries.strength(),
        region_names=dict(regions),
        next_url=None if page.next_after is None else url_for("staff.team", after=page.next_after),
    )


@blueprint.post("/team/")
@duty(Right.TEAM)
def invite_colleague() -> BaseResponse | tuple[str, int]:
    """Invites somebody by mail; a role other than reviewer waits for a second administrator."""
    form = InvitationForm()
    form.offer(_regions())
    if not form.validate():
        return _team_page(form), 422
    try:
        staff_id = operations.invite(
            form.name.data,
            email=form.email.data,
            language=form.language.data,
            change=form.change(),
            reason=form.reason.data or str(_("Invited to the team")),
            key=_key(),
            staff_id=current_staff().id,
            now=clock.now(),
        )
    except AlreadyStaffError:
        form.email.errors = [_("Somebody with this address is in the team already")]
        return _team_page(form), 422
    except operations.AlreadyInvitedError:
        form.email.errors = [
            _("Somebody with this address is invited already; the link can be sent again on their page")
        ]
        return _team_page(form), 422
    except FieldRefusedError:
        form.regions.errors = [_("This can no longer be chosen; choose again")]
        return _team_page(form), 422
    flash(_("The invitation is on its way."), "good")
    return redirect(url_for("staff.colleague", staff_id=staff_id), code=303)


# ── one of them ──────────────────────────────────────────────────────────────────────────────────────────────────────


@blueprint.get("/team/<row:staff_id>/")
@duty(Right.TEAM)
def colleague(staff_id: int) -> str:
    """One account: role, second factor, sessions, and what can be done with it."""
    found = _get(staff_id)
    return _page(found, RoleForm(formdata=None, data={"role": found.role, "regions": list(found.regions)}))


def _get(staff_id: int) -> Colleague:
    found = queries.find_colleague(staff_id, now=clock.now())
    if found is None:
        abort(404)
    return found


def _page(found: Colleague, form: RoleForm) -> str:
    regions = _regions()
    form.offer(regions)
    return render_template(
        "staff/colleague.html",
        section="team",
        found=found,
        form=form,
        is_you=found.id == current_staff().id,
        strength=queries.strength(),
        region_names=dict(regions),
        sessions=live_sessions(found.id),
    )


@blueprint.post("/team/<row:staff_id>/role")
@duty(Right.TEAM)
def change_role(staff_id: int) -> BaseResponse | tuple[str, int]:
    """Proposes another role or other regions, or does it while one administrator is enough."""
    found = _get(staff_id)
    form = RoleForm()
    form.offer(_regions())
    if not form.validate():
        return _page(found, form), 422
    try:
        proposal_id = operations.change_role(
            staff_id, form.change(), reason=form.reason.data, staff_id=current_staff().id, now=clock.now()
        )
    except FieldRefusedError as error:
        same = error.code == "same"
        words = _("This is what it is already") if same else _("This can no longer be chosen; choose again")
        form[error.field].errors = [words]
        return _page(found, form), 422
    except AlreadyProposedError:
        form.role.errors = [_("Another change of this account waits for a second administrator already")]
        return _page(found, form), 422
    except LastStaffError:
        form.role.errors = [_last_words()]
        return _page(found, form), 422
    if proposal_id is not None:
        flash(_("The change is proposed: it takes effect when another administrator agrees."), "good")
        return redirect(url_for("staff.proposal", proposal_id=proposal_id), code=303)
    flash(_("The role is changed."), "good")
    return redirect(url_for("staff.colleague", staff_id=staff_id), code=303)


def _last_words() -> str:
    return str(_("Without this account there would be no administrator who can sign in"))


def _act(staff_id: int, act: Callable[..., Any], done: str, **more: Any) -> BaseResponse:
    """One button: does it and says so, or says why not."""
    _get(staff_id)
    if ButtonForm().validate():
        try:
            act(staff_id, staff_id=current_staff().id, now=clock.now(), **more)
        except NotFoundError:
            flash(_("This is not possible any more: the account changed meanwhile."), "bad")
        except TooOftenError:
            flash(_("An invitation left a few minutes ago. Wait ten minutes before another."), "bad")
        except LastStaffError:
            flash(_last_words(), "bad")
        else:
            flash(done, "good")
    return redirect(url_for("staff.colleague", staff_id=staff_id), code=303)


@blueprint.post("/team/<row:staff_id>/invitation")
@duty(Right.TEAM)
def invite_again(staff_id: int) -> BaseResponse:
    """Another link for somebody who has not come yet."""
    return _act(
        staff_id, operations.invite_again, _("A new link is on its way; the old one opens nothing."), key=_key()
    )


@blueprint.post("/team/<row:staff_id>/invitation/withdrawal")
@duty(Right.TEAM)
def withdraw_invitation(staff_id: int) -> BaseResponse:
    """The link opens nothing any more."""
    return _act(staff_id, operations.withdraw_invitation, _("The invitation is withdrawn."))


@blueprint.post("/team/<row:staff_id>/sessions")
@duty(Right.TEAM)
def end_sessions(staff_id: int) -> BaseResponse:
    """Signs out every browser; of one's own account, every other one."""
    done = _("Every browser is signed out.") if staff_id != current_staff().id else _("Other browsers are signed out.")
    return _act(staff_id, operations.end_all_sessions, done, keep_digest=session_digest())


@blueprint.post("/team/<row:staff_id>/sessions/<row:session_id>")
@duty(Right.TEAM)
def end_session(staff_id: int, session_id: int) -> BaseResponse:
    """Signs one browser out."""

    def end(subject_id: int, **more: Any) -> None:
        operations.end_session(session_id, subject_id=subject_id, **more)

    return _act(staff_id, end, _("This browser is signed out."))


@blueprint.post("/team/<row:staff_id>/deactivation")
@duty(Right.TEAM)
def deactivate_colleague(staff_id: int) -> BaseResponse:
    """Closes the account at once."""
    return _act(staff_id, operations.deactivate, _("The account is closed; its next request is a stranger’s."))


@blueprint.post("/team/<row:staff_id>/anew")
@duty(Right.TEAM)
def begin_anew(staff_id: int) -> BaseResponse:
    """For a lost second factor: password, app and passkeys are forgotten, a new link is mailed."""
    return _act(
        staff_id, operations.begin_anew, _("Everything secret is forgotten, and a link is on its way."), key=_key()
    )


@blueprint.post("/team/<row:staff_id>/opening")
@duty(Right.TEAM)
def reopen_colleague(staff_id: int) -> BaseResponse:
    """Invites somebody who left once more, as a reviewer."""
    return _act(
        staff_id, operations.reopen, _("The account is open again, and an invitation is on its way."), key=_key()
    )


# ── the second person's page ─────────────────────────────────────────────────────────────────────────────────────────


@proposal_part(Second.ROLE)
def role_part(found: ProposalView) -> Part:
    """What stands and what is proposed."""
    subject = queries.find_colleague(found.subject_id, now=clock.now())
    obstacle = None
    if subject is None or subject.state == "closed":
        obstacle = str(_("The account is closed."))
    return Part(
        "staff/_proposal_role.html",
        {"subject": subject, "region_names": dict(_regions())},
        obstacle=obstacle if found.is_open else None,
    )
