"""Headers by audience: what may be cached, framed, indexed, sent on, and which cookies are set how."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import structlog
from flask import Flask, Response, abort, current_app, g, make_response, request
from werkzeug.http import is_resource_modified
from werkzeug.wrappers import Response as BaseResponse

from charter.queries import registry, replica, schema
from charter.settings import Settings
from charter.web import kept, memory, outermost

P = ParamSpec("P")
logger = structlog.get_logger()

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
PERMISSIONS_POLICY = "camera=(), geolocation=(), microphone=(), payment=(), usb=(), interest-cohort=()"
#: Pages may be kept by anyone for a few seconds and shown for a day while we are down.
PUBLIC_CACHE = "public, max-age=5, stale-if-error=86400"
MOST_FIELDS = 100
_REQUEST_ID = re.compile(r"[0-9A-Fa-f-]{8,64}")


def cookie_name(name: str, config: Settings) -> str:
    """Over https the prefix makes browsers refuse a cookie that another host planted."""
    return f"__Host-{name}" if config.secure_cookies else name


def set_cookie(response: BaseResponse, name: str, value: str, *, max_age_seconds: int) -> None:
    """A cookie that scripts cannot read and other sites cannot send along with a form."""
    config: Settings = current_app.config["CHARTER"]
    response.set_cookie(
        cookie_name(name, config),
        value,
        max_age=max_age_seconds,
        path="/",
        secure=config.secure_cookies,
        httponly=True,
        samesite="Lax",
    )


def forget_cookie(response: BaseResponse, name: str) -> None:
    """Takes a cookie back."""
    config: Settings = current_app.config["CHARTER"]
    response.delete_cookie(
        cookie_name(name, config), path="/", secure=config.secure_cookies, httponly=True, samesite="Lax"
    )


def get_cookie(name: str) -> str | None:
    """The value that the browser sent, if any."""
    return request.cookies.get(cookie_name(name, current_app.config["CHARTER"]))


def public_page(*, names: bool = False) -> Callable[[Callable[P, Any]], Callable[P, Response]]:
    """A page that everybody sees alike: answers 304 after one indexed row, sets no cookie, may be cached.

    Without a database it comes from the process's memory, or not at all.
    names: whether it shows people's names, which search engines must not keep.
    """

    def decorate(view: Callable[P, Any]) -> Callable[P, Response]:
        @wraps(view)
        def run(*args: P.args, **kwargs: P.kwargs) -> Response:
            return memory.or_remembered(lambda: replica.read_public(lambda: answer(*args, **kwargs)), has_names=names)

        def answer(*args: P.args, **kwargs: P.kwargs) -> Response:
            kept.forget_as_of()
            g.as_of = registry.find_as_of()
            revision = g.as_of.revision if g.as_of else 0
            tag = f'"{revision}-{g.get("lang", "")}-{current_app.config["PAGES_DIGEST"]}"'
            if is_resource_modified(request.environ, etag=tag.strip('"')):
                response = make_response(view(*args, **kwargs))
            else:
                response = Response(status=304)
            if response.status_code in {200, 304}:
                response.headers["ETag"] = tag
                response.headers["Cache-Control"] = PUBLIC_CACHE
            if names:
                response.headers["X-Robots-Tag"] = "noindex"
            return response

        return run

    return decorate


def common(config: Settings) -> dict[str, str]:
    """What every answer carries: pages, errors and static files alike."""
    headers = {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Permissions-Policy": PERMISSIONS_POLICY,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if config.secure_cookies:
        headers["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
    return headers


def for_static_files(config: Settings) -> Callable[[Any, str, str], None]:
    """The same for files, which are answered before the application sees the request."""
    kept = common(config)

    def add(headers: Any, _path: str, _url: str) -> None:
        for name, value in kept.items():
            headers[name] = value

    return add


def _start() -> None:
    schema.begin_request()
    g.started = time.perf_counter()
    g.request_id = _request_id()
    # Every line written for this request carries it, until `web/outermost.py` ends it.
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _request_id() -> str:
    """The proxy's, so that its lines and ours can be laid side by side; else our own.

    Only where there is a proxy, and only what cannot be anything but an id: who sends the header may be anybody.
    """
    config: Settings = current_app.config["CHARTER"]
    given = request.headers.get("X-Request-Id", "")
    return given if config.trusted_proxy_count and _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def _limit_fields() -> None:
    """A form of ours has a dozen fields; ten thousand are an attack or an accident."""
    if request.method == "POST" and sum(len(values) for _, values in request.form.lists()) > MOST_FIELDS:
        abort(413)


def _finish(response: Response) -> Response:
    config: Settings = current_app.config["CHARTER"]
    headers = response.headers
    for name, value in common(config).items():
        headers[name] = value
    headers["X-Request-Id"] = g.get("request_id", "")
    if "Cache-Control" not in headers:
        headers["Cache-Control"] = "no-store"
        headers.setdefault("X-Robots-Tag", "noindex")
    # The endpoint, not the path: paths hold tokens and entries.
    request.environ[outermost.ENDPOINT] = request.endpoint
    logger.info(
        "request",
        endpoint=request.endpoint,
        method=request.method,
        status=response.status_code,
        milliseconds=round((time.perf_counter() - g.get("started", time.perf_counter())) * 1000, 1),
        request_id=g.get("request_id"),
    )
    return response


def init_app(app: Flask) -> None:
    """Every response passes here."""
    memory.init_app(app)
    app.before_request(_start)
    app.before_request(_limit_fields)
    app.after_request(_finish)
    app.teardown_request(lambda _error: schema.end_request())
    # Before Flask-SQLAlchemy's own, which would stumble over a broken connection and leave it to the next request.
    app.teardown_appcontext(lambda _error: schema.let_go())
