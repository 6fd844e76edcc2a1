"""The steps of signing in to the Centre: what the cookie holds between them, and where one goes after the last."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from flask import Response, after_this_request, flash, g, make_response, redirect, session, url_for

from charter import clock
from charter.i18n import _
from charter.operations.staff import DEVICE_KEPT_DAYS, Device
from charter.web import gates, headers, limits
from charter.web.staff import browsers, factors

#: Between password and second factor: long enough to find the telephone.
STEP_MINUTES = 15

#: What a session keeps when it becomes a signed-in one; all else of the stranger's is dropped.
_KEPT_IN_SESSION = frozenset({"_user_id", "_fresh", "_id", "fs_paa", "staff_language", "staff_next"})
#: Pages for which the password is asked once more.
_PASSWORD_CHECKED = frozenset({"staff_auth.two_factor_setup", "staff_auth.mf_recovery_codes", "staff_auth.passkeys"})


# ── between the steps ────────────────────────────────────────────────────────────────────────────────────────────────


def begin_steps(*, wanted: str | None) -> None:
    """The password was right. wanted: the page to show after the last step."""
    session["staff_step_at"] = _now_seconds()
    session.pop("staff_next", None)
    if wanted:
        session["staff_next"] = wanted


def whose_step() -> str | None:
    """The uniquifier of who gave the password a short while ago; None starts again."""
    began_at, uniquifier = session.get("staff_step_at"), session.get("tf_user_id")
    if not isinstance(began_at, int) or not isinstance(uniquifier, str):
        return None
    # Not before it began either: after the clock went back the step would live longer by the jump.
    return uniquifier if 0 <= _now_seconds() - began_at <= STEP_MINUTES * 60 else None


def has_app_ready() -> bool:
    """Whether the second step is to use an app that was set up before, not to set one up."""
    return session.get("tf_state") == "ready"


def from_the_start() -> Response:
    """Back to the first step, which says why."""
    for key in ("tf_state", "tf_user_id", "tf_primary_method", "tf_totp_secret", "staff_step_at"):
        session.pop(key, None)
    flash(_("Please sign in first. There are %(minutes)s minutes between the steps.", minutes=STEP_MINUTES), "bad")
    return to("staff_auth.sign_in")


# ── signed in ────────────────────────────────────────────────────────────────────────────────────────────────────────


def new_session() -> tuple[str, bytes]:
    """The random id of a new session, for its cookie, and the digest that the database keeps of it."""
    token = secrets.token_urlsafe(32)
    return token, hashlib.sha256(token.encode()).digest()


def device() -> Device:
    """The browser at hand; one that brings no cookie of an earlier time gets one with this answer."""
    token = limits.device_token() or secrets.token_urlsafe(32)

    @after_this_request
    def keep(response: Response) -> Response:
        headers.set_cookie(response, limits.DEVICE_COOKIE, token, max_age_seconds=DEVICE_KEPT_DAYS * 24 * 3600)
        return response

    return Device(limits.device_digest(token), browsers.family())


def begin_session(token: str, *, language: str) -> None:
    """This browser is signed in: nothing of the stranger's goes along but the language chosen on the way.

    language: the person's own.
    """
    chosen = session.get("staff_language") or language
    for key in set(session) - _KEPT_IN_SESSION:
        session.pop(key)
    g.pop("csrf_token", None)
    session[gates.SESSION_KEY] = token
    session["staff_language"] = chosen


def arrived() -> Response:
    """To the page that was asked for before signing in, else to the queue."""
    target = gates.safe_next(session.pop("staff_next", None))
    return make_response(redirect(target or url_for("staff.queue"), code=303))


def to(endpoint: str, **values: Any) -> Response:
    """To another page of ours."""
    return make_response(redirect(url_for(endpoint, **values), code=303))


# ── the password once more ───────────────────────────────────────────────────────────────────────────────────────────


def note_password() -> None:
    """The password was given just now."""
    session["fs_paa"] = clock.now().timestamp()


def is_password_fresh() -> bool:
    """Whether the password was given a short while ago, as Flask-Security notes it."""
    given_at = session.get("fs_paa")
    if not isinstance(given_at, int | float):
        return False
    return 0 <= clock.now().timestamp() - given_at <= factors.FRESH_MINUTES * 60


def ask_password(endpoint: str) -> Response:
    """Leads to the password and from there to `endpoint`, if that is one of the pages that ask for it."""
    session["staff_check_for"] = endpoint
    return to("staff_auth.verify")


def after_password() -> Response:
    """To the page that the password was asked for."""
    target = session.pop("staff_check_for", None)
    return to(target if target in _PASSWORD_CHECKED else "staff_auth.account")


def _now_seconds() -> int:
    return int(clock.now().timestamp())
