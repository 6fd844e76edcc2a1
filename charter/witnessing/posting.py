"""One request to a witness, in bounded time and memory, whoever it is that answers.

Nothing is followed, nothing is kept open, and no more is read than an answer can need. What a socket's own time-out
cannot see, such as an answer that comes a byte at a time, ends when a timer cuts the connection.
"""

from __future__ import annotations

import http.client
import socket
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit

from charter.settings import is_loopback_host

#: More than 64 signature lines of any known kind need not be read.
MOST_BYTES = 64 * 1024


class PostError(Exception):
    """No answer that could be used. code: time · connection · certificate · length."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Answer:
    """status: as HTTP has it, also of redirects and errors. content_type: without parameters, in lower case."""

    status: int
    content_type: str
    body: bytes


def post(url: str, body: bytes, *, seconds: float) -> Answer:
    """The answer to `body`, within so many seconds in all, apart from looking up the name. Raises PostError."""
    cutter = _Cutter(seconds)
    request = urllib.request.Request(  # noqa: S310 - the settings allow http and https only
        url, body, {"Content-Type": "text/plain; charset=utf-8", "User-Agent": "charter"}, method="POST"
    )
    try:
        with _opener(url, cutter).open(request, timeout=seconds) as response:
            found = response.read(MOST_BYTES + 1)
            status, content_type = int(response.status), str(response.headers.get("Content-Type", ""))
        if cutter.is_over:
            raise PostError("time")
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise PostError("time" if cutter.is_over else _code_of(error)) from None
    finally:
        cutter.stop()
    if len(found) > MOST_BYTES:
        raise PostError("length")
    return Answer(status, content_type.partition(";")[0].strip().lower(), found)


def _code_of(error: Exception) -> str:
    import ssl

    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, TimeoutError):
        return "time"
    return "certificate" if isinstance(reason, ssl.SSLCertVerificationError) else "connection"


class _Cutter:
    """Shuts a connection down when its time is over."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._timer.start()

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._until

    def watch(self, opened: socket.socket) -> None:
        with self._lock:
            self._sockets.append(opened)
        if self.is_over:
            self._cut()

    def stop(self) -> None:
        self._timer.cancel()

    def _cut(self) -> None:
        with self._lock:
            for opened in self._sockets:
                with suppress(OSError):
                    # Past TLS, which would want to say good-bye first.
                    socket.socket.shutdown(opened, socket.SHUT_RDWR)


class _Connection(http.client.HTTPConnection):
    cutter: _Cutter

    def connect(self) -> None:
        super().connect()
        self.cutter.watch(self.sock)


class _SafeConnection(http.client.HTTPSConnection):
    cutter: _Cutter

    def connect(self) -> None:
        super().connect()
        self.cutter.watch(self.sock)


def _watched(kind: type[Any], cutter: _Cutter) -> Callable[..., Any]:
    def make(host: str, **options: Any) -> Any:
        connection = kind(host, **options)
        connection.cutter = cutter
        return connection

    return make


def _opener(url: str, cutter: _Cutter) -> urllib.request.OpenerDirector:
    """Only what is needed: without handlers for redirects, errors, cookies, passwords and other schemes."""
    plain, safe = urllib.request.HTTPHandler(), urllib.request.HTTPSHandler()
    handlers: list[Any] = [plain, safe]
    plain.http_open = partial(plain.do_open, _watched(_Connection, cutter))  # type: ignore[method-assign]
    safe.https_open = partial(safe.do_open, _watched(_SafeConnection, cutter))  # type: ignore[method-assign]
    if not is_loopback_host(urlsplit(url).hostname or ""):
        handlers.append(urllib.request.ProxyHandler())
    opener = urllib.request.OpenerDirector()
    for handler in handlers:
        opener.add_handler(handler)
    return opener


#: What a witness says by its status (C2SP tlog-witness); all others are told by their class.
_MEANINGS = {
    HTTPStatus.NOT_FOUND: "unknown-log",
    HTTPStatus.FORBIDDEN: "unknown-key",
    HTTPStatus.TOO_MANY_REQUESTS: "too-many",
}


def code_of_status(status: int) -> str:
    """A short word for an answer that is not a cosignature."""
    if status in _MEANINGS:
        return _MEANINGS[HTTPStatus(status)]
    return f"http-{status // 100}xx" if 100 <= status <= 599 else "answer"
