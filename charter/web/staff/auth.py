"""Signing in at the Centre: Flask-Security's password, second factor and recovery codes behind our own doors.

The one outsider of the house (HOUSE, known exceptions): its views, its datastore and its commits stay in this module
and `models/staff.py`. Only the views named below exist; each is wrapped here, so that it sees neither JSON nor a
foreign redirect, and so that only a POST that has to write opens a writing transaction. Every other room knows
`gates.current_staff()`, a frozen StaffMember.

The way in: password → (first time: set up an authenticator app) code → (first time: recovery codes) → the desk.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import secrets
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import qrcode
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from flask import (
    Blueprint,
    Flask,
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
from flask_security import Security, SQLAlchemyUserDatastore, Totp, hash_password, verify_password
from flask_security.recovery_codes import MfRecoveryCodesUtil, mf_recovery, mf_recovery_codes
from flask_security.signals import tf_profile_changed, user_authenticated
from flask_security.views import login, two_factor_setup, two_factor_token_validation, verify
from flask_wtf.csrf import CSRFError
from passlib.exc import TokenError
from qrcode.image.svg import SvgPathFillImage
from sqlalchemy import select
from werkzeug.wrappers import Response as BaseResponse

from charter import clock
from charter.domain import token as tokens
from charter.domain.email import EmailError, clean_email
from charter.domain.errors import NotFoundError
from charter.i18n import _, current_language, ngettext
from charter.models.base import db, writing
from charter.models.staff import AUTHENTICATOR, StaffAccount
from charter.operations import staff as operations
from charter.queries import staff as queries
from charter.settings import Settings
from charter.web import gates, limits
from charter.web.forms import staff_auth as forms

blueprint = Blueprint("staff_auth", __name__, url_prefix=gates.PREFIX)

#: Between password and code: long enough to find the telephone.
STEP_MINUTES = 15
#: How long after signing in (or after typing the password once more) the second factor may be changed.
FRESH_MINUTES = 15
RECOVERY_CODES = 10
#: One 30-second step of a clock that runs ahead or behind (RFC 6238 §5.2 and §6).
TOTP_WINDOW_SECONDS = 30

#: What a session keeps when it becomes a signed-in one; all else of the stranger's is dropped.
_KEPT_IN_SESSION = frozenset({"_user_id", "_fresh", "_id", "fs_paa", "staff_language", "staff_next"})
#: Pages for which the password is asked once more.
_PASSWORD_CHECKED = frozenset({"staff_auth.two_factor_setup", "staff_auth.mf_recovery_codes"})


# ── keys, codes, hashes ──────────────────────────────────────────────────────────────────────────────────────────────


def _derived(config: Settings, purpose: str) -> bytes:
    """32 bytes for one purpose (HKDF, RFC 5869): none of them tells another or the secret key."""
    info = b"charter staff\0" + purpose.encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(config.secret_key.encode())


class OneTimeTotp(Totp):
    """Codes of the authenticator app, each taken once."""

    def verify_totp(self, token: str, totp_secret: str, user: Any, window: int = 0) -> bool:
        """Whether the code is right and new; within the sign-in's writing transaction."""
        is_new_secret = totp_secret != user.tf_totp_secret
        try:
            match = self._totp.verify(
                token, totp_secret, window=window, last_counter=None if is_new_secret else user.totp_last_counter
            )
        except (TokenError, ValueError, KeyError):  # the latter two: encrypted with another key
            return False
        return operations.take_totp_counter(user.id, match.counter, is_new_secret=is_new_secret)

    def generate_qrcode(self, username: str, totp: str) -> str:
        """As a data: address. With a white ground of its own: phones do not read it light on dark."""
        picture = qrcode.make(self.get_totp_uri(username, totp), image_factory=SvgPathFillImage, border=4)
        file = io.BytesIO()
        picture.save(file)
        return "data:image/svg+xml;base64," + base64.b64encode(file.getvalue()).decode("ascii")


