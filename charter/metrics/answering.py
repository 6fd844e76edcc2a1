"""The small server that Prometheus asks: one page, no words about who asked."""

from __future__ import annotations

import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from charter.settings import Settings


def server(settings: Settings, text: Callable[[], bytes]) -> ThreadingHTTPServer:
    """Bound and ready; raises OSError if the address cannot be had. text: one scrape."""
    host = settings.metrics_host
    family = socket.getaddrinfo(host, settings.metrics_port, type=socket.SOCK_STREAM)[0][0]

    class Server(ThreadingHTTPServer):
        address_family = family
        daemon_threads = True

        def handle_error(self, _request: Any, _client_address: Any) -> None:
            """Silent: a scraper may hang up, and the base class would print where it came from."""

    class Handler(BaseHTTPRequestHandler):
        # A client that says nothing is let go.
        timeout = 10

        def do_GET(self) -> None:
            is_ours = self.path.partition("?")[0] in {"/", "/metrics"}
            body = text() if is_ours else b"Metrics are at /metrics.\n"
            self.send_response_only(200 if is_ours else 404)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8" if is_ours else "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            """Silent."""

    return Server((host, settings.metrics_port), Handler)
