"""What goes wrong under /api/, as RFC 9457 says it: never a page, always JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from flask import Response, current_app, request
from werkzeug.exceptions import HTTPException

from charter.i18n import lazy_gettext as _l

PREFIX = "/api/"
CONTENT_TYPE = "application/problem+json"
#: Where a documented problem is explained.
ANCHOR = "problem-"
RETRY_AFTER_SECONDS = 30


@dataclass(frozen=True)
class Kind:
    """A kind of problem. title: English, the same every time. words: for the page that explains it."""

    slug: str
    status: int
    title: str
    words: Any


INVALID = Kind(
    "invalid-parameter",
    400,
    "A parameter cannot be used",
    _l("A parameter has a value that cannot be used, stands twice, or does not go with another one; it is named."),
)
UNKNOWN = Kind(
    "unknown-parameter",
    400,
    "There is no such parameter",
    _l("A mistyped filter would give you everything, so parameters that we do not know are refused; it is named."),
)
BAD = Kind(
    "bad-request",
    400,
    "The request could not be understood",
    _l("The request arrived damaged, or for a host that is not ours."),
)
NOT_FOUND = Kind(
    "not-found",
    404,
    "Nothing is here",
    _l("There is no such entry, affiliation or address. An entry that has ended is still found."),
)
METHOD = Kind(
    "method-not-allowed",
    405,
    "Only reading is possible",
    _l("Everything here is read with GET or HEAD. The header Allow says what can be asked."),
)
LOST = Kind(
    "cursor-lost",
    410,
    "The walk cannot go on from here",
    _l("In order of name: the entry at which the cursor stood is no longer shown by that name. Begin anew."),
)
TOO_MANY = Kind(
    "too-many-requests",
    429,
    "Too many requests",
    _l("Wait as long as the header Retry-After says."),
)
BUG = Kind("internal-error", 500, "Something went wrong", _l("This is our fault, not yours. We have recorded it."))
UNAVAILABLE = Kind(
    "unavailable",
    503,
    "The registry cannot be read just now",
    _l("Try again after the seconds that the header Retry-After names."),
)
KINDS = (INVALID, UNKNOWN, BAD, NOT_FOUND, METHOD, LOST, TOO_MANY, BUG, UNAVAILABLE)
_BY_STATUS = {kind.status: kind for kind in reversed(KINDS)} | {400: BAD}


class ProblemError(HTTPException):
    """A request that cannot be answered as it stands. parameter: the one to blame, if any."""

    def __init__(self, kind: Kind, detail: str, *, parameter: str | None = None) -> None:
        super().__init__(detail)
        self.code = kind.status
        self.kind = kind
        self.detail = detail
        self.parameter = parameter


def is_ours(path: str) -> bool:
    """Whether programs ask here."""
    return path.startswith(PREFIX) or path == PREFIX.rstrip("/")


def address_of(kind: Kind) -> str:
    """The type of a problem: where it is explained."""
    return f"{current_app.config['CHARTER'].public_url}/en/developers/#{ANCHOR}{kind.slug}"


def answer(status: int, original: HTTPException | None = None) -> Response:
    """The problem of one status, or the one that was raised, with the headers that belong to it."""
    body: dict[str, object]
    if isinstance(original, ProblemError):
        body = {"type": address_of(original.kind), "title": original.kind.title, "status": status}
        body["detail"] = original.detail
        if original.parameter is not None:
            body["parameter"] = original.parameter
    elif status in _BY_STATUS:
        kind = _BY_STATUS[status]
        body = {"type": address_of(kind), "title": kind.title, "status": status, "detail": _DETAILS[kind.slug]}
    else:
        title = original.name if original is not None else "Error"
        body = {"type": "about:blank", "title": title, "status": status, "detail": "The request was refused."}
    response = Response(json.dumps(body, ensure_ascii=False) + "\n", status=status, content_type=CONTENT_TYPE)
    if original is not None:
        for name, value in original.get_headers(request.environ):
            if name in {"Allow", "Retry-After"}:
                response.headers[name] = value
    if status == UNAVAILABLE.status:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    response.headers["Cache-Control"] = "no-store"
    return response


#: For what no view has put into words. Never anything of the request: it may be personal.
_DETAILS = {
    BAD.slug: "The address, the host or the body of the request is damaged.",
    NOT_FOUND.slug: "There is nothing at this address. The addresses are listed in /api/openapi.json.",
    METHOD.slug: "Ask with GET or HEAD.",
    LOST.slug: "Begin anew without the cursor.",
    TOO_MANY.slug: "Wait before asking again.",
    BUG.slug: "This is our fault, and it was recorded. Try again in a minute.",
    UNAVAILABLE.slug: "The database does not answer. Try again later.",
}
