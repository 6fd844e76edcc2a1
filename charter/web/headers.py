"""Headers by audience: what may be cached, framed, indexed, sent on, and which cookies are set how."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import structlog
from flask import Flask, Request, Response, abort, current_app, g, make_response, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from werkzeug.http import is_resource_modified
from werkzeug.wrappers import Response as BaseResponse

from charter import logs
from charter.i18n import DEFAULT
from charter.queries import registry, replica, schema
from charter.settings import Settings
from charter.web import hot, kept, memory, outermost

P = ParamSpec("P")

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
KEEP_SECONDS = 5
MOST_FIELDS = 100
#: Where a page of two hundred tick boxes is sent.
MOST_FIELDS_OF = {"staff.bulk": 300}
#: Endpoint → how much may be sent there, and by whom: all others stay at the common limit.
_larger: dict[str, tuple[int, Callable[[], bool]]] = {}
_HOLDS = "HTTP_IF_NONE_MATCH"
#: Views of public pages without names.
_indexable: set[Callable[..., Any]] = set()


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


def public_cache(keep_seconds: int = KEEP_SECONDS) -> str:
    """What caches are told of a public page."""
    return f"public, max-age={keep_seconds}, stale-if-error=86400"


def public_page(
    *, names: bool = False, is_asked: bool = False, spoken: str = "", keep_seconds: int = KEEP_SECONDS
) -> Callable[[Callable[P, Any]], Callable[P, Response]]:
    """A page that everybody sees alike: answers 304 after one indexed row, sets no cookie, may be cached.

    What it shows may depend on its address, `public_revision` and settings, and on nothing else in the request: a
    finished answer is kept and sent again (`web/memory.py`). Without a database it comes from there, or not at all.

    names: whether it shows people's names, which search engines must not keep. is_asked: whether that is asked of each
    person: the view says so itself. spoken: for an answer that is the same
    in all languages, a word that stands in its entity tag instead; an address that has neither language nor this
    depends on what the browser asks for, and is not kept by us.
    """
    cache = public_cache(keep_seconds)

    def decorate(view: Callable[P, Any]) -> Callable[P, Response]:
        @wraps(view)
        def run(*args: P.args, **kwargs: P.kwargs) -> Response:
            if spoken:
                g.lang = DEFAULT
            # As for finished pages: nobody asks the database what somebody else has just been told.
            recent = memory.recent_revision()
            if recent is not None and (unchanged := not_modified(recent)) is not None:
                return unchanged
            return memory.or_remembered(lambda: replica.read_public(lambda: answer(*args, **kwargs)), has_names=names)

        def answer(*args: P.args, **kwargs: P.kwargs) -> Response:
            kept.forget_as_of()
            if _HOLDS in request.environ:
                # Most who have the page have the newest one, and need no transaction.
                g.as_of = registry.glance_as_of()
                if (unchanged := not_modified(revision_now())) is not None:
                    return unchanged
            g.as_of = kept.find_as_of()
            tag = tag_of(revision_now())
            return dressed(memory.again(tag) or make_response(view(*args, **kwargs)), tag)

        def revision_now() -> int:
            return g.as_of.revision if g.as_of else 0

        def tag_of(revision: int) -> str:
            return f'"{revision}-{spoken or g.get("lang", "")}-{current_app.config["PAGES_DIGEST"]}"'

        def not_modified(revision: int) -> Response | None:
            tag = tag_of(revision)
            if _HOLDS not in request.environ or is_resource_modified(request.environ, etag=tag.strip('"')):
                return None
            return dressed(Response(status=304), tag)

        def dressed(response: Response, tag: str) -> Response:
            if response.status_code in {200, 304}:
                response.headers["ETag"] = tag
                response.headers["Cache-Control"] = cache
                if not (spoken or g.get("is_language_addressed")):
                    response.vary.add("Accept-Language")
            if names and not is_asked:
                response.headers["X-Robots-Tag"] = "noindex"
            return response

        if not names:
            _indexable.add(run)
        return run

    return decorate


def may_be_indexed(view: Callable[..., Any]) -> bool:
    """Whether search engines may keep what this view shows: a public page without names."""
    return view in _indexable


class _Sessions(SecureCookieSessionInterface):
    """Flask's own, which makes ready to check a signature even where no cookie was sent."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """An empty session for who has none yet."""
        if self.get_cookie_name(app) not in request.cookies:
            return self.session_class()
        return super().open_session(app, request)


def common(config: Settings) -> dict[str, str]:
    """What every answer carries, if it does not say otherwise itself: pages, errors and files alike."""
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


def _start() -> None:
    schema.begin_request()
    g.started = time.perf_counter()
    config: Settings = current_app.config["CHARTER"]
    g.request_id = hot.request_id(
        request.headers.get("X-Request-Id", ""), is_behind_proxy=config.trusted_proxy_count > 0
    )
    # Every line written for this request carries it, until `web/outermost.py` ends it.
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def accept_more(endpoint: str, *, most_bytes: int, is_allowed: Callable[[], bool]) -> None:
    """A larger body for one endpoint. is_allowed: asked before anything of it is read."""
    _larger[endpoint] = most_bytes, is_allowed


def _limit_fields() -> None:
    """A form of ours has a dozen fields; ten thousand are an attack or an accident."""
    larger = _larger.get(request.endpoint or "")
    if larger is not None and request.method == "POST" and larger[1]():
        request.max_content_length = larger[0]
    most = MOST_FIELDS_OF.get(request.endpoint or "", MOST_FIELDS)
    if request.method == "POST" and sum(len(values) for _, values in request.form.lists()) > most:
        abort(413)


def _finish(response: Response) -> Response:
    headers = response.headers
    headers["X-Request-Id"] = g.get("request_id", "")
    if "Cache-Control" not in headers:
        headers["Cache-Control"] = "no-store"
        headers.setdefault("X-Robots-Tag", "noindex")
    # The endpoint, not the path: paths hold tokens and entries.
    request.environ[outermost.ENDPOINT] = request.endpoint
    logs.request_answered(
        endpoint=request.endpoint,
        method=request.method,
        status=response.status_code,
        seconds=time.perf_counter() - g.get("started", time.perf_counter()),
        request_id=g.get("request_id"),
    )
    return response


def init_app(app: Flask) -> None:
    """Every response passes here."""
    memory.init_app(app)
    kept.init_app(app)
    app.session_interface = _Sessions()
    app.before_request(_start)
    app.before_request(_limit_fields)
    app.after_request(_finish)
    app.teardown_request(lambda _error: schema.end_request())
    # Before Flask-SQLAlchemy's own, which would stumble over a broken connection and leave it to the next request.
    app.teardown_appcontext(lambda _error: schema.let_go())