class HashedRecoveryCodes(MfRecoveryCodesUtil):
    """Recovery codes of which the database keeps keyed digests only: they are shown once, when they are made."""

    def create_recovery_codes(self, user: Any) -> list[str]:
        """New codes instead of all old ones; the desk waits until the person keeps them."""
        codes: list[str] = _security().totp_factory.generate_recovery_codes(RECOVERY_CODES)
        user.mf_recovery_codes = [self._digest(user, code) for code in codes]
        user.recovery_kept_at = None
        operations.audit_recovery_codes(user.id, now=clock.now())
        return codes

    def get_recovery_codes(self, user: Any) -> list[str]:
        """None can be shown again."""
        return []

    def check_recovery_code(self, user: Any, code: str) -> bool:
        """Whether this is one of the codes that are left."""
        return self._digest(user, code) in (user.mf_recovery_codes or ())

    def delete_recovery_code(self, user: Any, code: str) -> bool:
        """Uses a code up."""
        used = self._digest(user, code)
        user.mf_recovery_codes = [digest for digest in user.mf_recovery_codes if digest != used]
        operations.audit_recovery_code_used(user.id, left=len(user.mf_recovery_codes), now=clock.now())
        return True

    @staticmethod
    def _digest(user: Any, code: str) -> str:
        typed = "".join(character for character in code.casefold() if character.isalnum())
        key = current_app.config["CHARTER_RECOVERY_KEY"]
        return hmac.digest(key, f"{user.id}\0{typed}".encode("utf-8", "surrogatepass"), "sha256").hex()


