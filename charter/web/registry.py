"""The public registry: all of it, a region, an entry."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Flask, abort, current_app, g, render_template, request, url_for

from charter.i18n import current_language
from charter.queries import registry
from charter.queries.registry import KINDS, RegistryPage
from charter.web.headers import public_page

blueprint = Blueprint("registry", __name__)

#: Numbers beyond this are mistyped, and would not fit the database's integers.
MOST_NUMBER = 10**15
MOST_DIGITS = 16


def _number(name: str) -> int | None:
    """A keyset position from the address; 404 for anything that is not a number of ours."""
    raw = request.args.get(name)
    if raw is None:
        return None
    # The length first: int() itself refuses thousands of digits.
    if not (raw.isascii() and raw.isdigit()) or len(raw) > MOST_DIGITS or int(raw) > MOST_NUMBER:
        abort(404)
    return int(raw)


def _kind() -> str | None:
    kind = request.args.get("kind") or None
    if kind is not None and kind not in KINDS:
        abort(404)
    return kind


def _pages(page: RegistryPage, endpoint: str, **kept: Any) -> dict[str, str | None]:
    """Addresses of the neighbouring pages, keeping the filters."""
    kept = {key: value for key, value in kept.items() if value is not None}
    return {
        "older_url": url_for(endpoint, **kept, older=page.older_than) if page.older_than is not None else None,
        "newer_url": url_for(endpoint, **kept, newer=page.newer_than) if page.newer_than is not None else None,
    }


@blueprint.get("/<lang:lang>/registry/")
@public_page(names=True)
def index() -> str:
    """All entries, newest first, by region and kind if wanted."""
    views, by_region, totals = registry.regions_with_totals(current_language())
    slug = request.args.get("region") or None
    kind = _kind()
    region = next((view for view in views if view.slug == slug), None)
    if slug is not None and region is None:
        abort(404)
    page = registry.page(
        views,
        region_code=region.code if region else None,
        kind=kind,
        older_than=_number("older"),
        newer_than=_number("newer"),
    )
    shown = by_region[region.code] if region else totals
    return render_template(
        "registry/index.html",
        lines=page.lines,
        totals=totals,
        regions=views,
        filters={"region": slug, "kind": kind},
        count=(shown.by_kind or {}).get(kind, 0) if kind else shown.shown,
        as_of=g.as_of,
        **_pages(page, "registry.index", region=slug, kind=kind),
    )


@blueprint.get("/<lang:lang>/registry/<slug:slug>/")
@public_page(names=True)
def region(slug: str) -> str:
    """One region: how many of which kind, and who."""
    views, by_region, _ = registry.regions_with_totals(current_language())
    view = next((one for one in views if one.slug == slug), None)
    if view is None:
        abort(404)
    kind = _kind()
    page = registry.page(
        views, region_code=view.code, kind=kind, older_than=_number("older"), newer_than=_number("newer")
    )
    return render_template(
        "registry/region.html",
        region=view,
        regions=views,
        totals=by_region[view.code],
        lines=page.lines,
        kind=kind,
        as_of=g.as_of,
        **_pages(page, "registry.region", slug=slug, kind=kind),
    )


@blueprint.get("/<lang:lang>/registry/entries/<entry:entry>")
@public_page(names=True)
def entry(entry: str) -> str:
    """One entry at its permanent address; an ended one keeps its number and dates."""
    line = registry.find_entry(entry, current_language())
    if line is None:
        abort(404)
    return render_template(
        "registry/entry.html",
        line=line,
        permanent_url=current_app.config["CHARTER"].public_url + url_for("registry.entry", entry=entry),
        as_of=g.as_of,
    )


def init_app(app: Flask) -> None:
    """Registers the room."""
    app.register_blueprint(blueprint)
