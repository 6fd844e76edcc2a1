"""Errors where programs fetch the log: one plain sentence, which `curl` shows as it is."""

from __future__ import annotations

from flask import Response, request
from werkzeug.exceptions import HTTPException

PREFIX = "/log/"
CONTENT_TYPE = "text/plain; charset=utf-8"
RETRY_AFTER_SECONDS = 5

#: For what no view has put into words. Never anything of the request.
_SENTENCES = {
    404: "There is nothing at this address.",
    405: "Ask with GET or HEAD.",
    500: "This is our fault, and it was recorded. Try again in a minute.",
    503: "The log cannot be read just now. Try again later.",
}
_REFUSED = "The request was refused."


def is_ours(path: str) -> bool:
    """Whether the log is fetched here."""
    return path.startswith(PREFIX)


def answer(status: int, original: HTTPException | None = None, *, sentence: str = "") -> Response:
    """The answer of one status, which no cache keeps, with the headers that belong to it."""
    text = sentence or _SENTENCES.get(status, _REFUSED)
    response = Response(f"{text}\n", status=status, content_type=CONTENT_TYPE)
    if original is not None:
        for name, value in original.get_headers(request.environ):
            if name in {"Allow", "Retry-After"}:
                response.headers[name] = value
    if status == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    response.headers["Cache-Control"] = "no-store"
    for_everybody(response)
    return response


def for_everybody(response: Response) -> None:
    """Scripts of other sites may read it, and search engines must not: some of it holds names."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Expose-Headers"] = "Content-Disposition, ETag, Retry-After"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["X-Robots-Tag"] = "noindex"
