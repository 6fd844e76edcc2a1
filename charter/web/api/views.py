"""The addresses of the API: read what was asked, ask the database, answer in the documented shape."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec
from urllib.parse import urlencode

from flask import Blueprint, Response, current_app, g, request, url_for

from charter.domain.selection import NEWEST, Place, Selection
from charter.queries import open_data, search
from charter.queries.open_data import AffiliationFigures, EditionFigures, RegionFigures
from charter.queries.registry import PAGE_SIZE
from charter.queries.search import PlaceLostError
from charter.queries.similar import similar
from charter.web import centre
from charter.web.api import cursors, parameters, shapes
from charter.web.api.parameters import Asked, Parameter
from charter.web.api.problems import LOST, NOT_FOUND, ProblemError
from charter.web.api.shapes import Json
from charter.web.headers import public_page
from charter.web.kept import as_published, public_day

P = ParamSpec("P")
#: Stands in entity tags in the place of a language: an answer is the same in all of them.
SPOKEN = "api"
#: A cursor in an answer → its relation in the header Link (RFC 8288).
_LINKS = {"next": "next", "previous": "prev"}

blueprint = Blueprint("api", __name__, url_prefix="/api")


def _answers(*allowed: Parameter) -> Callable[[Callable[P, Json]], Callable[P, Response]]:
    """A view that returns JSON: its parameters are refused before the database is asked, and lie in `g.asked`."""

    def decorate(view: Callable[P, Json]) -> Callable[P, Response]:
        @public_page(names=True, spoken=SPOKEN)
        def answer(*args: P.args, **kwargs: P.kwargs) -> Response:
            body = view(*args, **kwargs)
            response = Response(encode(body), content_type="application/json")
            links = [f'<{_address_at(body[name])}>; rel="{rel}"' for name, rel in _LINKS.items() if name in body]
            if links:
                response.headers["Link"] = ", ".join(links)
            return response

        @wraps(view)
        def run(*args: P.args, **kwargs: P.kwargs) -> Response:
            g.asked = parameters.read(request.args, allowed)
            return answer(*args, **kwargs)

        return run

    return decorate


def encode(body: Json) -> str:
    """As it is sent: one line, letters as they are."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")) + "\n"


def _address_at(cursor: str) -> str:
    query = [(name, value) for name, value in request.args.items() if name != parameters.CURSOR.name]
    query.append((parameters.CURSOR.name, cursor))
    return f"{current_app.config['CHARTER'].public_url}{request.path}?{urlencode(query)}"


# ── what changes with a publication only ─────────────────────────────────────────────────────────────────────────────


def _regions() -> tuple[RegionFigures, ...]:
    return as_published("api.regions", make=lambda: open_data.regions(on=public_day()))


def _affiliations() -> tuple[AffiliationFigures, ...]:
    return as_published("api.affiliations", make=lambda: open_data.affiliations(on=public_day()))


def _editions() -> tuple[EditionFigures, ...]:
    return as_published("api.editions", make=open_data.editions)


# ── entries ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@blueprint.get("/v1/entries")
@_answers(*parameters.ENTRIES)
def entries() -> Json:
    """Entries of a selection, or what changed after a revision."""
    return changes_page(g.asked) if parameters.SINCE.name in g.asked else entries_page(g.asked)


def entries_page(asked: Asked) -> Json:
    """One page of a selection. Raises ProblemError."""
    selection = _selection(asked)
    size = asked.get(parameters.SIZE.name, PAGE_SIZE)
    try:
        rows, has_before, has_behind = search.find_rows(selection, place=cursors.place(asked), size=size)
    except PlaceLostError:
        detail = "The entry at which the cursor stood is no longer shown by that name. Begin anew without the cursor."
        raise ProblemError(LOST, detail, parameter=parameters.CURSOR.name) from None
    body = {
        "as_of": shapes.as_of(g.as_of),
        "count": shapes.count(search.count(selection)),
        "data": [shapes.entry(row) for row in rows],
    }
    if rows and has_behind:
        body["next"] = cursors.of_place(Place(rows[-1].number), asked)
    if rows and has_before:
        body["previous"] = cursors.of_place(Place(rows[0].number, is_back=True), asked)
    if not rows and selection.words and parameters.CURSOR.name not in asked:
        body["similar"] = similar(selection)
    return body