def _normal(password: str) -> str:
    """NFKC: the same characters from another keyboard or system are the same password (SP 800-63B §3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


def _hashed(password: str) -> str:
    return str(hash_password(_normal(password)))


def _is_right(password: str, password_hash: str) -> bool:
    return bool(verify_password(_normal(password), password_hash))


def _nobodys_hash() -> str:
    """Compared where there is no account, so that the answer takes as long."""
    if "staff_nobody" not in current_app.extensions:
        current_app.extensions["staff_nobody"] = _hashed(secrets.token_hex())
    return str(current_app.extensions["staff_nobody"])


def _account_with(email: str, password: str) -> StaffAccount | None:
    """The active account that this password opens. Takes as long for an unknown address as for a wrong password."""
    nobodys = _nobodys_hash()
    try:
        mailbox = clean_email(email).mailbox
    except EmailError:
        mailbox = ""
    account = db.session.scalars(select(StaffAccount).filter_by(email=mailbox, active=True)).first()
    stored = nobodys if account is None or account.password is None else account.password
    is_right = len(password) <= 4 * forms.PASSWORD_MAX_CHARS and _is_right(password, stored)
    if not is_right or account is None or account.password is None:
        return None
    if _security().pwd_context.needs_update(stored):
        staff_id = account.id
        operations.replace_hash(staff_id, old_hash=stored, new_hash=_hashed(password))
        account = db.session.get(StaffAccount, staff_id)
    return account


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


class _CodeForm(forms.CodeForm):
    user: Any = None
    primary_method = ""
    tf_totp_secret = ""
    is_setup = False

    def validate(self, extra_validators: Any = None) -> bool:
        if not super().validate(extra_validators):
            return False
        typed = "".join(self.code.data.split())
        is_code = len(typed) == 6 and typed.isascii() and typed.isdigit()
        factory = _security().totp_factory
        if is_code and factory.verify_totp(typed, self.tf_totp_secret, self.user, window=TOTP_WINDOW_SECONDS):
            return True
        self.code.errors = [_("This code is not valid or was used before; wait for the next one and type that")]
        return False


class _SetUpForm(forms.SetUpForm):
    user: Any = None

    def validate(self, extra_validators: Any = None) -> bool:
        return super().validate(extra_validators) and self.setup.data == AUTHENTICATOR


class _RecoveryCodeForm(forms.RecoveryCodeForm):
    user: Any = None

    def validate(self, extra_validators: Any = None) -> bool:
        if not super().validate(extra_validators):
            return False
        if _security().mf_recovery_codes_util.check_recovery_code(self.user, self.code.data):
            return True
        self.code.errors = [_("This is none of your unused recovery codes")]
        return False


class _PasswordCheckForm(forms.PasswordCheckForm):
    def __init__(self, *args: Any, user: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def validate(self, extra_validators: Any = None) -> bool:
        if not super().validate(extra_validators):
            return False
        if _is_right(self.password.data, self.user.password):
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


def _asked(view: Callable[[], Any], *, writes: bool = False) -> BaseResponse:
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
    began_at, state = session.get("staff_step_at"), session.get("tf_state")
    if not isinstance(began_at, int) or time.time() - began_at > STEP_MINUTES * 60:
        return None
    wanted = select(StaffAccount).filter_by(fs_uniquifier=str(session.get("tf_user_id")), active=True)
    account = db.session.scalars(wanted.with_for_update() if lock else wanted).first()
    if account is None or account.has_second_factor != (state == "ready"):
        return None
    return account


def _from_the_start() -> BaseResponse:
    for key in ("tf_state", "tf_user_id", "tf_primary_method", "tf_totp_secret", "staff_step_at"):
        session.pop(key, None)
    flash(_("Please sign in first. There are %(minutes)s minutes between the steps.", minutes=STEP_MINUTES), "bad")
    return redirect(url_for("staff_auth.sign_in"), code=303)


def _arrived() -> BaseResponse:
    """To the page that was asked for before signing in, else to the queue."""
    target = gates.safe_next(session.pop("staff_next", None))
    return redirect(target or url_for("staff.queue"), code=303)


@blueprint.route("/sign-in", methods=["GET", "POST"], endpoint="login")
@gates.open_to_all
@limits.of_passwords
def sign_in() -> BaseResponse:
    """First step: address and password."""
    if gates.find_presence() is not None:
        return redirect(url_for("staff.queue"), code=303)
    wanted = gates.safe_next(request.form.get("next") or request.args.get("next"))
    response = _asked(login)
    if response.status_code == 302 and "tf_user_id" in session:
        session["staff_step_at"] = int(time.time())
        session.pop("staff_next", None)
        if wanted:
            session["staff_next"] = wanted
        has_app = session.get("tf_state") == "ready"
        return redirect(
            url_for("staff_auth.two_factor_token_validation" if has_app else "staff_auth.two_factor_setup"), code=303
        )
    return response


@blueprint.route("/second-factor", methods=["GET", "POST"], endpoint="two_factor_token_validation")
@gates.open_to_all
@limits.of_codes
def second_factor() -> BaseResponse:
    """Second step: a code of the app, either the known one or one that is being set up."""
    presence = gates.find_presence()
    if presence is not None and session.get("tf_state") != "validating_profile":
        return redirect(url_for("staff_auth.account"), code=303)
    return _second_step(two_factor_token_validation, is_signed_in=presence is not None)


@blueprint.route("/recovery-code", methods=["GET", "POST"], endpoint="mf_recovery")
@gates.open_to_all
@limits.of_codes
def recovery_code() -> BaseResponse:
    """Second step without the app."""
    if gates.find_presence() is not None:
        return redirect(url_for("staff_auth.account"), code=303)
    return _second_step(mf_recovery, is_signed_in=False)


def _second_step(view: Callable[[], Any], *, is_signed_in: bool) -> BaseResponse:
    if request.is_json:
        abort(415)
    if request.method != "POST":
        return _asked(view) if is_signed_in or _pending_account() is not None else _from_the_start()
    with _transaction():
        if not is_signed_in and _pending_account(lock=True) is None:
            response = None
        else:
            response = make_response(view())
    if response is None:
        return _from_the_start()
    if response.status_code != 302:
        return response
    if is_signed_in:
        flash(_("The new app is set up. The old one no longer counts."), "good")
        return redirect(url_for("staff_auth.account"), code=303)
    gates.forget_presence()
    presence = gates.find_presence()
    if presence is None:
        return _from_the_start()
    if view is mf_recovery:
        _say_codes_left(queries.get_account(presence.member.id).recovery_codes_left)
    if not presence.has_kept_recovery_codes:
        return redirect(url_for("staff_auth.mf_recovery_codes"), code=303)
    return _arrived()


def _say_codes_left(left: int) -> None:
    words = ngettext(
        "You used a recovery code; %(num)s is left. If you no longer have the app, set it up anew under Account.",
        "You used a recovery code; %(num)s are left. If you no longer have the app, set it up anew under Account.",
        left,
    )
    flash(words, "bad" if left < 3 else "message")


@blueprint.route("/second-factor/set-up", methods=["GET", "POST"], endpoint="two_factor_setup")
@gates.open_to_all
@limits.of_codes
def second_factor_set_up() -> BaseResponse:
    """Shows the secret to scan: the first time before anything else, later to change the app."""
    presence = gates.find_presence()
    if presence is None and _pending_account() is None:
        return _from_the_start()
    return _asked(two_factor_setup)


@blueprint.route("/recovery-codes", methods=["GET", "POST"], endpoint="mf_recovery_codes")
@gates.open_to_all
def recovery_codes() -> BaseResponse:
    """Makes recovery codes and shows them once."""
    presence = gates.find_presence()
    if presence is None:
        return _to_sign_in()
    gates.touch(presence)
    return _asked(mf_recovery_codes, writes=True)


@blueprint.post("/recovery-codes/kept")
@gates.open_to_all
def recovery_codes_kept() -> BaseResponse:
    """The person has the codes in a safe place; the desk opens."""
    presence = gates.find_presence()
    if presence is None:
        return _to_sign_in()
    try:
        operations.keep_recovery_codes(presence.member.id, now=clock.now())
    except NotFoundError:
        return redirect(url_for("staff_auth.mf_recovery_codes"), code=303)
    return _arrived()


@blueprint.route("/password-check", methods=["GET", "POST"], endpoint="verify")
@gates.staff_required
@limits.of_passwords
def password_check() -> BaseResponse:
    """The password once more, before the second factor is changed."""
    response = _asked(verify)
    if response.status_code == 302:
        target = session.pop("staff_check_for", None)
        return redirect(url_for(target if target in _PASSWORD_CHECKED else "staff_auth.account"), code=303)
    return response


def _to_sign_in() -> BaseResponse:
    return redirect(url_for("staff_auth.sign_in"), code=303)


# Names under which others look for these doors.
blueprint.add_url_rule("/sign-in", endpoint="sign_in", build_only=True)
blueprint.add_url_rule("/recovery-code", endpoint="two_factor_rescue", build_only=True)


# ── our own views ────────────────────────────────────────────────────────────────────────────────────────────────────


@blueprint.get("/account")
@gates.staff_required
def account() -> str:
    """One's own account."""
    view = queries.get_account(gates.current_staff().id)
    return render_template("staff/auth/account.html", section="account", account=view, codes_made=RECOVERY_CODES)


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
            password_hash=_hashed(form.new_password.data),
            keep_digest=gates.session_digest(),
            now=clock.now(),
        )
        flash(_("Your password is changed. Other browsers are signed out."), "good")
        return _plain(redirect(url_for("staff_auth.account"), code=303))
    return _page("staff/auth/change_password.html", form, section="account")


