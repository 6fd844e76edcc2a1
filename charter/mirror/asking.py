"""Asks the application for a page as a web server would, in this process and without a network."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from flask import Flask

from charter.queries.registry import AsOf
from charter.web.mirrored import FLAG

#: Where the application leaves the name of what answered: an address may tell too much for a line that is printed.
_ENDPOINT = "charter.endpoint"


@dataclass
class Answer:
    """What came back. body: to be read once, while the request is open. as_of: of a public page."""

    status: int
    headers: dict[str, str]
    body: Iterator[bytes]
    as_of: AsOf | None
    endpoint: str | None

    @property
    def is_page(self) -> bool:
        """Whether links in it are a reader's."""
        return self.headers.get("content-type", "").startswith("text/html")

    @property
    def is_packed(self) -> bool:
        """Whether its bytes say nothing about whether it is the same."""
        return "openxmlformats" in self.headers.get("content-type", "")

    @property
    def is_from_memory(self) -> bool:
        """Whether the database did not answer, so that an old page came in its place."""
        return "warning" in self.headers


class Asker:
    """The visitor whose answers become files."""

    def __init__(self, app: Flask, *, service: str) -> None:
        self._app = app.wsgi_app
        address = urlsplit(service)
        host = address.hostname or "localhost"
        port = address.port or (443 if address.scheme == "https" else 80)
        self._environ = {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "",
            "SERVER_NAME": host,
            "SERVER_PORT": str(port),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": address.netloc or host,
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": address.scheme or "http",
            "wsgi.multithread": False,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }

    @contextmanager
    def get(self, address: str) -> Iterator[Answer]:
        """The answer at a path with its query."""
        path, _, query = address.partition("?")
        asked: dict[str, Any] = {}
        status, headers = 500, {}

        def start(line: str, given: list[tuple[str, str]], *_more: Any) -> Any:
            nonlocal status, headers
            status = int(line[:3])
            headers = {name.lower(): value for name, value in given}

        environ: dict[str, Any] = self._environ | {
            # PEP 3333: bytes as Latin-1.
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query,
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": io.StringIO(),
            FLAG: asked,
        }
        found: Any = self._app(environ, start)
        with closing(found) if hasattr(found, "close") else _as_it_is():
            yield Answer(status, headers, iter(found), asked.get("as_of"), environ.get(_ENDPOINT))


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield
