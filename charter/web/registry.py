"""The public registry: all of it and what is searched for in it, a region, an affiliation, an entry."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from typing import Final

from flask import Blueprint, Flask, abort, current_app, g, make_response, render_template, url_for
from werkzeug.wrappers import Response

from charter.domain.scale import ranges_of
from charter.domain.selection import Selection
from charter.i18n import current_language
from charter.queries import affiliations as affiliation_queries
from charter.queries import log, registry, search
from charter.queries.affiliations import AffiliationShort
from charter.queries.similar import similar
from charter.web import figures, lists, rows, takeaway
from charter.web.headers import public_page
from charter.web.kept import as_published, public_day
from charter.web.listing import by_type, chosen, kind_choices, list_page
from charter.web.selecting import address_of, is_cut, read_selection, without

blueprint = Blueprint("registry", __name__)

#: What the lists of one region and of one affiliation can be asked for.
OF_A_REGION: Final = ("kind", "order")
OF_AN_AFFILIATION: Final = ("region", "order")


@blueprint.get("/<lang:lang>/registry/")
@public_page(names=True)
def index() -> str | Response:
    """All entries or those that are asked for, newest first or by name."""
    regions = lists.regions()
    selection = read_selection(regions.views)
    listed = list_page(selection, "registry.index")
    if isinstance(listed, Response):
        return listed
    count = search.count(selection)
    spellings = similar(selection) if selection.words and not count.number else []
    unfiltered = Selection(asked=selection.asked, order=selection.order)
    return render_template(
        "registry/index.html",
        **listed,
        count=count,
        downloads=takeaway.downloads_of(selection, count),
        chosen=chosen(selection, "registry.index"),
        spellings=[(words, address_of("registry.index", replace(selection, asked=words))) for words in spellings],
        unfiltered_url=address_of("registry.index", unfiltered) if selection != unfiltered else None,
        is_filtered=without(selection, "asked", "order") != Selection(),
        is_cut=is_cut(),
        is_reversed=bool(selection.signed_from and selection.signed_to and selection.signed_from > selection.signed_to),
        regions=regions,
        totals=regions.totals,
        affiliations=by_type(also=selection.affiliation),
        editions=lists.editions().values(),
    )


@blueprint.get("/<lang:lang>/registry/<slug:slug>/")
@public_page(names=True)
def region(slug: str) -> str | Response:
    """One region: how many of which kind and for whom, and who."""
    regions = lists.regions()
    view = regions.by_slug.get(slug)
    if view is None:
        abort(404)
    selection = read_selection(regions.views, only=OF_A_REGION)
    listed = list_page(selection, "registry.region", region=view.code, slug=slug)
    if isinstance(listed, Response):
        return listed
    shares = as_published("region's affiliations", current_language(), slug, make=lambda: _shares(view.code))
    totals = regions.by_region[view.code]
    return render_template(
        "registry/region.html",
        **listed,
        region=view,
        regions=regions.views,
        totals=totals,
        # Functions, because the pieces that need them are kept.
        downloads=partial(takeaway.downloads_of, listed["whole"], search.Count(totals.shown, is_exact=True)),
        kinds=partial(kind_choices, selection, "registry.region", slug=slug),
        shares=shares,
        listed_otherwise=totals.listed - sum(count for _one, count, _url in shares),
        courses=figures.courses(view.code),
        period_words=figures.period_words,
    )


def _shares(region_code: str) -> list[tuple[AffiliationShort, int, str]]:
    """Whom the observers of a region observe for, how many each, and the address of these."""
    numbers = affiliation_queries.of_region(region_code)
    return [
        (one, numbers[slug], address_of("registry.affiliation", Selection(region=region_code), slug=slug))
        for slug, one in lists.affiliations().items()
        if slug in numbers
    ]


@blueprint.get("/<lang:lang>/registry/affiliations/")
@public_page()
def affiliations() -> str:
    """Every party, organisation and mission, with how many observe for it."""
    return render_template(
        "registry/affiliations.html", groups=by_type(every=True), known=lists.affiliations(), as_of=g.as_of
    )


@blueprint.get("/<lang:lang>/registry/affiliations/<slug:slug>/")
@public_page(names=True)
def affiliation(slug: str) -> str | Response:
    """One affiliation: its names, where its observers are, and who they are."""
    view = affiliation_queries.find_affiliation(slug, current_language(), on=public_day())
    if view is None:
        abort(404)
    regions = lists.regions()
    selection = read_selection(regions.views, only=OF_AN_AFFILIATION)
    listed = list_page(selection, "registry.affiliation", affiliation=slug, slug=slug)
    if isinstance(listed, Response):
        return listed
    numbers = Counter[str]()
    for code, _kind, number in view.by_region:
        numbers[code] += number
    return render_template(
        "registry/affiliation.html",
        **listed,
        affiliation=view,
        downloads=takeaway.downloads_of(listed["whole"], search.Count(view.total, is_exact=True)),
        by_region=[
            (one, numbers[one.code], address_of("registry.affiliation", replace(selection, region=one.code), slug=slug))
            for one in regions.views
            if numbers[one.code]
        ],
        chosen_region=regions.by_code.get(selection.region or ""),
        everywhere_url=address_of("registry.affiliation", without(selection, "region"), slug=slug),
    )


@blueprint.get("/<lang:lang>/registry/entries/<entry:entry>")
@public_page(names=True, is_asked=True)
def entry(entry: str) -> Response:
    """One entry at its permanent address; an ended one keeps its number and dates."""
    found = registry.find_entry(entry, current_language())
    if found is None:
        abort(404)
    line = found.line
    page = render_template(
        "registry/entry.html",
        line=line,
        affiliation=lists.affiliations().get(line.affiliation or ""),
        permanent_url=current_app.config["CHARTER"].public_url + url_for("registry.entry", entry=entry),
        log_state=lists.log_state(),
        as_of=g.as_of,
        is_indexable=found.is_indexable,
        removed_because=log.find_removal_reason(entry) if line.ended_by == "centre" else None,
    )
    response = make_response(page)
    if not found.is_indexable:
        response.headers["X-Robots-Tag"] = "noindex"
    return response


def init_app(app: Flask) -> None:
    """Registers the room."""
    rows.init_app(app)
    app.register_blueprint(blueprint)
    app.jinja_env.globals["map_steps"] = ranges_of
