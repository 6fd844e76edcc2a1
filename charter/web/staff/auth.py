"""Signing in at the Centre: Flask-Security's views behind our own doors.

The one outsider of the house (CONTRIBUTING, known exceptions): its views, datastore and commits stay in this module
and `models/staff.py`. Only the views named below exist; each is wrapped here, so that it sees neither JSON nor a
foreign redirect, and so that only a POST that has to write opens a writing transaction. Every other room knows
`gates.current_staff()`, a frozen StaffMember.

The way in: password → (first time: set up an authenticator app) code → (first time: recovery codes) → the desk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from flask import Flask, Response, abort, flash, g, make_response, redirect, request, session, url_for
from flask_security import Security, SQLAlchemyUserDatastore
from flask_security.recovery_codes import mf_recovery, mf_recovery_codes
from flask_security.signals import tf_profile_changed, user_authenticated
from flask_security.views import login, two_factor_setup, two_factor_token_validation, verify
from flask_wtf.csrf import CSRFError
from sqlalchemy import select
from werkzeug.wrappers import Response as BaseResponse
from wtforms import RadioField

from charter import clock
from charter.domain.email import EmailError, clean_email
from charter.domain.errors import NotFoundError
from charter.i18n import _, ngettext
from charter.models.base import db, writing
from charter.models.staff import StaffAccount
from charter.operations import staff as operations
from charter.queries import staff as queries
from charter.settings import Settings
from charter.web import gates, limits
from charter.web.forms import staff_auth as forms
from charter.web.forms.base import BaseForm
from charter.web.staff import again, factors, passkeys, way_in
from charter.web.staff.account import blueprint, first_token, page, to_sign_in
from charter.web.staff.way_in import arrived, from_the_start, to

#: Fewer recovery codes than this are a reason to make new ones.
FEW_CODES = 3

#: Flask-Security's name of a template → ours, and the name under which its view hands over the form.
_TEMPLATES = {
    "LOGIN_USER": ("sign_in", "login_user_form"),
    "TWO_FACTOR_VERIFY_CODE": ("second_factor", "two_factor_verify_code_form"),
    "TWO_FACTOR_SETUP": ("second_factor_set_up", "two_factor_setup_form"),
    "MULTI_FACTOR_RECOVERY": ("recovery_code", "mf_recovery_form"),
    "MULTI_FACTOR_RECOVERY_CODES": ("recovery_codes", "mf_recovery_codes_form"),
    "VERIFY": ("password_check", "verify_form"),
}
_FORM_NAMES = {f"staff/auth/{name}.html": form for name, form in _TEMPLATES.values()}
_SIGN_IN_PAGE = "staff/auth/sign_in.html"
_SET_UP_PAGE = "staff/auth/second_factor_set_up.html"


# ── forms that Flask-Security's views fill in and ask ────────────────────────────────────────────────────────────────


class _SignInForm(forms.SignInForm):
    requires_confirmation = False
    user: StaffAccount | None = None

    def validate(self, extra_validators: Any = None) -> bool:
        if not super().validate(extra_validators):
            return False
        self.user = _account_with(self.email.data, self.password.data)
        if self.user is None:
            self.form_errors.append(_("This email address and this password do not fit together"))
        return self.user is not None


def _account_with(email: str, password: str) -> StaffAccount | None:
    """The active account that this password opens. Takes as long for an unknown address as for a wrong password."""
    nobodys_hash = factors.nobodys_hash()
    try:
        mailbox = clean_email(email).folded
    except EmailError:
        mailbox = ""
    account = db.session.scalars(select(StaffAccount).filter_by(email=mailbox, active=True)).first()
    stored = None if account is None else account.password
    is_right = factors.is_right(password, stored or nobodys_hash)
    if account is None or stored is None or not is_right:
        return None
    if factors.is_outdated(stored):
        staff_id = account.id
        operations.replace_hash(staff_id, old_hash=stored, new_hash=factors.hashed(password))
        account = db.session.get(StaffAccount, staff_id)
    return account


class _CodeForm(forms.CodeForm):
    user: Any = None
    primary_method = ""
    tf_totp_secret = ""
    is_setup = False

    def validate(self, extra_validators: Any = None) -> bool:
        if not super().validate(extra_validators):
            return False
        if factors.is_code_of_app(self.code.data, totp_secret=self.tf_totp_secret, user=self.user):
            return True
        self.code.errors = [_("This code is not valid or was used before; wait for the next one and type that")]
        return False


class _SetUpForm(forms.SetUpForm):
    user: Any = None

    def validate(self, extra_validators: Any = None) -> bool:
        return super().validate(extra_validators) and self.setup.data == factors.AUTHENTICATOR


class _RecoveryCodeForm(forms.RecoveryCodeForm):
    user: Any = None

    def validate(self, extra_validators: Any = None) -> bool:
        if not super().validate(extra_validators):
            return False
        if factors.is_recovery_code(self.code.data, user=self.user):
            return True
        self.code.errors = [_("This is none of your unused recovery codes")]
        return False


class _RescueForm(BaseForm):
    """Flask-Security's list of ways out, which our pages do not show: they link to the recovery codes."""

    help_setup = RadioField(choices=[])


