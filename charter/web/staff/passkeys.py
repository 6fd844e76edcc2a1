"""Passkeys beside password and app: adding and removing one's own, signing in, and standing in for the app's code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import structlog
from flask import Response, abort, current_app, flash, jsonify, make_response, request, session

from charter import clock
from charter.domain import passkey as passkeys_domain
from charter.domain.errors import NotFoundError
from charter.domain.passkey import Answer, PasskeyError, Site
from charter.i18n import _
from charter.operations import passkeys as operations
from charter.operations.passkeys import AlreadyAddedError, Refusal, SignedIn, TooManyPasskeysError
from charter.queries import passkeys as queries
from charter.queries.passkeys import KnownPasskey, PasskeyLine
from charter.settings import Settings
from charter.web import gates, limits
from charter.web.forms import staff_auth as forms
from charter.web.staff import challenges, way_in
from charter.web.staff.account import blueprint, page
from charter.web.staff.challenges import Purpose

logger = structlog.get_logger()

#: Where a POST without a page of its own belongs.
PAGES = {
    "staff_auth.passkey_sign_in": "staff_auth.sign_in",
    "staff_auth.passkey_sign_in_challenge": "staff_auth.sign_in",
    "staff_auth.passkey_second_factor": "staff_auth.two_factor_token_validation",
    "staff_auth.passkey_second_factor_challenge": "staff_auth.two_factor_token_validation",
    "staff_auth.passkey_challenge": "staff_auth.passkeys",
    "staff_auth.remove_passkey": "staff_auth.passkeys",
    "staff_auth.passkey_again": "staff_auth.second_factor_again",
    "staff_auth.passkey_again_challenge": "staff_auth.second_factor_again",
}


@dataclass(frozen=True)
class Offer:
    """What pages say of passkeys. origin: the only address where they work; None where they work at none."""

    origin: str | None


# ── one's own ────────────────────────────────────────────────────────────────────────────────────────────────────────


@blueprint.route("/account/passkeys", methods=["GET", "POST"])
@gates.staff_required
@limits.of_passkeys
def passkeys() -> Response:
    """The list of one's own, and a form for another; the password is asked once more before."""
    stale = gates.asked_again()
    if stale is not None:
        return make_response(stale)
    if request.method == "GET":
        return _list(forms.PasskeyForm()) if way_in.is_password_fresh() else way_in.ask_password("staff_auth.passkeys")
    site = require_site()
    form = forms.PasskeyForm()
    if not form.validate():
        return _list(form)
    # Only somebody whose password was fresh was put this question.
    refusal = _add(form, site)
    if refusal is None:
        flash(_("The passkey is added. Use it the next time you sign in."), "good")
        return way_in.to("staff_auth.passkeys")
    form.form_errors.append(refusal)
    return _list(form)


def _add(form: forms.PasskeyForm, site: Site) -> str | None:
    """None when it was added, else why not."""
    from charter.domain import authenticators

    staff_id = gates.current_staff().id
    challenge = challenges.take(Purpose.ADD, who=str(staff_id))
    if challenge is None:
        return _too_late()
    try:
        made = authenticators.verify_new(_read_answer(), site, challenge=challenge.value)
        operations.add(staff_id, passkey=made, user_handle=challenge.user_handle, name=form.name.data, now=clock.now())
    except PasskeyError:
        _note("answer")
        return str(_("The passkey could not be added. Please try again."))
    except AlreadyAddedError:
        return str(_("This passkey was added before"))
    except TooManyPasskeysError:
        return str(_("You have as many passkeys as one account may have; remove one first"))
    return None


