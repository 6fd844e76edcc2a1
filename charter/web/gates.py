"""Who may enter the Centre's rooms. Closed by default: a view under /staff that names no gate is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import structlog
from flask import Flask, Response, abort, current_app, flash, g, redirect, request, session, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect
from werkzeug.wrappers import Response as BaseResponse

from charter import clock
from charter.domain.duties import FRESH, Right
from charter.domain.errors import DutyRefusedError
from charter.domain.moments import is_recent
from charter.i18n import _
from charter.operations import staff as operations
from charter.operations import unit
from charter.queries import staff as queries
from charter.queries.staff import Presence, StaffMember
from charter.settings import Settings

P = ParamSpec("P")
V = TypeVar("V", bound=Callable[..., Any])
logger = structlog.get_logger()

PREFIX = "/staff"
#: The random id of the signed-in browser, in its cookie.
SESSION_KEY = "staff_session"
#: A session is noted as seen at most so often, so that reading pages seldom writes.
TOUCH_SECONDS = 60

_GATE = "__charter_gate__"
_FRESH = "__charter_fresh__"
#: A form that was opened while the second factor was fresh may be sent so much later.
GRACE = timedelta(minutes=10)
#: The gates that are no right: before signing in, and for one's own account.
OPEN, OWN = "open", "own"


#: One's own pages, which can be shown after signing in like any other.
_OWN_PAGES = frozenset({"staff_auth.account", "staff_auth.passkeys"})


def staff_required(view: Callable[P, Any]) -> Callable[P, Any]:
    """For one's own account only: open to every member of staff who gave both factors and keeps recovery codes.

    Everybody else is led to sign in. Whatever is not one's own names a right with `duty`.
    """

    @wraps(view)
    def run(*args: P.args, **kwargs: P.kwargs) -> Any:
        refusal = _refusal()
        return view(*args, **kwargs) if refusal is None else refusal

    setattr(run, _GATE, OWN)
    return run


def duty(right: Right, *, fresh: bool = False) -> Callable[[Callable[P, Any]], Callable[P, Any]]:
    """Only for a member of staff whose role includes the right; others get a page that says so (403).

    fresh: asks for the second factor once more where it was given long ago, as the rights in `duties.FRESH` always do.
    """
    is_fresh_only = fresh or right in FRESH

    def gated(view: Callable[P, Any]) -> Callable[P, Any]:
        @wraps(view)
        def run(*args: P.args, **kwargs: P.kwargs) -> Any:
            refusal = _refusal(right, fresh=is_fresh_only)
            return view(*args, **kwargs) if refusal is None else refusal

        setattr(run, _GATE, right)
        setattr(run, _FRESH, is_fresh_only)
        return run

    return gated


#: How the second factor is asked for once more: by the room that knows its pages, which stands behind this gate itself.
_ask_again: list[Callable[[], BaseResponse]] = []


def asks_again(ask: Callable[[], BaseResponse]) -> None:
    """Makes the function what a request is answered with whose second factor was given too long ago."""
    _ask_again[:] = [ask]


def open_to_all(view: V) -> V:
    """For the few views of the Centre that come before signing in."""
    setattr(view, _GATE, OPEN)
    return view


def current_staff() -> StaffMember:
    """The person at the desk, behind `duty` or `staff_required` only."""
    member = g.get("staff_member")
    if not isinstance(member, StaffMember):
        raise RuntimeError("current_staff() in a view without a gate")  # noqa: TRY004 - a bug, not a type
    return member


def find_presence() -> Presence | None:
    """Who sits at this browser, looked up once per request; None for a stranger or an ended session."""
    if "staff_presence" not in g:
        g.staff_presence = _look_up()
        if g.staff_presence is not None:
            g.staff_member = g.staff_presence.member
    found: Presence | None = g.staff_presence
    return found


def forget_presence() -> None:
    """After signing in or out within this request."""
    for name in ("staff_presence", "staff_member", "staff_admitted", "staff_refused"):
        g.pop(name, None)


def session_digest() -> bytes:
    """What the database keeps of this browser's session; of nothing if there is none."""
    return hashlib.sha256(str(session.get(SESSION_KEY, "")).encode("utf-8", "surrogatepass")).digest()


def safe_next(target: str | None) -> str | None:
    """`target` if it is a page of the Centre that can be shown after signing in, else None.

    Only a path that our own map answers for GET passes: no other host, no action, no page of the sign-in itself.
    """
    if not target or not target.startswith(PREFIX) or "\\" in target or "//" in target or not target.isprintable():
        return None
    path = target.partition("?")[0].partition("#")[0]
    adapter = current_app.create_url_adapter(request)
    if adapter is None:
        return None
    try:
        endpoint, _values = adapter.match(path, method="GET")
    except (HTTPException, RequestRedirect):
        return None
    return None if endpoint.startswith("staff_auth.") and endpoint not in _OWN_PAGES else target