class _PasswordCheckForm(forms.PasswordCheckForm):
    def __init__(self, *args: Any, user: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def validate(self, extra_validators: Any = None) -> bool:
        if not super().validate(extra_validators):
            return False
        if factors.is_right(self.password.data, self.user.password):
            return True
        self.password.errors = [_("This is not your password")]
        return False


# ── the doors to Flask-Security's views ──────────────────────────────────────────────────────────────────────────────


@contextmanager
def _transaction() -> Iterator[None]:
    """What Flask-Security writes inside is committed here, all or nothing; its own later commit finds nothing to do."""
    db.session.rollback()
    with writing():
        try:
            yield
            db.session.commit()
        except BaseException:
            db.session.rollback()
            raise


def _asked(view: Callable[[], Any], *, writes: bool = False) -> Response:
    """The answer of one of Flask-Security's views."""
    if request.is_json:
        abort(415)
    if writes and request.method == "POST":
        with _transaction():
            return make_response(view())
    return make_response(view())


def _pending_account(*, lock: bool = False) -> StaffAccount | None:
    """Who gave the password and now owes the second factor; None starts again.

    A cookie is only signed, so an old copy of it comes back as it was: one from before the app was set up must not
    set up another, although Flask-Security would let it.
    """
    uniquifier = way_in.whose_step()
    if uniquifier is None:
        return None
    wanted = select(StaffAccount).filter_by(fs_uniquifier=uniquifier, active=True)
    account = db.session.scalars(wanted.with_for_update() if lock else wanted).first()
    if account is None or account.has_second_factor != way_in.has_app_ready():
        return None
    return account


@blueprint.route("/sign-in", methods=["GET", "POST"], endpoint="login")
@gates.open_to_all
@limits.of_passwords
def sign_in() -> Response:
    """First step: address and password. Writes nothing, so that a flood of wrong passwords locks nobody's writes."""
    if gates.find_presence() is not None:
        return to("staff.queue")
    wanted = gates.safe_next(request.form.get("next") or request.args.get("next"))
    response = _asked(login)
    if response.status_code != 302 or "tf_user_id" not in session:
        return response
    way_in.begin_steps(wanted=wanted)
    return to("staff_auth.two_factor_token_validation" if way_in.has_app_ready() else "staff_auth.two_factor_setup")


@blueprint.route("/second-factor", methods=["GET", "POST"], endpoint="two_factor_token_validation")
@gates.open_to_all
@limits.of_codes
def second_factor() -> Response:
    """Second step: a code of the app, either the known one or one that is being set up."""
    presence = gates.find_presence()
    if presence is not None and session.get("tf_state") != "validating_profile":
        return to("staff_auth.account")
    stale = gates.asked_again()
    if stale is not None:
        return make_response(stale)
    return _second_step(two_factor_token_validation, is_signed_in=presence is not None)


@blueprint.route("/recovery-code", methods=["GET", "POST"], endpoint="mf_recovery")
@gates.open_to_all
@limits.of_codes
def recovery_code() -> Response:
    """Second step without the app."""
    if gates.find_presence() is not None:
        return to("staff_auth.account")
    return _second_step(mf_recovery, is_signed_in=False)


def _second_step(view: Callable[[], Any], *, is_signed_in: bool) -> Response:
    if request.method != "POST":
        return _asked(view) if is_signed_in or _pending_account() is not None else from_the_start()
    if request.is_json:
        abort(415)
    with _transaction():
        may_ask = is_signed_in or _pending_account(lock=True) is not None
        response = make_response(view()) if may_ask else None
    if response is None:
        return from_the_start()
    if response.status_code != 302:
        return response
    if is_signed_in:
        flash(_("The new app is set up. The old one no longer counts."), "good")
        return to("staff_auth.account")
    gates.forget_presence()
    presence = gates.find_presence()
    if presence is None:
        return from_the_start()
    if view is mf_recovery:
        _say_codes_left(queries.get_account(presence.member.id).recovery_codes_left)
    return arrived() if presence.has_kept_recovery_codes else to("staff_auth.mf_recovery_codes")


def _say_codes_left(left: int) -> None:
    words = ngettext(
        "You used a recovery code; %(num)s is left. If you no longer have the app, set it up anew under Account.",
        "You used a recovery code; %(num)s are left. If you no longer have the app, set it up anew under Account.",
        left,
    )
    flash(words, "bad" if left < FEW_CODES else "message")


@blueprint.route("/second-factor/set-up", methods=["GET", "POST"], endpoint="two_factor_setup")
@gates.open_to_all
def second_factor_set_up() -> Response:
    """Shows the secret to scan: the first time before anything else, later to change the app."""
    if gates.find_presence() is None and _pending_account() is None:
        return from_the_start()
    stale = gates.asked_again()
    return _asked(two_factor_setup) if stale is None else make_response(stale)


@blueprint.route("/recovery-codes", methods=["GET", "POST"], endpoint="mf_recovery_codes")
@gates.open_to_all
def recovery_codes() -> Response:
    """Makes recovery codes and shows them once; open to somebody signed in who has none yet."""
    presence = gates.find_presence()
    if presence is None:
        return to_sign_in()
    stale = gates.asked_again() if presence.has_kept_recovery_codes else None
    if stale is not None:
        return make_response(stale)
    gates.touch(presence)
    return _asked(mf_recovery_codes, writes=True)


@blueprint.post("/recovery-codes/kept")
@gates.open_to_all
def recovery_codes_kept() -> Response:
    """The person has the codes in a safe place; the desk opens."""
    presence = gates.find_presence()
    if presence is None:
        return to_sign_in()
    try:
        operations.keep_recovery_codes(presence.member.id, now=clock.now())
    except NotFoundError:
        return to("staff_auth.mf_recovery_codes")
    return arrived()


@blueprint.route("/password-check", methods=["GET", "POST"], endpoint="verify")
@gates.open_to_all
@limits.of_passwords
def password_check() -> Response:
    """The password once more, before the second factor or the recovery codes are changed."""
    if gates.find_presence() is None:
        return to_sign_in()
    response = _asked(verify)
    if response.status_code != 302:
        return response
    return way_in.after_password()


# Names under which templates and Flask-Security look for these doors.
blueprint.add_url_rule("/sign-in", endpoint="sign_in", build_only=True)
blueprint.add_url_rule("/recovery-code", endpoint="two_factor_rescue", build_only=True)


# ── pages ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _render(template: str, **context: Any) -> Any:
    """What Flask-Security's views render: our pages, each with its form as `form`."""
    form = context[_FORM_NAMES[template]]
    is_changing = gates.find_presence() is not None
    if template == _SET_UP_PAGE and request.method == "POST" and not form.errors:
        # To an address that can be loaded again and keeps its secret when the language is switched.
        return to("staff_auth.two_factor_setup")
    if "two_factor_verify_code_form" in context and session.get("tf_state") == "validating_profile":
        form = context["two_factor_verify_code_form"]
        return page(_SET_UP_PAGE, form, app_secret=_secret_shown(), is_changing=is_changing)
    if template == _SIGN_IN_PAGE and request.method == "GET":
        form.next.data = gates.safe_next(request.args.get("next")) or ""
    return page(template, form, app_secret=None, is_changing=is_changing, recovery_codes=context.get("recovery_codes"))


def _secret_shown() -> dict[str, str]:
    """Picture, text and link of the secret that is being set up."""
    presence = gates.find_presence()
    wanted = select(StaffAccount)
    if presence is None:
        wanted = wanted.filter_by(fs_uniquifier=session["tf_user_id"])
    else:
        wanted = wanted.filter_by(id=presence.member.id)
    account = db.session.scalars(wanted).one()
    return dict(factors.security().totp_factory.fetch_setup_values(session["tf_totp_secret"], account))


@blueprint.errorhandler(CSRFError)
def _stale(_error: CSRFError) -> Response:
    """A page that was open for too long: the same page again, with the address that was typed."""
    words = _("This page was open for too long, or your browser keeps no cookies. Please try again.")
    if request.endpoint == "staff_auth.login":
        form = forms.SignInForm(formdata=None, data={"email": request.form.get("email", "")})
        form.next.data = gates.safe_next(request.form.get("next")) or ""
        form.form_errors.append(words)
        return page(_SIGN_IN_PAGE, form)
    flash(words, "bad")
    has_page = request.url_rule is not None and "GET" in (request.url_rule.methods or ())
    page_of = passkeys.PAGES.get(request.endpoint or "", "staff_auth.account")
    return make_response(redirect(request.path if has_page else url_for(page_of), code=303))


# ── wiring ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def first_staff_path(app: Flask) -> str | None:
    """The path of the one-time link for the first account; None once there is any."""
    with app.app_context():
        has_any = queries.has_any()
        db.session.rollback()
    return None if has_any else f"{gates.PREFIX}/first/{first_token(app.config['CHARTER'])}"


def _load_user(uniquifier: str) -> StaffAccount | None:
    """For Flask-Login: the row behind a session that our own rules let pass."""
    presence = gates.find_presence()
    if presence is None:
        return None
    account = db.session.get(StaffAccount, presence.member.id)
    if account is None or account.fs_uniquifier != uniquifier:
        return None
    g.fs_authn_via = "session"
    g.fs_paa = session.get("fs_paa", 0)
    return account


def _on_signed_in(_app: Flask, user: Any, **_more: Any) -> None:
    """Both factors were given: a session of its own begins, and nothing of the stranger's goes along."""
    is_first_time = session.get("tf_state") == "validating_profile"
    token, digest = way_in.new_session()
    way_in.begin_session(token, language=user.language)
    now = clock.now()
    operations.add_session(user.id, digest=digest, now=now, device=way_in.device())
    if is_first_time:
        operations.audit_second_factor(user.id, now=now)


def _on_app_changed(_app: Flask, user: Any, **_more: Any) -> None:
    operations.audit_second_factor(user.id, now=clock.now())


def _ask_password_again(_within: timedelta, _grace: timedelta) -> BaseResponse:
    return way_in.ask_password(request.endpoint or "")


def _refuse(_mechanisms: list[str], headers: dict[str, str] | None = None) -> BaseResponse:
    return to_sign_in()


def _flask_security_config(config: Settings) -> dict[str, Any]:
    return {
        "BLUEPRINT_NAME": blueprint.name,
        "URL_PREFIX": gates.PREFIX,
        "POST_LOGIN_VIEW": "staff.queue",
        "TWO_FACTOR_ERROR_VIEW": "staff_auth.sign_in",
        "TWO_FACTOR_POST_SETUP_VIEW": "staff_auth.account",
        "POST_VERIFY_VIEW": "staff_auth.account",
        "API_ENABLED_METHODS": ["session"],
        # Our pages speak for themselves; none of its own texts is ever shown.
        "FLASH_MESSAGES": False,
        "CLI_USERS_NAME": None,
        "CLI_ROLES_NAME": None,
        **{f"{name}_TEMPLATE": f"staff/auth/{ours}.html" for name, (ours, _form) in _TEMPLATES.items()},
        **factors.flask_security_config(config),
    }


def init_app(app: Flask, config: Settings) -> None:
    """Gates, limits, Flask-Security and the doors to it. After database, languages and CSRF protection."""
    gates.init_app(app)
    gates.asks_again(again.ask)
    limits.init_app(app)
    app.config.update({f"SECURITY_{name}": value for name, value in _flask_security_config(config).items()})
    datastore = SQLAlchemyUserDatastore(db, StaffAccount, None)  # type: ignore[arg-type]
    security = Security(
        app,
        datastore,
        register_blueprint=False,  # only the doors above exist
        login_form=_SignInForm,
        verify_form=_PasswordCheckForm,
        two_factor_verify_code_form=_CodeForm,
        two_factor_setup_form=_SetUpForm,
        two_factor_rescue_form=_RescueForm,
        mf_recovery_form=_RecoveryCodeForm,
        mf_recovery_codes_form=forms.RecoveryCodesForm,
        totp_cls=factors.OneTimeTotp,
        mf_recovery_codes_util_cls=factors.HashedRecoveryCodes,
        render_template=_render,
    )
    security.want_json(lambda _request: False)
    security.unauthn_handler(_refuse)
    security.reauthn_handler(_ask_password_again)
    security.login_manager.user_loader(_load_user)
    security.login_manager.request_loader(lambda _request: None)  # no tokens in addresses or headers
    security.login_manager.session_protection = None  # our sessions end by their own rules
    _keep_out_of_public_pages(app)
    user_authenticated.connect(_on_signed_in, app)
    tf_profile_changed.connect(_on_app_changed, app)
    app.register_blueprint(blueprint)


def _keep_out_of_public_pages(app: Flask) -> None:
    """Flask-Login and Flask-Principal would look into the session on every request: no public page could be cached."""
    everywhere: list[Any] = [app.before_request_funcs, app.after_request_funcs, app.template_context_processors]
    for hooks in everywhere:
        hooks[None] = [
            hook
            for hook in hooks.get(None, [])
            if not getattr(hook, "__module__", "").startswith(("flask_login", "flask_principal"))
        ]