@blueprint.post("/account/passkeys/challenge")
@gates.staff_required
def passkey_challenge() -> Response:
    """What the browser shall ask the device that is to keep a new passkey. 422: the name first, 403: the password."""
    from charter.domain import authenticators

    site = require_site()
    if gates.asked_again() is not None or not way_in.is_password_fresh():
        abort(403)
    if not forms.PasskeyForm().validate():
        abort(422)
    member = gates.current_staff()
    present = queries.own_keys(member.id)
    handle = present.user_handle or passkeys_domain.new_user_handle()
    challenge = challenges.give(Purpose.ADD, who=str(member.id), user_handle=handle)
    return jsonify(
        authenticators.question_for_new(
            site,
            challenge=challenge.value,
            user_handle=handle,
            email=member.email,
            name=member.name,
            present=present.credential_ids,
        )
    )


@blueprint.post("/account/passkeys/<row:passkey_id>/removal")
@gates.staff_required
def remove_passkey(passkey_id: int) -> Response:
    """From now on this passkey opens nothing."""
    stale = gates.asked_again()
    if stale is not None:
        return make_response(stale)
    if not way_in.is_password_fresh():
        return way_in.ask_password("staff_auth.passkeys")
    try:
        operations.remove(passkey_id, staff_id=gates.current_staff().id, now=clock.now())
    except NotFoundError:
        abort(404)
    flash(_("The passkey is removed and opens nothing any more. Delete it on your device too."), "good")
    return way_in.to("staff_auth.passkeys")


def _list(form: forms.PasskeyForm) -> Response:
    form.credential.data = ""
    return page("staff/auth/passkeys.html", form, section="account")


# ── signing in by a passkey alone ────────────────────────────────────────────────────────────────────────────────────


@blueprint.post("/sign-in/passkey/challenge")
@gates.open_to_all
def passkey_sign_in_challenge() -> Response:
    """What the browser shall ask whatever device is there; the same for everybody."""
    from charter.domain import authenticators

    site = require_site()
    challenge = challenges.give(Purpose.SIGN_IN)
    return jsonify(authenticators.question_for_known(site, challenge=challenge.value))


@blueprint.post("/sign-in/passkey")
@gates.open_to_all
@limits.of_passkeys
def passkey_sign_in() -> Response:
    """Both factors at once: the device was there and has verified its owner."""
    if gates.find_presence() is not None:
        return way_in.to("staff.queue")
    site = require_site()
    wanted = gates.safe_next(request.form.get("next"))
    challenge = challenges.take(Purpose.SIGN_IN)
    refusal = _too_late() if challenge is None else _sign_in(site, challenge.value, who=None)
    if refusal is None:
        session["staff_next"] = wanted
        return way_in.arrived()
    flash(refusal, "bad")
    return way_in.to("staff_auth.sign_in", next=wanted)


# ── in place of the app's code ───────────────────────────────────────────────────────────────────────────────────────


@blueprint.post("/second-factor/passkey/challenge")
@gates.open_to_all
def passkey_second_factor_challenge() -> Response:
    """What the browser shall ask the devices of whoever gave the password."""
    from charter.domain import authenticators

    site = require_site()
    uniquifier, staff_id = _owing()
    if staff_id is None:
        return way_in.from_the_start()
    challenge = challenges.give(Purpose.SECOND_FACTOR, who=uniquifier)
    allowed = queries.own_keys(staff_id).credential_ids
    return jsonify(authenticators.question_for_known(site, challenge=challenge.value, allowed=allowed))


@blueprint.post("/second-factor/passkey")
@gates.open_to_all
@limits.of_codes
def passkey_second_factor() -> Response:
    """Second step with a passkey of the account whose password was given."""
    if gates.find_presence() is not None:
        return way_in.to("staff_auth.account")
    site = require_site()
    uniquifier, staff_id = _owing()
    if staff_id is None:
        return way_in.from_the_start()
    challenge = challenges.take(Purpose.SECOND_FACTOR, who=uniquifier)
    refusal = _too_late() if challenge is None else _sign_in(site, challenge.value, who=staff_id)
    if refusal is None:
        return way_in.arrived()
    flash(refusal, "bad")
    return way_in.to("staff_auth.two_factor_token_validation")


