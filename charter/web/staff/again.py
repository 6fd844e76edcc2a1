"""The second factor once more, before what could hurt most; a form that was sent meanwhile is not lost over it."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app, flash, jsonify, make_response, redirect, render_template, request, url_for
from flask_login import current_user
from flask_wtf.csrf import validate_csrf
from itsdangerous import BadData, URLSafeTimedSerializer
from werkzeug.wrappers import Response as BaseResponse
from wtforms import ValidationError

from charter import clock
from charter.i18n import _
from charter.operations import passkeys as passkey_operations
from charter.operations import staff as operations
from charter.queries import passkeys as passkey_queries
from charter.settings import Settings
from charter.web import gates, limits
from charter.web.forms import staff_auth as forms
from charter.web.staff import challenges, factors, passkeys
from charter.web.staff.account import blueprint, page
from charter.web.staff.challenges import Purpose

#: A form that waits for the code waits no longer than this.
KEPT_SECONDS = 30 * 60
_TEMPLATE = "staff/auth/second_factor_again.html"


def ask() -> BaseResponse:
    """What is answered instead of the page, or of the act, that was asked for."""
    if request.method in {"GET", "HEAD"}:
        target = gates.safe_next(request.full_path.removesuffix("?"))
        return redirect(url_for("staff_auth.second_factor_again", next=target), code=303)
    try:
        # Some rooms look at the token themselves; what comes from elsewhere must not be offered to be sent again.
        validate_csrf(request.form.get("csrf_token"))
    except ValidationError:
        flash(_("This page was open for too long, or your browser keeps no cookies. Please try again."), "bad")
        target = gates.safe_next(request.path)
        return redirect(url_for("staff_auth.second_factor_again", next=target), code=303)
    form = forms.SecondFactorAgainForm(formdata=None)
    form.kept.data = _keep()
    return make_response(_page(form), 403)


@blueprint.route("/second-factor/again", methods=["GET", "POST"])
@gates.staff_required
@limits.of_codes
def second_factor_again() -> Response:
    """Asks for a code of the app or a recovery code; leads on to what was asked for."""
    form = forms.SecondFactorAgainForm()
    if request.method != "POST":
        form.next.data = gates.safe_next(request.args.get("next")) or ""
        return make_response(_page(form))
    if form.validate():
        if _is_right(form.code.data):
            return _go_on(form.next.data, form.kept.data)
        form.code.errors = [_("This code is not valid or was used before; wait for the next one and type that")]
    return page(_TEMPLATE, form, section="account", **_offer())


def _is_right(typed: str) -> bool:
    counter = factors.counter_of_code(typed, user=current_user)
    recovery = None if counter is not None else factors.recovery_digest(typed, user=current_user)
    return operations.verify_session(
        gates.session_digest(),
        staff_id=gates.current_staff().id,
        totp_counter=counter,
        recovery_digest=recovery,
        now=clock.now(),
    )


@blueprint.post("/second-factor/again/passkey/challenge")
@gates.staff_required
def passkey_again_challenge() -> Response:
    """What the browser shall ask the devices of whoever is signed in."""
    from charter.domain import authenticators

    site = passkeys.require_site()
    staff_id = gates.current_staff().id
    challenge = challenges.give(Purpose.AGAIN, who=str(staff_id))
    allowed = passkey_queries.own_keys(staff_id).credential_ids
    return jsonify(authenticators.question_for_known(site, challenge=challenge.value, allowed=allowed))


@blueprint.post("/second-factor/again/passkey")
@gates.staff_required
@limits.of_codes
def passkey_again() -> Response:
    """The same with a passkey of the account."""
    site = passkeys.require_site()
    staff_id = gates.current_staff().id
    challenge = challenges.take(Purpose.AGAIN, who=str(staff_id))
    known = None if challenge is None else passkeys.proved(site, challenge.value, who=staff_id)
    if known is not None:
        passkey, count = known
        refusal = passkey_operations.verify_session(
            passkey.id,
            staff_id=staff_id,
            sign_count=count,
            session_digest=gates.session_digest(),
            now=clock.now(),
        )
        if refusal is None:
            return _go_on(request.form.get("next"), request.form.get("kept"))
    form = forms.SecondFactorAgainForm(formdata=None)
    form.next.data = gates.safe_next(request.form.get("next")) or ""
    form.kept.data = request.form.get("kept", "")
    form.form_errors.append(_("That took too long, or this passkey is none of yours. Please try again."))
    return make_response(_page(form), 422)


# ── a form that was sent ─────────────────────────────────────────────────────────────────────────────────────────────


def _keep() -> str:
    """The fields that were sent, sealed: for this session only, and for a while. Files are not among them."""
    fields = [(name, value) for name, values in request.form.lists() for value in values if name != "csrf_token"]
    kept = {"to": request.full_path.removesuffix("?"), "fields": fields, "session": gates.session_digest().hex()}
    return str(_seal().dumps(kept))


def _open(kept: str | None) -> dict[str, Any] | None:
    try:
        found = _seal().loads(kept or "", max_age=KEPT_SECONDS)
    except BadData:
        return None
    return found if found["session"] == gates.session_digest().hex() else None


def _seal() -> URLSafeTimedSerializer:
    config: Settings = current_app.config["CHARTER"]
    return URLSafeTimedSerializer(config.secret_key, salt="staff form kept for the second factor")


def _go_on(target: str | None, kept: str | None) -> Response:
    """To the page that was asked for, or to a page that sends what was typed."""
    found = _open(kept)
    if found is not None:
        more = {"to": found["to"], "fields": found["fields"]}
        return make_response(render_template("staff/auth/second_factor_given.html", section="account", **more))
    return make_response(redirect(gates.safe_next(target) or url_for("staff.queue"), code=303))


def _page(form: forms.SecondFactorAgainForm) -> str:
    return render_template(_TEMPLATE, form=form, section="account", **_offer())


def _offer() -> dict[str, Any]:
    keys = passkey_queries.own_keys(gates.current_staff().id)
    return {"passkey_offer": passkeys.offer, "has_passkeys": bool(keys.credential_ids)}
