"""The registry for programs: JSON at /api/v1, its OpenAPI document, and a page that explains it."""

from __future__ import annotations

from flask import Flask, Response, request
from werkzeug.routing import BaseConverter

from charter.web.api import developers, problems, views

#: Anybody's page may read what everybody may read; nothing personal is ever answered here, so no credentials are.
_CROSS_ORIGIN = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "ETag, Link, Retry-After",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "If-None-Match",
    "Access-Control-Max-Age": "86400",
}


class NumberConverter(BaseConverter):
    """A registry number: too short to be taken for an entry's permanent id."""

    regex = "[1-9][0-9]{0,14}"


def _open_to_all(response: Response) -> Response:
    if problems.is_ours(request.path):
        response.headers.update(_CROSS_ORIGIN)
        if request.method == "OPTIONS":
            response.headers.update(_PREFLIGHT)
    return response


def init_app(app: Flask) -> None:
    """Registers the room, and lets other sites' scripts read it."""
    app.url_map.converters["number"] = NumberConverter
    app.after_request(_open_to_all)
    app.register_blueprint(views.blueprint)
    app.register_blueprint(developers.blueprint)