def _is_present_password(form: forms.ChangePasswordForm) -> bool:
    if _is_right(form.password.data, current_user.password):
        return True
    form.password.errors = [_("This is not your password")]
    return False


@blueprint.post("/sign-out")
@gates.open_to_all
def sign_out() -> BaseResponse:
    """Ends the session here and in the database."""
    operations.end_session(gates.session_digest(), now=clock.now())
    language = session.get("staff_language")
    session.clear()
    g.pop("csrf_token", None)
    gates.forget_presence()
    if language:
        session["staff_language"] = language
    flash(_("You are signed out."), "good")
    return _to_sign_in()


@blueprint.route("/first/<token>", methods=["GET", "POST"])
@gates.open_to_all
@limits.of_links
def first(token: str) -> Response:
    """The first account of an installation, by the link that the start printed; gone once there is any."""
    expected = _first_token(current_app.config["CHARTER"])
    if not hmac.compare_digest(token.encode("utf-8", "surrogatepass"), expected.encode()) or queries.has_any():
        abort(404)
    form = forms.FirstAccountForm()
    if form.validate_on_submit() and form.suits(name=form.name.data, email=form.email.data):
        operations.create_first(
            form.name.data,
            email=form.email.data,
            password_hash=_hashed(form.new_password.data),
            language=current_language(),
            now=clock.now(),
        )
        return _account_ready()
    return _page("staff/auth/first.html", form)


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
            digest, password_hash=_hashed(form.new_password.data), language=current_language(), now=clock.now()
        )
        return _account_ready()
    return _page("staff/auth/invitation.html", form, invited=invited)


def _account_ready() -> Response:
    flash(_("Your account is ready. Sign in with your email address and your new password."), "good")
    return _plain(_to_sign_in())


def _plain(response: BaseResponse) -> Response:
    return make_response(response)


# ── pages ────────────────────────────────────────────────────────────────────────────────────────────────────────────

_TEMPLATES = {
    "LOGIN_USER": ("sign_in", "login_user_form"),
    "TWO_FACTOR_VERIFY_CODE": ("second_factor", "two_factor_verify_code_form"),
    "TWO_FACTOR_SETUP": ("second_factor_set_up", "two_factor_setup_form"),
    "MULTI_FACTOR_RECOVERY": ("recovery_code", "mf_recovery_form"),
    "MULTI_FACTOR_RECOVERY_CODES": ("recovery_codes", "mf_recovery_codes_form"),
    "VERIFY": ("password_check", "verify_form"),
}
_FORM_NAMES = {f"staff/auth/{page}.html": form for page, form in _TEMPLATES.values()}
_SET_UP_PAGE = "staff/auth/second_factor_set_up.html"


def _page(template: str, form: Any, **context: Any) -> Response:
    """A page with a form: 422 where the form was sent and refused."""
    is_refused = request.method == "POST" and form.errors
    return make_response(render_template(template, form=form, **context), 422 if is_refused else 200)


def _render(template: str, **context: Any) -> BaseResponse:
    """What Flask-Security's views render: our pages, each with its form as `form`."""
    form = context.get(_FORM_NAMES[template])
    is_setting_up = session.get("tf_state") == "validating_profile" and "tf_totp_secret" in session
    if template == _SET_UP_PAGE and request.method == "POST":
        # To an address that can be loaded again, and keeps its secret when the language is switched.
        return redirect(url_for("staff_auth.two_factor_setup"), code=303)
    if is_setting_up and "two_factor_verify_code_form" in context:
        form = context["two_factor_verify_code_form"]
        return _page(_SET_UP_PAGE, form, app_secret=_secret_shown(), is_changing=gates.find_presence() is not None)
    if template == _SET_UP_PAGE:
        return _page(template, form, app_secret=None, is_changing=gates.find_presence() is not None)
    if template == "staff/auth/sign_in.html" and request.method == "GET":
        form.next.data = gates.safe_next(request.args.get("next")) or ""
    return _page(template, form, recovery_codes=context.get("recovery_codes"))


def _secret_shown() -> dict[str, str]:
    """Picture, text and link of the secret that is being set up."""
    presence = gates.find_presence()
    if presence is not None:
        user = db.session.get_one(StaffAccount, presence.member.id)
    else:
        user = db.session.scalars(select(StaffAccount).filter_by(fs_uniquifier=session["tf_user_id"])).one()
    return dict(_security().totp_factory.fetch_setup_values(session["tf_totp_secret"], user))


@blueprint.errorhandler(CSRFError)
def _stale(_error: CSRFError) -> BaseResponse:
    """A page that was open for too long: the same page again, with the address that was typed."""
    words = _("This page was open for too long, or your browser keeps no cookies. Please try again.")
    if request.endpoint == "staff_auth.login":
        form = forms.SignInForm(formdata=None, data={"email": request.form.get("email", "")})
        form.next.data = gates.safe_next(request.form.get("next")) or ""
        form.form_errors.append(words)
        return _page("staff/auth/sign_in.html", form)
    flash(words, "bad")
    has_page = request.url_rule is not None and "GET" in (request.url_rule.methods or ())
    return redirect(request.path if has_page else url_for("staff_auth.account"), code=303)


# ── wiring ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _security() -> Any:
    return current_app.extensions["security"]


def _first_token(config: Settings) -> str:
    return tokens.token(config.secret_key.encode(), "first-staff", b"first")


def first_staff_path(app: Flask) -> str | None:
    """The path of the one-time link for the first account; None once there is any."""
    with app.app_context():
        has_any = queries.has_any()
        db.session.rollback()
    return None if has_any else f"{gates.PREFIX}/first/{_first_token(app.config['CHARTER'])}"


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
    language = session.get("staff_language") or user.language
    for key in set(session) - _KEPT_IN_SESSION:
        session.pop(key)
    g.pop("csrf_token", None)
    token = secrets.token_urlsafe(32)
    session[gates.SESSION_KEY] = token
    session["staff_language"] = language
    now = clock.now()
    operations.begin_session(user.id, digest=hashlib.sha256(token.encode()).digest(), now=now)
    if is_first_time:
        operations.audit_second_factor(user.id, now=now)


def _on_app_changed(_app: Flask, user: Any, **_more: Any) -> None:
    operations.audit_second_factor(user.id, now=clock.now())


