"""The checking browser of `tests/pages.py` at a running service, over real connections."""

from __future__ import annotations

import http.client
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode

from werkzeug.wrappers import Response

from tests.pages import Browser


class WireClient:
    """As much of Flask's test client as the browser needs."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.cookies: dict[str, str] = {}

    def open(self, path: str, *, method: str = "GET", data: Any = None, headers: Any = None) -> Response:
        """One request on a connection of its own."""
        sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()), **(headers or {})}
        body = None
        if data is not None:
            body = urlencode(data, doseq=True)
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            connection.request(method, path, body=body, headers=sent)
            answer = connection.getresponse()
            response = Response(answer.read(), status=answer.status, headers=answer.getheaders())
        finally:
            connection.close()
        for line in response.headers.getlist("Set-Cookie"):
            for name, morsel in SimpleCookie(line).items():
                self.cookies[name] = morsel.value
        return response


class WireBrowser(Browser):
    """Somebody at a browser far away."""

    def __init__(self, port: int) -> None:
        self.client = WireClient(port)  # type: ignore[assignment]
        self.options = {}
