"""Around everything: finished pages, how long an answer took, a last answer for what broke outside of error pages."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import structlog

from charter import logs, meters
from charter.web import memory
from charter.web.hot import Hot

logger = structlog.get_logger()

WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
#: Where `web/headers.py` leaves the endpoint's name; files are answered without it.
ENDPOINT = "charter.endpoint"
_BROKEN = b"Something went wrong. This is our fault, not yours.\n"


class Outermost:
    """The application as the server sees it."""

    def __init__(self, app: WSGI, *, hot: Hot, common: dict[str, str]) -> None:
        """common: headers of every answer, whoever gives it: a page, a file, a broken proxy."""
        self._app = app
        self._hot = hot
        self._common = [(name, value, name.lower()) for name, value in common.items()]

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answers whatever happens: a server would write the words of an exception into its own lines."""
        began = time.perf_counter()
        try:
            hot = self._hot.find(environ)
        except Exception as error:
            logger.error("bug", exc_info=error)  # noqa: TRY400 - the same line
            hot = None
        if hot is None:
            return self._ask(environ, start_response, began)
        endpoint, status, line, headers, body, request_id = hot
        method = environ["REQUEST_METHOD"]
        if meters.is_on():
            meters.request_began()
        start_response(line, headers)
        seconds = time.perf_counter() - began
        logs.request_answered(endpoint=endpoint, method=method, status=status, seconds=seconds, request_id=request_id)
        if meters.is_on():
            meters.request_ended(endpoint, method, status, seconds)
        return body

    def _ask(self, environ: dict[str, Any], start_response: Callable[..., Any], began: float) -> Iterable[bytes]:
        status = 500
        sent: memory.Headers = []

        def start(line: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            nonlocal status, sent
            given = {name.lower() for name, _ in headers}
            sent = [*headers, *((name, value) for name, value, lower in self._common if lower not in given)]
            status = int(line[:3])
            return start_response(line, sent, *more)

        meters.request_began()
        try:
            answer = self._app(environ, start)
        except Exception as error:
            status = 500
            logger.error("bug", endpoint=environ.get(ENDPOINT), exc_info=error)  # noqa: TRY400 - the same line
            headers = [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")]
            start("500 INTERNAL SERVER ERROR", headers, sys.exc_info())
            return [_BROKEN]
        else:
            if memory.ANSWERED in environ:
                self._hot.learn(environ, status, sent, environ[ENDPOINT])
            return answer
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