def _ask_password_again(_within: timedelta, _grace: timedelta) -> BaseResponse:
    session["staff_check_for"] = request.endpoint
    return redirect(url_for("staff_auth.verify"), code=303)


def _refuse(_mechanisms: list[str], _headers: dict[str, str] | None = None, **_more: Any) -> BaseResponse:
    return _to_sign_in()


def _flask_security_config(config: Settings) -> dict[str, Any]:
    return {
        "BLUEPRINT_NAME": blueprint.name,
        "URL_PREFIX": gates.PREFIX,
        "POST_LOGIN_VIEW": "staff.queue",
        "TWO_FACTOR_ERROR_VIEW": "staff_auth.sign_in",
        "TWO_FACTOR_POST_SETUP_VIEW": "staff_auth.account",
        "POST_VERIFY_VIEW": "staff_auth.account",
        # Our pages speak for themselves; nothing of its own texts is ever shown.
        "FLASH_MESSAGES": False,
        "CLI_USERS_NAME": None,
        "CLI_ROLES_NAME": None,
        # argon2id as OWASP's sheet on password storage has it, behind an HMAC with a key that is not in the database.
        "PASSWORD_HASH": "argon2",
        "PASSWORD_SCHEMES": ["argon2"],
        "PASSWORD_SINGLE_HASH": set(),
        "PASSWORD_SALT": base64.b64encode(_derived(config, "password")).decode(),
        "PASSWORD_HASH_PASSLIB_OPTIONS": {
            "argon2__memory_cost": 46 * 1024,
            "argon2__time_cost": 2,
            "argon2__parallelism": 1,
        },
        "PASSWORD_NORMALIZE_FORM": None,
        "API_ENABLED_METHODS": ["session"],
        "DEFAULT_REMEMBER_ME": False,
        "TWO_FACTOR": True,
        "TWO_FACTOR_REQUIRED": True,
        "TWO_FACTOR_ALWAYS_VALIDATE": True,
        "TWO_FACTOR_ENABLED_METHODS": [AUTHENTICATOR],
        "TWO_FACTOR_RESCUE_EMAIL": False,
        "TWO_FACTOR_IMPLEMENTATIONS": {"code": "flask_security.twofactor.CodeTfPlugin"},
        "TOTP_SECRETS": {"1": base64.b64encode(_derived(config, "totp")).decode()},
        "TOTP_ISSUER": f"Charter {config.public_host}".replace(":", " "),
        "MULTI_FACTOR_RECOVERY_CODES": True,
        "MULTI_FACTOR_RECOVERY_CODES_N": RECOVERY_CODES,
        "FRESHNESS": timedelta(minutes=FRESH_MINUTES),
        "FRESHNESS_GRACE_PERIOD": timedelta(minutes=FRESH_MINUTES),
    } | {f"{name}_TEMPLATE": f"staff/auth/{page}.html" for name, (page, _form) in _TEMPLATES.items()}


def init_app(app: Flask, config: Settings) -> None:
    """Gates, limits, Flask-Security and the doors to it. After database, languages and CSRF protection."""
    gates.init_app(app)
    limits.init_app(app)
    app.config["CHARTER_RECOVERY_KEY"] = _derived(config, "recovery codes")
    app.config.update({f"SECURITY_{name}": value for name, value in _flask_security_config(config).items()})
    security = Security(
        app,
        SQLAlchemyUserDatastore(db, StaffAccount, None),
        register_blueprint=False,  # only the doors above exist
        login_form=_SignInForm,
        verify_form=_PasswordCheckForm,
        two_factor_verify_code_form=_CodeForm,
        two_factor_setup_form=_SetUpForm,
        mf_recovery_form=_RecoveryCodeForm,
        mf_recovery_codes_form=forms.RecoveryCodesForm,
        totp_cls=OneTimeTotp,
        mf_recovery_codes_util_cls=HashedRecoveryCodes,
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
    for hooks in (app.before_request_funcs, app.after_request_funcs, app.template_context_processors):
        kept = [
            hook for hook in hooks.get(None, []) if not getattr(hook, "__module__", "").startswith(_WATCHING_ALL_PAGES)
        ]
        hooks[None] = kept


_WATCHING_ALL_PAGES = ("flask_login", "flask_principal")
