"""What search engines are told: robots.txt, and a map of the pages that they may keep.

Pages with people's names are not among these (`public_page(names=True)` says noindex), but for the entries whose
signatories allowed it: these stand in parts of their own, each of a range of registry numbers, so that no part grows
beyond it, whatever the size of the registry.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Flask, Response, abort, current_app, make_response, render_template, url_for

from charter.domain.blocks import RANGE, Span, spans
from charter.i18n import DEFAULT, LANGUAGES, current_language
from charter.queries import registry
from charter.web import lists
from charter.web.headers import may_be_indexed, public_page

blueprint = Blueprint("sitemap", __name__)

#: sitemaps.org: addresses in one file.
MOST_ADDRESSES = 50_000
KEEP_SECONDS = 3600
_PAGE = "/<lang:lang>/"
_ANY = "0" * 32


def _addresses(language: str) -> Iterator[dict[str, str]]:
    """Every page that may be kept, as language → path; its own language's is there too."""
    for rule in current_app.url_map.iter_rules():
        view = current_app.view_functions.get(rule.endpoint)
        # What does not end so is a file beside a page: a feed, a text.
        if not (rule.rule.startswith(_PAGE) and rule.rule.endswith("/") and view and may_be_indexed(view)):
            continue
        for values in _values(rule.arguments - {"lang"}):
            yield {code: url_for(rule.endpoint, lang=code, **values) for code in LANGUAGES}


def _values(arguments: set[str]) -> Iterator[dict[str, Any]]:
    if not arguments:
        yield {}
    elif arguments == {"edition"}:
        yield from ({"edition": slug} for slug in lists.editions())


@blueprint.get("/sitemap.xml")
@public_page(spoken="map", keep_seconds=KEEP_SECONDS)
def index() -> Response:
    """Which parts the map has: one for each language, and one for each range of entries."""
    ranges = spans(RANGE, first=1, last=registry.highest_number())
    return _xml(render_template("embedding/sitemap-index.xml", codes=LANGUAGES, ranges=ranges))


@blueprint.get("/sitemaps/<span:wanted>.xml")
@public_page(spoken="map", keep_seconds=KEEP_SECONDS)
def entries(wanted: Span) -> Response:
    """The entries of one range whose signatories allow search engines to keep them, in each language."""
    if wanted.size != RANGE or not wanted.is_aligned or wanted.first > registry.highest_number():
        abort(404)
    # Put together here: `url_for` remembers what it is asked for, and these are as many as entries.
    folders = [url_for("registry.entry", lang=code, entry=_ANY).removesuffix(_ANY) for code in LANGUAGES]
    found = registry.indexable(wanted)
    return _xml(render_template("embedding/sitemap-entries.xml", entries=found, folders=folders))


@blueprint.get("/sitemap-<lang:lang>.xml")
@public_page(keep_seconds=KEEP_SECONDS)
def part() -> Response:
    """The pages of one language, each with its other languages."""
    pages = list(_addresses(current_language()))[:MOST_ADDRESSES]
    return _xml(render_template("embedding/sitemap.xml", pages=pages, default=DEFAULT))


@blueprint.get("/robots.txt")
@public_page(spoken="robots", keep_seconds=KEEP_SECONDS)
def robots() -> Response:
    """What robots may fetch. Pages with names are not forbidden here: who may not fetch them cannot read "noindex"."""
    base = current_app.config["CHARTER"].public_url
    lines = ["User-agent: *", "Disallow: /staff/", "Disallow: /dev/", f"Sitemap: {base}{url_for('sitemap.index')}", ""]
    response = make_response("\n".join(lines))
    response.headers["Content-Type"] = "text/plain; charset=utf-8"
    return response


def _xml(body: str) -> Response:
    response = make_response(body)
    response.headers["Content-Type"] = "application/xml; charset=utf-8"
    return response


def init_app(app: Flask) -> None:
    """Registers the room."""
    app.register_blueprint(blueprint)