def ungated(app: Flask) -> list[str]:
    """Endpoints under /staff that name no gate; a house test wants none."""
    return sorted(
        {
            rule.endpoint
            for rule in app.url_map.iter_rules()
            if _is_ours(rule.rule) and not rule.build_only and not hasattr(app.view_functions[rule.endpoint], _GATE)
        }
    )


def _look_up() -> Presence | None:
    if SESSION_KEY not in session:
        return None
    config: Settings = current_app.config["CHARTER"]
    return queries.find_presence(
        session_digest(),
        uniquifier=str(session.get("_user_id", "")),
        now=clock.now(),
        idle=timedelta(minutes=config.staff_idle_minutes),
        longest=timedelta(hours=config.staff_session_hours),
    )


def is_fresh(presence: Presence, *, grace: timedelta = timedelta(0)) -> bool:
    """Whether the second factor was given in this session a short while ago; a moment in the future is none."""
    config: Settings = current_app.config["CHARTER"]
    within = timedelta(minutes=config.staff_fresh_minutes) + grace
    return is_recent(presence.verified_at, now=clock.now(), within=within)


def asked_again() -> BaseResponse | None:
    """For whoever changes their own factors: None while the second one was given a short while ago.

    Else the way to give it once more: with a password alone, nobody at somebody else's browser adds a factor of theirs.
    """
    presence = find_presence()
    grace = timedelta(0) if request.method in {"GET", "HEAD"} else GRACE
    if presence is None or is_fresh(presence, grace=grace):
        return None
    return redirect(url_for("staff_auth.second_factor_again", next=url_for("staff_auth.account")), code=303)


def _refusal(right: Right | None = None, *, fresh: bool = False) -> BaseResponse | None:
    """None for a member of staff with that right, whose session it notes as seen; else the way to where they may enter.

    fresh: the second factor must have been given a short while ago. Raises DutyRefusedError for a role without the
    right.
    """
    if not g.get("staff_admitted"):
        refusal = _admit()
        if refusal is not None:
            return refusal
    if right is not None and not current_staff().may(right):
        g.staff_refused = right
        raise DutyRefusedError
    presence = find_presence()
    if fresh and presence is not None:
        is_reading = request.method in {"GET", "HEAD"}
        if not is_fresh(presence, grace=timedelta(0) if is_reading else GRACE):
            return _ask_again[0]()
    return None


def _admit() -> BaseResponse | None:
    presence = find_presence()
    if presence is None:
        return _to_sign_in()
    if not presence.has_kept_recovery_codes:
        return redirect(url_for("staff_auth.mf_recovery_codes"), code=303)
    touch(presence)
    g.staff_admitted = True
    # From here on whatever is written in this request is an act of this person, and has to be recorded as such.
    unit.act_as(presence.member.id)
    return None


def touch(presence: Presence) -> None:
    """Keeps the session from standing idle."""
    now = clock.now()
    if now - presence.last_seen_at >= timedelta(seconds=TOUCH_SECONDS):
        operations.touch_session(session_digest(), now=now)


def _to_sign_in() -> BaseResponse:
    had_session = session.pop(SESSION_KEY, None) is not None
    session.pop("_user_id", None)
    if request.method in {"GET", "HEAD"}:
        if had_session:
            flash(_("You were signed out because you were away for some time. Please sign in again."))
    else:
        flash(_("You are not signed in, so nothing was saved. Sign in and try again."), "bad")
    target = safe_next(request.full_path.removesuffix("?"))
    return redirect(url_for("staff_auth.sign_in", next=target), code=303)


def _is_ours(path: str) -> bool:
    return path == PREFIX or path.startswith(PREFIX + "/")


def _guard() -> BaseResponse | None:
    forget_presence()  # `g` outlives a request where an application context was already open
    if not _is_ours(request.path) or request.endpoint is None:
        return None
    gate = getattr(current_app.view_functions.get(request.endpoint), _GATE, None)
    if gate is None:
        logger.error("no gate", endpoint=request.endpoint)
        abort(403)
    if gate == OPEN:
        return None
    view = current_app.view_functions[request.endpoint]
    return _refusal(gate if isinstance(gate, Right) else None, fresh=getattr(view, _FRESH, False))


def _forget_act(_error: BaseException | None = None) -> None:
    unit.act_as_nobody()


def _keep_out_of_caches(response: Response) -> Response:
    if _is_ours(request.path):
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Robots-Tag"] = "noindex"
    return response


def init_app(app: Flask) -> None:
    """Puts the guard before every view, and keeps whatever it lets through out of caches."""
    app.before_request(_guard)
    app.after_request(_keep_out_of_caches)
    app.teardown_request(_forget_act)
