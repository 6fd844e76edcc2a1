"""Around everything: how long an answer took, and a last answer for what broke outside of the error pages."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import structlog

from charter import meters

logger = structlog.get_logger()

WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
#: Where `web/headers.py` leaves the endpoint's name; files are answered without it.
ENDPOINT = "charter.endpoint"
_BROKEN = b"Something went wrong. This is our fault, not yours.\n"


class Outermost:
    """The application as the server sees it."""

    def __init__(self, app: WSGI) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answers whatever happens: a server would write the words of an exception into its own lines."""
        status = 500
        began = time.perf_counter()

        def start(line: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            nonlocal status
            status = int(line[:3])
            return start_response(line, headers, *more)

        meters.request_began()
        try:
            return self._app(environ, start)
        except Exception as error:
            status = 500
            logger.error("bug", endpoint=environ.get(ENDPOINT), exc_info=error)  # noqa: TRY400 - the same line
            headers = [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")]
            start_response("500 INTERNAL SERVER ERROR", headers, sys.exc_info())
            return [_BROKEN]
        finally:
            if meters.is_on():
                endpoint = environ.get(ENDPOINT) or _without_view(environ)
                method = environ.get("REQUEST_METHOD", "")
                meters.request_ended(endpoint, method, status, time.perf_counter() - began)
            # A thread serves one request after the other.
            structlog.contextvars.clear_contextvars()


def _without_view(environ: dict[str, Any]) -> str:
    """One word for all files and one for all addresses that do not exist: whoever asks must not make up labels."""
    is_file = ENDPOINT not in environ and environ.get("PATH_INFO", "").startswith("/static/")
    return "static" if is_file else "unknown"
