"""One table: what went wrong → status and page. A page for a broken service needs neither database nor session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import structlog
from flask import Flask, Response, g, make_response, render_template, request
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException, InternalServerError

from charter.domain import errors as domain
from charter.domain.duties import RIGHTS, may
from charter.i18n import LANGUAGES, current_language, preferred_language
from charter.i18n import lazy_gettext as _l
from charter.queries import registry, schema, staff
from charter.web import plain
from charter.web.api import problems

logger = structlog.get_logger()


@dataclass(frozen=True)
class ErrorPage:
    """What a page says: what happened, why, what to do."""

    title: Any
    explanation: Any
    action: Any


PAGES = {
    400: ErrorPage(
        _l("This request could not be understood"),
        _l("The address or the form arrived damaged."),
        _l("Go back, load the page anew and try once more."),
    ),
    403: ErrorPage(
        _l("Access denied"),
        _l("This page is not open to you."),
        _l("If you came by a link from a mail, open that link once more."),
    ),
    404: ErrorPage(
        _l("Page not found"),
        _l("There is nothing at this address; it may be mistyped, or the link incomplete."),
        _l("If it came from a mail, copy the whole link into the address line."),
    ),
    405: ErrorPage(
        _l("This does not work here"),
        _l("The page exists, but not for this kind of request."),
        _l("Go back and use the buttons of the page."),
    ),
    413: ErrorPage(
        _l("That was too much"),
        _l("What was sent is larger than this page accepts."),
        _l("Shorten it and send it again."),
    ),
    422: ErrorPage(
        _l("This cannot be done"),
        _l("What was asked for does not fit the present state; perhaps it has changed meanwhile."),
        _l("Go back, load the page anew and look at the state."),
    ),
    429: ErrorPage(
        _l("Too many attempts"),
        _l("For safety we count attempts, and there were too many in a short time."),
        _l("Wait a few minutes and try again."),
    ),
    500: ErrorPage(
        _l("Something went wrong"),
        _l("This is our fault, not yours. We have recorded it."),
        _l("Try again in a minute. What you signed and confirmed before is safe."),
    ),
    503: ErrorPage(
        _l("The service is not available just now"),
        _l("At the moment we cannot store anything, so nothing you just sent was accepted."),
        _l("Try again in a minute. What you signed and confirmed before is safe."),
    ),
}
#: A form whose token is missing, wrong or too old, where the form cannot be shown again with what was typed.
STALE_FORM = ErrorPage(
    _l("The page was open for too long"),
    _l("Its safety token has run out, so nothing was done."),
    _l("Go back, load the page anew and try once more."),
)
#: A form that could not be stored: the page itself carries what was typed, for a way back may lead nowhere.
NOT_STORED = ErrorPage(
    PAGES[503].title,
    PAGES[503].explanation,
    _l("What you typed is kept on this page. Wait a minute and press the button."),
)
#: What a role does not include, or not for this place; and what is not for whoever began it. Shown at the desk.
NOT_YOUR_DUTY = ErrorPage(
    _l("Your role does not include this"),
    _l("Nothing was changed. What somebody may do at the desk follows from their role."),
    _l("If you need it for your work, ask an administrator: they can do it themselves or give you another role."),
)
NOT_YOUR_REGION = ErrorPage(
    _l("This belongs to another region"),
    _l("Nothing was changed. You are responsible for some regions only, and this is not one of them."),
    _l("A colleague who is responsible for it can go on; an administrator can change your regions."),
)
NOT_ALONE = ErrorPage(
    _l("This needs a second person"),
    _l("Nothing was changed. What you proposed yourself, and what is about your own account, others decide on."),
    _l("Ask a colleague whose role is sufficient."),
)
RETRY_AFTER_SECONDS = 30
#: Rooms whose forms hold passwords and codes: these are typed anew.
_SECRET_ROOMS = ("staff_auth",)
#: What such a form may hold besides: another one that waits, sealed, for the code; sent without a code it asks for it.
_KEPT = "kept"
_AROUND_KEPT = ("csrf_token", "next", _KEPT)

#: Domain error → status. Whatever is missing here is a bug and becomes 500.
STATUSES: dict[type[domain.CharterError], int] = {
    domain.NotFoundError: 404,
    domain.MoveRefusedError: 422,
    domain.TooLateError: 422,
    domain.TooOftenError: 429,
    domain.DutyRefusedError: 403,
    domain.AlreadyProposedError: 422,
    domain.SamePersonError: 403,
    domain.SameReviewerError: 403,
    domain.DecidedMeanwhileError: 422,
    domain.FieldRefusedError: 422,
    domain.NotYoursError: 403,
}


def error_page(status: int, original: HTTPException | None = None, *, page: ErrorPage | None = None) -> Response:
    """The page of one status, in the language of the address or of the browser. page: if it says something else."""
    if problems.is_ours(request.path):
        return problems.answer(status, original)
    if plain.is_ours(request.path):
        return plain.answer(status, original)
    if page is None:
        page = STALE_FORM if isinstance(original, CSRFError) else PAGES.get(status)
    page = page or PAGES[400 if status < 500 else 500]
    if "lang" not in g:
        first = request.path.split("/", 2)[1] if request.path.startswith("/") else ""
        g.lang = first if first in LANGUAGES else preferred_language()
    typed = _typed() if status == 503 else []
    if typed:
        page = NOT_STORED
    body = render_template(
        "errors/error.html",
        lang=g.lang,
        canonical=None,
        alternates=[],
        status=status,
        title=page.title,
        explanation=page.explanation,
        action=page.action,
        typed=typed,
    )
    response = make_response(body, status)
    if original is not None:
        for name, value in original.get_headers(request.environ):
            if name in {"Allow", "Retry-After"}:
                response.headers[name] = value
    if status == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    response.headers["Cache-Control"] = "no-store"
    return response


def _http(error: HTTPException) -> Response:
    if error.code is None or error.code < 400:
        return make_response(error.get_response())
    if isinstance(error, InternalServerError) and error.original_exception is not None:
        logger.error("bug", endpoint=request.endpoint, exc_info=error.original_exception)
    return error_page(error.code, error)


def _domain(error: domain.CharterError) -> Response:
    if isinstance(error, domain.DutyRefusedError | domain.SamePersonError) and g.get("staff_member") is not None:
        return _refused(error)
    return error_page(STATUSES.get(type(error), 500))


def _refused(error: domain.CharterError) -> Response:
    """At the desk: what one's role is, whose role would do, and whom to ask."""
    member, right = g.staff_member, g.get("staff_refused")
    regions, roles = [], []
    if isinstance(error, domain.SamePersonError):
        page = NOT_ALONE
    elif right is None and member.regions is not None:
        page = NOT_YOUR_REGION
        regions = [one.name for one in registry.regions(current_language()) if one.code in member.regions]
    else:
        page = NOT_YOUR_DUTY
        roles = [] if right is None else [role.value for role in RIGHTS if may(role, right)]
    body = render_template(
        "staff/refused.html",
        title=page.title,
        explanation=page.explanation,
        action=page.action,
        regions=regions,
        roles=roles,
        administrators=staff.administrator_names(but=member.id),
    )
    return make_response(body, 403)


def _typed() -> list[tuple[str, str]]:
    """The fields of the form that was sent, exactly as they came: its own token, no new one."""
    if request.method != "POST":
        return []
    if request.blueprint in _SECRET_ROOMS:
        return [(name, request.form.get(name, "")) for name in _AROUND_KEPT] if request.form.get(_KEPT) else []
    return [(name, value) for name, values in request.form.lists() for value in values]


def database_error(error: SQLAlchemyError) -> Response:
    """503 for a database that is gone, locked, full or damaged. Any other error is a bug, and raised again."""
    if not schema.is_breakdown(error):
        raise error
    logger.error("database", endpoint=request.endpoint, kind=schema.code_of(error))
    return error_page(503)


def unavailable(body: str) -> Response:
    """A page of our own for the same, such as a form that still holds what was typed."""
    response = make_response(body, 503)
    response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    response.headers["Cache-Control"] = "no-store"
    return response


def init_app(app: Flask) -> None:
    """Every error leaves through here."""
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(domain.CharterError, _domain)
    app.register_error_handler(SQLAlchemyError, database_error)