def changes_page(asked: Asked) -> Json:
    """What changed after a revision, in the order of change. Raises ProblemError."""
    since = asked[parameters.SINCE.name]
    size = asked.get(parameters.SIZE.name, PAGE_SIZE)
    newest = g.as_of.revision if g.as_of else 0
    if since > newest:
        raise parameters.SINCE.refusal(
            f"It is {since}, but the newest public revision is {newest}. Ask with the next_since of your last answer."
        )
    rows = search.find_changes(since=since, after=cursors.change(asked), size=size + 1)
    body = {"as_of": shapes.as_of(g.as_of), "since": since, "data": [shapes.entry(row) for row in rows[:size]]}
    if len(rows) > size:
        last = rows[size - 1]
        body["next"] = cursors.of_change(last.revision, last.number, asked)
    else:
        body["next_since"] = newest
    return body


def _selection(asked: Asked) -> Selection:
    """What was asked, with its names looked up. Raises ProblemError for those that do not exist."""
    region = asked.get(parameters.REGION.name)
    if region is not None:
        region = next((one.code for one in _regions() if region in {one.slug, one.code}), None)
        if region is None:
            raise parameters.REGION.refusal("There is no such region: see /api/v1/regions.")
    affiliation = asked.get(parameters.AFFILIATION.name)
    if affiliation is not None and affiliation not in {one.slug for one in _affiliations()}:
        raise parameters.AFFILIATION.refusal("There is no such affiliation: see /api/v1/affiliations.")
    edition = asked.get(parameters.EDITION.name)
    if edition is not None and edition not in {one.slug for one in _editions()}:
        raise parameters.EDITION.refusal("There is no such edition: see /api/v1/editions.")
    return Selection(
        asked=asked.get(parameters.Q.name, ""),
        region=region,
        kind=asked.get(parameters.KIND.name),
        affiliation=affiliation,
        edition=edition,
        signed_from=asked.get(parameters.FROM.name),
        signed_to=asked.get(parameters.TO.name),
        order=asked.get(parameters.ORDER.name, NEWEST),
    )


@blueprint.get("/v1/entries/<number:number>")
@_answers()
def entry_by_number(number: str) -> Json:
    """One entry by its number."""
    return _one(search.find_row(number=int(number)))


@blueprint.get("/v1/entries/<entry:entry>")
@_answers()
def entry_by_id(entry: str) -> Json:
    """One entry by its permanent id."""
    return _one(search.find_row(entry=entry))


def _one(row: search.EntryRow | None) -> Json:
    if row is None:
        raise ProblemError(NOT_FOUND, "There is no entry with this number or id.")
    return {"as_of": shapes.as_of(g.as_of), "data": shapes.entry(row)}


# ── the rest ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@blueprint.get("/v1/regions")
@_answers()
def regions() -> Json:
    """Every region with its figures."""
    return {"as_of": shapes.as_of(g.as_of), "data": [shapes.region(one) for one in _regions()]}


@blueprint.get("/v1/affiliations")
@_answers()
def affiliations() -> Json:
    """Every affiliation that can be or could once be chosen."""
    return {"as_of": shapes.as_of(g.as_of), "data": [shapes.affiliation(one) for one in _affiliations()]}


@blueprint.get("/v1/affiliations/<slug:slug>")
@_answers()
def affiliation(slug: str) -> Json:
    """One affiliation: its history, and where its observers are."""
    found = next((one for one in _affiliations() if one.slug == slug), None)
    if found is None:
        raise ProblemError(NOT_FOUND, "There is no affiliation of this name: see /api/v1/affiliations.")
    merged_from = [one.slug for one in _affiliations() if one.merged_into == slug]
    data = shapes.whole_affiliation(found, open_data.places_of(slug), merged_from)
    return {"as_of": shapes.as_of(g.as_of), "data": data}


@blueprint.get("/v1/statistics")
@_answers()
def statistics() -> Json:
    """The totals, by kind, by region and by week."""
    figures = _regions()
    whole = open_data.sum_of(figures)
    by_region = [
        {"region": one.code, **shapes.totals(one.totals), "by_kind": dict(one.totals.by_kind or {})} for one in figures
    ]
    data = {
        "totals": shapes.totals(whole),
        "by_kind": dict(whole.by_kind or {}),
        "by_region": by_region,
        "by_week": [shapes.week(one) for one in as_published("api.weeks", make=open_data.weeks)],
        "signing": shapes.signing(centre.published()),
    }
    return {"as_of": shapes.as_of(g.as_of), "data": data}


@blueprint.get("/v1/editions")
@_answers()
def editions() -> Json:
    """Every edition of the Charter with the digests of its texts."""
    base = current_app.config["CHARTER"].public_url
    data = []
    for one in _editions():
        urls = {
            text.language: base + url_for("public.charter_text", edition=one.slug, lang=text.language)
            for text in one.texts
        }
        data.append(shapes.edition(one, urls))
    return {"as_of": shapes.as_of(g.as_of), "data": data}
