"""For other people's pages: a badge, a counter in a frame, and the picture that links to us are shown with."""

from __future__ import annotations

import base64
import hashlib

from flask import Blueprint, Flask, Response, g, make_response, render_template, request
from markupsafe import Markup

from charter.i18n import current_language
from charter.web import lists
from charter.web.headers import public_page

blueprint = Blueprint("embedding", __name__)

#: A number may be a little older than a page: whoever shows it asks us less often.
KEEP_SECONDS = 60
#: Pixels, as the badge and its frame are told to be.
BADGE_SIZE = (304, 48)
COUNTER_SIZE = (320, 200)
#: The Open Graph picture of each language, drawn by `docs/pictures/draw.py`.
PICTURE_SIZE = (1200, 630)
#: As Open Graph writes languages.
LOCALES = {"kk": "kk_KZ", "ru": "ru_RU", "en": "en_GB"}

#: The badge is a picture in somebody's page: it has no other style sheet than its own, in light and dark.
BADGE_STYLE = (
    ".p{fill:#fbfaf6;stroke:#d9d6cb}.i{fill:#16202c}.q{fill:#4a5663}.m{stroke:#00688b}"
    "@media(prefers-color-scheme:dark){.p{fill:#10161d;stroke:#2c3742}.i{fill:#e9e7df}.q{fill:#a9b2ba}.m{stroke:#6cc3df}}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(BADGE_STYLE.encode()).digest()).decode()
_BADGE_POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none'"
#: The only page of ours that others may put in a frame: it has nothing to click but a link, and no form.
_COUNTER_POLICY = (
    "default-src 'none'; style-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors *"
)


_POLICIES = {"embedding.badge": _BADGE_POLICY, "embedding.counter": _COUNTER_POLICY}


@blueprint.after_request
def _let_others_show(response: Response) -> Response:
    """On a 304 too: its headers take the place of those that a browser has kept, which would then refuse the frame."""
    if response.status_code in {200, 304}:
        response.headers["Content-Security-Policy"] = _POLICIES[str(request.endpoint)]
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        response.headers["X-Robots-Tag"] = "noindex"
    return response


def _for_others(body: str, *, content_type: str) -> Response:
    response = make_response(body)
    response.headers["Content-Type"] = content_type
    response.headers["Content-Language"] = current_language()
    return response


@blueprint.get("/badge/<lang:lang>.svg")
@public_page(keep_seconds=KEEP_SECONDS)
def badge() -> Response:
    """How many people stand in the registry, as a small picture."""
    width, height = BADGE_SIZE
    body = render_template(
        "embedding/badge.svg",
        count=lists.regions().totals.shown,
        style=Markup(BADGE_STYLE),  # noqa: S704 - our own constant
        width=width,
        height=height,
    )
    return _for_others(body, content_type="image/svg+xml; charset=utf-8")


@blueprint.get("/embed/<lang:lang>/")
@public_page(keep_seconds=KEEP_SECONDS)
def counter() -> Response:
    """The same number as a page for a frame: no cookie, no script, nobody is counted."""
    body = render_template("embedding/counter.html", count=lists.regions().totals.shown, as_of=g.as_of)
    return _for_others(body, content_type="text/html; charset=utf-8")


def init_app(app: Flask) -> None:
    """Registers the room, and tells templates how large things are."""
    app.register_blueprint(blueprint)
    app.jinja_env.globals.update(
        badge_size=BADGE_SIZE, counter_size=COUNTER_SIZE, picture_size=PICTURE_SIZE, locale_names=LOCALES
    )