def _owing() -> tuple[str, int | None]:
    """Uniquifier and id of who gave the password and owes a code of the app."""
    uniquifier = way_in.whose_step()
    if uniquifier is None or not way_in.has_app_ready():
        return "", None
    return uniquifier, queries.find_owing_second_factor(uniquifier)


# ── what all have in common ─────────────────────────────────────────────────────────────────────────────────────────


def _sign_in(site: Site, challenge: bytes, *, who: int | None) -> str | None:
    """Begins the session of whoever's passkey answers; else the words for why not, the same whatever was wrong.

    who: whose passkey it has to be, where the password was given.
    """
    token, digest = way_in.new_session()
    try:
        known, sign_count = _proved(_read_answer(), site, challenge, who=who)
    except PasskeyError:
        _note("answer")
        return _refused()
    outcome = operations.sign_in(
        known.id,
        staff_id=known.staff_id,
        sign_count=sign_count,
        session_digest=digest,
        device=way_in.device(),
        now=clock.now(),
    )
    if isinstance(outcome, Refusal):
        _note(outcome.value)
        return _refused()
    _begin_session(token, outcome, gave_password=who is not None)
    return None


def proved(site: Site, challenge: bytes, *, who: int) -> tuple[KnownPasskey, int] | None:
    """Whose passkey answered the question of somebody signed in, and its counter; None for a wrong answer."""
    try:
        return _proved(_read_answer(), site, challenge, who=who)
    except PasskeyError:
        _note("answer")
        return None


def _proved(answer: Answer, site: Site, challenge: bytes, *, who: int | None) -> tuple[KnownPasskey, int]:
    """Whose passkey answered rightly, and its counter. Raises PasskeyError."""
    from charter.domain import authenticators

    known = queries.find_known(answer.credential_id)
    if known is None or who not in {None, known.staff_id}:
        raise PasskeyError
    # A device that was told which passkeys will do may leave the handle out (WebAuthn §7.2 step 6).
    if answer.user_handle != known.user_handle and not (who is not None and answer.user_handle is None):
        raise PasskeyError
    count = authenticators.verify_known(answer, site, challenge=challenge, public_key=known.public_key)
    return known, count


def _begin_session(token: str, who: SignedIn, *, gave_password: bool) -> None:
    session["_user_id"] = who.uniquifier
    # Whoever sat at this browser before may have given theirs.
    session.pop("fs_paa", None)
    if gave_password:
        way_in.note_password()
    way_in.begin_session(token, language=who.language)
    gates.forget_presence()


def _read_answer() -> Answer:
    return passkeys_domain.read_answer(request.form.get("credential", ""))


def _note(reason: str) -> None:
    logger.warning("passkey refused", endpoint=request.endpoint, reason=reason)


def _refused() -> str:
    return str(_("This passkey does not sign you in here; perhaps it was removed. Your password and the app still do."))


def _too_late() -> str:
    return str(_("That took too long, or was sent twice. Please try again."))


# ── whether there are passkeys at all ────────────────────────────────────────────────────────────────────────────────


def _site() -> Site | None:
    config: Settings = current_app.config["CHARTER"]
    return passkeys_domain.site_of(config.public_url)


def require_site() -> Site:
    """Whose passkeys these are; 404 where the service has no name for them."""
    site = _site()
    if site is None:
        abort(404)
    return site


def offer() -> Offer:
    """What pages say of passkeys here."""
    site = _site()
    return Offer(None if site is None else site.origin)


def _own() -> list[PasskeyLine]:
    return queries.passkey_lines(gates.current_staff().id)


def _can_stand_in() -> bool:
    """Whether whoever gave the password has a passkey to use instead of the app's code."""
    staff_id = _owing()[1]
    return staff_id is not None and bool(queries.own_keys(staff_id).credential_ids)


@blueprint.context_processor
def _in_templates() -> dict[str, Any]:
    return {"passkey_offer": offer, "own_passkeys": _own, "passkey_can_stand_in": _can_stand_in}
