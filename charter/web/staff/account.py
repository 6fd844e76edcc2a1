"""One's own account at the Centre: joining, what is set up, a new password, signing out."""

from __future__ import annotations

import hmac
from datetime import timedelta

from flask import (
    Blueprint,
    Response,
    abort,
    current_app,
    flash,
    g,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask_login import current_user

from charter import clock
from charter.domain import token as tokens
from charter.i18n import _, current_language
from charter.operations import staff as operations
from charter.queries import registry
from charter.queries import staff as queries
from charter.queries import team as team_queries
from charter.queries.team import SessionLine
from charter.settings import Settings
from charter.web import gates, limits
from charter.web.forms import staff_auth as forms
from charter.web.forms.base import BaseForm
from charter.web.staff import factors, way_in

#: `auth.py` adds the doors to Flask-Security's views.
blueprint = Blueprint("staff_auth", __name__, url_prefix=gates.PREFIX)


@blueprint.get("/account")
@gates.staff_required
def account() -> str:
    """One's own account."""
    member = gates.current_staff()
    view = queries.get_account(member.id)
    within = member.regions or ()
    regions = [one.name for one in registry.regions(current_language()) if one.code in within] if within else []
    return render_template(
        "staff/auth/account.html", section="account", account=view, regions=regions, sessions=live_sessions(member.id)
    )


@blueprint.post("/account/sessions")
@gates.staff_required
def end_other_sessions() -> Response:
    """Signs out every browser but this one."""
    operations.end_other_sessions(gates.current_staff().id, keep_digest=gates.session_digest(), now=clock.now())
    flash(_("Other browsers are signed out."), "good")
    return make_response(redirect(url_for("staff_auth.account"), code=303))


def live_sessions(staff_id: int) -> list[SessionLine]:
    """Browsers in which this account is signed in now."""
    settings: Settings = current_app.config["CHARTER"]
    return team_queries.live_sessions(
        staff_id,
        own_digest=gates.session_digest(),
        now=clock.now(),
        idle=timedelta(minutes=settings.staff_idle_minutes),
        longest=timedelta(hours=settings.staff_session_hours),
    )


@blueprint.route("/account/password", methods=["GET", "POST"])
@gates.staff_required
@limits.of_passwords
def change_password() -> Response:
    """A new password; every other browser is signed out."""
    member = gates.current_staff()
    form = forms.ChangePasswordForm()
    if form.validate_on_submit() and _is_present_password(form) and form.suits(name=member.name, email=member.email):
        session["_user_id"] = operations.change_password(
            member.id,
            password_hash=factors.hashed(form.new_password.data),
            keep_digest=gates.session_digest(),
            keep_device=way_in.device().digest,
            now=clock.now(),
        )
        flash(_("Your password is changed. Other browsers are signed out."), "good")
        return make_response(redirect(url_for("staff_auth.account"), code=303))
    return page("staff/auth/change_password.html", form, section="account")


def _is_present_password(form: forms.ChangePasswordForm) -> bool:
    if factors.is_right(form.password.data, current_user.password):
        return True
    form.password.errors = [_("This is not your password")]
    return False


@blueprint.post("/sign-out")
@gates.open_to_all
def sign_out() -> Response:
    """Ends the session here and in the database."""
    operations.end_session(gates.session_digest(), now=clock.now())
    language = session.get("staff_language")
    session.clear()
    g.pop("csrf_token", None)
    gates.forget_presence()
    if language:
        session["staff_language"] = language
    flash(_("You are signed out."), "good")
    return to_sign_in()


@blueprint.route("/first/<token>", methods=["GET", "POST"])
@gates.open_to_all
@limits.of_links
def first(token: str) -> Response:
    """The first account of an installation, by the link that the start printed; gone once there is any."""
    expected = first_token(current_app.config["CHARTER"])
    if not hmac.compare_digest(token.encode("utf-8", "surrogatepass"), expected.encode()) or queries.has_any():
        abort(404)
    form = forms.FirstAccountForm()
    if form.validate_on_submit() and form.suits(name=form.name.data, email=form.email.data):
        operations.create_first(
            form.name.data,
            email=form.email.data,
            password_hash=factors.hashed(form.new_password.data),
            language=current_language(),
            now=clock.now(),
        )
        return _account_ready()
    return page("staff/auth/first.html", form)


@blueprint.route("/invitation/<token>", methods=["GET", "POST"])
@gates.open_to_all
@limits.of_links
def invitation(token: str) -> Response:
    """An invited person chooses a password; the link works once."""
    digest = tokens.token_digest(token)
    invited = queries.find_invitation(digest, now=clock.now())
    if invited is None:
        abort(404)
    form = forms.NewPasswordForm()
    if form.validate_on_submit() and form.suits(name=invited.name, email=invited.email):
        operations.accept_invitation(
            digest,
            password_hash=factors.hashed(form.new_password.data),
            language=current_language(),
            now=clock.now(),
        )
        return _account_ready()
    return page("staff/auth/invitation.html", form, invited=invited)


def _account_ready() -> Response:
    flash(_("Your account is ready. Sign in with your email address and your new password."), "good")
    return to_sign_in()


def first_token(config: Settings) -> str:
    """The secret of the link for the first account: the same until there is one."""
    return tokens.token(config.secret_key.encode(), "first-staff", b"first")


def to_sign_in() -> Response:
    """To the first step."""
    return make_response(redirect(url_for("staff_auth.sign_in"), code=303))


def page(template: str, form: BaseForm, **context: object) -> Response:
    """A page with a form: 422 where the form was sent and refused."""
    is_refused = request.method == "POST" and bool(form.errors)
    return make_response(render_template(template, form=form, **context), 422 if is_refused else 200)
